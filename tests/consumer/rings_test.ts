/**
 * Many queues, topics, silent brokers, and name servers that disagree: what a client holds, asks for and needs to close
 * is bounded, and everything is delivered.
 */

import v8 from "node:v8";
import vm from "node:vm";
import { assertEquals, assertLess, assertLessOrEqual } from "@std/assert";
import { connect, type Consumer, type StatusEvent } from "../../mod.ts";
import { EmbeddedBroker, EmbeddedCluster } from "../../src/embedded/mod.ts";
import { waitUntil } from "../behaviour/harness.ts";

/** How long everything may take to arrive, in milliseconds: it takes a fifth of that. */
const PATIENCE = 60_000;
/** How long `close()` of anything may take here, in milliseconds, on a machine three times as slow. */
const CLOSES = 6_000;
const MIB = 1_024 * 1_024;

v8.setFlagsFromString("--expose_gc");
const collectGarbage: () => void = vm.runInNewContext("gc");

/** What is in use after a collection, in bytes: of the client, and of the embedded broker. */
function heapUsed(): number {
  collectGarbage();
  return Deno.memoryUsage().heapUsed;
}

async function closesInTime(what: { close(): Promise<void> }): Promise<void> {
  const since = performance.now();
  await what.close();
  assertLess(performance.now() - since, CLOSES);
}

/** Consumes until a loop has had `count` messages; returns the most that were buffered, and what was delivered. */
async function consume(consumer: Consumer, count: number): Promise<{ most: number; seen: string[] }> {
  let most = 0;
  const seen: string[] = [];
  const look = () => most = Math.max(most, consumer.stats().buffered);
  const timer = setInterval(look, 5);
  try {
    for await (const batch of consumer) {
      look();
      for (const message of batch) seen.push(message.text());
      if (seen.length < count) continue;
      await batch.ack();
      break;
    }
  } finally {
    clearInterval(timer);
  }
  return { most, seen };
}

Deno.test("4 096 queues: buffered within the total, a few requests for each queue, and a quick close", async () => {
  const [topics, queues, each, total] = [4, 1_024, 4, 1_000];
  const names = Array.from({ length: topics }, (_, i) => `orders-${i}`);
  const all = topics * queues;
  await using broker = await EmbeddedBroker.start({
    topics: Object.fromEntries(names.map((name) => [name, { queues }])),
  });
  await using mq = await connect({ nameServers: broker.nameServer, logger: false });
  const received = (name: string) => broker.faults.received(name);
  const before = heapUsed();
  const consumer = await mq.consumer({
    group: "billing",
    topics: names,
    consumeFrom: "first",
    maxBufferedMessages: total,
  });
  await waitUntil(() => received("UpdateConsumerOffset") >= all, { what: "all positions", timeout: PATIENCE });
  assertLess(heapUsed() - before, 64 * MIB);
  const counts = ["Heartbeat", "GetConsumerList", "GetRoute", "QueryConsumerOffset", "GetMinOffset"].map(received);
  const most = [3, 3, topics + 4, all + 64, all + 64];
  for (const [at, count] of counts.entries()) assertLessOrEqual(count, most[at]!);

  for (const name of names) {
    for (let queueId = 0; queueId < queues; queueId++) {
      await broker.publish(name, Array.from({ length: each }, (_, i) => `${name} ${queueId} ${i}`), { queueId });
    }
  }
  const consumed = await consume(consumer, all * each);
  assertLessOrEqual(consumed.most, total);
  assertEquals(new Set(consumed.seen).size, all * each);
  assertLessOrEqual(received("PullMessage"), 8 * all);
  assertLessOrEqual(received("UpdateConsumerOffset"), 4 * all);
  await closesInTime(consumer);
  for (const name of names) assertEquals(broker.committed("billing", name), queues * each);
});

Deno.test("200 topics, of which two name servers know one half each: all are consumed, with a few requests for each", async () => {
  const names = Array.from({ length: 200 }, (_, i) => `orders-${i}`);
  await using cluster = await EmbeddedCluster.start({
    brokers: 1,
    nameServers: 2,
    topics: Object.fromEntries(names.map((name) => [name, { queues: 2 }])),
  });
  for (const [i, topic] of names.entries()) cluster.names[i % 2]!.forget({ topic });
  await using mq = await connect({ nameServers: cluster.nameServer, logger: false });
  const events: StatusEvent[] = [];
  const reading = (async () => {
    for await (const event of mq.status()) events.push(event);
  })();
  const consumer = await mq.consumer({ group: "billing", topics: names, consumeFrom: "first" });
  for (const name of names) await cluster.brokers[0]!.publish(name, [name]);
  const { seen } = await consume(consumer, names.length);
  assertEquals(seen.toSorted(), names.toSorted());
  const asked = cluster.names.map(({ faults }) => faults.received("GetRoute"));
  for (const count of asked) assertLessOrEqual(count, 2 * names.length + 20);
  assertLessOrEqual(cluster.brokers[0]!.faults.received("Heartbeat"), 4);
  assertLessOrEqual(events.length, 2 * names.length + 50);
  await closesInTime(consumer);
  await mq.close();
  await reading;
});

Deno.test("20 silent brokers beside two that answer: those deliver, the others cost one connection each and no close", async () => {
  const [silent, queues] = [20, 4];
  await using cluster = await EmbeddedCluster.start({
    brokers: silent + 2,
    nameServers: 1,
    topics: { orders: { queues } },
  });
  const lost = cluster.brokers.slice(2);
  for (const broker of lost) broker.pause();
  const startTimeout = 2_000;
  await using mq = await connect({
    nameServers: cluster.nameServer,
    startTimeout,
    requestTimeout: 1_000,
    logger: false,
  });
  const options = { topics: "orders", consumeFrom: "first", closeTimeout: 1_000 } as const;
  const joining = performance.now();
  const consumer = await mq.consumer({ group: "billing", ...options });
  const popped = await mq.popConsumer({ group: "workers", ...options });
  assertLess(performance.now() - joining, 2 * (startTimeout + 2_000));
  const all = cluster.brokers.slice(0, 2).flatMap(({ brokerName }) =>
    Array.from({ length: queues }, (_, queueId) => `${brokerName} ${queueId}`)
  );
  for (const broker of cluster.brokers.slice(0, 2)) {
    for (let queueId = 0; queueId < queues; queueId++) {
      await broker.publish("orders", [`${broker.brokerName} ${queueId}`], { queueId });
    }
  }
  const { seen } = await consume(consumer, all.length);
  assertEquals(seen.toSorted(), all);
  const byPop: string[] = [];
  for await (const batch of popped) {
    byPop.push(...Array.from(batch, (message) => message.text()));
    await batch.ack();
    if (byPop.length === all.length) break;
  }
  assertEquals(byPop.toSorted(), all);
  for (const { connections } of lost) assertLessOrEqual(connections, 2); // one that is given up, and the next
  await Promise.all([closesInTime(consumer), closesInTime(popped)]);
  await closesInTime(mq);
  for (const broker of lost) await broker.kill(); // what it was sent is of no interest
});
