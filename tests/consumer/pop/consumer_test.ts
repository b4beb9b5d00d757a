/** A POP consumer as a whole, on an embedded broker. */

import { assert, assertEquals, assertLess, assertRejects } from "@std/assert";
import { type Client, connect, ConsumerStateError, type PopConsumerOptions, type StatusEvent } from "../../../mod.ts";
import { EmbeddedBroker } from "../../../src/embedded/mod.ts";
import { waitUntil, within } from "../../behaviour/harness.ts";

const topic = "orders";

async function withBroker(body: (broker: EmbeddedBroker, mq: Client) => Promise<void>): Promise<void> {
  const broker = await EmbeddedBroker.start({ topics: { [topic]: { queues: 1 } } });
  const mq = await connect({ nameServers: broker.nameServer, logger: false });
  try {
    await body(broker, mq);
  } finally {
    broker.faults.clear();
    await mq.close();
    await broker.close();
  }
}

function options(some: Partial<PopConsumerOptions> = {}): PopConsumerOptions {
  return { group: "billing", topics: topic, consumeFrom: "first", batchSize: 2, ...some };
}

Deno.test("PopConsumer.resume() delivers what has come during the pause", async () => {
  await withBroker(async (broker, mq) => {
    const consumer = await mq.popConsumer(options());
    const next = consumer.batches().next();
    await broker.faults.whenReceived("PopMessage", 1);
    consumer.pause();
    await broker.publish(topic, ["a", "b", "c"]);
    await waitUntil(() => consumer.stats().ready > 0, { what: "the answer to the pop that was on its way" });
    consumer.resume();
    const { value } = await within(next, "a batch after the pause", 5_000);
    assert(value !== undefined && value.length > 0);
    await value.ack();
  });
});

Deno.test("PopConsumer.pop() ends when the consumer closes", async () => {
  await withBroker(async (broker, mq) => {
    const consumer = await mq.popConsumer(options());
    const popped = assertRejects(() => consumer.pop({ wait: 60_000 }), ConsumerStateError, "closed");
    await broker.faults.whenReceived("PopMessage", 2); // the second one is held
    const started = performance.now();
    await consumer.close();
    await within(popped, "the end of pop()", 5_000);
    assertLess(performance.now() - started, 5_000);
    assertEquals(consumer.stats().inFlight, 0);
  });
});

Deno.test("PopConsumer.pop() ends by its signal while the broker holds it", async () => {
  await withBroker(async (broker, mq) => {
    const consumer = await mq.popConsumer(options());
    const stop = new AbortController();
    const popped = assertRejects(() => consumer.pop({ wait: 60_000, signal: stop.signal }), RangeError, "enough");
    await broker.faults.whenReceived("PopMessage", 2);
    stop.abort(new RangeError("enough"));
    await within(popped, "the end of pop()", 5_000);
  });
});

Deno.test("PopConsumer.pop() of a topic that has no broker yet waits, and ends when the consumer closes", async () => {
  await withBroker(async (_broker, mq) => {
    const consumer = await mq.popConsumer(options({ topics: "later", missingTopic: "wait" }));
    assertEquals((await consumer.pop()).length, 0);
    const popped = assertRejects(() => consumer.pop({ wait: 60_000 }), ConsumerStateError, "closed");
    await consumer.close();
    await within(popped, "the end of pop()", 5_000);
  });
});

/** Collects what a client reports from now on. */
function eventsOf(mq: Client): StatusEvent[] {
  const events: StatusEvent[] = [];
  (async () => {
    for await (const event of mq.status()) events.push(event);
  })();
  return events;
}

Deno.test("PopConsumer.close() ends within its timeout and a second though no broker answers, and reports the count", async () => {
  await withBroker(async (broker, mq) => {
    const consumer = await mq.popConsumer(options({ batchSize: 32 }));
    await broker.publish(topic, Array.from({ length: 100 }, (_, i) => `m${i}`));
    const { value: batch } = await within(consumer.batches().next(), "a batch");
    assert(batch !== undefined);
    await waitUntil(() => consumer.stats().ready > 0, { what: "messages ahead" });
    const { ready } = consumer.stats();
    const events = eventsOf(mq);
    for (const name of ["ChangeInvisibleTime", "AckMessage", "BatchAckMessage", "PopMessage", "UnregisterClient"]) {
      broker.faults.answer(name, "drop", { times: Infinity });
    }
    const started = performance.now();
    await consumer.close({ timeout: 300 });
    assertLess(performance.now() - started, 1_300);
    const failed = await waitUntil(() => events.find(({ type }) => type === "sendBackFailed"), { what: "the event" });
    assertEquals([failed.text.split(" ")[0], failed.topic], [`${ready}`, topic]);
  });
});

Deno.test("PopConsumer: a loop that is left by a throw is not waited for by close()", async () => {
  await withBroker(async (broker, mq) => {
    const consumer = await mq.popConsumer(options());
    await broker.publish(topic, ["a", "b", "c", "d"]);
    await assertRejects(
      async () => {
        for await (const batch of consumer) throw new RangeError(`left with ${batch.length}`);
      },
      RangeError,
      "left with",
    );
    const started = performance.now();
    await consumer.close();
    assertLess(performance.now() - started, 5_000, "not its closeTimeout of 20 s");
    assertEquals([consumer.stats().ready, consumer.stats().inFlight], [0, 0]);
  });
});

Deno.test("mq.popConsumer() does not wait longer than startTimeout for brokers that do not answer", async () => {
  await withBroker(async (broker) => {
    await using mq = await connect({ nameServers: broker.nameServer, logger: false, startTimeout: 1_000 });
    for (const name of ["Heartbeat", "QueryAssignment"]) broker.faults.answer(name, "drop", { times: Infinity });
    const started = performance.now();
    const consumer = await mq.popConsumer(options());
    assertLess(performance.now() - started, 2_000);
    await broker.publish(topic, ["a"]);
    const { value: batch } = await within(consumer.batches().next(), "a batch");
    await batch!.ack();
    broker.faults.clear();
  });
});
