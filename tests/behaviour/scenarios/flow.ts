/** Pausing, seeking, draining, and not taking more than is asked for. */

import { assert, assertEquals, assertLess, assertLessOrEqual, assertRejects } from "@std/assert";
import { ConfigError, type Consumer, ConsumerStateError, type MessageQueue, queueKey } from "../../../mod.ts";
import { retryTopic } from "../../../src/wire/names.ts";
import {
  nextBatch,
  type Scenario,
  type Scene,
  sortedTexts,
  take,
  textOf,
  texts,
  waitUntil,
  within,
} from "../harness.ts";

/** Gathers the texts that a loop gets, until the consumer closes. */
function gather(t: Scene, consumer: Consumer): { readonly seen: string[]; readonly loop: Promise<void> } {
  const seen: string[] = [];
  const loop = t.background(async () => {
    for await (const batch of consumer) seen.push(...[...batch].map(textOf));
  });
  return { seen, loop };
}

/**
 * Publishes, and waits until another group has got it all: then the broker has given it to whoever pulls.
 */
async function publishWitnessed(t: Scene, topic: string, bodies: string[], witness: Consumer): Promise<void> {
  const got = t.background(() => take(witness, bodies.length));
  await t.broker.publish(topic, bodies);
  await got;
}

/** The queues of the topic, without the retry queue. */
function queuesOf(consumer: Consumer, topic: string): MessageQueue[] {
  return consumer.assignment().filter((queue) => queue.topic === topic);
}

