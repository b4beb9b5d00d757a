/** What a consumer does when single requests go wrong. The embedded broker alone can be told to do that. */

import { assert, assertEquals, assertLess } from "@std/assert";
import type { Message } from "../../../mod.ts";
import type { FaultAction, FaultOptions } from "../../../src/embedded/faults.ts";
import { nextBatch, type Scenario, type Scene, take, textOf, texts, waitUntil } from "../harness.ts";

/** Orders a fault for the requests about one group, or about one topic of it. */
function order(
  t: Scene,
  request: string,
  action: FaultAction,
  about: { group: string; topic?: string },
  options: Pick<FaultOptions, "times"> = {},
) {
  const fault = t.broker.faults!.answer(request, action, {
    ...options,
    match: ({ fields }) =>
      fields.consumerGroup === about.group && (about.topic === undefined || fields.topic === about.topic),
  });
  t.finally(() => fault.remove());
  return fault;
}

/** Counts the heartbeats of a group. */
function countHeartbeats(t: Scene, group: string): () => number {
  let count = 0;
  const fault = t.broker.faults!.answer("Heartbeat", "drop", {
    match: ({ body }) => {
      if (new TextDecoder().decode(body).includes(`"${group}"`)) count++;
      return false; // it is served as ever
    },
  });
  t.finally(() => fault.remove());
  return () => count;
}

