/** Sending back: when a message is redelivered, how it looks then, and where it ends. */

import { assert, assertEquals, assertNotEquals } from "@std/assert";
import type { Consumer, Message, MessageBatch } from "../../../mod.ts";
import { PropertyName } from "../../../src/wire/codes.ts";
import { deadLetterTopic, retryTopic } from "../../../src/wire/names.ts";
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

/** Takes messages of a group's dead letter queue. */
async function takeDead(t: Scene, group: string, count: number): Promise<Message[]> {
  const topic = deadLetterTopic(group);
  const mq = await t.connect();
  const options = { group: t.group(), topics: topic, consumeFrom: "first", missingTopic: "wait" } as const;
  const consumer = await mq.consumer(options);
  const messages = await take(consumer, count);
  assertEquals(await t.broker.maxOffset({ topic, queueId: 0 }), count, "dead letters");
  return messages;
}

/** Takes the one message that a group's loop gets next. */
async function takeOne(consumer: Consumer): Promise<{ batch: MessageBatch; message: Message }> {
  const batch = await nextBatch(consumer.batches());
  assertEquals(batch.length, 1);
  return { batch, message: batch.messages[0]! };
}

export const scenarios: Scenario[] = [
  {
    name: "a message that is sent back is redelivered as itself, from the retry queue",
    async run(t: Scene) {
      const topic = await t.topic(1);
      const group = t.group();
      const sent = { body: "again", tags: "t", keys: ["k1", "k2"], properties: { region: "eu" }, flag: 3 };
      await t.broker.publish(topic, [sent]);
      const mq = await t.connect();
      const consumer = await mq.consumer({ group, topics: { [topic]: "t" }, consumeFrom: "first" });
      const { batch, message: first } = await takeOne(consumer);
      await batch.retry({ delayLevel: 1 });
      const { batch: retried, message: again } = await takeOne(consumer);
      assertEquals([retried.topic, again.topic, again.queue.topic], [topic, topic, retryTopic(group)]);
      assertEquals([again.text(), again.tags, again.keys], ["again", "t", ["k1", "k2"]]);
      assertEquals([again.property("region"), again.flag], ["eu", 3]);
      assertEquals([first.reconsumeTimes, again.reconsumeTimes], [0, 1]);
      assertEquals(again.messageId, first.messageId);
      assertEquals(again.bornAt, first.bornAt);
      assertNotEquals(again.offsetMessageId, first.offsetMessageId);
      await retried.ack();
      await consumer.commit();
      assertEquals(await t.broker.committed(group, { topic: retryTopic(group), queueId: 0 }), 1);
    },
  },
  {
    name: "a retry without a level takes 3 and the times it came back; the times count",
    async run(t: Scene) {
      const topic = await t.topic(1);
      await t.broker.publish(topic, ["again"]);
      const mq = await t.connect();
      const consumer = await mq.consumer({ group: t.group(), topics: topic, consumeFrom: "first" });
      const seen: [number, string | undefined][] = [];
      const ids = new Set<string>();
      for (let turn = 0; turn < 4; turn++) {
        const { batch, message } = await takeOne(consumer);
        seen.push([message.reconsumeTimes, message.property(PropertyName.DELAY)]);
        ids.add(message.messageId);
        if (turn < 3) await batch.retry();
        else await batch.ack();
      }
      assertEquals(seen, [[0, undefined], [1, "3"], [2, "4"], [3, "5"]]);
      assertEquals(ids.size, 1, "one id for all turns");
    },
  },
  {
    name: "a level can be given for a batch and for each message, and is waited for",
    async run(t: Scene) {
      const topic = await t.topic(1);
      await t.broker.publish(topic, texts(4));
      const mq = await t.connect();
      const consumer = await mq.consumer({ group: t.group(), topics: topic, consumeFrom: "first" });
      const batch = await nextBatch(consumer.batches());
      assertEquals(batch.length, 4);
      const sentAt = performance.now();
      await batch.retry(batch.messages[1]!, { delayLevel: 6 }); // two seconds; the others one
      await batch.retry(batch.messages[2]!);
      await batch.retry({ delayLevel: 2 });
      const seen = new Map<string, { level: string | undefined; after: number }>();
      for await (const again of consumer) {
        for (const message of again) {
          const level = message.property(PropertyName.DELAY);
          seen.set(message.text(), { level, after: performance.now() - sentAt });
        }
        if (seen.size === 4) break;
      }
      assertEquals(texts(4).map((text) => seen.get(text)?.level), ["2", "6", "3", "2"]);
      for (const text of texts(4)) {
        const { after } = seen.get(text)!;
        const least = text === "m1" ? 1_900 : 900;
        assert(after >= least && after < least + 3_000, `${text} came after ${Math.round(after)} ms`);
      }
    },
  },
  {
    name: "a message that fails more than maxReconsumeTimes is in the dead letter queue",
    async run(t: Scene) {
      const topic = await t.topic(1);
      const group = t.group();
      await t.broker.publish(topic, [{ body: "hopeless", tags: "t", keys: ["k"] }]);
      const { mq, untilEvent, events } = await t.client();
      const consumer = await mq.consumer({ group, topics: topic, consumeFrom: "first", maxReconsumeTimes: 2 });
      const ids = new Set<string>();
      for (let turn = 0; turn < 3; turn++) {
        const { batch, message } = await takeOne(consumer);
        assertEquals(message.reconsumeTimes, turn);
        assert(!events.some(({ type }) => type === "deadLettered"), `dead before turn ${turn}`);
        ids.add(message.messageId);
        await batch.retry({ delayLevel: 1 });
      }
      const event = await untilEvent("deadLettered");
      assertEquals([event.group, event.topic], [group, topic]);
      const [dead] = await takeDead(t, group, 1);
      assertEquals([dead?.text(), dead?.tags, dead?.keys], ["hopeless", "t", ["k"]]);
      assert(ids.has(dead!.messageId));
      await consumer.commit();
      const retried = { topic: retryTopic(group), queueId: 0 };
      assertEquals(await t.broker.maxOffset(retried), 2);
      assertEquals(await t.broker.committed(group, retried), 2);
    },
  },
  {
    name: "a first failure is dead with maxReconsumeTimes: 0",
    async run(t: Scene) {
      const topic = await t.topic(1);
      const group = t.group();
      await t.broker.publish(topic, texts(3));
      const { mq, untilEvent } = await t.client();
      const consumer = await mq.consumer({ group, topics: topic, consumeFrom: "first", maxReconsumeTimes: 0 });
      const stop = new AbortController();
      let handled = 0;
      const running = t.background(() =>
        consumer.runEach((message) => {
          handled++;
          if (message.text() === "m1") throw new RangeError("no");
        }, { signal: stop.signal })
      );
      await untilEvent("deadLettered");
      await waitUntil(() => handled >= 3, { what: "the others" });
      stop.abort();
      await within(running, "the end of runEach()");
      assertEquals((await takeDead(t, group, 1)).map(textOf), ["m1"]);
      assertEquals(await t.broker.maxOffset({ topic: retryTopic(group), queueId: 0 }), 0);
    },
  },
  {
    name: "deadLetter() moves one message, or the rest, to the dead letter queue at once",
    async run(t: Scene) {
      const topic = await t.topic(1);
      const group = t.group();
      await t.broker.publish(topic, texts(4));
      const { mq, events } = await t.client();
      const consumer = await mq.consumer({ group, topics: topic, consumeFrom: "first" });
      const batch = await nextBatch(consumer.batches());
      assertEquals(batch.length, 4);
      await batch.deadLetter(batch.messages[2]);
      await batch.ack(batch.messages[0]);
      await batch.deadLetter();
      assertEquals(sortedTexts(await takeDead(t, group, 3)), ["m1", "m2", "m3"]);
      await consumer.commit();
      assertEquals(await t.broker.committed(group, { topic, queueId: 0 }), 4);
      await waitUntil(() => events.filter(({ type }) => type === "deadLettered").length === 3, { what: "3 events" });
    },
  },
  {
    name: "a batch in flight for longer than consumeTimeout is sent back at level 3, and its signal aborts",
    async run(t: Scene) {
      const topic = await t.topic(1);
      const group = t.group();
      await t.broker.publish(topic, texts(3));
      const { mq, untilEvent } = await t.client();
      const options = { group, topics: topic, consumeFrom: "first", autoAck: false, consumeTimeout: 1_000 } as const;
      const consumer = await mq.consumer(options);
      const batches = consumer.batches();
      const batch = await nextBatch(batches);
      const handedOutAt = performance.now();
      assertEquals(batch.length, 3);
      await batch.ack(batch.messages[1]); // what is settled is not redelivered
      assertEquals(batch.signal.aborted, false);
      await waitUntil(() => batch.signal.aborted, { what: "the batch's signal" });
      const after = performance.now() - handedOutAt;
      assert(after > 950 && after < 3_000, `aborted after ${Math.round(after)} ms`);
      await untilEvent("stalled", ({ queue }) => queue?.topic === topic);
      await batch.ack(); // too late: has no effect
      const again: Message[] = [];
      while (again.length < 2) {
        const next = await nextBatch(batches);
        again.push(...next);
        await next.ack();
      }
      assertEquals(sortedTexts(again), ["m0", "m2"]);
      assertEquals(again.map((message) => message.property(PropertyName.DELAY)), ["3", "3"]);
      assertEquals(again.map(({ reconsumeTimes }) => reconsumeTimes), [1, 1]);
      await consumer.commit();
      assertEquals(await t.broker.committed(group, { topic, queueId: 0 }), 3);
    },
  },
  {
    name: "a batch delivered in time is left alone by the consumeTimeout of another",
    async run(t: Scene) {
      const topic = await t.topic(1);
      await t.broker.publish(topic, texts(2));
      const mq = await t.connect();
      const consumer = await mq.consumer({
        group: t.group(),
        topics: topic,
        consumeFrom: "first",
        autoAck: false,
        batchSize: 1,
        consumeTimeout: 1_000,
      });
      const batches = consumer.batches();
      const first = await nextBatch(batches);
      const handedOutAt = performance.now();
      await waitUntil(() => performance.now() - handedOutAt > 600, { what: "some time" });
      const second = await nextBatch(batches);
      const { signal } = second;
      await waitUntil(() => first.signal.aborted, { what: "the first batch's signal" });
      assertEquals(signal.aborted, false);
      await second.ack();
      const again = await nextBatch(batches);
      assertEquals([...again].map(textOf), ["m0"]);
      await again.ack();
      assertEquals(signal.aborted, false);
    },
  },
  {
    name: "batches({ topic }) gets the retries of its topic, and a batch is cut where the topic changes",
    async run(t: Scene) {
      const [one, two] = [await t.topic(1), await t.topic(1)];
      const group = t.group();
      await t.broker.publish(one, texts(3, "one"));
      await t.broker.publish(two, texts(3, "two"));
      const mq = await t.connect();
      const consumer = await mq.consumer({ group, topics: [one, two], consumeFrom: "first", autoAck: false });
      const [a, b] = [consumer.batches({ topic: one }), consumer.batches({ topic: two })];
      const [first, second] = [await nextBatch(a), await nextBatch(b)];
      for (const at of [0, 1, 2]) { // one after the other: they lie mixed in the retry queue
        await first.retry(first.messages[at]!, { delayLevel: 1 });
        await second.retry(second.messages[at]!, { delayLevel: 1 });
      }
      const retried = { topic: retryTopic(group), queueId: 0 };
      await waitUntil(async () => await t.broker.maxOffset(retried) === 6, { what: "six messages to come back" });
      const seen: string[] = [];
      while (seen.length < 3) {
        const batch = await nextBatch(b);
        assertEquals([batch.topic, batch.queue.topic], [two, retryTopic(group)]);
        seen.push(...[...batch].map(textOf));
        await batch.ack();
      }
      assertEquals(seen.toSorted(), texts(3, "two"));
      const rest: Message[] = [];
      for await (const batch of consumer) {
        assert([...batch].every(({ topic }) => topic === batch.topic));
        rest.push(...batch);
        await batch.ack();
        if (rest.length >= 3) break;
      }
      assertEquals(sortedTexts(rest), texts(3, "one"));
    },
  },
  {
    name: "batches({ topic }) gets its retries also behind those of a topic that nobody asks for",
    async run(t: Scene) {
      const [one, two] = [await t.topic(1), await t.topic(1)];
      const group = t.group();
      await t.broker.publish(one, ["one"]);
      await t.broker.publish(two, ["two"]);
      const mq = await t.connect();
      const consumer = await mq.consumer({ group, topics: [one, two], consumeFrom: "first", autoAck: false });
      const mine = consumer.batches({ topic: two });
      const [first, second] = [await nextBatch(consumer.batches({ topic: one })), await nextBatch(mine)];
      await first.retry({ delayLevel: 1 });
      await waitUntil(() => consumer.stats().buffered === 2, { what: "the retry that nobody asks for" });
      const next = t.background(() => nextBatch(mine));
      await second.retry({ delayLevel: 1 });
      const batch = await next;
      assertEquals([[...batch].map(textOf), batch.queue.topic], [["two"], retryTopic(group)]);
      await batch.ack();
    },
  },
  {
    name: "a retry that the broker refuses goes its second way, or is tried again, and is never lost",
    on: ({ faults }) => faults !== undefined,
    async run(t: Scene) {
      const topic = await t.topic(1);
      const group = t.group();
      await t.broker.publish(topic, ["kept"]);
      const mq = await t.connect();
      const consumer = await mq.consumer({ group, topics: topic, consumeFrom: "first" });
      const refusal = { code: 1, remark: "no" };
      const fault = t.broker.faults!.answer("SendBack", refusal, { match: ({ fields }) => fields.group === group });
      t.finally(() => fault.remove());
      const { batch, message } = await takeOne(consumer);
      await batch.retry({ delayLevel: 1 });
      assertEquals(fault.hits, 1);
      const { batch: retried, message: again } = await takeOne(consumer);
      assertEquals([again.text(), again.reconsumeTimes, again.topic], ["kept", 1, topic]);
      assertEquals(again.messageId, message.messageId);
      await retried.ack();
    },
  },
];