export const scenarios: Scenario[] = [
  {
    name: "a paused consumer delivers nothing, and goes on after resume() where it was",
    async run(t: Scene) {
      const topic = await t.topic(2);
      const mq = await t.connect();
      const witness = await mq.consumer({ group: t.group(), topics: topic, consumeFrom: "first" });
      const consumer = await mq.consumer({ group: t.group(), topics: topic, consumeFrom: "first" });
      const { seen, loop } = gather(t, consumer);
      await publishWitnessed(t, topic, texts(10, "a"), witness);
      await waitUntil(() => seen.length === 10, { what: "the first ten" });
      consumer.pause();
      for (let round = 0; round < 3; round++) await publishWitnessed(t, topic, texts(10, "b", 10 * round), witness);
      assertEquals(seen.length, 10, "messages came while paused");
      consumer.resume();
      await waitUntil(() => seen.length >= 40, { what: () => `the rest, got ${seen.length}` });
      assertEquals(seen.toSorted(), [...texts(10, "a"), ...texts(30, "b")].sort());
      await consumer.close();
      await loop;
    },
  },
  {
    name: "a pause stops the pulls, and keeps what is in flight valid",
    on: ({ faults }) => faults !== undefined,
    async run(t: Scene) {
      const topic = await t.topic(1);
      const group = t.group();
      const pulls = countPulls(t, group, topic);
      await t.broker.publish(topic, texts(3));
      const mq = await t.connect();
      const witness = await mq.consumer({ group: t.group(), topics: topic, consumeFrom: "first" });
      await take(witness, 3);
      const consumer = await mq.consumer({ group, topics: topic, consumeFrom: "first", autoAck: false });
      const batch = await nextBatch(consumer.batches());
      await waitUntil(() => pulls() === 2, { what: "one pull was answered, one is held" });
      consumer.pause();
      for (let round = 0; round < 5; round++) await publishWitnessed(t, topic, [`p${round}`], witness);
      assertEquals(pulls(), 2, "pulls while paused");
      await batch.ack();
      await consumer.commit();
      assertEquals(await t.broker.committed(group, { topic, queueId: 0 }), 3);
      consumer.resume();
      assertEquals((await take(consumer, 5)).map(textOf), texts(5, "p"));
    },
  },
  {
    name: "some queues can be paused, the others go on",
    async run(t: Scene) {
      const topic = await t.topic(3);
      const mq = await t.connect();
      const consumer = await mq.consumer({ group: t.group(), topics: topic, consumeFrom: "first" });
      const paused = queuesOf(consumer, topic).filter(({ queueId }) => queueId !== 1);
      consumer.pause(paused);
      await t.broker.publish(topic, texts(30));
      const mine = await take(consumer, 10);
      assertEquals(mine.map(({ queue }) => queue.queueId), mine.map(() => 1));
      consumer.resume(paused.slice(0, 1));
      const more = await take(consumer, 10);
      assertEquals(more.map(({ queue }) => queue.queueId), more.map(() => paused[0]!.queueId));
      consumer.resume();
      const rest = await take(consumer, 10);
      assertEquals(sortedTexts([...mine, ...more, ...rest]), texts(30).sort());
    },
  },
  {
    name: "seek() goes to an offset, an end or a time, and is stored when it resolves",
    async run(t: Scene) {
      const topic = await t.topic(1);
      const group = t.group();
      await t.broker.publish(topic, texts(10));
      const mq = await t.connect();
      const consumer = await mq.consumer({ group, topics: topic, consumeFrom: "first" });
      const first = await take(consumer, 10);
      const [queue] = queuesOf(consumer, topic);
      const stored = () => t.broker.committed(group, { topic, queueId: 0 });

      await consumer.seek(queue!, 7);
      assertEquals(await stored(), 7);
      assertEquals((await take(consumer, 3)).map(textOf), texts(3, "m", 7));
      await consumer.seek(queue!, "earliest");
      assertEquals(await stored(), 0);
      assertEquals((await take(consumer, 10)).map(textOf), texts(10));
      await consumer.seek(queue!, 2);
      await consumer.seek(queue!, "latest");
      assertEquals(await stored(), 10);
      await waitUntil(() => Date.now() > first.at(-1)!.storedAt.getTime() + 5, { what: "a later millisecond" });
      await t.broker.publish(topic, texts(5, "n"));
      const newer = await take(consumer, 5);
      assertEquals(newer.map(textOf), texts(5, "n"));
      await consumer.seek(queue!, newer[0]!.storedAt);
      assertEquals(await stored(), 10);
      assertEquals((await take(consumer, 5)).map(textOf), texts(5, "n"));
      await consumer.seek(queue!, new Date(0));
      assertEquals(await stored(), 0);
      await take(consumer, 15);
    },
  },
  {
    name: "seek() voids what is in flight: its signal aborts, and its late ack has no effect",
    async run(t: Scene) {
      const topic = await t.topic(1);
      const group = t.group();
      await t.broker.publish(topic, texts(20));
      const mq = await t.connect();
      const options = { group, topics: topic, consumeFrom: "first", batchSize: 5, autoAck: false } as const;
      const consumer = await mq.consumer(options);
      const batches = consumer.batches();
      const old = await nextBatch(batches);
      const { signal } = old;
      const [queue] = queuesOf(consumer, topic);
      await consumer.seek(queue!, 3);
      assertEquals([signal.aborted, (signal.reason as ConsumerStateError).code], [true, "BATCH_VOID"]);
      await old.ack();
      await consumer.commit();
      assertEquals(await t.broker.committed(group, { topic, queueId: 0 }), 3);
      await old.retry();
      old.release();
      const next = await nextBatch(batches);
      assertEquals([...next].map(textOf), texts(5, "m", 3));
      await next.ack();
      await consumer.commit();
      assertEquals(await t.broker.committed(group, { topic, queueId: 0 }), 8);
      assertEquals(await t.broker.maxOffset({ topic: retryTopic(group), queueId: 0 }), 0);
      assertEquals((await take(consumer, 12)).map(textOf), texts(12, "m", 8));
    },
  },
  {
    name: "seek() refuses a position that is none, and a queue of somebody else",
    async run(t: Scene) {
      const [topic, other] = [await t.topic(1), await t.topic(1)];
      const mq = await t.connect();
      const consumer = await mq.consumer({ group: t.group(), topics: topic });
      const [queue] = queuesOf(consumer, topic);
      for (const position of [-1, 1.5, NaN]) {
        await assertRejects(() => consumer.seek(queue!, position), ConfigError, `${position}`);
      }
      const foreign = await assertRejects(() => consumer.seek({ ...queue!, topic: other }, 0), ConsumerStateError);
      assertEquals(foreign.code, "QUEUE_NOT_ASSIGNED");
    },
  },
  {
    name: "seek() leaves a paused queue paused",
    async run(t: Scene) {
      const topic = await t.topic(1);
      await t.broker.publish(topic, texts(10));
      const mq = await t.connect();
      const witness = await mq.consumer({ group: t.group(), topics: topic, consumeFrom: "first" });
      await take(witness, 10);
      const consumer = await mq.consumer({ group: t.group(), topics: topic, consumeFrom: "first" });
      await take(consumer, 10);
      const [queue] = queuesOf(consumer, topic);
      consumer.pause([queue!]);
      await consumer.seek(queue!, 4);
      const next = t.background(() => nextBatch(consumer.batches()));
      await publishWitnessed(t, topic, ["m10"], witness);
      assertEquals(consumer.stats().inFlight, 0);
      consumer.resume([queue!]);
      const batch = await next;
      assertEquals(textOf(batch.messages[0]!), "m4");
      await batch.ack();
    },
  },
  {
    name: "assignment(), lag() and stats() tell what there is",
    async run(t: Scene) {
      const topic = await t.topic(2);
      const group = t.group();
      await t.broker.publish(topic, texts(30));
      const mq = await t.connect();
      const options = { group, topics: topic, consumeFrom: "first", autoAck: false, batchSize: 4 } as const;
      const consumer = await mq.consumer(options);
      const broker = t.broker.brokerNames[0]!;
      await waitUntil(() => consumer.assignment().length === 3, { what: "two queues and the retry queue" });
      assertEquals(consumer.assignment().map(queueKey).sort(), [
        queueKey({ topic: retryTopic(group), broker, queueId: 0 }),
        queueKey({ topic, broker, queueId: 0 }),
        queueKey({ topic, broker, queueId: 1 }),
      ]);
      const batches = consumer.batches();
      const batch = await nextBatch(batches);
      await waitUntil(() => consumer.stats().buffered === 30, { what: "all are buffered" });
      const stats = consumer.stats();
      assertEquals([stats.queues, stats.inFlight, stats.settled, stats.retried], [3, 4, 0, 0]);
      assertEquals(stats.bufferedBytes > 30 * 90, true, `${stats.bufferedBytes} bytes`);
      await batch.retry(batch.messages[0]!, { delayLevel: 10 });
      await batch.ack();
      const after = consumer.stats();
      assertEquals([after.buffered, after.inFlight, after.settled, after.retried], [26, 0, 4, 1]);
      assertLess(after.bufferedBytes, stats.bufferedBytes);
      const lag = (await consumer.lag()).filter(({ queue }) => queue.topic === topic);
      const ours = lag.find(({ queue }) => queue.queueId === batch.queue.queueId);
      const other = lag.find(({ queue }) => queue.queueId !== batch.queue.queueId);
      assertEquals([ours?.maxOffset, ours?.committable, ours?.lag], [15, 4, 11]);
      assertEquals([other?.maxOffset, other?.committable, other?.lag], [15, 0, 15]);
      assertEquals(lag.length, 2);
    },
  },
  {
    name: "drain() waits for what is in flight, commits, and stays a member; resume() goes on",
    async run(t: Scene) {
      const topic = await t.topic(1);
      const group = t.group();
      await t.broker.publish(topic, texts(6));
      const mq = await t.connect();
      const options = { group, topics: topic, consumeFrom: "first", autoAck: false, batchSize: 2 } as const;
      const consumer = await mq.consumer(options);
      const batches = consumer.batches();
      const [one, two] = [await nextBatch(batches), await nextBatch(batches)];
      let drained = false;
      const draining = consumer.drain().then(() => drained = true);
      await one.ack();
      await consumer.commit();
      assertEquals([drained, one.signal.aborted, two.signal.aborted], [false, false, false]);
      await two.ack();
      await within(draining, "the end of drain()");
      assertEquals(await t.broker.committed(group, { topic, queueId: 0 }), 4);
      assertEquals(await t.broker.consumerList(group), [mq.clientId]);
      const next = batches.next();
      await t.broker.publish(topic, ["m6"]);
      assertEquals(consumer.stats().inFlight, 0);
      consumer.resume();
      const { value } = await within(next, "the batch after resume()");
      assertEquals([...value!].map(textOf), ["m4", "m5"]);
      await value!.ack();
      assertEquals((await take(consumer, 1)).map(textOf), ["m6"]);

      const held = new AbortController();
      await t.broker.publish(topic, ["m7"]);
      const last = await nextBatch(batches);
      const waiting = consumer.drain({ signal: held.signal });
      held.abort(new RangeError("enough"));
      await assertRejects(() => waiting, RangeError);
      await last.ack();
    },
  },
  {
    name: "a loop that stops asking stops the pulls, and what is buffered stays below its limits",
    async run(t: Scene) {
      const topic = await t.topic(2);
      const group = t.group();
      const pulls = t.broker.faults === undefined ? undefined : countPulls(t, group, topic);
      await t.broker.publish(topic, texts(3_000));
      const mq = await t.connect();
      const witness = await mq.consumer({ group: t.group(), topics: topic, consumeFrom: "first" });
      await take(witness, 3_000);
      const consumer = await mq.consumer({ group, topics: topic, consumeFrom: "first", maxBufferedPerQueue: 100 });
      const batches = consumer.batches();
      const batch = await nextBatch(batches);
      const most = 2 * 100;
      const full = await untilSteady(() => consumer.stats().buffered);
      assert(full > most / 2 && full <= most, `${full} are buffered`);
      const before = pulls?.();
      for (let round = 0; round < 5; round++) await publishWitnessed(t, topic, texts(20, "w", 20 * round), witness);
      assertEquals(pulls?.(), before, "pulls while full");
      assertEquals(consumer.stats().buffered, full);
      const seen = [...batch].map(textOf);
      while (seen.length < 3_100) {
        seen.push(...[...await nextBatch(batches)].map(textOf));
        assertLessOrEqual(consumer.stats().buffered, most);
      }
      assertEquals(seen.toSorted(), [...texts(3_000), ...texts(100, "w")].sort());
      await batches.return!();
    },
  },
  {
    name: "a consumer keeps to its limits of bytes and to its totals",
    async run(t: Scene) {
      const topic = await t.topic(2);
      const mq = await t.connect();
      const consumer = await mq.consumer({
        group: t.group(),
        topics: topic,
        consumeFrom: "first",
        batchSize: 1,
        pullBatchBytes: 65_536,
        maxBufferedBytes: 3 * 131_072, // for three queues with that of the retries
        maxBufferedMessages: 3 * 90,
      });
      await waitUntil(() => consumer.assignment().length === 3, { what: "all queues, which share the totals" });
      await t.broker.publish(topic, texts(300).map((text) => ({ body: text.padEnd(4_096, ".") })));
      const batches = consumer.batches();
      const first = await nextBatch(batches);
      await untilSteady(() => consumer.stats().bufferedBytes);
      const seen = new Set([...first].map((message) => message.text().replaceAll(".", "")));
      while (seen.size < 300) {
        const stats = consumer.stats();
        assertLessOrEqual(stats.bufferedBytes, 3 * 131_072 + 3 * 5_000); // one message more for who holds nothing
        assertLessOrEqual(stats.buffered, 3 * 90);
        for (const message of await nextBatch(batches)) seen.add(message.text().replaceAll(".", ""));
      }
      await batches.return!();
    },
  },
  {
    name: "48 queues share room for 20 messages: none beyond it, each has its turn, and what comes later is found",
    async run(t: Scene) {
      const topic = await t.topic(48);
      await t.broker.publish(topic, texts(48 * 4));
      const mq = await t.connect();
      const consumer = await mq.consumer({
        group: t.group(),
        topics: topic,
        consumeFrom: "first",
        batchSize: 2,
        maxBufferedMessages: 20,
      });
      const batches = consumer.batches();
      const seen: string[] = [];
      const receive = async (count: number) => {
        while (seen.length < count) {
          seen.push(...[...await nextBatch(batches)].map(textOf));
          assertLessOrEqual(consumer.stats().buffered, 20);
        }
      };
      await receive(48 * 4);
      await t.broker.publish(topic, texts(48, "later"));
      await receive(48 * 5);
      assertEquals(seen.toSorted(), [...texts(48 * 4), ...texts(48, "later")].sort());
      await batches.return!();
    },
  },
  {
    name: "a message that holds up its queue stops it at maxSpan, the others go on",
    async run(t: Scene) {
      const topic = await t.topic(2);
      await t.broker.publish(topic, texts(1_000), { queueId: 0 });
      await t.broker.publish(topic, texts(600, "n"), { queueId: 1 });
      const mq = await t.connect();
      const consumer = await mq.consumer({
        group: t.group(),
        topics: topic,
        consumeFrom: "first",
        autoAck: false,
        maxSpan: 200,
        batchSize: 1,
      });
      const queue = { topic, queueId: 0, broker: t.broker.brokerNames[0]! };
      const batches = consumer.batches();
      let stuck = await nextBatch(batches);
      const seen: string[] = [];
      const count = { 0: 0, 1: 0 } as Record<number, number>;
      while (stuck.queue.queueId !== 0) {
        count[1]!++;
        await stuck.ack();
        stuck = await nextBatch(batches);
      }
      // All of queue 1 comes through; of queue 0 no more than the span and what was on its way.
      while (count[1]! < 600) {
        const batch = await nextBatch(batches);
        count[batch.queue.queueId]!++;
        seen.push(batch.messages[0]!.text());
        await batch.ack();
      }
      await untilSteady(() => consumer.stats().buffered);
      const [lag] = (await consumer.lag()).filter((each) => queueKey(each.queue) === queueKey(queue));
      assertEquals(lag?.committable, 0);
      const stop = new AbortController();
      const rest = t.background(async () => {
        for await (const batch of consumer.batches({ signal: stop.signal })) {
          count[0]!++;
          await batch.ack();
        }
      });
      await untilSteady(() => count[0]!);
      assert(count[0]! >= 199 - 32 && count[0]! <= 200 + 32, `${count[0]} behind the one that is stuck`);
      await stuck.ack();
      await waitUntil(() => count[0]! === 999, { what: () => `the rest, got ${count[0]}` });
      stop.abort();
      await rest;
    },
  },
];

/** Counts the pulls of a group from a topic, as the embedded broker receives them. */
function countPulls(t: Scene, group: string, topic: string): () => number {
  let count = 0;
  const fault = t.broker.faults!.answer("PullMessage", "drop", {
    match: ({ fields }) => {
      if (fields.consumerGroup === group && fields.topic === topic) count++;
      return false;
    },
  });
  t.finally(() => fault.remove());
  return () => count;
}

/** Waits until a number above 0 has been the same for a while, and gives it. */
async function untilSteady(value: () => number): Promise<number> {
  let [last, since] = [value(), performance.now()];
  return await waitUntil(() => {
    const now = value();
    if (now !== last) [last, since] = [now, performance.now()];
    return now > 0 && performance.now() - since > 150 ? now : undefined;
  }, { what: () => `a number that stays; it is ${value()}` });
}
