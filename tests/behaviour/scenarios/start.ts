/** Where a queue begins, and that nothing is skipped because of it. */

import { assertEquals, assertGreater, assertInstanceOf, assertRejects } from "@std/assert";
import { type Client, type Consumer, InvalidTopicError } from "../../../mod.ts";
import { byConfig } from "../../../src/consumer/mod.ts";
import { nextBatch, type Scenario, type Scene, sortedTexts, take, textOf, texts, waitUntil } from "../harness.ts";

/** Waits until the positions of a topic's queues are stored at the broker. */
async function untilStored(t: Scene, group: string, topic: string, offsets: readonly number[]): Promise<void> {
  for (const [queueId, offset] of offsets.entries()) {
    await waitUntil(async () => await t.broker.committed(group, { topic, queueId }) === offset, {
      what: `${offset} is stored for queue ${queueId}`,
    });
  }
}

/**
 * What "last" is on a topic whose first message is still in the broker's memory: its end, but 4.9 answers 0 when it
 * is asked for the offset of a group that it does not know, and a stored offset wins.
 */
function lastOf(t: Scene, end: number): number {
  return t.broker.line === 4 ? 0 : end;
}

/** A member that starts at the end of a topic and dies before it has settled anything. */
async function dieBeforeFirstAck(t: Scene, topic: string, group: string, start: number, bodies: string[]) {
  const { mq, transport } = await t.client();
  const options = { group, topics: topic, consumeFrom: "last", persistInterval: 60_000, closeTimeout: 0 } as const;
  const consumer = await mq.consumer(options);
  await untilStored(t, group, topic, [start]);
  await t.broker.publish(topic, bodies);
  const batch = await nextBatch(consumer.batches());
  transport.cut();
  assertGreater(batch.length, 0);
  await waitUntil(async () => (await t.broker.consumerList(group)).length === 0, { what: "the broker misses it" });
}

/** The queues of a topic that two members have now, in order. */
function owned(consumers: readonly Consumer[], topic: string): number[] {
  const queues = consumers.flatMap((consumer) => consumer.assignment()).filter((queue) => queue.topic === topic);
  return queues.map(({ queueId }) => queueId).sort((a, b) => a - b);
}

