/** Where queues begin whose broker was unavailable at the start: by what the group has, not by what a member saw first. */

import { assertEquals, assertLess } from "@std/assert";
import type { Consumer } from "../../../mod.ts";
import { type Scenario, type TestCluster, type TestMember, texts, waitUntil } from "../harness.ts";
import { receive, type Received } from "../received.ts";
import { type ClusterScene, publishTo, QUEUES, QUICK } from "./cluster.ts";

const OLD = texts(500, "old");

/**
 * A topic of both brokers; the second one has stored old messages, and is not in its route any more. They are older than
 * the error with which a broker's clock is read, which is the time of a request.
 */
async function withoutSecond(t: ClusterScene, old: readonly string[] = OLD): Promise<string> {
  const [, b] = t.broker.brokers;
  const topic = await t.topic(QUEUES);
  await b.publish(topic, old);
  const storedAt = Date.now();
  await b.kill();
  t.finally(() => b.revive().catch(() => {})); // it may be there already
  await waitUntil(async () => !await b.isRouted(topic), { what: `a route of ${topic} without ${b.name}` });
  await waitUntil(() => Date.now() > storedAt + QUICK.requestTimeout, { what: "a later second" });
  return topic;
}

/** The brokers whose queues are owned. */
function brokersOf(consumer: Consumer, topic: string): string[] {
  const queues = consumer.assignment().filter((queue) => queue.topic === topic);
  return [...new Set(queues.map(({ broker }) => broker))].sort();
}

/** Lets the second broker recover, and waits for what is produced after that. */
async function revive(t: ClusterScene, topic: string, received: Received): Promise<void> {
  const [a, b] = t.broker.brokers;
  await b.revive();
  await received.until([...await publishTo(a, topic, "new"), ...await publishTo(b, topic, "new")]);
}

function oldOf({ seen }: Received): string[] {
  return seen.filter((text) => text.startsWith("old")).sort();
}

/**
 * What of the old messages a new group receives that begins at the end: none, but 4.9 answers 0 when it is asked for the
 * offset of a group that it does not know, and a stored offset wins.
 */
function expectedOf({ broker }: ClusterScene): string[] {
  return broker.line === 4 ? OLD.toSorted() : [];
}

function storedOf(broker: TestMember, group: string, topic: string): Promise<(number | undefined)[]> {
  return Promise.all(texts(QUEUES).map((_, queueId) => broker.committed(group, { topic, queueId })));
}

export const scenarios: readonly Scenario<TestCluster>[] = [
  {
    name: "cluster start: last, begun while a broker is unavailable: none of its old messages, all that come after it",
    alone: true,
    async run(t: ClusterScene) {
      const topic = await withoutSecond(t);
      const { mq } = await t.client(QUICK);
      const consumer = await mq.consumer({ group: t.group(), topics: topic, consumeFrom: "last" });
      assertEquals(brokersOf(consumer, topic), [t.broker.brokers[0].name]);
      const received = receive(t, consumer);
      await revive(t, topic, received);
      assertEquals(oldOf(received), expectedOf(t));
    },
  },
  {
    name:
      "cluster start: first, begun while a broker is unavailable: all messages of that broker once it has recovered",
    alone: true,
    async run(t: ClusterScene) {
      const topic = await withoutSecond(t);
      const { mq } = await t.client(QUICK);
      const consumer = await mq.consumer({ group: t.group(), topics: topic, consumeFrom: "first" });
      assertEquals(brokersOf(consumer, topic), [t.broker.brokers[0].name]);
      const received = receive(t, consumer);
      await revive(t, topic, received);
      assertEquals(oldOf(received), OLD.toSorted());
    },
  },
  {
    name: "cluster start: a group that has an offset on one broker alone begins the other's queues at their smallest",
    alone: true,
    async run(t: ClusterScene) {
      const [a, b] = t.broker.brokers;
      const topic = await withoutSecond(t, OLD.slice(0, 20));
      const group = t.group();
      const options = { group, topics: topic, consumeFrom: "last" } as const;
      const before = await (await t.connect(QUICK)).consumer(options);
      const first = receive(t, before);
      await waitUntil(async () => (await storedOf(a, group, topic)).every((offset) => offset === 0), {
        what: "the positions at the first broker",
      });
      await first.until(await publishTo(a, topic, "known"));
      await first.stop();
      await before.close();

      const { mq } = await t.client(QUICK);
      const consumer = await mq.consumer(options);
      assertEquals(brokersOf(consumer, topic), [a.name]);
      const received = receive(t, consumer);
      await revive(t, topic, received);
      assertEquals(oldOf(received), OLD.slice(0, 20).sort());
      assertEquals(received.seen.filter((text) => text.startsWith("known")), []);
      await consumer.commit();
      const stored = await storedOf(b, group, topic);
      assertEquals(stored.reduce<number>((sum, offset) => sum + (offset ?? 0), 0), 20 + QUEUES);
    },
  },
  {
    name: "cluster start: a reader from the latest, begun while a broker is unavailable, reads what comes after it",
    alone: true,
    async run(t: ClusterScene) {
      const topic = await withoutSecond(t);
      const { mq } = await t.client(QUICK);
      const latest = await mq.reader({ topic, from: "latest" });
      const earliest = await mq.reader({ topic, from: "earliest" });
      const [fromLatest, fromEarliest] = [receive(t, latest), receive(t, earliest)];
      await revive(t, topic, fromLatest);
      assertEquals(oldOf(fromLatest), []);
      await fromEarliest.until([...OLD, ...fromLatest.seen]);
      assertEquals(oldOf(fromEarliest), OLD.toSorted());
    },
  },
  {
    name: "cluster start: POP, begun while a broker is unavailable: what comes after it, and from first all of it",
    alone: true,
    on: ({ line }) => line === 5,
    async run(t: ClusterScene) {
      const topic = await withoutSecond(t);
      const { mq } = await t.client(QUICK);
      const options = { topics: topic, rebalanceInterval: 1_000, pullHold: 1_000 } as const;
      const last = await mq.popConsumer({ ...options, group: t.group(), consumeFrom: "last" });
      const first = await mq.popConsumer({ ...options, group: t.group(), consumeFrom: "first" });
      const [fromLast, fromFirst] = [receive(t, last), receive(t, first)];
      await revive(t, topic, fromLast);
      await fromFirst.until(OLD);
      assertLess(oldOf(fromLast).length, OLD.length + 1); // the broker decides: real ones begin at what is in memory
      assertEquals(new Set(oldOf(fromFirst)).size, OLD.length);
    },
  },
];
