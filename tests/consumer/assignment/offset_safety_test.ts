/** The moments at which a client can lose an offset, each with a broker that makes it happen. */

import { assert, assertEquals } from "@std/assert";
import { type Client, connect, type ConsumerOptions, type MessageBatch, type StatusEvent } from "../../../mod.ts";
import { EmbeddedBroker, type FaultRequest } from "../../../src/embedded/mod.ts";
import { waitUntil } from "../../behaviour/harness.ts";

const group = "billing";
const topic = "orders";
const queue = { topic, queueId: 0 };

/** A broker with one queue, and clients that are closed in the end. */
async function withBroker(
  body: (broker: EmbeddedBroker, open: () => Promise<Client>, events: StatusEvent[]) => Promise<void>,
): Promise<void> {
  const broker = await EmbeddedBroker.start({ topics: { [topic]: { queues: 1 } } });
  const clients: Client[] = [];
  const events: StatusEvent[] = [];
  const readers: Promise<void>[] = [];
  const open = async () => {
    const mq = await connect({ nameServers: broker.nameServer, logger: false });
    clients.push(mq);
    readers.push(collect(mq, events));
    return mq;
  };
  try {
    await body(broker, open, events);
  } finally {
    broker.faults.clear();
    await Promise.all(clients.map((mq) => mq.close()));
    await Promise.all(readers);
    await broker.close();
  }
}

async function collect(mq: Client, events: StatusEvent[]): Promise<void> {
  for await (const event of mq.status()) events.push(event);
}

function options(some: Partial<ConsumerOptions> = {}): ConsumerOptions {
  return { group, topics: topic, consumeFrom: "first", persistInterval: 100, ...some };
}

function ofOrders(request: FaultRequest): boolean {
  return request.fields.topic === topic;
}

/** Consumes until `count` messages were seen, and acknowledges them. */
async function consume(batches: AsyncIterable<MessageBatch>, count: number): Promise<string[]> {
  const seen: string[] = [];
  for await (const batch of batches) {
    for (const message of batch) seen.push(message.text());
    await batch.ack();
    if (seen.length >= count) break;
  }
  return seen;
}

Deno.test("a failed read of an offset is no position: the queue waits until it can be read", async () => {
  await withBroker(async (broker, open, events) => {
    await broker.publish(topic, ["a", "b", "c"]);
    const first = await (await open()).consumer(options());
    await consume(first, 3);
    await first.close();
    await broker.publish(topic, ["d"]);
    const fault = broker.faults.answer("QueryConsumerOffset", { code: 1, remark: "boom" }, { match: ofOrders });
    const second = await (await open()).consumer(options());
    assertEquals(await consume(second, 1), ["d"]);
    assertEquals(fault.hits, 1);
    assert(events.some((event) => event.type === "stalled" && event.queue?.topic === topic));
  });
});

Deno.test("a computed start is stored before the first pull leaves", async () => {
  await withBroker(async (broker, open) => {
    const commit = broker.faults.answer("UpdateConsumerOffset", "delayAnswer", { match: ofOrders });
    const pulls = broker.faults.answer("PullMessage", "delay", { match: ofOrders });
    await (await open()).consumer(options({ consumeFrom: "last" }));
    await commit.reached();
    await broker.publish(topic, ["a"]);
    assertEquals([pulls.hits, broker.committedOffset(group, queue)], [0, 0]);
    commit.release();
    await pulls.reached();
  });
});

Deno.test("a commit that the broker refuses for an unknown group is made again after a heartbeat", async () => {
  await withBroker(async (broker, open) => {
    await broker.publish(topic, ["a"]);
    const consumer = await (await open()).consumer(options());
    await consume(consumer, 1);
    const before = broker.faults.received("Heartbeat");
    const fault = broker.faults.answer("UpdateConsumerOffset", { code: 26 }, { match: ofOrders });
    await consumer.commit();
    assertEquals([fault.hits, broker.committedOffset(group, queue)], [1, 1]);
    assert(broker.faults.received("Heartbeat") > before);
  });
});

Deno.test("offsets are written again when a killed broker is back, also unchanged ones", async () => {
  await withBroker(async (broker, open) => {
    await broker.publish(topic, ["a", "b"]);
    const consumer = await (await open()).consumer(options());
    await consume(consumer, 2);
    await consumer.commit();
    assertEquals(broker.committedOffset(group, queue), 2);
    await broker.kill();
    assertEquals(broker.committedOffset(group, queue), undefined);
    await broker.revive();
    await waitUntil(() => broker.committedOffset(group, queue) === 2, { what: "the offset at the broker again" });
  });
});

Deno.test("a queue stays assigned while its broker is unavailable, and goes on where it was, though the broker forgot", async () => {
  await withBroker(async (broker, open, events) => {
    const consumer = await (await open()).consumer(options({ consumeFrom: "last", rebalanceInterval: 1_000 }));
    await broker.publish(topic, ["a"]);
    await consume(consumer, 1);
    const queues = consumer.assignment();
    await broker.kill();
    await waitUntil(() => events.some(({ type }) => type === "disconnected"), { what: "the loss" });
    assertEquals(consumer.assignment(), queues);
    const waiting = consume(consumer, 1);
    await broker.publish(topic, ["b"]);
    await broker.revive();
    assertEquals(await waiting, ["b"]);
  });
});

