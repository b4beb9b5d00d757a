import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { EmbeddedBroker } from "../../src/embedded/mod.ts";
import { ConfigError, ProducerError, ResponseError, ValidationError } from "../../src/errors.ts";
import { json, type OutgoingMessage, SendBatchError, type SendOptions } from "../../src/producer/mod.ts";
import { isSettled } from "../transport/waiting.ts";
import { connectTo, joinRoutes, messagesIn, watchSends } from "./setup.ts";
import { fromJavaScript } from "../untyped.ts";

/** Messages of a topic with bodies `0`, `1`, …, filled up to a size. */
function numbered(count: number, topic = "orders", size = 1): OutgoingMessage[] {
  return Array.from({ length: count }, (_, i) => ({ topic, body: String(i).padEnd(size, " ") }));
}

Deno.test("sendBatch() stores messages with one request, each with a key and a receipt of its own", async () => {
  await using broker = await EmbeddedBroker.start({ topics: { orders: { queues: 3 } } });
  await using client = await connectTo(broker);
  const producer = await client.producer();
  const seen = watchSends(broker, "SendBatch");

  const receipts = await producer.sendBatch([
    { topic: "orders", body: "a", tags: "paid", keys: "1", flag: 3 },
    { topic: "orders", body: json([1]), properties: { price: "10" } },
    { topic: "orders", body: "c".repeat(9_000) },
  ]);

  assertEquals(seen.length, 1);
  assertEquals([seen[0]!.header.batch, seen[0]!.header.sysFlag, seen[0]!.uniqueKey], [true, 0, undefined]);
  const messages = await messagesIn(client.cluster, receipts[0]!.queue);
  assertEquals(
    receipts,
    messages.map((message, i) => ({
      messageId: message.messageId,
      offsetMessageId: message.offsetMessageId,
      queue: message.queue,
      queueOffset: i,
      status: "stored",
    })),
  );
  assertEquals(new Set(receipts.map(({ messageId }) => messageId)).size, 3);
  assertEquals(messages.map((message) => message.text()), ["a", "[1]", "c".repeat(9_000)]);
  assertEquals([messages[0]!.tags, messages[0]!.keys, messages[0]!.flag], ["paid", ["1"], 3]);
  assertEquals([messages[1]!.property("price"), messages[1]!.property("WAIT")], ["10", "true"]);
  assertEquals(messages.map((message) => message.sysFlag), [0, 0, 0]);
});

Deno.test("sendBatch() returns receipts in the order of the messages, over topics and requests", async () => {
  await using broker = await EmbeddedBroker.start({ topics: { orders: { queues: 2 }, payments: { queues: 2 } } });
  await using client = await connectTo(broker);
  const producer = await client.producer({ maxMessageSize: 3_000 });
  const seen = watchSends(broker, "SendBatch");
  const messages = numbered(40, "orders", 300).flatMap((message, i) => [message, { topic: "payments", body: `${i}` }]);

  const receipts = await producer.sendBatch(messages);

  assertEquals(receipts.map(({ queue }) => queue.topic), messages.map(({ topic }) => topic));
  assert(seen.length > 8);
  for (const { body } of seen) assert(body.length <= 3_000);
  const text = new Map<string, string>();
  for (const topic of ["orders", "payments"]) {
    for (const queueId of [0, 1]) {
      const stored = await messagesIn(client.cluster, { topic, broker: "broker-a", queueId });
      for (const message of stored) text.set(message.offsetMessageId, message.text());
    }
  }
  assertEquals(
    receipts.map(({ offsetMessageId }) => text.get(offsetMessageId)),
    messages.map(({ body }) => String(body)),
  );
});

