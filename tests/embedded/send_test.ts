import { assert, assertEquals, assertMatch } from "@std/assert";
import { EmbeddedBroker } from "../../src/embedded/mod.ts";
import { encodeBatch } from "../../src/wire/batch.ts";
import { MessageSysFlag } from "../../src/wire/codes.ts";
import { parseOffsetMessageId } from "../../src/wire/message_id.ts";
import { lockQueues, sendBatch, sendMessageV1 } from "../../src/wire/requests.ts";
import { Peer } from "./peer.ts";

Deno.test("SendMessage stores a message and says where", async () => {
  await using broker = await EmbeddedBroker.start({ topics: { orders: { queues: 2 } } });
  await using peer = await Peer.connect(broker);

  await peer.send({ topic: "orders", queueId: 1 });
  const { code, fields } = await peer.send({
    topic: "orders",
    queueId: 1,
    flag: 7,
    body: "second",
    with: { TAGS: "paid", UNIQ_KEY: "U1" },
  });

  assertEquals(code, 0);
  assertEquals([fields.queueId, fields.queueOffset, fields.transactionId], ["1", "1", "U1"]);
  assertEquals([fields.MSG_REGION, fields.TRACE_ON], ["DefaultRegion", "true"]);
  const [, message] = await peer.messages({ topic: "orders", queueId: 1 });
  assert(message);
  const { host, port, commitLogOffset } = parseOffsetMessageId(fields.msgId!);
  assertEquals(`${host}:${port}`, broker.nameServer);
  assertEquals([message.offsetMessageId, message.commitLogOffset], [fields.msgId, commitLogOffset]);
  assertEquals([message.text(), message.tags, message.flag, message.queueOffset], ["second", "paid", 7, 1]);
  assertEquals([message.storeHost, message.storedQueueId], [broker.nameServer, 1]);
  assertEquals(message.bornAt.getTime(), 1_700_000_000_000);
  assertMatch(message.bornHost, /^127\.0\.0\.1:\d+$/);
  assertEquals(Object.fromEntries(message.properties), {
    TAGS: "paid",
    UNIQ_KEY: "U1",
    MSG_REGION: "DefaultRegion",
    TRACE_ON: "true",
    CLUSTER: "DefaultCluster",
  });
});

Deno.test("SendMessage fills a unique key in, takes the old form, and chooses a queue for -1", async () => {
  await using broker = await EmbeddedBroker.start({ topics: { orders: { queues: 1 } } });
  await using peer = await Peer.connect(broker);

  const { code, fields } = await peer.ask(sendMessageV1, {
    producerGroup: "p",
    topic: "orders",
    defaultTopic: "TBW102",
    defaultTopicQueueNums: 4,
    queueId: -1,
    sysFlag: 0,
    bornTimestamp: 0,
    flag: 0,
  }, { body: "hello" });

  assertEquals([code, fields.queueId], [0, "0"]);
  const [message] = await peer.messages({ topic: "orders" });
  assertMatch(message!.property("UNIQ_KEY")!, /^7F000001[0-9A-F]{24}$/);
  assertEquals(fields.transactionId, message!.property("UNIQ_KEY"));
});

Deno.test("SendMessage makes an unknown topic with the sender's number of queues, at most 8", async () => {
  await using broker = await EmbeddedBroker.start();
  await using peer = await Peer.connect(broker);

  await peer.send({ topic: "orders", defaultTopicQueueNums: 4, queueId: 3 });
  await peer.send({ topic: "payments", defaultTopicQueueNums: 99, queueId: 0 });

  assertEquals(broker.topicStats("orders").map(({ maxOffset }) => maxOffset), [0, 0, 0, 1]);
  assertEquals(broker.topicStats("payments").length, 8);
  assertEquals((await peer.send({ topic: "refunds", defaultTopic: "nothing" })).code, 17);
  assertEquals((await peer.send({ topic: "refunds", defaultTopic: "orders" })).code, 17);
});

Deno.test("SendMessage refuses what a broker refuses", async () => {
  await using broker = await EmbeddedBroker.start({
    autoCreateTopics: false,
    topics: { orders: { queues: 2 } },
    maxMessageSize: 100,
  });
  await using peer = await Peer.connect(broker);
  const code = async (message: Parameters<Peer["send"]>[0]) => (await peer.send(message)).code;

  assertEquals(await code({ topic: "orders", body: "" }), 1);
  assertEquals(await code({ topic: "or ders" }), 29);
  assertEquals(await code({ topic: "x".repeat(128) }), 29);
  assertEquals(await code({ topic: "SCHEDULE_TOPIC_XXXX" }), 16);
  assertEquals(await code({ topic: "unknown" }), 17);
  assertEquals(await code({ topic: "orders", queueId: 2 }), 29);
  assertEquals(await code({ topic: "orders", body: "x".repeat(101) }), 13);
  assertEquals(await code({ topic: "orders", with: { a: "x".repeat(32_700) } }), 13);
  assertEquals(await code({ topic: "orders", with: { TRAN_MSG: "true" } }), 16);
  assertEquals(broker.topicStats("orders").map(({ maxOffset }) => maxOffset), [0, 0]);
});

Deno.test("SendMessage keeps a packed body and its flags as they are", async () => {
  await using broker = await EmbeddedBroker.start({ topics: { orders: { queues: 1 } } });
  await using peer = await Peer.connect(broker);
  const sysFlag = MessageSysFlag.COMPRESSED | MessageSysFlag.COMPRESSION_ZLIB;

  await peer.send({ topic: "orders", sysFlag, body: "not really packed" });

  const [message] = await peer.messages({ topic: "orders" });
  assertEquals([message!.sysFlag, new TextDecoder().decode(message!.storedBody)], [sysFlag, "not really packed"]);
});