Deno.test("the last owner's final commit comes before the next owner's read, and nothing is written after it", async () => {
  await withBroker(async (broker, open) => {
    broker.createTopic(topic, { queues: 2 });
    const log: string[] = [];
    const note = (what: string) => (request: FaultRequest) => {
      if (ofOrders(request)) log.push(`${what} ${request.fields.queueId} ${request.fields.commitOffset ?? ""}`);
      return false;
    };
    broker.faults.answer("UpdateConsumerOffset", "drop", { match: note("write") });
    broker.faults.answer("QueryConsumerOffset", "drop", { match: note("read") });
    await broker.publish(topic, ["a", "b"], { queueId: 0 });
    await broker.publish(topic, ["c", "d"], { queueId: 1 });
    const first = await (await open()).consumer(options({ persistInterval: 60_000 }));
    await consume(first, 4);
    log.length = 0;
    const second = await (await open()).consumer(options({ persistInterval: 60_000 }));
    await waitUntil(() => log.some((line) => line.startsWith("read")), { what: "the next owner's read" });
    const moved = log.find((line) => line.startsWith("read"))!.split(" ")[1];
    assertEquals(log.indexOf(`write ${moved} 2`) < log.indexOf(`read ${moved} `), true);
    await first.commit();
    await second.close();
    const writes = log.filter((line) => line.startsWith(`write ${moved}`));
    assertEquals(writes[0], `write ${moved} 2`);
    assert(log.slice(1, log.indexOf(`read ${moved} `)).every((line) => !line.startsWith(`write ${moved}`)));
  });
});

Deno.test("an operator's reset moves the queue there, forwards and backwards, and voids what is in flight", async () => {
  await withBroker(async (broker, open, events) => {
    await broker.publish(topic, ["a", "b", "c", "d"]);
    const consumer = await (await open()).consumer(options({ batchSize: 2, autoAck: false }));
    const batches = consumer.batches();
    const inFlight = (await batches.next()).value!;
    const { signal } = inFlight;
    broker.resetOffset(group, queue, 3);
    await broker.publish(topic, ["e"]); // wakes the pull that is held
    await waitUntil(() => signal.aborted, { what: "the batch void" });
    await inFlight.ack();
    const next = (await batches.next()).value!;
    assertEquals(next.messages.map((message) => message.text()), ["d", "e"]);
    await next.ack();
    assertEquals(events.filter((event) => event.type === "offsetReset").map((event) => event.offset), [3]);
    assertEquals(broker.committedOffset(group, queue), 3);
  });
});

Deno.test("a position below the queue's beginning jumps there, and says so", async () => {
  await withBroker(async (broker, open, events) => {
    await broker.publish(topic, ["a", "b", "c"]);
    const first = await (await open()).consumer(options({ batchSize: 1 }));
    await consume(first, 1);
    await first.close();
    broker.deleteUntil(topic, 0, 2);
    const second = await (await open()).consumer(options());
    assertEquals(await consume(second, 1), ["c"]);
    assertEquals(events.filter((event) => event.type === "offsetJumped").map((event) => event.offset), [2]);
  });
});

Deno.test("a queue that lost its end is read again from the time of the last message, not from its new end", async () => {
  await withBroker(async (broker, open, events) => {
    await broker.publish(topic, ["a", "b"]);
    const consumer = await (await open()).consumer(options());
    await consume(consumer, 2);
    // The broker says that the queue ends before our position, at its new end, and has a message in between.
    const moved = { nextBeginOffset: "2", minOffset: "0", maxOffset: "2", suggestWhichBrokerId: "0" };
    const shorter = { code: 21, remark: "OFFSET_OVERFLOW_BADLY", fields: moved };
    broker.faults.answer("PullMessage", shorter, { match: (request) => request.fields.queueOffset === "3" });
    await broker.publish(topic, ["c"]);
    assertEquals(await consume(consumer, 1), ["c"]);
    await waitUntil(() => events.some((event) => event.type === "offsetJumped"), { what: "the jump told" });
    assertEquals((await consume(consumer, 1))[0], "c");
  });
});

Deno.test("a time leads to the first message since then on 4.9 too, which answers with the nearest one", async () => {
  for (const dialect of ["4.9", "5.x"] as const) {
    const broker = await EmbeddedBroker.start({ dialect, topics: { [topic]: { queues: 1 } } });
    const mq = await connect({ nameServers: broker.nameServer, logger: false });
    try {
      await broker.publish(topic, ["a", "b", "c"]);
      const consumer = await mq.consumer(options());
      const seen: string[] = [];
      const times: number[] = [];
      for await (const batch of consumer) {
        for (const message of batch) {
          seen.push(message.text());
          times.push(message.storedAt.getTime());
        }
        await batch.ack();
        if (seen.length >= 3) break;
      }
      const owned = consumer.assignment().find((each) => each.topic === topic)!;
      await consumer.seek(owned, new Date(times[2]! + 60_000));
      await broker.publish(topic, ["d"]);
      assertEquals(await consume(consumer, 1), ["d"], "nothing of before is redelivered");
      await consumer.seek(owned, new Date(times[0]!));
      assertEquals(await consume(consumer, 4), ["a", "b", "c", "d"]);
    } finally {
      await mq.close();
      await broker.close();
    }
  }
});
