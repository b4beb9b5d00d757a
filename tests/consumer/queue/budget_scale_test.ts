/** One budget for all queues, topics and brokers of a consumer, however many there are. */

import { assert, assertEquals, assertLessOrEqual } from "@std/assert";
import { type Client, connect } from "../../../mod.ts";
import { EmbeddedBroker, type TopicOptions } from "../../../src/embedded/mod.ts";
import { waitUntil } from "../../behaviour/harness.ts";

const KIB = 1_024;

async function withBroker(
  topics: Record<string, TopicOptions>,
  body: (broker: EmbeddedBroker, mq: Client) => Promise<void>,
): Promise<void> {
  await using broker = await EmbeddedBroker.start({ topics });
  await using mq = await connect({ nameServers: broker.nameServer, logger: false });
  await body(broker, mq);
}

/** Publishes `each` messages to every queue; returns their bodies. */
async function fill(broker: EmbeddedBroker, topic: string, queues: number, each: number, size: number) {
  const bodies: string[] = [];
  for (let queueId = 0; queueId < queues; queueId++) {
    const own = Array.from({ length: each }, (_, i) => `${topic} ${queueId} ${i}`);
    await broker.publish(topic, own.map((text) => text.padEnd(size, ".")), { queueId });
    bodies.push(...own);
  }
  return bodies;
}

Deno.test("a consumer of 256 queues holds no more than its totals, and every queue has its turn", async () => {
  await withBroker({ orders: { queues: 256 } }, async (broker, mq) => {
    const published = await fill(broker, "orders", 256, 6, 4 * KIB);
    const limits = { maxBufferedMessages: 100, maxBufferedBytes: 1_024 * KIB };
    await using consumer = await mq.consumer({
      group: "billing",
      topics: "orders",
      consumeFrom: "first",
      batchSize: 1,
      ...limits,
    });
    const most = { messages: 0, bytes: 0 };
    const look = () => {
      const { buffered, bufferedBytes } = consumer.stats();
      most.messages = Math.max(most.messages, buffered);
      most.bytes = Math.max(most.bytes, bufferedBytes);
    };
    const seen: string[] = [];
    const order: number[] = [];
    for await (const batch of consumer) {
      look();
      for (const message of batch) seen.push(message.text().replaceAll(".", ""));
      order.push(batch.queue.queueId);
      if (seen.length === published.length) break;
    }
    assertEquals(seen.toSorted(), published.toSorted());
    assertLessOrEqual(most.messages, limits.maxBufferedMessages);
    assertLessOrEqual(most.bytes, limits.maxBufferedBytes);
    const last = Math.max(...Array.from({ length: 256 }, (_, queueId) => order.indexOf(queueId)));
    assertLessOrEqual(last, order.length * 3 / 4, "when the last queue had its first turn");
  });
});

Deno.test("a queue that is paused with all it may hold stops no other", async () => {
  await withBroker({ orders: { queues: 64 } }, async (broker, mq) => {
    await using consumer = await mq.consumer({
      group: "billing",
      topics: "orders",
      consumeFrom: "first",
      maxBufferedMessages: 200,
    });
    await waitUntil(() => consumer.assignment().length >= 64, { what: "all queues" });
    const [first, ...others] = consumer.assignment().filter(({ topic }) => topic === "orders");
    const batches = consumer.batches();
    await broker.publish("orders", Array.from({ length: 500 }, String), { queueId: first!.queueId });
    const held = await batches.next();
    consumer.pause([first!]);
    const loops = consumer.batches();
    for (const { queueId } of others) await broker.publish("orders", Array.from({ length: 20 }, String), { queueId });
    let count = 0;
    while (count < others.length * 20) count += (await loops.next()).value!.length;
    assertLessOrEqual(consumer.stats().buffered, 200);
    assertEquals(held.value!.length, 32);
    await batches.return!();
    await loops.return!();
  });
});

Deno.test("a POP consumer of 200 topics holds no more than its total, and every topic has its turn", async () => {
  const names = Array.from({ length: 200 }, (_, i) => `orders-${i}`);
  await withBroker(Object.fromEntries(names.map((name) => [name, { queues: 1 }])), async (broker, mq) => {
    const published = [];
    for (const name of names) published.push(...await fill(broker, name, 1, 40, 10));
    await using consumer = await mq.popConsumer({
      group: "billing",
      topics: names,
      consumeFrom: "first",
      batchSize: 8,
      maxBufferedMessages: 64,
    });
    let most = 0;
    const seen: string[] = [];
    const topics = new Set<string>();
    for await (const batch of consumer) {
      const { ready, inFlight } = consumer.stats();
      most = Math.max(most, ready + inFlight);
      seen.push(...batch.messages.map((message) => message.text().replaceAll(".", "")));
      topics.add(batch.topic);
      if (seen.length > 4_000) assertEquals(topics.size, names.length);
      if (seen.length === published.length) break;
    }
    assertLessOrEqual(most, 64);
    assertEquals(seen.toSorted(), published.toSorted());
    assert(broker.faults.received("PopMessage") < 3 * published.length);
  });
});

Deno.test("idle queues for which there is no room to wait at their broker are looked at in turn", async () => {
  await withBroker({ orders: { queues: 100 } }, async (broker, mq) => {
    await using consumer = await mq.consumer({ group: "billing", topics: "orders", maxBufferedMessages: 20 });
    await waitUntil(() => consumer.assignment().length >= 100, { what: "all queues" });
    const before = broker.faults.received("PullMessage");
    const started = performance.now();
    const batches = consumer.batches();
    for (const queueId of [3, 99, 50]) {
      await broker.publish("orders", [`to ${queueId}`], { queueId });
      const { value } = await batches.next();
      assertEquals(value!.messages[0]!.text(), `to ${queueId}`);
    }
    await batches.return!();
    const pulls = broker.faults.received("PullMessage") - before;
    const seconds = (performance.now() - started) / 1_000;
    assertLessOrEqual(pulls, 1_100 * seconds + 400, `${pulls} pulls in ${seconds} s`);
  });
});
