/** What operators can look up of messages that were consumed: the trace; and a consumer's own figures. */

import { assert, assertEquals } from "@std/assert";
import type { Client, ConsumerOptions } from "../../../mod.ts";
import { TRACE_TOPIC } from "../../../src/wire/codes.ts";
import { nextBatch, type Scenario, type Scene, take, textOf, untilDead, waitUntil } from "../harness.ts";

/** Figures are of the minute up to the last full ten seconds. */
const UNTIL_COUNTED = 30_000;

/** A record of the trace: its fields, in the order in which Java's clients write them. */
type TraceFields = readonly string[];

/** The records that one group has written to a trace topic, as soon as there are so many. */
async function traceOf(
  mq: Client,
  topic: string,
  group: string,
  readers: string,
  count: number,
): Promise<TraceFields[]> {
  const reader = await mq.consumer({ group: readers, topics: topic, consumeFrom: "first" });
  const records: TraceFields[] = [];
  const running = reader.runEach((message) => {
    for (const record of message.text().split("\u0002")) {
      const fields = record.split("\u0001");
      if (fields.includes(group)) records.push(fields);
    }
  });
  await waitUntil(() => records.length >= count, { what: () => `${count} trace records, got ${records.length}` });
  await reader.close();
  await running;
  return records;
}

/**
 * Consumes four messages: one is acknowledged, one is sent back, one is failed by its handler, one is dead; those that
 * come again are acknowledged then. Returns their ids.
 */
async function consumeTraced(t: Scene, mq: Client, options: ConsumerOptions, topic: string): Promise<string[]> {
  const bodies = ["fine", "later", "broken", "dead"];
  const ids = await t.broker.publish(topic, bodies.map((body) => ({ body, keys: [`key-${body}`] })));
  const consumer = await mq.consumer(options);
  const seen: string[] = [];
  const running = t.background(() =>
    consumer.run(async (batch) => {
      const [message] = batch.messages;
      const { reconsumeTimes } = message!;
      seen.push(`${textOf(message!)} ${reconsumeTimes}`);
      if (reconsumeTimes > 0) return;
      if (textOf(message!) === "later") await batch.retry({ delayLevel: 1 });
      if (textOf(message!) === "broken") throw new RangeError("cannot handle it");
      if (textOf(message!) === "dead") await batch.deadLetter();
    })
  );
  await waitUntil(() => seen.length === 6, { what: () => `six messages delivered, got ${seen}` });
  await untilDead(t, options.group, 1);
  await consumer.close(); // sends what is left of the trace
  await running;
  assertEquals(seen.toSorted(), ["broken 0", "broken 1", "dead 0", "fine 0", "later 0", "later 1"]);
  return ids;
}

function checkTrace(records: readonly TraceFields[], group: string, ids: readonly string[]): void {
  const [fine, later, broken, dead] = ids;
  const before = records.filter(([type]) => type === "SubBefore");
  const after = records.filter(([type]) => type === "SubAfter");
  assertEquals([before.length, after.length], [6, 6]);
  const handedOut = before.map(([, , , , , id, times, keys]) => `${id} ${times} ${keys}`);
  assertEquals(
    handedOut.toSorted(),
    [
      `${fine} 0 key-fine`,
      `${later} 0 key-later`,
      `${later} 1 key-later`,
      `${broken} 0 key-broken`,
      `${broken} 1 key-broken`,
      `${dead} 0 key-dead`,
    ].toSorted(),
  );
  const ended = after.map(([, , id, , success, keys, code]) => `${id} ${success} ${code} ${keys}`);
  assertEquals(
    ended.toSorted(),
    [
      `${fine} true 0 key-fine`,
      `${later} false 4 key-later`,
      `${later} true 0 key-later`,
      `${broken} false 2 key-broken`,
      `${broken} true 0 key-broken`,
      `${dead} false 4 key-dead`,
    ].toSorted(),
  );
  // Both records of a delivery have its request id.
  const requests = new Map(before.map(([, , , , request, id]) => [request, id]));
  assertEquals(requests.size, 6);
  for (const [, request, id] of after) assertEquals(requests.get(request), id);
  for (const [, time, region, who] of before) {
    assertEquals([who, region], [group, "DefaultRegion"]);
    assert(Math.abs(Date.now() - Number(time)) < 60_000);
  }
  for (const [, , , cost, , , , time, who] of after) {
    assertEquals(who, group);
    assert(Number(cost) >= 0 && Math.abs(Date.now() - Number(time)) < 60_000);
  }
}