const scenariosWithFaults: Scenario[] = [
  {
    name: "a pull that is answered after a seek has no effect",
    async run(t: Scene) {
      const topic = await t.topic(1);
      const group = t.group();
      await t.broker.publish(topic, texts(10));
      const mq = await t.connect();
      const fault = order(t, "PullMessage", "delayAnswer", { group, topic });
      const consumer = await mq.consumer({ group, topics: topic, consumeFrom: "first", batchSize: 3 });
      await fault.reached(); // the first ten messages are on their way, and stay there
      await consumer.seek({ topic, queueId: 0, broker: t.broker.brokerNames[0]! }, 6);
      const batches = consumer.batches();
      const first = await nextBatch(batches);
      assertEquals([...first].map(textOf), texts(3, "m", 6));
      fault.release();
      const second = await nextBatch(batches);
      assertEquals([...second].map(textOf), ["m9"]);
      await second.ack();
      await consumer.commit();
      assertEquals(await t.broker.committed(group, { topic, queueId: 0 }), 10);
      assertEquals([consumer.stats().buffered, consumer.stats().settled], [0, 4]);
    },
  },
  {
    name: "a commit that the broker refuses, as it does not know the group, is made again after a heartbeat",
    async run(t: Scene) {
      const topic = await t.topic(1);
      const group = t.group();
      await t.broker.publish(topic, texts(4));
      const mq = await t.connect();
      const consumer = await mq.consumer({ group, topics: topic, consumeFrom: "first", persistInterval: 60_000 });
      await take(consumer, 4);
      const beats = countHeartbeats(t, group);
      const fault = order(t, "UpdateConsumerOffset", { code: 26, remark: "no such group" }, { group, topic });
      await consumer.commit();
      assertEquals(await t.broker.committed(group, { topic, queueId: 0 }), 4);
      assertEquals([fault.hits, beats()], [1, 1]);
    },
  },
  {
    name: "a commit that fails is an event, and is made again",
    async run(t: Scene) {
      const topic = await t.topic(1);
      const group = t.group();
      await t.broker.publish(topic, texts(4));
      const { mq, untilEvent } = await t.client();
      const consumer = await mq.consumer({ group, topics: topic, consumeFrom: "first", persistInterval: 100 });
      await waitUntil(async () => await t.broker.committed(group, { topic, queueId: 0 }) === 0, { what: "the start" });
      const fault = order(t, "UpdateConsumerOffset", { code: 1, remark: "no" }, { group, topic }, { times: 2 });
      await take(consumer, 4);
      const event = await untilEvent("commitFailed");
      assertEquals([event.group, event.level], [group, "warning"]);
      await waitUntil(async () => await t.broker.committed(group, { topic, queueId: 0 }) === 4, { what: "the offset" });
      assertEquals(fault.hits, 2);
    },
  },
  {
    name: "a commit whose answer is late is not overtaken by the next one",
    async run(t: Scene) {
      const topic = await t.topic(1);
      const group = t.group();
      await t.broker.publish(topic, texts(4));
      const mq = await t.connect();
      const options = { group, topics: topic, consumeFrom: "first", batchSize: 2, persistInterval: 60_000 } as const;
      const consumer = await mq.consumer(options);
      await take(consumer, 2);
      const slow = order(t, "UpdateConsumerOffset", "delay", { group, topic });
      const first = consumer.commit();
      await slow.reached();
      await take(consumer, 2);
      const commits = order(t, "UpdateConsumerOffset", "delay", { group, topic }, { times: Infinity });
      const second = consumer.commit();
      await consumer.lag(); // it travels behind whatever has left before it
      assertEquals(commits.hits, 0, "a commit beside the one that is on its way");
      commits.remove();
      slow.release();
      await Promise.all([first, second]);
      assertEquals(await t.broker.committed(group, { topic, queueId: 0 }), 4);
    },
  },
  {
    name: "a list of members that is not available changes nothing: nobody else can have the queues either",
    async run(t: Scene) {
      const topic = await t.topic(2);
      const group = t.group();
      const mq = await t.connect();
      const consumer = await mq.consumer({ group, topics: topic, consumeFrom: "first", rebalanceInterval: 1_000 });
      const owned = () => consumer.assignment().filter((queue) => queue.topic === topic).length;
      const fault = order(t, "GetConsumerList", { code: 1, remark: "no" }, { group }, { times: Infinity });
      const seen: Message[] = [];
      const stop = new AbortController();
      const loop = t.background(async () => {
        for await (const batch of consumer.batches({ signal: stop.signal })) seen.push(...batch);
      });
      await fault.reached(1);
      await t.broker.publish(topic, texts(10));
      await waitUntil(() => seen.length === 10, { what: "messages go on" });
      assertEquals(owned(), 2);
      await fault.reached(5);
      assertEquals(owned(), 2);
      fault.remove();
      await t.broker.publish(topic, texts(10, "n"));
      await waitUntil(() => seen.length >= 20, { what: "messages go on again" });
      assertEquals(seen.map(textOf).sort(), [...texts(10), ...texts(10, "n")].sort());
      stop.abort();
      await loop;
    },
  },
  {
    name: "a list of members without this one changes nothing for three runs: a heartbeat brings it back",
    async run(t: Scene) {
      const topic = await t.topic(1);
      const group = t.group();
      const { mq, events } = await t.client();
      const consumer = await mq.consumer({ group, topics: topic, consumeFrom: "first", rebalanceInterval: 1_000 });
      await waitUntil(() => consumer.assignment().length === 2, { what: "the queue and the retry queue" });
      const body = new TextEncoder().encode(`{"consumerIdList":["somebody@else"]}`);
      const beats = countHeartbeats(t, group);
      const fault = order(t, "GetConsumerList", { code: 0, body }, { group }, { times: 2 });
      await fault.reached(2);
      await waitUntil(() => beats() > 0, { what: "a heartbeat" });
      await t.broker.publish(topic, texts(3));
      assertEquals((await take(consumer, 3)).map(textOf), texts(3));
      assertEquals(consumer.assignment().length, 2);
      assert(!events.some(({ type }) => type === "stalled"));
    },
  },
  {
    name: "a pull that a broker refuses for now is made again, and nothing is skipped",
    async run(t: Scene) {
      const topic = await t.topic(1);
      const group = t.group();
      await t.broker.publish(topic, texts(10));
      const mq = await t.connect();
      const faults = [
        order(t, "PullMessage", { code: 215, remark: "flow control" }, { group, topic }, { times: 3 }),
        order(t, "PullMessage", { code: 2, remark: "[OVERLOAD]" }, { group, topic }),
        order(t, "PullMessage", "cutAnswer", { group, topic }),
        order(t, "PullMessage", "cut", { group, topic }),
      ];
      const consumer = await mq.consumer({ group, topics: topic, consumeFrom: "first" });
      const started = performance.now();
      assertEquals((await take(consumer, 10)).map(textOf), texts(10));
      assertLess(performance.now() - started, 6_000);
      assertEquals(faults.map(({ hits }) => hits), [3, 1, 1, 1]);
    },
  },
  {
    name: "an operator's reset is followed: what is in flight is void, and an event tells",
    async run(t: Scene) {
      const topic = await t.topic(1);
      const group = t.group();
      await t.broker.publish(topic, texts(10));
      const { mq, untilEvent } = await t.client();
      const options = { group, topics: topic, consumeFrom: "first", batchSize: 4, autoAck: false } as const;
      const consumer = await mq.consumer(options);
      const batches = consumer.batches();
      const held = await nextBatch(batches);
      const { signal } = held;
      const fields = { suggestWhichBrokerId: "0", nextBeginOffset: "7", minOffset: "0", maxOffset: "10" };
      const reset = { code: 21, remark: "OFFSET_RESET", fields };
      const fault = order(t, "PullMessage", reset, { group, topic });
      await t.broker.publish(topic, ["wake"]); // ends the pull that is held: the next one is told of the reset
      await fault.reached();
      const event = await untilEvent("offsetReset");
      assertEquals([event.group, event.offset, event.queue?.topic], [group, 7, topic]);
      await waitUntil(() => signal.aborted, { what: "the signal of the batch in flight" });
      await held.ack();
      assertEquals(await t.broker.committed(group, { topic, queueId: 0 }), 7);
      const next = await nextBatch(batches);
      assertEquals([...next].map(textOf), ["m7", "m8", "m9", "wake"]);
      await next.ack();
    },
  },
];

export const scenarios: Scenario[] = scenariosWithFaults.map((scenario) => ({
  ...scenario,
  on: ({ faults }) => faults !== undefined,
}));
