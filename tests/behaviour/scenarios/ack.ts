/** Acknowledging and giving back: what counts as done, and what is redelivered. */

import { assert, assertEquals, assertGreaterOrEqual, assertRejects } from "@std/assert";
import { type Consumer, ConsumerStateError, type MessageBatch } from "../../../mod.ts";
import { retryTopic } from "../../../src/wire/names.ts";
import { nextBatch, type Scenario, type Scene, take, textOf, texts, waitUntil } from "../harness.ts";

/** How long a queue rests in these scenarios, in milliseconds. */
const REST = 250;

/** Ways to leave a loop with a batch in flight. */
const LEAVINGS: readonly { how: string; leave: (consumer: Consumer) => Promise<MessageBatch> }[] = [
  {
    how: "break",
    leave: async (consumer) => {
      for await (const batch of consumer) return batch; // `return` and `break` call the same return()
      throw new TypeError("the loop ended");
    },
  },
  {
    how: "a throw",
    leave: async (consumer) => {
      let left: MessageBatch | undefined;
      const loop = async () => {
        for await (const batch of consumer) {
          left = batch;
          throw new RangeError("no");
        }
      };
      await assertRejects(loop, RangeError);
      return left!;
    },
  },
  {
    how: "return()",
    leave: async (consumer) => {
      const batches = consumer.batches();
      const batch = await nextBatch(batches);
      assertEquals(await batches.return!(), { done: true, value: undefined });
      return batch;
    },
  },
  {
    how: "release()",
    leave: async (consumer) => {
      const batch = await nextBatch(consumer.batches());
      batch.release();
      return batch;
    },
  },
];