export const scenarios: Scenario[] = [
  {
    name: "consumeFrom: first begins at the beginning",
    async run(t: Scene) {
      const topic = await t.topic(2);
      await t.broker.publish(topic, texts(10));
      const mq = await t.connect();
      const consumer = await mq.consumer({ group: t.group(), topics: topic, consumeFrom: "first" });
      assertEquals(sortedTexts(await take(consumer, 10)), texts(10));
    },
  },
  {
    name: "consumeFrom: last begins at the end, which is the default; on 4.9 at 0 while the first message is in memory",
    async run(t: Scene) {
      const topic = await t.topic(1);
      const [given, unsaid] = [t.group(), t.group()];
      await t.broker.publish(topic, texts(5, "old"));
      const mq = await t.connect();
      const consumers = [
        await mq.consumer({ group: given, topics: topic, consumeFrom: "last" }),
        await mq.consumer({ group: unsaid, topics: topic }),
      ];
      const old = t.broker.line === 4 ? texts(5, "old") : [];
      for (const group of [given, unsaid]) await untilStored(t, group, topic, [lastOf(t, 5)]);
      await t.broker.publish(topic, texts(5, "new"));
      for (const consumer of consumers) {
        assertEquals((await take(consumer, old.length + 5)).map(textOf), [...old, ...texts(5, "new")]);
      }
    },
  },
  {
    name: "consumeFrom: a time begins at the first message since then, as Date or ISO text",
    async run(t: Scene) {
      const topic = await t.topic(1);
      await t.broker.publish(topic, texts(5, "old"));
      const before = Date.now();
      await waitUntil(() => Date.now() > before + 5, { what: "a later millisecond" });
      const since = new Date();
      await t.broker.publish(topic, texts(5, "new"));
      const mq = await t.connect();
      const old = t.broker.line === 4 ? texts(5, "old") : []; // as with "last"
      for (const consumeFrom of [since, since.toISOString()]) {
        const consumer = await mq.consumer({ group: t.group(), topics: topic, consumeFrom });
        assertEquals((await take(consumer, old.length + 5)).map(textOf), [...old, ...texts(5, "new")]);
      }
    },
  },
  {
    name: "a stored offset wins over consumeFrom",
    async run(t: Scene) {
      const topic = await t.topic(1);
      const group = t.group();
      await t.broker.publish(topic, texts(10));
      const mq = await t.connect();
      for (const [consumeFrom, first] of [["first", 0], ["last", 2], [new Date(), 4], ["first", 6]] as const) {
        const consumer = await mq.consumer({ group, topics: topic, consumeFrom, batchSize: 2 });
        const batch = await nextBatch(consumer.batches());
        assertEquals([...batch].map(textOf), texts(2, "m", first));
        await batch.ack();
        await consumer.close();
      }
    },
  },
  {
    name: "a member that dies before its first ack, begun at the end, loses nothing",
    async run(t: Scene) {
      const topic = await t.topic(1);
      const group = t.group();
      await t.broker.publish(topic, texts(3, "old"));
      await dieBeforeFirstAck(t, topic, group, lastOf(t, 3), texts(4));
      await t.broker.publish(topic, texts(4, "m", 4)); // while nobody is there
      const mq = await t.connect();
      const next = await mq.consumer({ group, topics: topic, consumeFrom: "last" });
      const old = t.broker.line === 4 ? texts(3, "old") : [];
      assertEquals((await take(next, old.length + 8)).map(textOf), [...old, ...texts(8)]);
    },
  },
  {
    name: "messages that are gone: who waited for them goes on at the oldest left and says so, others lose nothing",
    alone: true,
    timeout: 120_000,
    async run(t: Scene) {
      const topic = await t.topic(1);
      const [behind, begun] = [t.group(), t.group()];
      await t.broker.publish(topic, texts(20, "old"));
      const { mq, untilEvent } = await t.client();
      const consumer = await mq.consumer({ group: behind, topics: topic, consumeFrom: "first", batchSize: 2 });
      await take(consumer, 2);
      await consumer.close();
      assertGreater(20, await t.broker.committed(behind, { topic, queueId: 0 }) ?? 20);
      await t.broker.expire(topic);
      assertEquals(await t.broker.minOffset({ topic, queueId: 0 }), 20);

      const next = await mq.consumer({ group: behind, topics: topic });
      assertEquals((await take(next, 1)).map(textOf), ["survivor"]);
      const event = await untilEvent("offsetJumped");
      assertEquals([event.queue?.topic, event.group, event.offset], [topic, behind, 20]);

      await dieBeforeFirstAck(t, topic, begun, 21, texts(4)); // 4.9 too: the queue's first message is not there
      const last = await mq.consumer({ group: begun, topics: topic, consumeFrom: "last" });
      assertEquals((await take(last, 4)).map(textOf), texts(4));
      const first = await mq.consumer({ group: t.group(), topics: topic, consumeFrom: "first" });
      assertEquals((await take(first, 5)).map(textOf), ["survivor", ...texts(4)]);
    },
  },
  {
    name: "a topic that nobody knows is an InvalidTopicError, and leaves nothing behind",
    async run(t: Scene) {
      const topic = t.name("missing");
      const group = t.group();
      const mq = await t.connect();
      const error = await assertRejects(() => mq.consumer({ group, topics: topic }), InvalidTopicError);
      assertEquals([error.topic, error.code], [topic, "TOPIC_NOT_FOUND"]);
      assertEquals(await t.broker.consumerList(group), []);
      const known = await t.topic(1);
      await assertRejects(() => mq.consumer({ group, topics: [known, topic] }), InvalidTopicError);
      const consumer = await mq.consumer({ group, topics: known, consumeFrom: "first" });
      await t.broker.publish(known, ["works"]);
      assertEquals((await take(consumer, 1)).map(textOf), ["works"]);
    },
  },
  {
    name: "a topic that appears later is read from its beginning with missingTopic: wait",
    async run(t: Scene) {
      const topic = t.name("later");
      const known = await t.topic(1);
      const { mq, untilEvent } = await t.client({ routeInterval: 1_000 });
      const topics = [known, topic];
      const consumer = await mq.consumer({ group: t.group(), topics, consumeFrom: "last", missingTopic: "wait" });
      const event = await untilEvent("missingTopic");
      assertEquals(event.topic, topic);
      await waitUntil(() => consumer.assignment().some((queue) => queue.topic === known), { what: "the known topic" });
      await t.broker.createTopic(topic, 2);
      await t.broker.publish(topic, texts(10)); // before the consumer can have noticed: "last" would skip them
      const messages = await take(consumer, 10, { topic });
      assertEquals(sortedTexts(messages), texts(10));
    },
  },
  {
    name: "new queues of a topic are read from their beginning, without a restart",
    async run(t: Scene) {
      const topic = await t.topic(1);
      const group = t.group();
      const clients: Client[] = [];
      for (let i = 0; i < 2; i++) clients.push(await t.connect({ routeInterval: 1_000 }));
      const options = { group, topics: topic, consumeFrom: "last", rebalanceInterval: 1_000 } as const;
      const consumers = [await clients[0]!.consumer(options), await clients[1]!.consumer(options)];
      await waitUntil(() => owned(consumers, topic).join() === "0", { what: () => `queue 0 has an owner` });
      await untilStored(t, group, topic, [0]);
      await t.broker.createTopic(topic, 4);
      await t.broker.publish(topic, texts(40));
      const seen: string[] = [];
      const stop = new AbortController();
      const loops = consumers.map((consumer) =>
        t.background(async () => {
          for await (const batch of consumer.batches({ signal: stop.signal })) seen.push(...[...batch].map(textOf));
        })
      );
      await waitUntil(() => seen.length >= 40, { what: () => `40 messages, got ${seen.length}` });
      assertEquals(seen.toSorted(), texts(40).sort());
      assertEquals(owned(consumers, topic), [0, 1, 2, 3]);
      stop.abort();
      await Promise.all(loops);
    },
  },
  {
    name: "a queue that a running group gets, and a new member sees before the others, is read from its beginning",
    async run(t: Scene) {
      const topic = await t.topic(1);
      const group = t.group();
      const [broker] = t.broker.brokerNames;
      const member = async (queueId: number) => {
        const allocation = byConfig([{ topic, broker: broker!, queueId }]);
        return await (await t.connect({ routeInterval: 60_000 })).consumer({ group, topics: topic, allocation });
      };
      await member(0);
      await untilStored(t, group, topic, [0]);
      await t.broker.createTopic(topic, 2);
      await t.broker.publish(topic, texts(20), { queueId: 1 });
      assertEquals(sortedTexts(await take(await member(1), 20)), texts(20).sort());
    },
  },
  {
    name: "a start position that cannot be stored is no start: nothing is delivered before",
    on: ({ faults }) => faults !== undefined,
    async run(t: Scene) {
      const topic = await t.topic(1);
      const group = t.group();
      await t.broker.publish(topic, texts(3));
      const { mq, untilEvent } = await t.client();
      const refusal = { code: 1, remark: "no" };
      const match = ({ fields }: { fields: Readonly<Record<string, string>> }) =>
        fields.consumerGroup === group && fields.topic === topic;
      const fault = t.broker.faults!.answer("UpdateConsumerOffset", refusal, { times: Infinity, match });
      t.finally(() => fault.remove());
      const consumer = await mq.consumer({ group, topics: topic, consumeFrom: "first" });
      const batch = consumer.batches().next();
      const event = await untilEvent("stalled");
      assertInstanceOf(event.error, Error);
      assertEquals([consumer.stats().inFlight, consumer.stats().buffered], [0, 0]);
      fault.remove();
      const { value } = await batch;
      assertEquals([...value!].map(textOf), texts(3));
      await value!.ack();
    },
  },
  {
    name: "an offset that cannot be read moves no position: the queue waits",
    on: ({ faults }) => faults !== undefined,
    async run(t: Scene) {
      const topic = await t.topic(1);
      const group = t.group();
      await t.broker.publish(topic, texts(6));
      const { mq, untilEvent } = await t.client({ requestTimeout: 1_000 });
      const options = { group, topics: topic, consumeFrom: "last", batchSize: 2 } as const;
      const first = await mq.consumer({ ...options, consumeFrom: "first" });
      await take(first, 2);
      await first.close();
      const match = ({ fields }: { fields: Readonly<Record<string, string>> }) =>
        fields.consumerGroup === group && fields.topic === topic;
      const faults = [
        t.broker.faults!.answer("QueryConsumerOffset", "drop", { match }),
        t.broker.faults!.answer("QueryConsumerOffset", { code: 1, remark: "no" }, { match }),
      ];
      t.finally(() => faults.forEach((fault) => fault.remove()));
      const consumer = await mq.consumer(options);
      assertEquals((await take(consumer, 4)).map(textOf), texts(4, "m", 2));
      assertEquals(faults.map(({ hits }) => hits), [1, 1]);
      await untilEvent("stalled");
    },
  },
];