for (const dialect of ["5.x", "4.9"] as const) {
  Deno.test(`SendMessage with the flag or the property of an inner batch is stored by 4.9 only: ${dialect}`, async () => {
    await using broker = await EmbeddedBroker.start({ dialect, topics: { orders: { queues: 1 } } });
    await using peer = await Peer.connect(broker);
    const refused = dialect === "5.x" ? 13 : 0;
    const code = async (message: object) => (await peer.send({ topic: "orders", ...message })).code;

    assertEquals(await code({ sysFlag: MessageSysFlag.INNER_BATCH }), refused);
    assertEquals(await code({ sysFlag: MessageSysFlag.INNER_BATCH, with: { DELAY: "1" } }), refused);
    assertEquals(await code({ with: { INNER_NUM: "1" } }), refused);
    assertEquals([broker.maxOffset("orders", 0), broker.delayedMessages], dialect === "5.x" ? [0, 0] : [2, 1]);
    assertEquals(await code({ sysFlag: MessageSysFlag.NEED_UNWRAP }), 0);
  });
}

Deno.test("SendBatch is split, and the header's properties come after each message's own", async () => {
  await using broker = await EmbeddedBroker.start({ topics: { orders: { queues: 1 } } });
  await using peer = await Peer.connect(broker);
  const utf8 = new TextEncoder();
  const body = encodeBatch([
    { flag: 1, body: utf8.encode("a"), properties: "TAGS\u0001x\u0002UNIQ_KEY\u0001A\u0002" },
    { flag: 2, body: utf8.encode("b"), properties: "TAGS\u0001y\u0002UNIQ_KEY\u0001B" },
  ]);
  const header = {
    producerGroup: "p",
    topic: "orders",
    defaultTopic: "TBW102",
    defaultTopicQueueNums: 4,
    queueId: 0,
    sysFlag: 0,
    bornTimestamp: 0,
    flag: 0,
    batch: true,
  };

  const first = await peer.ask(sendBatch, { ...header, properties: "WAIT\u0001true\u0002" }, { body });
  const second = await peer.ask(sendBatch, { ...header, properties: "UNIQ_KEY\u0001BATCH\u0002" }, { body });

  assertEquals([first.fields.queueOffset, first.fields.transactionId], ["0", undefined]);
  assertEquals([second.fields.queueOffset, second.fields.transactionId], ["2", "BATCH"]);
  const messages = await peer.messages({ topic: "orders" });
  assertEquals(messages.map((message) => message.text()), ["a", "b", "a", "b"]);
  assertEquals(messages.map((message) => message.flag), [1, 2, 1, 2]);
  assertEquals(messages.map((message) => message.tags), ["x", "y", "x", "y"]);
  assertEquals(messages.map((message) => message.messageId), ["A", "B", "BATCH", "BATCH"]);
  assertEquals(messages.map((message) => message.property("WAIT")), ["true", "true", undefined, undefined]);
  assertEquals(first.fields.msgId, messages.slice(0, 2).map((message) => message.offsetMessageId).join(","));
  const large = `a\u0001${"x".repeat(32_700)}\u0002`;
  assertEquals((await peer.ask(sendBatch, { ...header, properties: large }, { body })).code, 13);
  assertEquals(broker.maxOffset("orders", 0), 4);
  const retry = { ...header, topic: "%RETRY%billing" };
  assertEquals((await peer.ask(sendBatch, retry, { body })).code, 13);
  assertEquals((await peer.ask(sendBatch, header, { body: body.subarray(1) })).code, 1);
});

Deno.test("a send to a retry topic is a dead letter after more than maxReconsumeTimes", async () => {
  await using broker = await EmbeddedBroker.start();
  await using peer = await Peer.connect(broker);
  const topic = "%RETRY%billing";
  const counts = () => [broker.maxOffset(topic, 0), broker.maxOffset("%DLQ%billing", 0)];

  await peer.send({ topic, reconsumeTimes: 16 });
  assertEquals(counts(), [1, 0]);
  await peer.send({ topic, reconsumeTimes: 17, with: { DELAY: "3" } });
  assertEquals(counts(), [1, 1]);
  await peer.send({ topic, reconsumeTimes: 3, maxReconsumeTimes: 2 });
  assertEquals(counts(), [1, 2]);
  await peer.send({ topic, reconsumeTimes: 3, maxReconsumeTimes: 2, version: 120 });
  assertEquals(counts(), [2, 2]);
  const [dead] = await peer.messages({ topic: "%DLQ%billing" });
  assertEquals([dead!.reconsumeTimes, dead!.property("DELAY")], [17, "-1"]);
  assertEquals((await peer.send({ topic: "%RETRY%" })).code, 26);
});

Deno.test("a send to the retry topic of a group that locks queues is a dead letter at once", async () => {
  await using broker = await EmbeddedBroker.start();
  await using peer = await Peer.connect(broker);
  const mqSet = [{ topic: "orders", brokerName: "broker-a", queueId: 0 }];

  await peer.ask(lockQueues, {}, { body: { consumerGroup: "billing", clientId: "c", mqSet } });
  await peer.send({ topic: "%RETRY%billing", reconsumeTimes: 1 });

  assertEquals([broker.maxOffset("%RETRY%billing", 0), broker.maxOffset("%DLQ%billing", 0)], [0, 1]);
});
