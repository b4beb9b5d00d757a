/** Consumption ordered by key: the messages of a key one batch at a time, different keys side by side. */

import { assert, assertEquals } from "@std/assert";
import type { Consumer, Message, MessageBatch } from "../../../mod.ts";
import {
  nextBatch,
  type Scenario,
  type Scene,
  take,
  textOf,
  texts,
  untilDead,
  waitUntil,
  within,
  work,
} from "../harness.ts";

/** The options of all consumers here, where nothing else is said. */
const byKey = { ordering: "byKey", consumeFrom: "first", suspendQueue: 50 } as const;

/** Publishes messages to one queue, whose keys are the letters before their numbers: `a0`, `b0`, `a1`. */
function publish(t: Scene, topic: string, bodies: readonly string[]): Promise<unknown> {
  const messages = bodies.map((body) => ({ body, properties: { __SHARDINGKEY: body.charAt(0) } }));
  return t.broker.publish(topic, messages, { queueId: 0 });
}

function bodies(batch: MessageBatch): string[] {
  return [...batch].map(textOf);
}

async function consume(t: Scene, topic: string, more: Record<string, unknown> = {}): Promise<Consumer> {
  const mq = await t.connect();
  return await mq.consumer({ group: t.group(), topics: topic, ...byKey, ...more });
}