export const scenarios: Scenario[] = [
  {
    name: "trace: what is delivered, fails and is redelivered is told to the trace topic",
    async run(t: Scene) {
      const [topic, traces] = [await t.topic(1), await t.topic(1)];
      const group = t.group();
      const mq = await t.connect();
      const options = { group, topics: topic, consumeFrom: "first", batchSize: 1, trace: { topic: traces } } as const;
      const ids = await consumeTraced(t, mq, options, topic);
      checkTrace(await traceOf(mq, traces, group, t.group(), 12), group, ids);
    },
  },
  {
    name: "trace: the usual topic, where the broker has it",
    on: ({ name }) => name === "embedded", // real ones make it themselves, if they are told to
    async run(t: Scene) {
      await t.broker.createTopic(TRACE_TOPIC, 1);
      const topic = await t.topic(1);
      const group = t.group();
      const mq = await t.connect();
      const options = { group, topics: topic, consumeFrom: "first", batchSize: 1, trace: true } as const;
      const ids = await consumeTraced(t, mq, options, topic);
      checkTrace(await traceOf(mq, TRACE_TOPIC, group, t.group(), 12), group, ids);
    },
  },
  {
    name: "trace: where the trace topic is missing an event tells, and messages are consumed as ever",
    async run(t: Scene) {
      const topic = await t.topic(1);
      const group = t.group();
      await t.broker.publish(topic, ["a", "b"]);
      const { mq, untilEvent, events } = await t.client();
      const missing = t.name("no-traces");
      const trace = { topic: missing };
      const consumer = await mq.consumer({ group, topics: topic, consumeFrom: "first", trace });
      assertEquals((await take(consumer, 2)).map(textOf), ["a", "b"]);
      await consumer.close();
      const told = await untilEvent("missingTopic");
      assertEquals([told.topic, told.group, told.level], [missing, group, "warning"]);
      assertEquals(events.filter(({ type }) => type === "missingTopic").length, 1);
      assertEquals(await t.broker.committed(group, { topic, queueId: 0 }), 2);
    },
  },
  {
    name: "trace: orderly consumption is told of by its outcome, message by message",
    async run(t: Scene) {
      const [topic, traces] = [await t.topic(1), await t.topic(1)];
      const group = t.group();
      const [first, second] = await t.broker.publish(topic, ["a", "b"]);
      const mq = await t.connect();
      const consumer = await mq.consumer({
        group,
        topics: topic,
        consumeFrom: "first",
        ordering: "orderly",
        trace: { topic: traces },
      });
      const batches = consumer.batches();
      let batch = await nextBatch(batches);
      while (batch.length < 2) { // a batch is what is there
        await batch.retry({ delay: 200 });
        batch = await nextBatch(batches);
      }
      await batch.retry(batch.messages[1]!, { delay: 10 });
      await (await nextBatch(batches)).ack();
      await consumer.close();
      const records = await traceOf(mq, traces, group, t.group(), 6);
      const ended = records.filter(([type]) => type === "SubAfter").map(([, , id, , success, , code]) =>
        `${id} ${success} ${code}`
      );
      assertEquals(ended.slice(-3), [`${first} true 0`, `${second} false 4`, `${second} true 0`]);
    },
  },
  {
    name: "stats() and lag() tell how old the oldest message is, and what became of those before it, topic by topic",
    async run(t: Scene) {
      const topic = await t.topic(1);
      const group = t.group();
      await t.broker.publish(topic, ["a", "b", "c"]);
      const mq = await t.connect();
      const options = { group, topics: topic, consumeFrom: "first", autoAck: false, batchSize: 3 } as const;
      const consumer = await mq.consumer(options);
      await waitUntil(() => consumer.stats().buffered === 3, { what: "the messages are here" });
      const batch = await nextBatch(consumer.batches());
      const [a, b] = batch.messages;
      const lagOf = async () => (await consumer.lag()).find(({ queue }) => queue.topic === topic)!;
      const { lag, maxOffset, committable, oldestStoredAt } = await lagOf();
      assertEquals([lag, maxOffset, committable, oldestStoredAt], [3, 3, 0, a!.storedAt]);
      const age = consumer.stats().oldestAge!;
      assert(age >= 0 && age < 60_000, `the oldest is ${age} ms old`);
      assertEquals(consumer.stats().inFlight, 3);
      await batch.ack(a);
      assertEquals((await lagOf()).oldestStoredAt, b!.storedAt);
      await batch.deadLetter(b);
      await batch.ack();
      const { settled, retried, inFlight, buffered, bufferedBytes, oldestAge } = consumer.stats();
      assertEquals([settled, retried, inFlight, buffered, bufferedBytes, oldestAge], [3, 1, 0, 0, 0, undefined]);
      assertEquals([(await lagOf()).lag, (await lagOf()).oldestStoredAt], [0, undefined]);
      assertEquals([...consumer.stats().topics.keys()].toSorted(), [`%RETRY%${group}`, topic].toSorted());
      const counted = await waitUntil(() => {
        const figures = consumer.stats().topics.get(topic)!;
        return figures.consumedPerSecond > 0 && figures.failedPerSecond > 0 && figures;
      }, { what: "the figures of the first ten seconds", timeout: UNTIL_COUNTED });
      assert(counted.pulledPerSecond > 0 && counted.pullTime > 0 && counted.consumeTime > 0);
      assertEquals(Math.round(counted.consumedPerSecond / counted.failedPerSecond), 2);
      const retries = consumer.stats().topics.get(`%RETRY%${group}`)!;
      assertEquals([retries.pulledPerSecond, retries.consumedPerSecond, retries.failedLastHour], [0, 0, 0]);
    },
  },
];
