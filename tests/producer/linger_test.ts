import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { EmbeddedBroker } from "../../src/embedded/mod.ts";
import { ProducerError, ResponseError, TimeoutError } from "../../src/errors.ts";
import type { OutgoingMessage, Producer, SendOptions, SendReceipt } from "../../src/producer/mod.ts";
import { decodeBatch } from "../../src/wire/batch.ts";
import { connectTo, joinRoutes, messagesIn, type SeenSend, watchSends } from "./setup.ts";

const topics = { orders: { queues: 1 } };
const LONG = { linger: 1_000, sendTimeout: 60_000 };

/** Sends texts at once. */
function sendAll(producer: Producer, texts: readonly string[], options?: SendOptions): Promise<SendReceipt[]> {
  return Promise.all(texts.map((body) => producer.send({ topic: "orders", body }, options)));
}

function texts(count: number, prefix = "m"): string[] {
  return Array.from({ length: count }, (_, i) => `${prefix}${i}`);
}

/** The bodies of a batch. */
function bodiesOf({ body }: SeenSend): string[] {
  return decodeBatch(body).map((message) => new TextDecoder().decode(message.body));
}

Deno.test("linger has what is sent at once leave as one batch, each with its own receipt", async () => {
  await using broker = await EmbeddedBroker.start({ topics: { orders: { queues: 3 } } });
  await using client = await connectTo(broker);
  const producer = await client.producer(LONG);

  const receipts = await sendAll(producer, texts(50));

  assertEquals([broker.faults.received("SendBatch"), broker.faults.received("SendMessage")], [1, 0]);
  const stored = await messagesIn(client.cluster, receipts[0]!.queue);
  assertEquals(stored.map((message) => message.text()), texts(50));
  assertEquals(
    receipts,
    stored.map(({ messageId, offsetMessageId, queue, queueOffset }) => ({
      messageId,
      offsetMessageId,
      queue,
      queueOffset,
      status: "stored",
    })),
  );
  assertEquals(new Set(receipts.map(({ messageId }) => messageId)).size, 50);
});

Deno.test("linger costs a lone caller nothing: each message leaves at once, by itself", async () => {
  await using broker = await EmbeddedBroker.start({ topics });
  await using client = await connectTo(broker);
  const producer = await client.producer(LONG);
  for (const body of texts(5)) {
    const receipt = await producer.send({ topic: "orders", body });
    assertEquals(receipt.transactionId, receipt.messageId);
  }
  assertEquals([broker.faults.received("SendMessage"), broker.faults.received("SendBatch")], [5, 0]);
});

Deno.test("linger collects messages while a request is in flight, until it is answered", async () => {
  await using broker = await EmbeddedBroker.start({ topics });
  await using client = await connectTo(broker);
  const producer = await client.producer(LONG);
  const held = broker.faults.answer("SendMessage", "delayAnswer");
  const first = producer.send({ topic: "orders", body: "first" });
  await held.reached();
  const others: Promise<SendReceipt>[] = [];
  for (const body of texts(20)) {
    others.push(producer.send({ topic: "orders", body }));
    await Promise.resolve();
  }
  held.release();
  assertEquals((await first).queueOffset, 0);
  assertEquals((await Promise.all(others)).map(({ queueOffset }) => queueOffset), texts(20).map((_, i) => i + 1));
  assertEquals(broker.faults.received("SendBatch"), 1);
});

Deno.test("linger is the longest that a message waits for a request that is not answered", async () => {
  await using broker = await EmbeddedBroker.start({ topics });
  await using client = await connectTo(broker);
  const producer = await client.producer({ ...LONG, linger: 1 });
  const held = broker.faults.answer("SendMessage", "delay");
  const first = producer.send({ topic: "orders", body: "first" });
  await held.reached();
  assertEquals((await sendAll(producer, texts(3))).map(({ queueOffset }) => queueOffset), [0, 1, 2]);
  held.release();
  assertEquals((await first).queueOffset, 3);
});