Deno.test("sendBatch() keeps the order of an ordering key over several requests", async () => {
  await using broker = await EmbeddedBroker.start({ topics: { orders: { queues: 4 } } });
  await using client = await connectTo(broker);
  const producer = await client.producer({ maxMessageSize: 2_000 });

  const receipts = await producer.sendBatch(numbered(20, "orders", 200), { orderingKey: "customer-7" });

  assert(broker.faults.received("SendBatch") > 1);
  assertEquals(receipts.map(({ queueOffset }) => queueOffset), Array.from({ length: 20 }, (_, i) => i));
  const stored = await messagesIn(client.cluster, receipts[0]!.queue);
  assertEquals(stored.map((message) => Number(message.text())), Array.from({ length: 20 }, (_, i) => i));
  assertEquals(stored[19]!.property("__SHARDINGKEY"), "customer-7");
});

Deno.test("sendBatch() is tried again on another broker under the same unique keys", async () => {
  const topics = { orders: { queues: 1 } };
  await using a = await EmbeddedBroker.start({ topics });
  await using b = await EmbeddedBroker.start({ topics, brokerName: "broker-b" });
  joinRoutes([a, b], "orders");
  await using client = await connectTo(a);
  const producer = await client.producer();
  const [atA, atB] = [watchSends(a, "SendBatch"), watchSends(b, "SendBatch")];
  a.faults.answer("SendBatch", { code: 2 }, { times: Infinity });

  for (let i = 0; i < 2; i++) assertEquals((await producer.sendBatch(numbered(2)))[0]!.queue.broker, "broker-b");

  const stored = atB.map(({ body }) => body.join());
  assertEquals([stored.length, atA.length > 0], [2, true]);
  assert(atA.every(({ body }) => stored.includes(body.join())));
});

Deno.test("sendBatch() sends nothing if one message is not allowed", async () => {
  await using broker = await EmbeddedBroker.start({ topics: { orders: { queues: 1 } } });
  await using client = await connectTo(broker);
  const producer = await client.producer({ maxMessageSize: 500 });
  const refuse = async (message: unknown, field: string, options?: SendOptions) => {
    const messages = [...numbered(2), message as OutgoingMessage];
    const error = await assertRejects(() => producer.sendBatch(messages, options), ValidationError);
    assertEquals(error.problems.map((problem) => problem.field), [field]);
  };

  await refuse({ topic: "orders", body: "" }, "messages[2].body");
  await refuse({ topic: "orders", body: "x".repeat(501) }, "messages[2].the size of body");
  await refuse({ topic: "orders", body: "x".repeat(490) }, "the size of messages[2]");
  await refuse({ topic: "%RETRY%billing", body: "x" }, "messages[2].topic");
  await refuse(undefined, "messages[2].message");
  const queue = { topic: "orders", broker: "broker-a", queueId: 0 };
  await refuse({ topic: "payments", body: "x" }, "messages[2].topic", { queue });
  await assertRejects(() => producer.sendBatch(numbered(2), { delayLevel: 1 } as SendOptions), ConfigError);
  await assertRejects(() => producer.sendBatch(fromJavaScript("abc")), ValidationError);
  const many = await assertRejects(() => producer.sendBatch(Array(10_000).fill({})), ValidationError);
  assertEquals(many.problems.length, 20);
  assertEquals(broker.faults.received("SendBatch"), 0);
});

Deno.test("sendBatch() leaves room for the properties that brokers add without looking", async () => {
  await using broker = await EmbeddedBroker.start({ topics: { orders: { queues: 1 } } });
  await using client = await connectTo(broker);
  const producer = await client.producer();
  const message = { topic: "orders", body: "x", properties: { a: "x".repeat(32_600) } };
  await producer.send(message);
  await assertRejects(() => producer.sendBatch([message]), ValidationError, "up to 32511 bytes in a batch");
});

Deno.test("sendBatch() of nothing is nothing", async () => {
  await using broker = await EmbeddedBroker.start();
  await using client = await connectTo(broker);
  const producer = await client.producer();
  assertEquals(await producer.sendBatch([]), []);
  assertEquals(broker.faults.received("SendBatch"), 0);
});

