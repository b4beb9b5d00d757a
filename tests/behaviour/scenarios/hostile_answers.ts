/**
 * Brokers whose answers lead nowhere, or to and fro: each costs its own queue some time, a few requests and an event, and
 * when it is over nothing is lost.
 */

import { assertEquals, assertGreaterOrEqual, assertLess, assertLessOrEqual } from "@std/assert";
import type { Fault, FaultReply } from "../../../src/embedded/mod.ts";
import { PullSysFlag, ResponseCode } from "../../../src/wire/codes.ts";
import { pullMessage } from "../../../src/wire/requests.ts";
import { duplicatesIn, type Scenario, type Scene, type TestClient, texts, waitUntil, within } from "../harness.ts";
import { receive } from "../received.ts";

const hasFaults = ({ faults }: { faults?: unknown }) => faults !== undefined;

/** For how long a broker is hostile in these scenarios, in milliseconds. */
const HOSTILE = 2_000;
/** How many requests a queue may make meanwhile: five a second, and a few before that is noticed; twice that is room. */
const FEW = 30;
/** How long `close()` may take, in milliseconds. */
const CLOSES = 3_000;

interface Hostility {
  /** Which requests it is for: `PullMessage`, `PopMessage`. */
  readonly request: string;
  /** By their fields. */
  readonly match: Readonly<Record<string, string>>;
  /** What is answered. */
  readonly reply: FaultReply;
}

/** Answers requests until the end of the scenario. */
function answer(t: Scene, { request, match, reply }: Hostility): Fault {
  const wanted = Object.entries(match);
  const fault = t.broker.faults!.answer(request, reply, {
    times: Infinity,
    match: ({ fields }) => wanted.every(([name, value]) => fields[name] === value),
  });
  t.finally(() => fault.remove());
  return fault;
}

function pullReply(code: number, next: string, more: Partial<FaultReply> = {}): FaultReply {
  const fields = { suggestWhichBrokerId: "0", nextBeginOffset: next, minOffset: "0", maxOffset: "1000" };
  return { code, fields, ...more };
}

/** The records of a queue, as they are stored. */
async function recordsOf(t: Scene, topic: string, queueId: number): Promise<Uint8Array> {
  const header = {
    consumerGroup: t.name("observer"),
    topic,
    queueId,
    queueOffset: 0,
    maxMsgNums: 32,
    sysFlag: PullSysFlag.SUBSCRIPTION,
    commitOffset: 0,
    suspendTimeoutMillis: 0,
    subscription: "*",
    subVersion: 0,
    expressionType: "TAG",
  };
  return (await t.broker.raw.askWell(pullMessage, header)).body;
}

/** Lets the hostile time pass. */
async function endure(): Promise<void> {
  const since = performance.now();
  await waitUntil(() => performance.now() - since > HOSTILE, { what: "the hostile time" });
}

async function closeSoon(what: { close(): Promise<void> }): Promise<void> {
  const since = performance.now();
  await within(what.close(), "the end of close()");
  assertLess(performance.now() - since, CLOSES);
}

/** The texts of the events of a type about one queue. */
function eventsOf({ events }: TestClient, type: string, topic: string, queueId?: number): string[] {
  return events.filter((event) =>
    event.type === type && (event.queue?.topic ?? event.topic) === topic &&
    (queueId === undefined || event.queue?.queueId === queueId)
  ).map(({ text }) => text);
}