Deno.test("linger has a batch leave when it has batchBytes, and puts no more into it", async () => {
  await using broker = await EmbeddedBroker.start({ topics });
  await using client = await connectTo(broker);
  const producer = await client.producer({ ...LONG, batchBytes: 4_096 });
  const seen = watchSends(broker, "SendBatch");
  const held = broker.faults.answer("SendMessage", "delayAnswer");
  const first = producer.send({ topic: "orders", body: "first" });
  await held.reached();

  const others = sendAll(producer, Array(10).fill("x".repeat(1_000)));
  await broker.faults.whenReceived("SendBatch", 3);
  held.release();
  await Promise.all([first, others]);

  assertEquals(seen.map((send) => bodiesOf(send).length), [3, 3, 3]);
  assertEquals(broker.faults.received("SendMessage"), 2);
  for (const { body } of seen) assert(body.length <= 4_096);
  await sendAll(producer, Array(10).fill("x".repeat(1_000)));
  assertEquals(seen.slice(3).map((send) => bodiesOf(send).length), [3, 3, 3]);
});

Deno.test("linger keeps a batch within maxMessageSize as brokers store it", async () => {
  await using broker = await EmbeddedBroker.start({ topics });
  await using client = await connectTo(broker);
  const producer = await client.producer({ ...LONG, maxMessageSize: 2_000 });
  const seen = watchSends(broker, "SendBatch");
  await sendAll(producer, texts(16));
  assertEquals(seen.map((send) => bodiesOf(send).length), [4, 4, 4, 4]);
});

Deno.test("linger puts messages of one topic only into a batch", async () => {
  await using broker = await EmbeddedBroker.start({ topics: { orders: { queues: 1 }, payments: { queues: 1 } } });
  await using client = await connectTo(broker);
  const producer = await client.producer(LONG);
  const seen = watchSends(broker, "SendBatch");
  const messages = texts(10).map((body, i): OutgoingMessage => ({ topic: i % 2 === 0 ? "orders" : "payments", body }));
  const receipts = await Promise.all(messages.map((message) => producer.send(message)));
  assertEquals(receipts.map(({ queue }) => queue.topic), messages.map(({ topic }) => topic));
  assertEquals(seen.map(({ header }) => header.topic), ["orders", "payments"]);
});

Deno.test("linger sends what no batch can hold in a request of its own", async () => {
  await using broker = await EmbeddedBroker.start({ topics, delayLevels: [3_600_000] });
  await using client = await connectTo(broker);
  const producer = await client.producer({ ...LONG, maxMessageSize: 100_000, batchBytes: 1_024 });
  const seen = watchSends(broker);

  await Promise.all([
    producer.send({ topic: "orders", body: "later" }, { delayLevel: 1 }),
    producer.send({ topic: "orders", body: "packed ".repeat(1_000) }),
    producer.send({ topic: "orders", body: "large".padEnd(2_000, ".") }),
    producer.send({ topic: "orders", body: "x", properties: { a: "x".repeat(32_600) } }),
    producer.send({ topic: "orders", body: "a" }),
    producer.send({ topic: "orders", body: "b" }),
  ]);

  assertEquals([broker.delayedMessages, broker.maxOffset("orders", 0)], [1, 5]);
  assertEquals([seen.length, broker.faults.received("SendBatch")], [4, 1]);
  assertEquals(seen.filter(({ header }) => header.sysFlag !== 0).length, 1);
});

Deno.test("linger keeps the order of each key, and has keys of one queue share batches", async () => {
  await using broker = await EmbeddedBroker.start({ topics: { orders: { queues: 4 } } });
  await using client = await connectTo(broker);
  const producer = await client.producer({ ...LONG, batchBytes: 2_048, compressAbove: 400 });
  const seen = watchSends(broker, "SendBatch");
  const keys = texts(10, "key");
  const sent: Promise<SendReceipt>[] = [];
  for (let turn = 0; turn < 40; turn++) {
    for (const orderingKey of keys) {
      const body = turn % 8 === 7 ? `${orderingKey} ${turn}`.padEnd(1_000) : `${orderingKey} ${turn}`;
      sent.push(producer.send({ topic: "orders", body }, { orderingKey }));
    }
    if (turn % 10 === 0) await sent[turn]; // some are sent while others are under way
  }
  const receipts = await Promise.all(sent);

  const byKey = new Map<string, string[]>();
  for (let queueId = 0; queueId < 4; queueId++) {
    const queue = { topic: "orders", broker: "broker-a", queueId };
    if (broker.maxOffset("orders", queueId) === 0) continue;
    for (const message of await messagesIn(client.cluster, queue)) {
      const key = message.property("__SHARDINGKEY")!;
      byKey.set(key, [...byKey.get(key) ?? [], message.text().trim()]);
    }
  }
  for (const key of keys) assertEquals(byKey.get(key), Array.from({ length: 40 }, (_, turn) => `${key} ${turn}`));
  assertEquals(new Set(receipts.map(({ messageId }) => messageId)).size, 400);
  assert(seen.length < 100, `${seen.length} batches`);
});