Deno.test("sendBatch() reports which messages are stored when others are not", async () => {
  await using broker = await EmbeddedBroker.start({ topics: { orders: { queues: 1 }, payments: { queues: 1 } } });
  await using client = await connectTo(broker);
  const producer = await client.producer();
  broker.faults.answer("SendBatch", { code: 16, remark: "forbidden" }, {
    times: Infinity,
    match: ({ fields }) => fields.b === "payments",
  });
  const messages = [...numbered(1), ...numbered(2, "payments"), ...numbered(1)];

  const error = await assertRejects(() => producer.sendBatch(messages), SendBatchError);

  assert(error instanceof ProducerError && error.cause instanceof ProducerError);
  assert(error.cause.cause instanceof ResponseError);
  assertEquals([error.code, error.unsent], ["BATCH_NOT_SENT", [1, 2]]);
  assertEquals(error.receipts.map((receipt) => receipt?.queueOffset), [0, undefined, undefined, 1]);
  assertStringIncludes(error.message, "2 of 4 messages are stored, 2 are not known to be");
  assertStringIncludes(error.message, 'Cannot send to topic "payments"');
});

Deno.test("sendBatch() stops a key's messages at the first request that fails", async () => {
  await using broker = await EmbeddedBroker.start({ topics: { orders: { queues: 1 } } });
  await using client = await connectTo(broker);
  const producer = await client.producer({ maxMessageSize: 1_000 });
  const seen = watchSends(broker, "SendBatch");
  broker.faults.answer("SendBatch", { code: 13 }, { match: () => seen.length === 2 });

  const error = await assertRejects(
    () => producer.sendBatch(numbered(4, "orders", 400), { orderingKey: "k" }),
    SendBatchError,
  );

  assertEquals([seen.length, error.unsent], [2, [1, 2, 3]]);
  assertEquals(broker.maxOffset("orders", 0), 1);
});

Deno.test("sendBatch() rejects with the signal's reason", async () => {
  await using broker = await EmbeddedBroker.start({ topics: { orders: { queues: 1 } } });
  await using client = await connectTo(broker);
  const producer = await client.producer();
  const reasonOf = (sent: Promise<unknown>) => sent.then(() => "sent", (reason) => reason);
  assertEquals(await reasonOf(producer.sendBatch(numbered(2), { signal: AbortSignal.abort("early") })), "early");

  const stop = new AbortController();
  const dropped = broker.faults.answer("SendBatch", "drop");
  const sent = reasonOf(producer.sendBatch(numbered(2), { signal: stop.signal }));
  await dropped.reached();
  stop.abort("late");
  assertEquals(await sent, "late");
});

Deno.test("sendBatch() makes requests of at most 1 MiB, 8 at a time, each with a timeout of its own", async () => {
  await using broker = await EmbeddedBroker.start({ topics: { orders: { queues: 4 } } });
  await using client = await connectTo(broker);
  const producer = await client.producer();
  const seen = watchSends(broker, "SendBatch");
  const held = broker.faults.answer("SendBatch", "delay", { times: Infinity });
  const sent = producer.sendBatch(numbered(40_000, "orders", 200));
  await held.reached(8);
  assertEquals(await isSettled(sent), false);
  assertEquals(seen.length, 8, "no other request leaves before one is answered");
  held.remove();
  const receipts = await sent;
  assertEquals(new Set(receipts.map(({ messageId }) => messageId)).size, 40_000);
  assert(seen.length > 16);
  for (const { body } of seen) assert(body.length <= 1024 * 1024);
});

Deno.test("sendBatch() says by maybeStored what became of the request that failed", async () => {
  await using broker = await EmbeddedBroker.start({ topics: { orders: { queues: 1 } } });
  await using client = await connectTo(broker);
  const producer = await client.producer({ sendTimeout: 200, maxMessageSize: 2_000 });
  for (const [fault, maybeStored] of [["drop", true], [{ code: 13 }, false]] as const) {
    const failing = broker.faults.answer("SendBatch", fault, { times: Infinity });
    const error = await assertRejects(() => producer.sendBatch(numbered(4, "orders", 400)), SendBatchError);
    assertEquals([error.maybeStored, error.unsent], [maybeStored, [0, 1, 2, 3]]);
    failing.remove();
  }
});
