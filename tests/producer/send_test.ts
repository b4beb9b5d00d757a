import { assert, assertEquals, assertNotEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { EmbeddedBroker } from "../../src/embedded/mod.ts";
import { ConfigError, ProducerError, ResponseError, ValidationError } from "../../src/errors.ts";
import { createProducer, json, type OutgoingMessage, type ProducerOptions } from "../../src/producer/mod.ts";
import { queueOfKey } from "../../src/sending/queue_selection.ts";
import { connectTo, messagesIn, watchSends } from "./setup.ts";
import { fromJavaScript } from "../untyped.ts";

Deno.test("send() stores a message and returns where", async () => {
  await using broker = await EmbeddedBroker.start({ topics: { orders: { queues: 1 } } });
  await using client = await connectTo(broker);
  const producer = await client.producer();

  await producer.send({ topic: "orders", body: "first" });
  const receipt = await producer.send({
    topic: "orders",
    body: json({ id: 42 }),
    tags: "paid",
    keys: ["42", "43"],
    properties: { price: "10" },
    flag: -7,
  });

  const queue = { topic: "orders", broker: "broker-a", queueId: 0 };
  const [, message] = await messagesIn(client.cluster, queue);
  assert(message);
  assertEquals(receipt, {
    messageId: message.messageId,
    offsetMessageId: message.offsetMessageId,
    queue,
    queueOffset: 1,
    status: "stored",
    transactionId: message.messageId,
  });
  assertEquals([message.json(), message.tags, message.keys, message.flag], [{ id: 42 }, "paid", ["42", "43"], -7]);
  assertEquals([message.property("price"), message.property("WAIT")], ["10", "true"]);
  assertEquals(message.messageId.slice(0, 8), "7F000001");
});

Deno.test("send() returns what 4.9 brokers return: no transaction id", async () => {
  await using broker = await EmbeddedBroker.start({ dialect: "4.9", topics: { orders: { queues: 1 } } });
  await using client = await connectTo(broker);
  const producer = await client.producer();
  assertEquals("transactionId" in await producer.send({ topic: "orders", body: "hello" }), false);
});

Deno.test("send() compresses a large body, and consumers receive it decompressed", async () => {
  await using broker = await EmbeddedBroker.start({ topics: { orders: { queues: 1 } } });
  await using client = await connectTo(broker);
  const producer = await client.producer();
  const body = "paid ".repeat(2_000);

  const { queue } = await producer.send({ topic: "orders", body });

  const [message] = await messagesIn(client.cluster, queue);
  assert(message);
  assertEquals([message.sysFlag, message.text()], [0x301, body]);
  assert(message.size < 1_000);
});

Deno.test("send() uses the queues of a topic in turn", async () => {
  await using broker = await EmbeddedBroker.start({ topics: { orders: { queues: 3 } } });
  await using client = await connectTo(broker);
  const producer = await client.producer();
  const used: number[] = [];
  for (let i = 0; i < 6; i++) used.push((await producer.send({ topic: "orders", body: "x" })).queue.queueId);
  assertEquals(used.slice(0, 3).toSorted(), [0, 1, 2]);
  assertEquals(used.slice(3), used.slice(0, 3));
});

Deno.test("send() sends messages with one ordering key to one queue, in order", async () => {
  await using broker = await EmbeddedBroker.start({ topics: { orders: { queues: 4 } } });
  await using client = await connectTo(broker);
  const producer = await client.producer();
  const send = (body: string) => producer.send({ topic: "orders", body }, { orderingKey: "customer-7" });

  const receipts = await Promise.all(["a", "b", "c"].map(send));

  const { queue } = receipts[0]!;
  assertEquals(queue, queueOfKey((await client.cluster.routes.get("orders"))!.writeQueues, "customer-7"));
  const messages = await messagesIn(client.cluster, queue);
  assertEquals(messages.map((message) => message.text()), ["a", "b", "c"]);
  assertEquals(messages.map((message) => message.property("__SHARDINGKEY")), Array(3).fill("customer-7"));
});

Deno.test("send() uses the queue of its options, which has to be of the topic", async () => {
  await using broker = await EmbeddedBroker.start({ topics: { orders: { queues: 4 } } });
  await using client = await connectTo(broker);
  const producer = await client.producer();
  const queue = { topic: "orders", broker: "broker-a", queueId: 2 };

  for (let i = 0; i < 2; i++) {
    assertEquals((await producer.send({ topic: "orders", body: "x" }, { queue })).queue, queue);
  }

  await assertRejects(() => producer.send({ topic: "payments", body: "x" }, { queue }), ValidationError);
  const gone = { ...queue, queueId: 4 };
  const error = await assertRejects(
    () => producer.send({ topic: "orders", body: "x" }, { queue: gone }),
    ProducerError,
  );
  assertEquals([error.code, error.retriable], ["SEND_FAILED", false]);
  const elsewhere = { ...queue, broker: "broker-z" };
  const unknown = await assertRejects(
    () => producer.send({ topic: "orders", body: "x" }, { queue: elsewhere }),
    ProducerError,
  );
  assertStringIncludes(unknown.message, "broker-z queue 2: BROKER_NOT_AVAILABLE");
});

Deno.test("send() delays a message by the broker's levels", async () => {
  await using broker = await EmbeddedBroker.start({ topics: { orders: { queues: 1 } }, delayLevels: [3_600_000] });
  await using client = await connectTo(broker);
  const producer = await client.producer();
  await producer.send({ topic: "orders", body: "later" }, { delayLevel: 1 });
  assertEquals([broker.delayedMessages, broker.maxOffset("orders", 0)], [1, 0]);
});

Deno.test("send() lets the broker create a topic that does not exist", async () => {
  await using broker = await EmbeddedBroker.start();
  await using client = await connectTo(broker);
  const producer = await client.producer();

  const { queue } = await producer.send({ topic: "fresh", body: "hello" });
  for (let i = 0; i < 7; i++) await producer.send({ topic: "fresh", body: "hello" });

  assertEquals(queue.topic, "fresh");
  assertEquals(broker.topicStats("fresh").map(({ maxOffset }) => maxOffset), [2, 2, 2, 2]);
  assertEquals(broker.faults.received("GetRoute"), 3); // at the start, and for the topic and the one it is copied from
});

Deno.test("send() requests the route again when a topic has fewer queues than was expected", async () => {
  await using broker = await EmbeddedBroker.start();
  await using client = await connectTo(broker);
  const producer = await client.producer();
  await producer.send({ topic: "fresh", body: "hello" });

  broker.createTopic("fresh", { queues: 1 });
  const receipts = [];
  for (let i = 0; i < 4; i++) receipts.push(await producer.send({ topic: "fresh", body: "hello" }));
  receipts.push(await producer.send({ topic: "fresh", body: "hello" }, { orderingKey: "customer-7" }));

  assertEquals(receipts.map(({ queue }) => queue.queueId), [0, 0, 0, 0, 0]);
});

Deno.test("send() says so if a topic does not exist and is not made", async () => {
  await using broker = await EmbeddedBroker.start({ autoCreateTopics: false });
  await using client = await connectTo(broker);
  const producer = await client.producer();
  const error = await assertRejects(() => producer.send({ topic: "ordesr", body: "hello" }), ProducerError);
  assertEquals([error.code, error.retriable], ["TOPIC_NOT_FOUND", false]);
  assertStringIncludes(error.message, 'Cannot send to topic "ordesr": no name server knows it');
});

Deno.test("send() sends nothing of a message that is not allowed", async () => {
  await using broker = await EmbeddedBroker.start({ topics: { orders: {} } });
  await using client = await connectTo(broker);
  const producer = await client.producer({ maxMessageSize: 10 });
  const bad: OutgoingMessage[] = [
    { topic: "orders", body: "" },
    { topic: "orders", body: "12345678901" },
    { topic: "SCHEDULE_TOPIC_XXXX", body: "x" },
    { topic: "orders", body: "x", properties: { DELAY: "1" } },
    fromJavaScript(undefined),
  ];
  for (const message of bad) {
    await assertRejects(() => producer.send(message), ValidationError, "Cannot send a message");
  }
  await assertRejects(() => producer.send({ topic: "orders", body: "x" }, { delayLevel: 0 }), ConfigError);
  assertEquals(broker.faults.received("SendMessage"), 0);
});

Deno.test("send() fails at once with the broker's remark about a message that it refuses", async () => {
  await using broker = await EmbeddedBroker.start({ topics: { orders: {} }, maxMessageSize: 10 });
  await using client = await connectTo(broker);
  const producer = await client.producer();
  const error = await assertRejects(() => producer.send({ topic: "orders", body: "12345678901" }), ProducerError);
  assert(error.cause instanceof ResponseError);
  assertEquals([error.code, error.cause.responseCode], ["SEND_FAILED", 13]);
  assertStringIncludes(error.message, "the only attempt failed (broker-a queue ");
  assertStringIncludes(error.message, "see its maxMessageSize");
  assertEquals(error.message.includes("may be stored"), false);
  assertEquals(broker.faults.received("SendMessage"), 1);
});

Deno.test("send() reports by its status how safely the message is stored", async () => {
  await using broker = await EmbeddedBroker.start({ topics: { orders: { queues: 1 } } });
  await using client = await connectTo(broker);
  const producer = await client.producer();
  const fields = { msgId: "AB", queueId: "0", queueOffset: "5" };
  const statuses: string[] = [];
  for (const code of [10, 11, 12, 0]) {
    broker.faults.answer("SendMessage", { code, fields });
    statuses.push((await producer.send({ topic: "orders", body: "x" })).status);
  }
  assertEquals(statuses, ["flushDiskTimeout", "slaveNotAvailable", "flushSlaveTimeout", "stored"]);
  assertEquals(broker.faults.received("SendMessage"), 4);
});

Deno.test("send() puts everything into the header that brokers look at", async () => {
  await using broker = await EmbeddedBroker.start({ topics: { orders: { queues: 1 } } });
  await using client = await connectTo(broker);
  const producer = await client.producer({ group: "billing" });
  const [seen, before] = [watchSends(broker), Date.now()];
  await producer.send({ topic: "orders", body: "x" });
  const { bornTimestamp, properties: _, ...header } = seen[0]!.header;
  assertEquals(header, {
    producerGroup: "billing",
    topic: "orders",
    defaultTopic: "TBW102",
    defaultTopicQueueNums: 4,
    queueId: 0,
    sysFlag: 0,
    flag: 0,
    reconsumeTimes: 0,
    unitMode: false,
    batch: false,
    brokerName: "broker-a",
  });
  assert(bornTimestamp >= before && bornTimestamp <= Date.now());
});

Deno.test("createProducer() rejects options that are not allowed, and needs no broker", async () => {
  await using broker = await EmbeddedBroker.start();
  await using client = await connectTo(broker);
  await assertRejects(() => createProducer(client.cluster, { group: "DEFAULT_PRODUCER" }), ConfigError);
  await assertRejects(() => createProducer(client.cluster, { retry: 1 } as ProducerOptions), ConfigError);
  await broker.kill();
  await client.producer();
});

Deno.test("createProducer() makes producers of one client whose unique keys differ", async () => {
  await using broker = await EmbeddedBroker.start({ topics: { orders: { queues: 1 } } });
  await using client = await connectTo(broker);
  const [one, other] = [await client.producer(), await client.producer()];
  const receipts = await Promise.all([one, other].map((each) => each.send({ topic: "orders", body: "x" })));
  assertNotEquals(receipts[0]!.messageId, receipts[1]!.messageId);
});
