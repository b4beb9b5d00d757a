/** Broadcasting: every member gets every message, and keeps its own offsets. */

import { assertEquals, assertRejects } from "@std/assert";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Consumer, OffsetError } from "../../../mod.ts";
import { FileOffsetStore, MemoryOffsetStore } from "../../../src/consumer/mod.ts";
import { retryTopic } from "../../../src/wire/names.ts";
import { nextBatch, type Scenario, type Scene, sortedTexts, take, textOf, texts, waitUntil } from "../harness.ts";

/** The options of all consumers here, where nothing else is said. */
const broadcasting = { model: "broadcasting", consumeFrom: "first", suspendQueue: 50 } as const;

/** A folder that is gone when the scenario ends. */
async function folder(t: Scene): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "offsets-"));
  t.finally(async () => {
    // Members that are open still may be about to write.
    await waitUntil(() => rm(path, { recursive: true, force: true }).then(() => true, () => false), {
      what: `${path} is removed`,
    });
  });
  return path;
}

async function member(t: Scene, group: string, topic: string, more: Record<string, unknown> = {}): Promise<Consumer> {
  const mq = await t.connect();
  return await mq.consumer({ group, topics: topic, ...broadcasting, offsetStore: new MemoryOffsetStore(), ...more });
}

export const scenarios: Scenario[] = [
  {
    name: "broadcasting: every member gets every message, and brokers keep no offsets",
    async run(t: Scene) {
      const topic = await t.topic(4);
      const group = t.group();
      await t.broker.publish(topic, texts(100));
      const members = await Promise.all([1, 2, 3].map(() => member(t, group, topic)));
      for (const consumer of members) {
        assertEquals(sortedTexts(await take(consumer, 100)), texts(100).sort());
        assertEquals(consumer.assignment().map((queue) => queue.topic), Array(4).fill(topic));
        await consumer.commit();
      }
      // What brokers that have nothing stored say: 4.9 takes a young queue for one that was read to 0.
      const none = t.broker.line === 5 ? undefined : 0;
      assertEquals(await t.broker.committed(group, { topic, queueId: 0 }), none);
    },
  },
  {
    name: "broadcasting: a member that comes again goes on where it was, also where it closed with a batch in flight",
    async run(t: Scene) {
      const topic = await t.topic(1);
      const group = t.group();
      const path = await folder(t);
      await t.broker.publish(topic, texts(10));
      const store = () => new FileOffsetStore({ group, path });
      const first = await member(t, group, topic, { offsetStore: store(), batchSize: 4 });
      const batches = first.batches();
      await (await nextBatch(batches)).ack();
      const held = await nextBatch(batches);
      assertEquals([...held].map(textOf), texts(4, "m", 4));
      await first.close({ timeout: 0 });
      assertEquals(held.signal.aborted, true);
      const second = await member(t, group, topic, { offsetStore: store() });
      assertEquals((await take(second, 6)).map(textOf), texts(6, "m", 4));
      await second.close();
      await t.broker.publish(topic, ["late"]);
      const third = await member(t, group, topic, { offsetStore: store() });
      assertEquals((await take(third, 1)).map(textOf), ["late"]);
    },
  },
  {
    name: "broadcasting: a stored offset wins over consumeFrom, and a computed one is stored before the first batch",
    async run(t: Scene) {
      const topic = await t.topic(1);
      const group = t.group();
      const path = await folder(t);
      await t.broker.publish(topic, texts(3));
      const first = await member(t, group, topic, {
        offsetStore: new FileOffsetStore({ group, path }),
        consumeFrom: "last",
      });
      await waitUntil(async () => (await first.lag()).some(({ isOpen }) => isOpen), { what: "the queue has begun" });
      await first.close({ timeout: 0 });
      await t.broker.publish(topic, ["later"]);
      const again = await member(t, group, topic, {
        offsetStore: new FileOffsetStore({ group, path }),
        consumeFrom: "last",
      });
      assertEquals((await take(again, 1)).map(textOf), ["later"]);
    },
  },
  {
    name: "broadcasting: what fails is told of and skipped: nothing is sent back, nothing is redelivered",
    async run(t: Scene) {
      const topic = await t.topic(1);
      const group = t.group();
      await t.broker.publish(topic, texts(4));
      const { mq, events, untilEvent } = await t.client();
      const offsetStore = new MemoryOffsetStore();
      const consumer = await mq.consumer({ group, topics: topic, ...broadcasting, offsetStore });
      const seen: string[] = [];
      const stop = new AbortController();
      await consumer.runEach((message) => {
        seen.push(textOf(message));
        if (seen.length === 4) stop.abort();
        if (textOf(message) === "m1") throw new Error("not this one");
      }, { signal: stop.signal, concurrency: 1 });
      assertEquals(seen, texts(4));
      const skipped = await untilEvent("skipped");
      assertEquals([skipped.offset, skipped.topic], [1, topic]);
      assertEquals(consumer.stats().settled, 4);
      await t.broker.publish(topic, ["dead", "alive"]);
      for (let left = 2; left > 0;) {
        const batch = await nextBatch(consumer.batches());
        left -= batch.length;
        if (textOf(batch.messages[0]!) === "dead") await batch.deadLetter(batch.messages[0]);
        await batch.ack();
      }
      assertEquals(events.filter(({ type }) => type === "skipped").length, 2);
      await assertRejects(() =>
        t.broker.maxOffset({ topic: retryTopic(group), queueId: 0 }).then((offset) => {
          if (offset === 0) throw new Error("nothing was sent back");
        })
      );
    },
  },
  {
    name: "broadcasting: a batch in flight for longer than consumeTimeout stays in flight, and an event tells",
    async run(t: Scene) {
      const topic = await t.topic(1);
      const group = t.group();
      await t.broker.publish(topic, texts(2));
      const { mq, untilEvent } = await t.client();
      const more = { offsetStore: new MemoryOffsetStore(), consumeTimeout: 1_000 };
      const consumer = await mq.consumer({ group, topics: topic, ...broadcasting, ...more });
      const batch = await nextBatch(consumer.batches());
      await untilEvent("stalled", (event) => event.group === group);
      assertEquals([batch.signal.aborted, consumer.stats().inFlight], [false, batch.length]);
      await batch.ack();
    },
  },
  {
    name: "broadcasting in order: what fails stays in its place, and members do not lock queues out for each other",
    async run(t: Scene) {
      const topic = await t.topic(2);
      const group = t.group();
      await t.broker.publish(topic, texts(4, "a"), { queueId: 0 });
      await t.broker.publish(topic, texts(4, "b"), { queueId: 1 });
      for (const consumer of await Promise.all([1, 2].map(() => member(t, group, topic, { ordering: "orderly" })))) {
        const seen: string[] = [];
        const stop = new AbortController();
        let failures = 0;
        await consumer.runEach((message) => {
          if (textOf(message) === "a1" && failures++ < 2) throw new Error("again");
          seen.push(textOf(message));
          if (seen.length === 8) stop.abort();
        }, { signal: stop.signal, concurrency: 4 });
        assertEquals(seen.filter((text) => text.startsWith("a")), texts(4, "a"));
        assertEquals(seen.filter((text) => text.startsWith("b")), texts(4, "b"));
      }
    },
  },
  {
    name: "broadcasting in order: what fails more than maxReconsumeTimes is told of and skipped",
    async run(t: Scene) {
      const topic = await t.topic(1);
      const group = t.group();
      await t.broker.publish(topic, texts(3));
      const { mq, untilEvent } = await t.client();
      const more = { offsetStore: new MemoryOffsetStore(), ordering: "orderly", maxReconsumeTimes: 1 } as const;
      const consumer = await mq.consumer({ group, topics: topic, ...broadcasting, ...more });
      const seen: string[] = [];
      const stop = new AbortController();
      await consumer.runEach((message) => {
        seen.push(textOf(message));
        if (seen.length === 4) stop.abort();
        if (textOf(message) === "m1") throw new Error("never");
      }, { signal: stop.signal });
      assertEquals(seen, ["m0", "m1", "m1", "m2"]);
      assertEquals((await untilEvent("skipped")).offset, 1);
    },
  },
  {
    name: "broadcasting: a second live member with the same group and instance on one store is refused, another is not",
    async run(t: Scene) {
      const topic = await t.topic(1);
      const group = t.group();
      const path = await folder(t);
      await t.broker.publish(topic, texts(3));
      const store = (instance?: string) =>
        new FileOffsetStore({ group, path, leaseTimeout: 1_000, ...(instance === undefined ? {} : { instance }) });
      const one = await member(t, group, topic, { offsetStore: store() });
      const error = await assertRejects(() => member(t, group, topic, { offsetStore: store() }), OffsetError);
      assertEquals(error.code, "OFFSETS_IN_USE");
      const two = await member(t, group, topic, { offsetStore: store("two") });
      assertEquals((await take(one, 3)).map(textOf), texts(3));
      assertEquals((await take(two, 3)).map(textOf), texts(3));
    },
  },
  {
    name: "broadcasting: seek() goes back, and is stored",
    async run(t: Scene) {
      const topic = await t.topic(1);
      const group = t.group();
      const path = await folder(t);
      await t.broker.publish(topic, texts(4));
      const first = await member(t, group, topic, { offsetStore: new FileOffsetStore({ group, path }) });
      await take(first, 4);
      await first.commit();
      await first.seek(first.assignment()[0]!, 1);
      await first.close({ timeout: 0 });
      const second = await member(t, group, topic, { offsetStore: new FileOffsetStore({ group, path }) });
      assertEquals((await take(second, 3)).map(textOf), texts(3, "m", 1));
    },
  },
];