Deno.test("linger has one request of a key in flight at a time, however long it takes", async () => {
  await using broker = await EmbeddedBroker.start({ topics });
  await using client = await connectTo(broker);
  const producer = await client.producer({ ...LONG, linger: 1, batchBytes: 1_024 });
  await producer.send({ topic: "orders", body: "first" });
  const held = broker.faults.answer("SendMessage", "delay", { match: ({ fields }) => fields.e === "0" });
  const options = { orderingKey: "k" };
  const second = producer.send({ topic: "orders", body: "second" }, options);
  await held.reached();
  const others = sendAll(producer, texts(30), options);
  await sendAll(producer, texts(2, "free")); // passes
  assertEquals([broker.faults.received("SendBatch"), broker.maxOffset("orders", 0)], [1, 3]);
  held.release();
  assertEquals((await second).queueOffset, 3);
  assertEquals((await others).map(({ queueOffset }) => queueOffset), texts(30).map((_, i) => i + 4));
});

Deno.test("linger sends to the queue that is given, in order", async () => {
  await using broker = await EmbeddedBroker.start({ topics: { orders: { queues: 4 } } });
  await using client = await connectTo(broker);
  const producer = await client.producer(LONG);
  const queue = { topic: "orders", broker: "broker-a", queueId: 2 };
  const receipts = await sendAll(producer, texts(20), { queue });
  assertEquals(receipts.map((receipt) => [receipt.queue, receipt.queueOffset]), texts(20).map((_, i) => [queue, i]));
  assertEquals(broker.faults.received("SendBatch"), 1);
});

Deno.test("linger rejects each send of a batch that failed with an error of its own", async () => {
  await using broker = await EmbeddedBroker.start({ topics });
  await using client = await connectTo(broker);
  const producer = await client.producer({ ...LONG, retries: 0 });
  broker.faults.answer("SendBatch", { code: 16, remark: "forbidden" });
  const results = await Promise.allSettled(texts(3).map((body) => producer.send({ topic: "orders", body })));
  const errors = results.map((result) => result.status === "rejected" ? result.reason : undefined);
  for (const error of errors) {
    assert(error instanceof ProducerError && error.cause instanceof ResponseError);
    assertEquals([error.code, error.retriable], ["SEND_FAILED", true]);
    assertStringIncludes(error.message, "forbidden");
  }
  assertEquals(new Set(errors).size, 3);
  assertEquals(broker.maxOffset("orders", 0), 0);
});

Deno.test("linger lets only the message fail that a broker refuses", async () => {
  await using broker = await EmbeddedBroker.start({ topics, maxMessageSize: 500 });
  await using client = await connectTo(broker);
  const producer = await client.producer(LONG);
  const bodies = ["a", "b".repeat(600), "c"];
  for (const options of [{}, { orderingKey: "k" }]) {
    const sent = bodies.map((body) => producer.send({ topic: "orders", body }, options));
    const [a, b, c] = await Promise.allSettled(sent);
    assertEquals([a?.status, b?.status, c?.status], ["fulfilled", "rejected", "fulfilled"]);
    assert(b?.status === "rejected" && b.reason instanceof ProducerError);
    assertStringIncludes(b.reason.message, "see its maxMessageSize");
  }
  assertEquals(broker.maxOffset("orders", 0), 4);
});

Deno.test("linger sends to the queue that a key has then, when the topic has fewer than were expected", async () => {
  await using broker = await EmbeddedBroker.start();
  await using client = await connectTo(broker);
  const producer = await client.producer(LONG);
  await producer.send({ topic: "orders", body: "makes the topic" });
  broker.createTopic("orders", { queues: 1 });
  const receipts = await Promise.all(
    texts(8).map((body, i) => sendAll(producer, [body, body], { orderingKey: `${i}` })),
  );
  assertEquals(new Set(receipts.flat().map(({ queue }) => queue.queueId)), new Set([0]));
});

Deno.test("linger has a batch tried again on another broker under the same unique keys", async () => {
  await using a = await EmbeddedBroker.start({ topics });
  await using b = await EmbeddedBroker.start({ topics, brokerName: "broker-b" });
  joinRoutes([a, b], "orders");
  await using client = await connectTo(a);
  const producer = await client.producer(LONG);
  a.faults.answer("SendBatch", { code: 2 }, { times: Infinity });
  for (let i = 0; i < 2; i++) {
    const receipts = await sendAll(producer, texts(5));
    assertEquals(new Set(receipts.map(({ queue }) => queue.broker)), new Set(["broker-b"]));
  }
  assertEquals([a.maxOffset("orders", 0), b.maxOffset("orders", 0)], [0, 10]);
});