export const scenarios: Scenario[] = [
  {
    name: "hostile answers: pulls that lead to where they were, back, or out of the queue cost their queue alone",
    on: hasFaults,
    async run(t: Scene) {
      const odd = [
        pullReply(ResponseCode.SUCCESS, "5"), // found, and nothing in it
        pullReply(ResponseCode.SUCCESS, "2"),
        pullReply(ResponseCode.SUCCESS, "-1"),
        pullReply(ResponseCode.SUCCESS, String(Number.MAX_SAFE_INTEGER)),
        pullReply(ResponseCode.PULL_NOT_FOUND, "5"), // not held either
        pullReply(ResponseCode.PULL_RETRY_IMMEDIATELY, "2"),
      ];
      const again = odd.length; // the queue that gets its first messages again and again
      const queues = odd.length + 2;
      const topic = await t.topic(queues);
      const group = t.group();
      const first = texts(queues * 5, "first");
      await t.broker.publish(topic, first);
      odd.push(pullReply(ResponseCode.SUCCESS, "5", { body: await recordsOf(t, topic, again) }));

      const client = await t.client();
      const options = { group, topics: topic, consumeFrom: "first", pullHold: 1_000, pullBatchSize: 8 } as const;
      const consumer = await client.mq.consumer(options);
      const received = receive(t, consumer);
      await received.until(first);
      const faults = odd.map((reply, queueId) =>
        answer(t, { request: "PullMessage", match: { topic, consumerGroup: group, queueId: String(queueId) }, reply })
      );
      await Promise.all(faults.map((fault) => fault.reached()));
      const more = texts(queues * 5, "more");
      await t.broker.publish(topic, more);
      await endure();
      await received.until(more.filter((_, i) => i % queues === queues - 1)); // the queue without a fault
      for (const [queueId, { hits }] of faults.entries()) {
        assertLessOrEqual(hits, FEW, `pulls of queue ${queueId}`);
        const stalls = eventsOf(client, "stalled", topic, queueId);
        const isQuiet = odd[queueId]!.code === ResponseCode.PULL_NOT_FOUND; // as a broker that does not hold pulls
        assertLessOrEqual(stalls.length, 1, stalls.join("\n"));
        if (!isQuiet && odd[queueId]!.code === 0) assertEquals(stalls.length, 1, `queue ${queueId} has an event`);
      }
      assertEquals(duplicatesIn(received.seen), 0);
      for (const fault of faults) fault.remove();
      await received.until(more);
      assertEquals([received.seen.length, duplicatesIn(received.seen)], [queues * 10, 0]);
      await consumer.commit();
      for (let queueId = 0; queueId < queues; queueId++) {
        assertEquals(await t.broker.committed(group, { topic, queueId }), 10);
      }
    },
  },
  {
    name: "hostile answers: a consumer closes in time, whatever its pulls lead to",
    on: hasFaults,
    async run(t: Scene) {
      const topic = await t.topic(4);
      const group = t.group();
      const replies = ["0", "-1", "7", String(Number.MAX_SAFE_INTEGER)].map((next, at) =>
        pullReply(at === 2 ? ResponseCode.PULL_OFFSET_MOVED : ResponseCode.SUCCESS, next)
      );
      const faults = replies.map((reply, queueId) =>
        answer(t, { request: "PullMessage", match: { topic, queueId: String(queueId) }, reply })
      );
      const consumer = await (await t.connect()).consumer({ group, topics: topic, consumeFrom: "first" });
      const loop = receive(t, consumer);
      await Promise.all(faults.map((fault) => fault.reached(2)));
      await closeSoon(consumer);
      await loop.stop();
    },
  },
  {
    name: "hostile answers: a position that is sent to and fro is followed ever more slowly, and nothing is lost",
    on: hasFaults,
    async run(t: Scene) {
      const remarks = ["the queue is shorter", "OFFSET_RESET"];
      const topic = await t.topic(remarks.length);
      const group = t.group();
      const all = texts(10);
      await t.broker.publish(topic, all);
      const faults = remarks.flatMap((remark, queueId) =>
        [["0", "100"], ["100", "0"]].map(([at, next]) =>
          answer(t, {
            request: "PullMessage",
            match: { topic, consumerGroup: group, queueId: String(queueId), queueOffset: at! },
            reply: pullReply(ResponseCode.PULL_OFFSET_MOVED, next!, { remark }),
          })
        )
      );
      const client = await t.client();
      const consumer = await client.mq.consumer({ group, topics: topic, consumeFrom: "first", pullHold: 1_000 });
      const received = receive(t, consumer);
      await Promise.all(faults.map((fault) => fault.reached()));
      await endure();
      assertLessOrEqual(faults.reduce((sum, { hits }) => sum + hits, 0), FEW);
      for (const queueId of remarks.keys()) {
        const jumps = ["offsetJumped", "offsetReset"].flatMap((type) => eventsOf(client, type, topic, queueId));
        assertGreaterOrEqual(jumps.length, 1);
        assertLessOrEqual(jumps.length, 6, jumps.join("\n"));
      }
      for (const fault of faults) fault.remove();
      await received.until(all);
      await consumer.commit();
      assertEquals(duplicatesIn(received.seen), 0);
      await closeSoon(consumer);
    },
  },
  {
    name: "hostile answers: pops that bring nothing, or what cannot be read, cost their topic alone",
    on: hasFaults,
    async run(t: Scene) {
      const [group, client] = [t.group(), await t.client()];
      const topics = await Promise.all(texts(5).map(() => t.topic(1)));
      for (const [at, topic] of topics.entries()) await t.broker.publish(topic, texts(5, `${at} `));
      const fields = { popTime: String(Date.now()), invisibleTime: "60000", reviveQid: "0", restNum: "5" };
      const nonsense = { ...fields, startOffsetInfo: "0 0 -1", msgOffsetInfo: "0 0 9007199254740993" };
      const body = await recordsOf(t, topics[2]!, 0);
      const replies: FaultReply[] = [
        { code: ResponseCode.SUCCESS, fields }, // found, and nothing in it
        { code: ResponseCode.SUCCESS },
        { code: ResponseCode.SUCCESS, fields: nonsense, body },
        { code: ResponseCode.POLLING_TIMEOUT, fields }, // not held either
      ];
      const faults = replies.map((reply, at) =>
        answer(t, { request: "PopMessage", match: { topic: topics[at]!, consumerGroup: group }, reply })
      );
      const consumer = await client.mq.popConsumer({ group, topics, consumeFrom: "first", pullHold: 1_000 });
      const received = receive(t, consumer);
      await received.until(texts(5, "4 ")); // the topic without a fault
      const stalls = () => replies.map((_, at) => eventsOf(client, "stalled", topics[at]!).length);
      const since = performance.now();
      await waitUntil(() => stalls().every((count) => count > 0), { what: () => `an event of each: ${stalls()}` });
      assertEquals(stalls(), replies.map(() => 1));
      const few = FEW + (performance.now() - since) / 100;
      for (const [at, { hits }] of faults.entries()) assertLessOrEqual(hits, few, `pops of topic ${at}`);
      assertEquals(received.seen.length, 5);
      for (const fault of faults) fault.remove();
      await received.until(topics.flatMap((_, at) => texts(5, `${at} `)));
      assertEquals(duplicatesIn(received.seen), 0);
      await closeSoon(consumer);
    },
  },
];
