import { assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { EmbeddedBroker } from "../../src/embedded/mod.ts";
import { ProducerError } from "../../src/errors.ts";
import { connectTo } from "./setup.ts";

const topics = { orders: { queues: 1 } };
const message = { topic: "orders", body: "hello" };

Deno.test("close() accepts no further messages, and may be called twice", async () => {
  await using broker = await EmbeddedBroker.start({ topics });
  await using client = await connectTo(broker);
  const producer = await client.producer();
  await producer.send(message);

  const closing = producer.close();
  assertStrictEquals(producer.close(), closing);
  for (const send of [() => producer.send(message), () => producer.sendBatch([message])]) {
    const error = await assertRejects(send, ProducerError);
    assertEquals([error.code, error.retriable], ["PRODUCER_CLOSED", false]);
  }
  await closing;
  await producer[Symbol.asyncDispose]();
  assertEquals(broker.faults.received("SendMessage"), 1);
});

Deno.test("close() waits for sends on their way, and leaves the group", async () => {
  await using broker = await EmbeddedBroker.start({ topics });
  await using client = await connectTo(broker);
  const producer = await client.producer({ group: "billing" });
  const held = broker.faults.answer("SendMessage", "delay");
  const order: string[] = [];
  const sent = producer.send(message).then(() => order.push("sent"));
  await held.reached();

  const closed = producer.close().then(() => order.push("closed"));
  held.release();
  await Promise.all([sent, closed]);

  assertEquals(order, ["sent", "closed"]);
  assertEquals(broker.faults.received("UnregisterClient"), 1);
});

Deno.test("close() waits no longer than sendTimeout, and ends further attempts", async () => {
  await using broker = await EmbeddedBroker.start({ topics });
  await using client = await connectTo(broker);
  const producer = await client.producer({ sendTimeout: 20 });
  const held = broker.faults.answer("SendMessage", "delay");
  broker.faults.answer("SendMessage", { code: 2 }, { times: Infinity });
  const sent = producer.send(message, { timeout: 60_000 });
  const failed = assertRejects(() => sent, ProducerError);
  await held.reached();

  await producer.close();
  held.remove();
  await broker.kill(); // the send's connection is lost: it would be tried again
  assertEquals((await failed).code, "PRODUCER_CLOSED");
});

Deno.test("close() leaves a group only with its last producer", async () => {
  await using broker = await EmbeddedBroker.start({ topics });
  await using client = await connectTo(broker);
  const [one, other] = [await client.producer(), await client.producer()];
  await one.send(message);
  await one.close();
  assertEquals(broker.faults.received("UnregisterClient"), 0);
  await other.send(message);
  await other.close();
  assertEquals(broker.faults.received("UnregisterClient"), 1);
});
