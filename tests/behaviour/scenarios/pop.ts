/** POP consumption: workers that own no queue. */

import { assert, assertEquals, assertLessOrEqual, assertRejects } from "@std/assert";
import {
  ConfigError,
  ConsumerStateError,
  type PopBatch,
  type PopConsumer,
  sql,
  UnsupportedError,
  ValidationError,
} from "../../../mod.ts";
import { deadLetterTopic } from "../../../src/wire/names.ts";
import { setMessageRequestMode } from "../../../src/wire/requests.ts";
import {
  type Scenario,
  type Scene,
  sortedTexts,
  take,
  textOf,
  texts,
  untilDead,
  waitUntil,
  within,
} from "../harness.ts";

/** Brokers look into the queues of records whose time is over about once a second, and some then wait for others. */
const COMES_AGAIN = 40_000;

const on5 = ({ line }: { line: number }) => line === 5;

/** The next batch of a loop over a POP consumer. */
async function nextPopped(consumer: PopConsumer, timeout?: number): Promise<PopBatch> {
  const batches = consumer.batches();
  const { done, value } = await within(batches.next(), "a popped batch", timeout);
  assert(!done, "the loop has ended");
  return value;
}

/** Takes messages until there are `count`, and acknowledges them. */
async function takePopped(consumer: PopConsumer, count: number, timeout?: number): Promise<string[]> {
  const seen: string[] = [];
  while (seen.length < count) {
    const batch = await nextPopped(consumer, timeout);
    seen.push(...[...batch].map(textOf));
    await batch.ack();
  }
  return seen;
}