export const scenarios: Scenario[] = [
  {
    name: "asking for the next batch acknowledges the one before, and only that",
    async run(t: Scene) {
      const topic = await t.topic(1);
      const group = t.group();
      await t.broker.publish(topic, texts(6));
      const mq = await t.connect();
      const consumer = await mq.consumer({ group, topics: topic, consumeFrom: "first", batchSize: 2 });
      const batches = consumer.batches();
      for (const [asked, committed] of [[1, 0], [2, 2], [3, 4]] as const) {
        await nextBatch(batches);
        await consumer.commit();
        assertEquals(await t.broker.committed(group, { topic, queueId: 0 }), committed, `after asking ${asked} times`);
      }
      await batches.return!();
    },
  },
  ...LEAVINGS.map(({ how, leave }): Scenario => ({
    name: `a batch left by ${how} is redelivered after suspendQueue, with its times unchanged`,
    async run(t: Scene) {
      const topic = await t.topic(1);
      const group = t.group();
      await t.broker.publish(topic, texts(3));
      const mq = await t.connect();
      const consumer = await mq.consumer({ group, topics: topic, consumeFrom: "first", suspendQueue: REST });
      const left = await leave(consumer);
      const leftAt = performance.now();
      await consumer.commit();
      assertEquals(await t.broker.committed(group, { topic, queueId: 0 }), 0);
      const again = await nextBatch(consumer.batches());
      assertGreaterOrEqual(performance.now() - leftAt, REST - 15, "how long the queue rested"); // timers round down
      assertEquals([...again].map(textOf), [...left].map(textOf));
      assertEquals([...again].map(({ reconsumeTimes }) => reconsumeTimes), again.messages.map(() => 0));
      await again.ack();
      await left.ack(); // it was given back: this has no effect
      await consumer.commit();
      assertEquals(await t.broker.committed(group, { topic, queueId: 0 }), again.length);
      assertEquals(await t.broker.maxOffset({ topic: retryTopic(group), queueId: 0 }), 0, "nothing was sent back");
    },
  })),
  {
    name: "a released batch lets the ones behind it pass, and keeps the committed offset",
    async run(t: Scene) {
      const topic = await t.topic(1);
      const group = t.group();
      await t.broker.publish(topic, texts(4));
      const mq = await t.connect();
      const options = { group, topics: topic, batchSize: 1, suspendQueue: REST, consumeFrom: "first" } as const;
      const consumer = await mq.consumer(options);
      const first = await nextBatch(consumer.batches());
      first.release();
      const seen = (await take(consumer, 4)).map(textOf);
      assertEquals(seen, ["m1", "m2", "m3", "m0"]);
      await consumer.commit();
      assertEquals(await t.broker.committed(group, { topic, queueId: 0 }), 4);
    },
  },
  {
    name: "a batch acknowledged before break is not redelivered",
    async run(t: Scene) {
      const topic = await t.topic(1);
      await t.broker.publish(topic, texts(2));
      const mq = await t.connect();
      const options = {
        group: t.group(),
        topics: topic,
        batchSize: 1,
        suspendQueue: 10,
        consumeFrom: "first",
      } as const;
      const consumer = await mq.consumer(options);
      for await (const batch of consumer) {
        await batch.ack();
        break;
      }
      const rest = await take(consumer, 1);
      await t.broker.publish(topic, ["end"]);
      assertEquals([...rest, ...await take(consumer, 1)].map(textOf), ["m1", "end"]);
    },
  },
  {
    name: "a loop without autoAck may hold several batches, and acknowledge them in any order",
    async run(t: Scene) {
      const topic = await t.topic(1);
      const group = t.group();
      await t.broker.publish(topic, texts(10));
      const mq = await t.connect();
      const options = { group, topics: topic, autoAck: false, batchSize: 2, consumeFrom: "first" } as const;
      const consumer = await mq.consumer(options);
      const batches = consumer.batches();
      const held: MessageBatch[] = [];
      // Asked for all at once, as a stream does.
      for (const { value } of await Promise.all(Array.from({ length: 5 }, () => batches.next()))) held.push(value!);
      assertEquals(held.flatMap((batch) => [...batch]).map(textOf), texts(10));
      assertEquals(consumer.stats().inFlight, 10);
      for (const [at, committed] of [[1, 0], [4, 0], [0, 4], [3, 4], [2, 10]] as const) {
        await held[at]!.ack();
        await consumer.commit();
        assertEquals(await t.broker.committed(group, { topic, queueId: 0 }), committed, `after batch ${at}`);
      }
      await batches.return!();
    },
  },
  {
    name: "ack(message) settles that one, and no other",
    async run(t: Scene) {
      const topic = await t.topic(1);
      const group = t.group();
      await t.broker.publish(topic, texts(5));
      const mq = await t.connect();
      const consumer = await mq.consumer({ group, topics: topic, consumeFrom: "first", autoAck: false });
      const batch = await nextBatch(consumer.batches());
      assertEquals(batch.length, 5);
      for (const [at, committed] of [[1, 0], [0, 2], [4, 2]] as const) {
        await batch.ack(batch.messages[at]);
        await consumer.commit();
        assertEquals(await t.broker.committed(group, { topic, queueId: 0 }), committed, `after message ${at}`);
      }
      assertEquals(consumer.stats().inFlight, 2);
      await batch.ack();
      await consumer.commit();
      assertEquals(await t.broker.committed(group, { topic, queueId: 0 }), 5);
    },
  },
  {
    name: "a message of another batch cannot be settled",
    async run(t: Scene) {
      const topic = await t.topic(1);
      await t.broker.publish(topic, texts(2));
      const mq = await t.connect();
      const options = { group: t.group(), topics: topic, batchSize: 1, autoAck: false, consumeFrom: "first" } as const;
      const consumer = await mq.consumer(options);
      const batches = consumer.batches();
      const [one, two] = [await nextBatch(batches), await nextBatch(batches)];
      const error = await assertRejects(async () => await one.ack(two.messages[0]), ConsumerStateError);
      assertEquals(error.code, "NOT_IN_BATCH");
      assertEquals(consumer.stats().settled, 0);
      await Promise.all([one.ack(), two.ack()]);
    },
  },
  {
    name: "a message is settled once: the first settlement wins",
    async run(t: Scene) {
      const topic = await t.topic(1);
      const group = t.group();
      await t.broker.publish(topic, texts(4));
      const mq = await t.connect();
      const options = { group, topics: topic, suspendQueue: 10, autoAck: false, consumeFrom: "first" } as const;
      const consumer = await mq.consumer(options);
      const batch = await nextBatch(consumer.batches());
      await batch.ack(batch.messages[0]);
      await batch.retry(batch.messages[0]!);
      await batch.deadLetter(batch.messages[0]);
      await batch.retry(batch.messages[1]!, { delayLevel: 1 });
      await batch.ack(batch.messages[1]);
      await batch.ack();
      batch.release();
      await batch.retry();
      await batch.deadLetter();
      assertEquals([consumer.stats().settled, consumer.stats().retried, consumer.stats().inFlight], [4, 1, 0]);
      const again = await nextBatch(consumer.batches());
      assertEquals([...again].map(textOf), ["m1"]);
      await again.ack();
      assertEquals(await t.broker.maxOffset({ topic: retryTopic(group), queueId: 0 }), 1);
    },
  },
  {
    name: "the committed offset never passes a message that is not settled, in whatever order they are",
    async run(t: Scene) {
      const topic = await t.topic(2);
      const group = t.group();
      const count = 600;
      await t.broker.publish(topic, texts(count));
      const mq = await t.connect();
      const consumer = await mq.consumer({
        group,
        topics: topic,
        consumeFrom: "first",
        autoAck: false,
        batchSize: 5,
        persistInterval: 100,
        suspendQueue: 10,
      });
      const settled = [new Set<number>(), new Set<number>()];
      const random = randomNumbers(7);
      const held: MessageBatch[] = [];
      let looks = 0;
      const look = async () => {
        for (const queueId of [0, 1]) {
          const committed = await t.broker.committed(group, { topic, queueId }) ?? 0;
          for (let offset = 0; offset < committed; offset++) {
            assert(
              settled[queueId]!.has(offset),
              `queue ${queueId}: ${committed} is committed, ${offset} is not settled`,
            );
          }
          looks++;
        }
      };
      const settleOne = async () => {
        const [batch] = held.splice(Math.floor(random() * held.length), 1);
        if (batch === undefined) return;
        const { queueId } = batch.queue;
        if (random() < 0.15) {
          batch.release();
          return;
        }
        for (const message of [...batch].sort(() => random() - 0.5)) {
          settled[queueId]!.add(message.queueOffset);
          if (random() < 0.05) await batch.retry(message, { delayLevel: 1 });
          else await batch.ack(message);
          if (random() < 0.02) await consumer.commit();
        }
      };
      const everything = () => settled[0]!.size + settled[1]!.size >= count;
      const stop = new AbortController();
      const loop = t.background(async () => {
        for await (const batch of consumer.batches({ signal: stop.signal, topic })) {
          if (batch.queue.topic === topic) held.push(batch);
          else await batch.ack(); // a retry: settled for good
          if (held.length > 12) await settleOne();
        }
      });
      while (!everything()) {
        await settleOne();
        await look();
      }
      stop.abort();
      await loop;
      await consumer.commit();
      await look();
      for (const queueId of [0, 1]) assertEquals(await t.broker.committed(group, { topic, queueId }), count / 2);
      assertGreaterOrEqual(looks, 20);
    },
  },
  {
    name: "a message that is being sent back is not passed by the committed offset before it is stored",
    on: ({ faults }) => faults !== undefined,
    async run(t: Scene) {
      const topic = await t.topic(1);
      const group = t.group();
      await t.broker.publish(topic, texts(3));
      const mq = await t.connect();
      const consumer = await mq.consumer({ group, topics: topic, consumeFrom: "first", autoAck: false });
      const fault = t.broker.faults!.answer("SendBack", "delay", { match: ({ fields }) => fields.group === group });
      t.finally(() => fault.remove());
      const batch = await nextBatch(consumer.batches());
      await batch.ack(batch.messages[0]);
      await batch.ack(batch.messages[2]);
      const retried = batch.retry(batch.messages[1]!, { delayLevel: 1 });
      await fault.reached();
      await consumer.commit();
      assertEquals(await t.broker.committed(group, { topic, queueId: 0 }), 1);
      fault.release();
      await retried;
      await consumer.commit();
      assertEquals(await t.broker.committed(group, { topic, queueId: 0 }), 3);
    },
  },
  {
    // Brokers make the table of a group and topic at the first commit. Two that come at the same time may both make
    // one, and one offset is gone, though both were answered. Source: ConsumerOffsetManager.commitOffset.
    name: "the first commits of a group all count: many groups start on many queues, and none loses an offset",
    async run(t: Scene) {
      const [queues, groups] = [16, 40];
      const topic = await t.topic(queues);
      await t.broker.publish(topic, texts(queues));
      const mq = await t.connect();
      const consumeAndCommit = async (group: string): Promise<string[]> => {
        const consumer = await mq.consumer({ group, topics: topic, consumeFrom: "first", persistInterval: 60_000 });
        const offsets = async () => {
          const stored: (number | undefined)[] = [];
          for (let queueId = 0; queueId < queues; queueId++) {
            stored.push(await t.broker.committed(group, { topic, queueId }));
          }
          return stored.join();
        };
        await waitUntil(() => consumer.stats().buffered === queues, { what: "a message of each queue" });
        const atStart = await offsets();
        await take(consumer, queues);
        await consumer.commit();
        return [atStart, await offsets()];
      };
      const wanted = [Array(queues).fill(0).join(), Array(queues).fill(1).join()];
      for (let i = 0; i < groups; i++) assertEquals(await consumeAndCommit(t.group()), wanted, `group ${i}`);
    },
  },
  {
    name: "what is acknowledged first is stored at once, what follows soon without a commit, and by one at once",
    async run(t: Scene) {
      const topic = await t.topic(1);
      const [slow, quick] = [t.group(), t.group()];
      await t.broker.publish(topic, texts(5));
      const mq = await t.connect();
      const byHand = await mq.consumer({ group: slow, topics: topic, consumeFrom: "first", persistInterval: 60_000 });
      await take(byHand, 5);
      const until = (offset: number) =>
        waitUntil(async () => await t.broker.committed(slow, { topic, queueId: 0 }) === offset, {
          what: `${offset} is stored, long before persistInterval`,
          timeout: 5_000,
        });
      await until(5);
      await t.broker.publish(topic, texts(5, "n"));
      await take(byHand, 5);
      await until(10);
      await t.broker.publish(topic, texts(5, "o"));
      await take(byHand, 5);
      await byHand.commit();
      assertEquals(await t.broker.committed(slow, { topic, queueId: 0 }), 15);

      const byTime = await mq.consumer({ group: quick, topics: topic, consumeFrom: "first", persistInterval: 100 });
      await take(byTime, 15);
      await waitUntil(async () => await t.broker.committed(quick, { topic, queueId: 0 }) === 15, {
        what: "the offset within persistInterval",
        timeout: 1_500,
      });
    },
  },
];

/** Numbers from 0 to 1 that are the same in every run. */
function randomNumbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}