Deno.test("linger keeps each caller's signal: what waits is not sent, what is in flight may be stored", async () => {
  await using broker = await EmbeddedBroker.start({ topics });
  await using client = await connectTo(broker);
  const producer = await client.producer(LONG);
  const reasonOf = (sent: Promise<unknown>) => sent.then(() => "sent", (reason) => reason);
  const held = broker.faults.answer("SendBatch", "delay");
  const [stopUnderWay, stopWaiting] = [new AbortController(), new AbortController()];
  const underWay = reasonOf(producer.send({ topic: "orders", body: "a" }, { signal: stopUnderWay.signal }));
  const other = producer.send({ topic: "orders", body: "b" });
  await held.reached();
  const waiting = reasonOf(producer.send({ topic: "orders", body: "c" }, { signal: stopWaiting.signal }));
  const last = producer.send({ topic: "orders", body: "d" });
  stopWaiting.abort("waiting");
  stopUnderWay.abort("under way");
  assertEquals([await underWay, await waiting], ["under way", "waiting"]);
  const early = producer.send({ topic: "orders", body: "e" }, { signal: AbortSignal.abort("early") });
  assertEquals(await reasonOf(early), "early");
  held.release();
  const { queue } = (await Promise.all([other, last]))[0];
  const stored = await messagesIn(client.cluster, queue);
  assertEquals(stored.map((message) => message.text()), ["a", "b", "d"]);
});

Deno.test("linger keeps each caller's timeout, also behind a request of the same key", async () => {
  await using broker = await EmbeddedBroker.start({ topics });
  await using client = await connectTo(broker);
  const producer = await client.producer(LONG);
  await producer.send({ topic: "orders", body: "first" });
  const held = broker.faults.answer("SendBatch", "delay");
  const send = (body: string, timeout: number) =>
    producer.send({ topic: "orders", body }, { orderingKey: "k", timeout });
  const late = async (sent: Promise<unknown>, maybeStored: boolean) => {
    const error = await assertRejects(() => sent, ProducerError);
    assertEquals([error.code, error.retriable, error.cause instanceof TimeoutError], ["SEND_TIMEOUT", true, true]);
    assertEquals(error.maybeStored, maybeStored);
    assertStringIncludes(error.message, maybeStored ? "may be stored nevertheless" : "nothing of it was sent");
  };
  const underWay = late(send("a", 30), true);
  const patient = send("b", 60_000);
  await held.reached();
  await Promise.all([underWay, late(send("c", 20), false)]);
  held.release();
  await patient;
  await send("d", 60_000);
  const stored = await messagesIn(client.cluster, { topic: "orders", broker: "broker-a", queueId: 0 });
  assertEquals(stored.map((message) => message.text()), ["first", "a", "b", "d"]);
});

Deno.test("linger reports a topic that does not exist, with and without a key", async () => {
  await using broker = await EmbeddedBroker.start({ autoCreateTopics: false });
  await using client = await connectTo(broker);
  const producer = await client.producer(LONG);
  for (const options of [{}, { orderingKey: "k" }]) {
    const results = await Promise.allSettled(
      texts(3).map((body) => producer.send({ topic: "ordesr", body }, options)),
    );
    for (const result of results) {
      assert(result.status === "rejected" && result.reason instanceof ProducerError);
      assertEquals(result.reason.code, "TOPIC_NOT_FOUND");
    }
  }
});

Deno.test("close() flushes what lingers, and then accepts nothing", async () => {
  await using broker = await EmbeddedBroker.start({ topics });
  await using client = await connectTo(broker);
  const producer = await client.producer(LONG);
  const held = broker.faults.answer("SendMessage", "delay");
  const first = producer.send({ topic: "orders", body: "first" });
  await held.reached();
  const others = [sendAll(producer, texts(3)), sendAll(producer, texts(3), { orderingKey: "k" })];

  const closed = producer.close();
  await broker.faults.whenReceived("SendBatch", 2); // while the first is still held
  held.release();
  await Promise.all([closed, first, ...others]);

  assertEquals(broker.maxOffset("orders", 0), 7);
  const error = await assertRejects(() => producer.send({ topic: "orders", body: "late" }), ProducerError);
  assertEquals(error.code, "PRODUCER_CLOSED");
});