export const scenarios: Scenario[] = [
  {
    name: "byKey: different keys of one queue are delivered side by side, one key never",
    async run(t: Scene) {
      const topic = await t.topic(1);
      await publish(t, topic, ["a0", "a1", "b0", "a2", "c0", "b1"]);
      const consumer = await consume(t, topic, { batchSize: 2 });
      const one = await nextBatch(consumer.batches());
      const two = await nextBatch(consumer.batches());
      assertEquals([bodies(one), bodies(two)], [["a0", "a1"], ["b0", "c0"]]);
      const stop = new AbortController();
      const next = consumer.batches({ signal: stop.signal }).next();
      await two.ack(two.messages[0]);
      const three = (await within(next, "what the key b has next")).value!;
      assertEquals(bodies(three), ["b1"]);
      const last = consumer.batches().next();
      await one.ack();
      const four = (await within(last, "what the key a has next")).value!;
      assertEquals(bodies(four), ["a2"]);
      await Promise.all([two.ack(), three.ack(), four.ack()]);
    },
  },
  {
    name: "byKey: the committed offset never passes a key in flight, however far others are",
    async run(t: Scene) {
      const topic = await t.topic(1);
      const mq = await t.connect();
      const group = t.group();
      await publish(t, topic, ["a0", "b0", "a1", "b1", "c0"]);
      const consumer = await mq.consumer({ group, topics: topic, ...byKey, batchSize: 1 });
      const held = await nextBatch(consumer.batches());
      assertEquals(bodies(held), ["a0"]);
      assertEquals((await take(consumer, 3)).map(textOf), ["b0", "b1", "c0"]);
      await consumer.commit();
      assertEquals(await t.broker.committed(group, held.queue), 0);
      await held.ack();
      await consumer.commit();
      assertEquals(await t.broker.committed(group, held.queue), 2);
      assertEquals((await take(consumer, 1)).map(textOf), ["a1"]);
      await consumer.commit();
      assertEquals(await t.broker.committed(group, held.queue), 5);
    },
  },
  {
    name: "byKey: what fails rests with all of its key; other keys go on",
    async run(t: Scene) {
      const topic = await t.topic(1);
      await publish(t, topic, ["a0", "b0", "a1", "b1", "a2"]);
      const consumer = await consume(t, topic, { batchSize: 4 });
      const batch = await nextBatch(consumer.batches());
      assertEquals(bodies(batch), ["a0", "b0", "a1", "b1"]);
      await batch.retry(batch.messages[2]!, { delay: 400 }); // a0 is acknowledged with it, a2 waits behind
      await batch.ack(batch.messages[3]!); // and b0
      assertEquals(consumer.stats().inFlight, 0);
      const failedAt = performance.now();
      await publish(t, topic, ["b2"]);
      const other = await nextBatch(consumer.batches());
      assertEquals(bodies(other), ["b2"]);
      await other.ack();
      const again = await nextBatch(consumer.batches());
      assert(performance.now() - failedAt >= 390, "it has rested");
      assertEquals([...again].map((message) => [textOf(message), message.reconsumeTimes]), [["a1", 1], ["a2", 0]]);
      await again.ack();
    },
  },
  {
    name: "byKey: messages without a key are one key, and orderingKey may tell another",
    async run(t: Scene) {
      const topic = await t.topic(1);
      await t.broker.publish(topic, ["x0", "y0", "x1"]);
      const plain = await consume(t, topic, { batchSize: 1 });
      const held = await nextBatch(plain.batches());
      const stop = new AbortController();
      const waiting = plain.batches({ signal: stop.signal }).next();
      await waitUntil(() => plain.stats().buffered === 3, { what: "all of them are here" });
      assertEquals(plain.stats().inFlight, 1);
      stop.abort();
      assertEquals((await waiting).done, true);
      await held.ack();
      const keyed = await consume(t, topic, {
        batchSize: 1,
        orderingKey: (message: Message) => message.text().charAt(0),
      });
      const [one, two] = [await nextBatch(keyed.batches()), await nextBatch(keyed.batches())];
      assertEquals([bodies(one), bodies(two)], [["x0"], ["y0"]]);
      await Promise.all([one.ack(), two.ack()]);
    },
  },
  {
    name: "byKey: an orderingKey that throws is told of, and its messages are consumed as those without a key",
    async run(t: Scene) {
      const topic = await t.topic(1);
      const group = t.group();
      await t.broker.publish(topic, texts(2));
      const { mq, untilEvent } = await t.client();
      const failing = {
        orderingKey: () => {
          throw new Error("no key");
        },
      };
      const consumer = await mq.consumer({ group, topics: topic, ...byKey, ...failing });
      assertEquals((await take(consumer, 2)).map(textOf), texts(2));
      await untilEvent("handlerFailed", (event) => event.group === group);
    },
  },
  {
    name: "byKey: what fails more than maxReconsumeTimes is dead-lettered, and its key goes on",
    async run(t: Scene) {
      const topic = await t.topic(1);
      const group = t.group();
      await publish(t, topic, ["a0", "b0", "a1", "a2", "b1"]);
      const { mq, untilEvent } = await t.client();
      const consumer = await mq.consumer({ group, topics: topic, ...byKey, maxReconsumeTimes: 1 });
      const seen: string[] = [];
      const stop = new AbortController();
      await consumer.runEach((message) => {
        seen.push(textOf(message));
        if (textOf(message) === "a1") throw new Error("hopeless");
        if (seen.length === 6) stop.abort();
      }, { signal: stop.signal, concurrency: 3 });
      assertEquals(seen.filter((text) => text.startsWith("a")), ["a0", "a1", "a1", "a2"]);
      assertEquals(seen.filter((text) => text.startsWith("b")), ["b0", "b1"]);
      await untilEvent("deadLettered", ({ queue }) => queue?.topic === topic);
      await untilDead(t, group, 1);
    },
  },
  {
    name: "byKey: 20 handlers and members that come and go keep the order of every key: nothing lost, nothing twice",
    async run(t: Scene) {
      const keys = 40;
      const count = 8_000;
      const topic = await t.topic(4);
      const group = t.group();
      const seen = new Map<string, number[]>();
      let total = 0;
      const inFlight = new Set<string>();
      let overlaps = 0;
      const handle = async (batch: MessageBatch) => {
        const mine = new Set([...batch].map((message) => message.property("__SHARDINGKEY")!));
        for (const key of mine) if (inFlight.has(key)) overlaps++;
        for (const key of mine) inFlight.add(key);
        await work(Math.random() * 4);
        for (const message of batch) {
          const key = message.property("__SHARDINGKEY")!;
          seen.set(key, [...seen.get(key) ?? [], Number(message.text())]);
        }
        for (const key of mine) inFlight.delete(key);
        total += batch.length;
      };
      const members: Consumer[] = [];
      const runs: Promise<void>[] = [];
      const join = async () => {
        const consumer = await (await t.connect()).consumer({ group, topics: topic, batchSize: 5, ...byKey });
        members.push(consumer);
        runs.push(t.background(() => consumer.run(handle, { concurrency: 20 })));
      };
      await join();
      for (let key = 0; key < keys; key++) {
        const messages = Array.from({ length: count / keys }, (_, i) => ({
          body: String(i),
          properties: { __SHARDINGKEY: `key${key}` },
        }));
        await t.broker.publish(topic, messages, { queueId: key % 4 });
        if (key === 10 || key === 20) await join();
        if (key === 30) await members.shift()!.close();
      }
      await waitUntil(() => total >= count, { what: () => `${count} messages, got ${total}` });
      for (const member of members) await member.close();
      await Promise.all(runs);
      assertEquals(overlaps, 0, "keys in two batches at a time");
      for (const [key, numbers] of seen) {
        const at = numbers.findIndex((number, i) => number !== i);
        assertEquals(at, -1, `${key} has ${numbers.length}: ${numbers.slice(Math.max(0, at - 3), at + 8)}`);
      }
      assertEquals(total, count, "each once");
    },
  },
];
