/** Orderly consumption: one batch of a queue at a time, in one member at a time. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { type Consumer, type MessageBatch, type MessageQueue, ValidationError } from "../../../mod.ts";
import { deadLetterTopic } from "../../../src/wire/names.ts";
import { lockQueues, unlockQueues } from "../../../src/wire/requests.ts";
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
const orderly = { ordering: "orderly", consumeFrom: "first", suspendQueue: 50 } as const;

/** What a handler has seen of a queue, and whether batches of it ever overlapped. */
class QueueLog {
  readonly seen = new Map<string, number[]>();
  readonly #inFlight = new Set<string>();
  overlaps = 0;
  count = 0;

  async handle(batch: MessageBatch, handle: () => Promise<unknown>): Promise<void> {
    const key = `${batch.queue.topic}/${batch.queue.queueId}`;
    if (this.#inFlight.has(key)) this.overlaps++;
    this.#inFlight.add(key);
    await handle();
    this.#inFlight.delete(key);
    this.seen.set(key, [...this.seen.get(key) ?? [], ...[...batch].map(({ queueOffset }) => queueOffset)]);
    this.count += batch.length;
  }
}

/** Asks the broker for locks, or to give them up, as another member would: returns the numbers of those that it has. */
async function lockAs(t: Scene, clientId: string, group: string, queues: readonly MessageQueue[]): Promise<number[]> {
  const answer = await t.broker.raw.askWell(lockQueues, {}, lockBody(clientId, group, queues));
  const { lockOKMQSet } = JSON.parse(new TextDecoder().decode(answer.body));
  return lockOKMQSet.map(({ queueId }: MessageQueue) => queueId).sort();
}

function lockBody(clientId: string, group: string, queues: readonly MessageQueue[]): string {
  const mqSet = queues.map(({ topic, broker, queueId }) => ({ brokerName: broker, queueId, topic }));
  return JSON.stringify({ consumerGroup: group, clientId, mqSet });
}

function untilOwned(consumer: Consumer, topic: string, count: number): Promise<unknown> {
  const own = () => consumer.assignment().filter((queue) => queue.topic === topic).length;
  return waitUntil(() => own() === count, { what: () => `${count} queues of ${topic}; they are ${own()}` });
}

export const scenarios: Scenario[] = [
  {
    name: "orderly: a member that died keeps its queues locked for at most 60 s; then another goes on, in order",
    timeout: 120_000,
    async run(t: Scene) {
      const topic = await t.topic(1);
      const group = t.group();
      await t.broker.publish(topic, texts(4));
      const dead = "127.0.0.1@1#dead"; // it has never been seen but by its lock
      const queue = { topic, broker: t.broker.brokerNames[0]!, queueId: 0 };
      assertEquals(await lockAs(t, dead, group, [queue]), [0]);
      const lockedAt = performance.now();
      const mq = await t.connect();
      const consumer = await mq.consumer({ group, topics: topic, ...orderly });
      const messages = await take(consumer, 4, { timeout: 70_000 });
      const seconds = (performance.now() - lockedAt) / 1_000;
      assert(seconds > 55 && seconds < 66, `it went on after ${seconds.toFixed(1)} s`);
      assertEquals(messages.map(textOf), texts(4));
    },
  },
  {
    name: "orderly: batches of a queue come one after the other, in the order of offsets, to several loops",
    async run(t: Scene) {
      const topic = await t.topic(4);
      await t.broker.publish(topic, texts(2_000));
      const mq = await t.connect();
      const consumer = await mq.consumer({ group: t.group(), topics: topic, batchSize: 7, ...orderly });
      const log = new QueueLog();
      const stop = new AbortController();
      await consumer.run(async (batch) => {
        await log.handle(batch, () => work(0));
        if (log.count === 2_000) stop.abort();
      }, { concurrency: 8, signal: stop.signal });
      assertEquals(log.overlaps, 0);
      assertEquals([...log.seen.values()], Array(4).fill(Array.from({ length: 500 }, (_, offset) => offset)));
    },
  },
  {
    name: "orderly: a batch in flight holds up its queue and no other",
    async run(t: Scene) {
      const topic = await t.topic(2);
      await t.broker.publish(topic, texts(6, "held"), { queueId: 0 });
      const mq = await t.connect();
      const consumer = await mq.consumer({ group: t.group(), topics: topic, batchSize: 2, ...orderly });
      const held = await nextBatch(consumer.batches());
      assertEquals([...held].map(textOf), ["held0", "held1"]);
      await t.broker.publish(topic, texts(4, "free"), { queueId: 1 });
      assertEquals((await take(consumer, 4)).map(textOf), texts(4, "free"));
      await held.ack(held.messages[0]);
      const stop = new AbortController();
      const next = consumer.batches({ signal: stop.signal }).next();
      await held.ack();
      const after = (await within(next, "what the queue has next")).value!;
      assertEquals([...after].map(textOf), ["held2", "held3"]);
      await after.ack();
    },
  },
  {
    name: "orderly: retry() puts the message and those behind it back, and acknowledges those before it",
    async run(t: Scene) {
      const topic = await t.topic(1);
      const group = t.group();
      await t.broker.publish(topic, texts(5));
      const mq = await t.connect();
      const consumer = await mq.consumer({ group, topics: topic, batchSize: 4, ...orderly });
      const first = await nextBatch(consumer.batches());
      const failedAt = performance.now();
      await first.retry(first.messages[1]!, { delay: 300 });
      await consumer.commit();
      assertEquals(await t.broker.committed(group, { topic, queueId: 0 }), 1);
      const again = await nextBatch(consumer.batches());
      const rested = performance.now() - failedAt;
      assert(rested >= 290 && rested < 5_000, `it rested for ${rested} ms`);
      assertEquals([...again].map(textOf), ["m1", "m2", "m3", "m4"]);
      assertEquals([...again].map(({ reconsumeTimes }) => reconsumeTimes), [1, 0, 0, 0]);
      await again.retry();
      const third = await nextBatch(consumer.batches());
      assertEquals([...third].map(textOf), ["m1", "m2", "m3", "m4"]);
      assertEquals([...third].map(({ reconsumeTimes }) => reconsumeTimes), [2, 1, 1, 1]);
      await third.ack(third.messages[2]!);
      await consumer.commit();
      assertEquals(await t.broker.committed(group, { topic, queueId: 0 }), 4);
      assertEquals([consumer.stats().retried, consumer.stats().inFlight], [5, 1]);
      await third.ack();
    },
  },
  {
    name: "orderly: retry() says which options it takes, and settles nothing then",
    async run(t: Scene) {
      const topic = await t.topic(1);
      await t.broker.publish(topic, texts(1));
      const mq = await t.connect();
      const consumer = await mq.consumer({ group: t.group(), topics: topic, ...orderly });
      const batch = await nextBatch(consumer.batches());
      const error = await assertRejects(() => batch.retry({ delayLevel: 2, delay: 5 }), ValidationError);
      assertEquals(error.problems.map(({ field }) => field), ["delayLevel", "delay"]);
      assertEquals(consumer.stats().inFlight, 1);
      await batch.ack();
    },
  },
  {
    name: "orderly: break and release() put a batch back as it was; it is the next, after the rest of its queue",
    async run(t: Scene) {
      const topic = await t.topic(1);
      await t.broker.publish(topic, texts(3));
      const mq = await t.connect();
      const consumer = await mq.consumer({ group: t.group(), topics: topic, batchSize: 2, ...orderly });
      for await (const batch of consumer) {
        assertEquals([...batch].map(textOf), ["m0", "m1"]);
        break;
      }
      const again = await nextBatch(consumer.batches());
      assertEquals([...again].map(textOf), ["m0", "m1"]);
      await again.ack(again.messages[0]);
      again.release();
      const last = await nextBatch(consumer.batches());
      assertEquals([...last].map((message) => [textOf(message), message.reconsumeTimes]), [["m1", 0], ["m2", 0]]);
      await last.ack();
    },
  },
  {
    name: "orderly: what fails more than maxReconsumeTimes is dead-lettered, and those behind it go on in order",
    async run(t: Scene) {
      const topic = await t.topic(1);
      const group = t.group();
      await t.broker.publish(topic, texts(4));
      const { mq, untilEvent } = await t.client();
      const consumer = await mq.consumer({ group, topics: topic, maxReconsumeTimes: 2, ...orderly });
      const seen: string[] = [];
      const stop = new AbortController();
      await consumer.runEach((message) => {
        seen.push(textOf(message));
        if (textOf(message) === "m1") throw new Error("hopeless");
        if (textOf(message) === "m3") stop.abort();
      }, { signal: stop.signal, concurrency: 4 });
      assertEquals(seen, ["m0", "m1", "m1", "m1", "m2", "m3"]);
      await untilEvent("deadLettered", ({ offset }) => offset === 1);
      await consumer.commit();
      assertEquals(await t.broker.committed(group, { topic, queueId: 0 }), 4);
      const dead = await mq.consumer({
        group: t.group(),
        topics: deadLetterTopic(group),
        consumeFrom: "first",
        missingTopic: "wait",
      });
      assertEquals((await take(dead, 1)).map(textOf), ["m1"]);
    },
  },
  {
    name: "orderly: deadLetter() moves one message, or what is left of a batch, at once",
    async run(t: Scene) {
      const topic = await t.topic(1);
      const group = t.group();
      await t.broker.publish(topic, texts(4));
      const mq = await t.connect();
      const consumer = await mq.consumer({ group, topics: topic, ...orderly, batchSize: 3 });
      const batch = await nextBatch(consumer.batches());
      await batch.ack(batch.messages[0]);
      await batch.deadLetter(batch.messages[1]);
      await batch.deadLetter();
      assertEquals((await take(consumer, 1)).map(textOf), ["m3"]);
      await consumer.commit();
      assertEquals(await t.broker.committed(group, { topic, queueId: 0 }), 4);
      await untilDead(t, group, 2);
    },
  },
  {
    name: "orderly: unless told otherwise a message may fail without end; an event tells that it holds up its queue",
    async run(t: Scene) {
      const topic = await t.topic(1);
      const group = t.group();
      await t.broker.publish(topic, texts(2));
      const { mq, events, untilEvent } = await t.client();
      const consumer = await mq.consumer({ group, topics: topic, ...orderly, suspendQueue: 10 });
      let failures = 0;
      const stop = new AbortController();
      const seen: string[] = [];
      await consumer.runEach((message) => {
        if (textOf(message) === "m0" && failures < 20) {
          assertEquals(message.reconsumeTimes, failures++);
          throw new Error("not yet");
        }
        seen.push(textOf(message));
        if (seen.length === 2) stop.abort();
      }, { signal: stop.signal });
      assertEquals(seen, ["m0", "m1"]);
      const stalled = await untilEvent("stalled", (event) => event.group === group);
      assertEquals([stalled.offset, stalled.queue?.topic], [0, topic]);
      assertEquals(events.filter(({ type }) => type === "deadLettered"), []);
    },
  },
  {
    name: "orderly: a batch in flight for longer than consumeTimeout stays in flight, and an event tells",
    async run(t: Scene) {
      const topic = await t.topic(1);
      const group = t.group();
      await t.broker.publish(topic, texts(2));
      const { mq, untilEvent } = await t.client();
      const consumer = await mq.consumer({ group, topics: topic, ...orderly, consumeTimeout: 1_000, batchSize: 1 });
      const batch = await nextBatch(consumer.batches());
      await untilEvent("stalled", (event) => event.group === group);
      assertEquals([batch.signal.aborted, consumer.stats().inFlight], [false, 1]);
      await batch.ack();
      assertEquals((await take(consumer, 1)).map(textOf), ["m1"]);
      await consumer.commit();
      assertEquals(await t.broker.committed(group, { topic, queueId: 0 }), 2);
    },
  },
  {
    name:
      "orderly: a queue that moves stays with its member until the batch in flight is settled, and is locked till then",
    async run(t: Scene) {
      const topic = await t.topic(2);
      const group = t.group();
      const [a, b] = [await t.connect(), await t.connect()];
      const one = await a.consumer({ group, topics: topic, batchSize: 2, ...orderly });
      await untilOwned(one, topic, 2);
      await t.broker.publish(topic, texts(4, "a"), { queueId: 0 });
      await t.broker.publish(topic, texts(4, "b"), { queueId: 1 });
      await waitUntil(() => one.stats().buffered === 8, { what: "all of them are here" });
      const hands = [await nextBatch(one.batches()), await nextBatch(one.batches())];
      const two = await b.consumer({ group, topics: topic, ...orderly });
      await untilOwned(one, topic, 1);
      const [kept] = one.assignment().filter((queue) => queue.topic === topic);
      const moving = hands.find(({ queue }) => queue.queueId !== kept!.queueId)!;
      assertEquals(await lockAs(t, "nobody", group, [kept!, moving.queue]), [], "both are locked still");
      let isFree = false;
      const taken = take(two, 2).then((messages) => {
        assert(isFree, "the new owner has begun before the last one was done");
        return messages;
      });
      await work(700); // longer than a concurrent member would wait
      assertEquals(moving.signal.aborted, false);
      isFree = true;
      await moving.ack();
      const name = moving.queue.queueId === 0 ? "a" : "b";
      assertEquals((await taken).map(textOf), texts(2, name, 2));
      const committed = await t.broker.committed(group, moving.queue) ?? 0;
      assert(committed >= 2, `${committed} is committed`);
      await hands.find((batch) => batch !== moving)!.ack();
    },
  },
  {
    name: "orderly: a lock that another member has got: the batch is void, and the queue goes on when it is free again",
    async run(t: Scene) {
      const topic = await t.topic(1);
      const group = t.group();
      await t.broker.publish(topic, texts(4));
      const { mq, untilEvent } = await t.client();
      const options = { group, topics: topic, batchSize: 2, ...orderly, lockTimeout: 10_000 };
      const consumer = await mq.consumer(options);
      await take(consumer, 2);
      const batch = await nextBatch(consumer.batches());
      assertEquals([...batch].map(textOf), ["m2", "m3"]);
      await consumer.commit();
      await t.broker.raw.askWell(unlockQueues, {}, lockBody(mq.clientId, group, [batch.queue]));
      assertEquals(await lockAs(t, "thief", group, [batch.queue]), [0]);
      await untilEvent("lockLost", ({ queue }) => queue?.topic === topic); // at the next renewal
      assertEquals(batch.signal.aborted, true);
      await batch.ack(); // too late
      await consumer.commit();
      assertEquals(await t.broker.committed(group, batch.queue), 2);
      const next = consumer.batches().next();
      await t.broker.raw.askWell(unlockQueues, {}, lockBody("thief", group, [batch.queue]));
      assertEquals([...(await within(next, "the batch again")).value!].map(textOf), ["m2", "m3"]);
      await consumer.close({ timeout: 0 });
    },
  },
  {
    name: "orderly: close() gives its locks up, so that the next member begins at once, behind what was settled",
    async run(t: Scene) {
      const topic = await t.topic(3);
      const group = t.group();
      await t.broker.publish(topic, texts(30));
      const [a, b] = [await t.connect(), await t.connect()];
      const one = await a.consumer({ group, topics: topic, batchSize: 1, ...orderly });
      const first = (await take(one, 9)).map(textOf);
      await one.close();
      const two = await b.consumer({ group, topics: topic, ...orderly });
      const second = (await take(two, 30 - first.length, { timeout: 5_000 })).map(textOf);
      assertEquals([...first, ...second].sort(), texts(30).sort(), "each once");
    },
  },
  {
    name: "orderly: seek() voids what is in flight, and the queue goes on from there",
    async run(t: Scene) {
      const topic = await t.topic(1);
      const group = t.group();
      await t.broker.publish(topic, texts(4));
      const mq = await t.connect();
      const consumer = await mq.consumer({ group, topics: topic, batchSize: 2, ...orderly });
      const batch = await nextBatch(consumer.batches());
      await consumer.seek(batch.queue, 3);
      assertEquals(batch.signal.aborted, true);
      await batch.ack();
      assertEquals(await t.broker.committed(group, batch.queue), 3);
      assertEquals((await take(consumer, 1)).map(textOf), ["m3"]);
    },
  },
  {
    name:
      "orderly: three members that join and leave under load keep the order of each queue: nothing lost, nothing twice",
    async run(t: Scene) {
      const queues = 6;
      const count = 6_000;
      const topic = await t.topic(queues);
      const group = t.group();
      const log = new QueueLog();
      const members: Consumer[] = [];
      const runs: Promise<void>[] = [];
      const join = async () => {
        const consumer = await (await t.connect()).consumer({ group, topics: topic, batchSize: 10, ...orderly });
        members.push(consumer);
        runs.push(t.background(() => consumer.run((batch) => log.handle(batch, () => work(1)), { concurrency: 4 })));
      };
      await join();
      let sent = 0;
      const publish = async (until: number) => {
        while (sent < until) {
          await t.broker.publish(topic, texts(300, "m", sent));
          sent += 300;
        }
      };
      const until = (seen: number) => waitUntil(() => log.count >= seen, { what: () => `${seen}, got ${log.count}` });
      for (const change of [join, join, () => members.shift()!.close(), join, () => members.shift()!.close()]) {
        await publish(sent + 900);
        await until(sent - 700);
        await change();
      }
      await publish(count);
      await until(count);
      for (const member of members) await member.close();
      await Promise.all(runs);
      assertEquals(log.overlaps, 0, "batches of one queue that overlapped");
      const expected = Array.from({ length: count / queues }, (_, offset) => offset);
      assertEquals([...log.seen.values()], Array(queues).fill(expected), "every queue in order, each offset once");
    },
  },
];