export const scenarios: Scenario[] = [
  {
    name: "pop: 24 topics share room for 16 messages: none beyond it, and each has its turn",
    on: on5,
    async run(t: Scene) {
      const topics = await Promise.all(Array.from({ length: 24 }, () => t.topic(1)));
      for (const topic of topics) await t.broker.publish(topic, texts(5, topic));
      const mq = await t.connect();
      const consumer = await mq.popConsumer({
        group: t.group(),
        topics,
        consumeFrom: "first",
        batchSize: 4,
        maxBufferedMessages: 16,
      });
      const seen = new Set<string>();
      for await (const batch of consumer) {
        const { ready, inFlight } = consumer.stats();
        assertLessOrEqual(ready + inFlight, 16);
        for (const message of batch) seen.add(textOf(message));
        if (seen.size === 24 * 5) break;
      }
    },
  },
  {
    name: "pop: what a worker that died had is redelivered when its invisible time is over, and counts",
    on: on5,
    timeout: 120_000,
    async run(t: Scene) {
      const topic = await t.topic(2);
      const group = t.group();
      await t.broker.publish(topic, texts(6));
      const options = { group, topics: topic, consumeFrom: "first", invisibleTime: 5_000 } as const;
      const dead = await t.client();
      const one = await dead.mq.popConsumer(options);
      const lost = new Set<string>();
      while (lost.size < 6) for (const message of await one.pop({ wait: 5_000 })) lost.add(textOf(message));
      await one.close({ timeout: 0 }); // without an ack
      const two = await (await t.connect()).popConsumer(options);
      const seen = new Map<string, number>();
      while (seen.size < 6) {
        const batch = await nextPopped(two, COMES_AGAIN);
        for (const message of batch) seen.set(textOf(message), message.reconsumeTimes);
        assertEquals(batch.topic, topic, "the topic is the original one");
        await batch.ack();
      }
      assertEquals([...seen.keys()].sort(), texts(6).sort());
      assertEquals([...seen.values()], Array(6).fill(1));
    },
  },
  {
    name: "pop: retry() has messages redelivered after the delay, with their times counted",
    on: on5,
    timeout: 120_000,
    async run(t: Scene) {
      const topic = await t.topic(1);
      await t.broker.publish(topic, texts(2));
      const consumer = await (await t.connect()).popConsumer({
        group: t.group(),
        topics: topic,
        consumeFrom: "first",
        batchSize: 1,
      });
      const batch = await nextPopped(consumer);
      const text = textOf(batch.messages[0]!);
      const failedAt = performance.now();
      await batch.retry({ delay: 2_000 });
      const other = await nextPopped(consumer);
      assert(textOf(other.messages[0]!) !== text);
      await other.ack();
      const again = await nextPopped(consumer, COMES_AGAIN);
      assert(performance.now() - failedAt > 1_000, "not at once");
      assertEquals([textOf(again.messages[0]!), again.messages[0]!.reconsumeTimes], [text, 1]);
      await again.ack();
      assertEquals(consumer.stats().retried, 1);
    },
  },
  {
    name: "pop: what fails more than maxReconsumeTimes is dead-lettered and then acknowledged, never dropped",
    on: on5,
    timeout: 120_000,
    async run(t: Scene) {
      const topic = await t.topic(1);
      const group = t.group();
      await t.broker.publish(topic, ["hopeless", "fine"]);
      const { mq, untilEvent } = await t.client();
      const options = { group, topics: topic, consumeFrom: "first", maxReconsumeTimes: 1 } as const;
      const consumer = await mq.popConsumer(options);
      const attempts: number[] = [];
      const stop = new AbortController();
      const running = consumer.run(async (batch) => {
        for (const message of batch) {
          if (textOf(message) === "fine") await batch.ack(message);
          else attempts.push(message.reconsumeTimes);
        }
        await batch.retry({ delay: 1_000 });
      }, { signal: stop.signal });
      await waitUntil(() => attempts.length === 2, { what: "two attempts", timeout: COMES_AGAIN });
      const dead = await untilEvent("deadLettered");
      assertEquals(dead.topic, topic);
      stop.abort();
      await running;
      assertEquals(attempts, [0, 1]);
      const letters = await mq.consumer({
        group: t.group(),
        topics: deadLetterTopic(group),
        consumeFrom: "first",
        missingTopic: "wait",
      });
      assertEquals((await take(letters, 1)).map(textOf), ["hopeless"]);
    },
  },
  {
    name: "pop: a loop, several workers: each message once, whoever takes it",
    on: on5,
    async run(t: Scene) {
      const topic = await t.topic(4);
      const group = t.group();
      const seen: string[] = [];
      const workers: PopConsumer[] = [];
      const runs: Promise<void>[] = [];
      for (let i = 0; i < 3; i++) {
        const worker = await (await t.connect()).popConsumer({ group, topics: topic, consumeFrom: "first" });
        workers.push(worker);
        runs.push(
          t.background(() => worker.run((batch) => void seen.push(...[...batch].map(textOf)), { concurrency: 4 })),
        );
      }
      await t.broker.publish(topic, texts(2_000));
      await waitUntil(() => seen.length >= 2_000, { what: () => `2000 messages, got ${seen.length}` });
      for (const worker of workers) await worker.close();
      await Promise.all(runs);
      assertEquals(seen.sort(), texts(2_000).sort());
      const settled = workers.map((worker) => worker.stats().settled).reduce((a, b) => a + b);
      assertEquals(settled, 2_000);
    },
  },
  {
    name: "pop: asking for the next batch acknowledges the one before; leaving the loop does not",
    on: on5,
    timeout: 120_000,
    async run(t: Scene) {
      const topic = await t.topic(1);
      const group = t.group();
      await t.broker.publish(topic, texts(2));
      const options = { group, topics: topic, consumeFrom: "first", batchSize: 1, invisibleTime: 5_000 } as const;
      const consumer = await (await t.connect()).popConsumer(options);
      const seen: string[] = [];
      for await (const batch of consumer) {
        seen.push(...[...batch].map(textOf));
        if (seen.length === 2) break;
      }
      assertEquals(consumer.stats().inFlight, 0);
      const again = await takePopped(consumer, 1, COMES_AGAIN);
      assertEquals(again, seen.slice(1));
      await consumer.close();
      const after = await (await t.connect()).popConsumer(options);
      assertEquals((await after.pop({ wait: 7_000 })).length, 0, "nothing is left");
    },
  },
  {
    name: "pop: pop() gives one batch for one request, perhaps an empty one, and takes nothing ahead",
    on: on5,
    async run(t: Scene) {
      const topic = await t.topic(1);
      const consumer = await (await t.connect()).popConsumer({ group: t.group(), topics: topic, consumeFrom: "first" });
      const empty = await consumer.pop();
      assertEquals([empty.length, [...empty], empty.topic], [0, [], topic]);
      await empty.ack();
      await t.broker.publish(topic, texts(5));
      const one = await consumer.pop({ max: 2, wait: 5_000 });
      assert(one.length >= 1 && one.length <= 2);
      assertEquals(consumer.stats().ready, 0);
      await one.ack();
      let rest = 5 - one.length;
      while (rest > 0) {
        const more = await consumer.pop({ wait: 5_000 });
        await more.ack();
        rest -= more.length;
      }
      const started = performance.now();
      const late = consumer.pop({ wait: 10_000 });
      await t.broker.publish(topic, ["late"]);
      const batch = await late;
      assertEquals([...batch].map(textOf), ["late"]);
      assert(performance.now() - started < 8_000);
      await batch.ack();
      const stop = new AbortController();
      const aborted = consumer.pop({ wait: 60_000, signal: stop.signal });
      setTimeout(() => stop.abort(new RangeError("enough")), 200); // while a broker holds the request
      await assertRejects(() => within(aborted, "the end of pop()", 5_000), RangeError);
      const error = await assertRejects(() => consumer.pop({ max: 33, wait: -1 }), ConfigError);
      assertEquals(error.problems.map(({ field }) => field), ["max", "wait"]);
    },
  },
  {
    name: "pop: extend() keeps messages away for longer; when the time is over the signal tells, and acks do not count",
    on: on5,
    timeout: 120_000,
    async run(t: Scene) {
      const topic = await t.topic(1);
      const group = t.group();
      await t.broker.publish(topic, texts(2));
      const { mq, untilEvent } = await t.client();
      const options = { group, topics: topic, consumeFrom: "first", invisibleTime: 5_000, batchSize: 1 } as const;
      const consumer = await mq.popConsumer(options);
      const kept = await consumer.pop({ wait: 5_000 });
      const lost = await consumer.pop({ wait: 5_000 });
      const error = await assertRejects(() => kept.extend(10), ValidationError);
      assertEquals(error.problems[0]!.field, "ms");
      await kept.extend(60_000);
      await waitUntil(() => lost.signal.aborted, { what: "the end of the invisible time" });
      assertEquals(kept.signal.aborted, false);
      await untilEvent("stalled", (event) => event.group === group);
      await lost.ack(); // too late
      await assertRejects(() => lost.extend(5_000), ConsumerStateError);
      const again = await takePopped(consumer, 1, COMES_AGAIN);
      assertEquals(again, [...lost].map(textOf));
      await kept.ack();
    },
  },
  {
    name: "pop: retry() says which options it takes, and settles nothing then; deadLetter() moves at once",
    on: on5,
    async run(t: Scene) {
      const topic = await t.topic(1);
      const group = t.group();
      await t.broker.publish(topic, texts(3));
      const consumer = await (await t.connect()).popConsumer({ group, topics: topic, consumeFrom: "first" });
      let count = 0;
      while (count < 3) {
        const batch = await nextPopped(consumer);
        const error = await assertRejects(() => batch.retry({ delayLevel: 2, delay: 5 }), ValidationError);
        assertEquals(error.problems.map(({ field }) => field), ["delayLevel", "delay"]);
        assertEquals(consumer.stats().inFlight, batch.length);
        count += batch.length;
        await batch.deadLetter(batch.messages[0]);
        await batch.deadLetter();
      }
      await untilDead(t, group, 3);
    },
  },
  {
    name: "pop: tags and SQL choose what comes, and subscriptions change while it runs",
    on: on5,
    async run(t: Scene) {
      const [tagged, priced, later] = [await t.topic(1), await t.topic(1), await t.topic(1)];
      await t.broker.publish(tagged, [{ body: "a", tags: "a" }, { body: "b", tags: "b" }, { body: "Aa", tags: "Aa" }]);
      await t.broker.publish(priced, [1, 20].map((price) => ({ body: `${price}`, properties: { price: `${price}` } })));
      const consumer = await (await t.connect()).popConsumer({
        group: t.group(),
        // "BB" has the hash code of "Aa": brokers cannot tell them apart.
        topics: { [tagged]: "a || BB", [priced]: sql("price > 10") },
        consumeFrom: "first",
      });
      assertEquals((await takePopped(consumer, 2)).sort(), ["20", "a"]);
      await t.broker.publish(later, ["new"]);
      await consumer.subscriptions.subscribe(later);
      assertEquals(await takePopped(consumer, 1), ["new"]);
      await consumer.subscriptions.unsubscribe(tagged);
      await t.broker.publish(tagged, [{ body: "a2", tags: "a" }]);
      await t.broker.publish(later, ["newer"]);
      assertEquals(await takePopped(consumer, 1), ["newer"]);
    },
  },
  {
    name: "pop: queues that the broker assigns are those that are popped",
    on: on5,
    async run(t: Scene) {
      const topic = await t.topic(2);
      const group = t.group();
      const mode = { topic, consumerGroup: group, mode: "POP", popShareQueueNum: 0 };
      await t.broker.raw.askWell(setMessageRequestMode, {}, JSON.stringify(mode));
      const [a, b] = [await t.connect(), await t.connect()];
      const options = { group, topics: topic, consumeFrom: "first", rebalanceInterval: 1_000 } as const;
      const workers = [await a.popConsumer(options), await b.popConsumer(options)];
      await t.broker.publish(topic, texts(40));
      const seen: string[] = [];
      const runs = workers.map((worker) =>
        t.background(() => worker.runEach((message) => void seen.push(textOf(message))))
      );
      await waitUntil(() => seen.length >= 40, { what: () => `40 messages, got ${seen.length}` });
      for (const worker of workers) await worker.close();
      await Promise.all(runs);
      assertEquals(seen.sort(), texts(40).sort());
    },
  },
  {
    name: "pop: close() waits for acks on their way: what was acknowledged is not redelivered",
    on: on5,
    async run(t: Scene) {
      const topic = await t.topic(2);
      const group = t.group();
      await t.broker.publish(topic, texts(50));
      const options = { group, topics: topic, consumeFrom: "first", invisibleTime: 5_000 } as const;
      const consumer = await (await t.connect()).popConsumer(options);
      const seen: string[] = [];
      for await (const batch of consumer) {
        seen.push(...[...batch].map(textOf));
        if (seen.length < 50) continue;
        batch.ack(); // not awaited
        break;
      }
      await consumer.close();
      assertEquals(seen.sort(), texts(50).sort());
      const after = await (await t.connect()).popConsumer(options);
      assertEquals(sortedTexts(await after.pop({ wait: 8_000 })), []);
    },
  },
  {
    name: "pop: close() returns what was popped ahead: another worker gets it long before its invisible time ends",
    on: on5,
    async run(t: Scene) {
      const topic = await t.topic(4);
      const group = t.group();
      await t.broker.publish(topic, texts(300));
      const options = { group, topics: topic, consumeFrom: "first", invisibleTime: 300_000 } as const;
      const consumer = await (await t.connect()).popConsumer(options);
      const seen: string[] = [];
      for await (const batch of consumer) {
        seen.push(...[...batch].map(textOf));
        await batch.ack();
        await waitUntil(() => consumer.stats().ready > 0, { what: "messages ahead" });
        if (seen.length >= 32) break;
      }
      await consumer.close();
      const other = await (await t.connect()).popConsumer(options);
      const rest = await takePopped(other, 300 - seen.length, COMES_AGAIN);
      assertEquals([...seen, ...rest].sort(), texts(300).sort());
    },
  },
  {
    name: "pop: unsubscribe() returns what was popped ahead, and what comes afterwards",
    on: on5,
    async run(t: Scene) {
      const [topic, kept] = [await t.topic(1), await t.topic(1)];
      const group = t.group();
      await t.broker.publish(topic, texts(100));
      const options = { group, consumeFrom: "first", invisibleTime: 300_000 } as const;
      const consumer = await (await t.connect()).popConsumer({ ...options, topics: [topic, kept] });
      const first = await nextPopped(consumer);
      await first.ack();
      await waitUntil(() => consumer.stats().ready > 0, { what: "messages ahead" });
      await consumer.subscriptions.unsubscribe(topic);
      assertEquals(consumer.stats().ready, 0);
      await consumer.close();
      const other = await (await t.connect()).popConsumer({ ...options, topics: topic });
      const rest = await takePopped(other, 100 - first.length, COMES_AGAIN);
      assertEquals([...[...first].map(textOf), ...rest].sort(), texts(100).sort());
    },
  },
  {
    name: "pop: what reaches a pop() whose caller has given up is returned",
    on: on5,
    async run(t: Scene) {
      const topic = await t.topic(1);
      const options = { group: t.group(), topics: topic, consumeFrom: "first", invisibleTime: 300_000 } as const;
      const consumer = await (await t.connect()).popConsumer(options);
      const stop = new AbortController();
      const aborted = consumer.pop({ wait: 20_000, signal: stop.signal });
      setTimeout(() => stop.abort(new RangeError("enough")), 500); // while the broker holds the request
      await assertRejects(() => within(aborted, "the end of pop()", 5_000), RangeError);
      await t.broker.publish(topic, ["late"]);
      const again = await takePopped(consumer, 1, COMES_AGAIN);
      assertEquals(again, ["late"]);
    },
  },
  {
    name: "pop: an ack during an extension counts: the messages are not redelivered",
    on: on5,
    async run(t: Scene) {
      const topic = await t.topic(1);
      const group = t.group();
      await t.broker.publish(topic, texts(8));
      const options = { group, topics: topic, consumeFrom: "first", invisibleTime: 5_000 } as const;
      const consumer = await (await t.connect()).popConsumer(options);
      for (let seen = 0; seen < 8;) {
        const batch = await consumer.pop({ wait: 5_000 });
        const extended = [batch.extend(6_000), batch.extend(5_000)];
        const acked = batch.ack();
        await Promise.all([...extended, acked]);
        seen += batch.length;
      }
      assertEquals(sortedTexts(await consumer.pop({ wait: 12_000 })), []);
    },
  },
  {
    name: "pop: a queue that a topic gets later is consumed from its first message, also by a group that began last",
    on: on5,
    async run(t: Scene) {
      const topic = await t.topic(1);
      const consumer = await (await t.connect()).popConsumer({ group: t.group(), topics: topic, pullHold: 1_000 });
      const seen = new Set<string>();
      const running = t.background(() => consumer.runEach((message) => void seen.add(textOf(message))));
      await t.broker.publish(topic, ["old"]);
      await waitUntil(() => seen.size > 0, { what: "the first queue's message" });
      await t.broker.createTopic(topic, 2);
      await t.broker.publish(topic, texts(20, "new"), { queueId: 1 });
      await waitUntil(() => seen.size >= 21, { what: () => `20 messages of the new queue, got ${seen.size - 1}` });
      await consumer.close();
      await running;
    },
  },
  {
    name: "pop: a broker that is killed and comes back: workers go on, and nothing is lost",
    alone: true,
    on: on5,
    timeout: 120_000,
    async run(t: Scene) {
      const topic = await t.topic(2);
      const group = t.group();
      await t.broker.publish(topic, texts(200));
      const { mq } = await t.client({ logger: false });
      const consumer = await mq.popConsumer({ group, topics: topic, consumeFrom: "first", invisibleTime: 5_000 });
      const seen = new Set<string>();
      const running = t.background(() => consumer.runEach((message) => void seen.add(textOf(message))));
      await waitUntil(() => seen.size >= 50, { what: "some" });
      await t.broker.kill();
      await t.broker.revive();
      await t.broker.publish(topic, texts(100, "after"));
      await waitUntil(() => seen.size >= 300, { what: () => `all 300, got ${seen.size}`, timeout: 60_000 });
      await consumer.close();
      await running;
    },
  },
  {
    name: "popConsumer() names every bad option in one ConfigError",
    async run(t: Scene) {
      const mq = await t.connect();
      const bad = { group: "a b", topics: [], invisibleTime: 1, batchSize: 33, consumeFrom: new Date(), nonsense: 1 };
      const error = await assertRejects(() => mq.popConsumer(bad as never), ConfigError);
      const fields = error.problems.map(({ field }) => field).sort();
      assertEquals(fields, ["batchSize", "consumeFrom", "group", "invisibleTime", "nonsense", "topics"]);
    },
  },
  {
    name: "popConsumer() says that a broker before 5.0 cannot do it, and leaves nothing behind",
    on: ({ line }) => line === 4,
    async run(t: Scene) {
      const topic = await t.topic(1);
      const group = t.group();
      const mq = await t.connect();
      await assertRejects(() => mq.popConsumer({ group, topics: topic }), UnsupportedError);
      assertEquals(await t.broker.consumerList(group), []);
    },
  },
];
