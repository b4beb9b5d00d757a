import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { type Client, connect, type Consumer, type Producer, sql, tag } from "../mod.ts";
import { MemoryOffsetStore } from "../src/consumer/mod.ts";
import { EmbeddedBroker } from "../src/embedded/mod.ts";
import { fromJavaScript } from "./untyped.ts";

/** What mistakes are made with. */
interface Parts {
  readonly mq: Client;
  readonly consumer: Consumer;
  readonly producer: Producer;
  readonly nameServer: string;
}

/** A mistake, and a part of the text that a user reads about it. */
type Row = [mistake: string, make: (parts: Parts) => unknown, ...texts: string[]];

const group = "billing";
const topics = "orders";
const message = { topic: "orders", body: "paid" };

const rows: readonly Row[] = [
  [
    "names of kafkajs",
    ({ mq }) => mq.consumer(fromJavaScript({ groupId: group, topic: "orders", fromBeginning: true })),
    'there is no option "groupId", did you mean "group"?; there is no option "topic", did you mean "topics"?; ' +
    'there is no option "fromBeginning", did you mean "consumeFrom"?; the options are group, topics, ',
  ],
  [
    "names of Java",
    ({ mq }) => mq.consumer(fromJavaScript({ group, topics, consumeFromWhere: "x", consumeThreadMax: 3 })),
    'there is no option "consumeFromWhere", did you mean "consumeFrom"?',
    '"concurrency" is an option of consumer.run() and runEach()',
  ],
  [
    "names of nats",
    ({ mq }) => mq.consumer(fromJavaScript({ durable_name: group, topics, deliver_policy: "all" })),
    'there is no option "durable_name", did you mean "group"?',
    'there is no option "deliver_policy", did you mean "consumeFrom"?',
  ],
  [
    "a slip",
    ({ mq }) => mq.consumer(fromJavaScript({ group, topics, bachSize: 3 })),
    'no option "bachSize", did you mean "batchSize"?',
  ],
  [
    "an option of connect() for a consumer",
    ({ mq }) => mq.consumer(fromJavaScript({ group, topics, nameServers: "ns1:9876" })),
    'no option "nameServers", it is an option of connect()',
  ],
  [
    "a handler among the options",
    ({ mq }) => mq.consumer(fromJavaScript({ group, topics, eachMessage: () => {} })),
    'no option "eachMessage", pass the function to consumer.runEach()',
  ],
  [
    "an option of a consumer for connect()",
    ({ nameServer }) => connect(fromJavaScript({ nameServers: nameServer, group })),
    'no option "group", it is an option of mq.consumer()',
  ],
  [
    "brokers instead of name servers",
    () => connect(fromJavaScript({ brokers: ["ns1:9876"] })),
    'no option "brokers", did you mean "nameServers"?',
  ],
  [
    "the address twice",
    () => connect("ns1:9876", fromJavaScript({ nameServers: "ns2:9876" })),
    "nameServers is given twice: leave out the first argument or the option",
  ],
  [
    "options, and more options",
    () => connect(fromJavaScript({ logger: false }), {}),
    'with two arguments the first is the address: connect("ns1:9876", options)',
  ],
  [
    "send([…])",
    ({ producer }) => producer.send(fromJavaScript([message, message])),
    "message is an array, send several by sendBatch([…])",
  ],
  [
    "send(topic, body)",
    ({ producer }) => producer.send(fromJavaScript("orders"), fromJavaScript("paid")),
    'topic and body are in one object: send({ topic: "orders", body: "paid" })',
  ],
  [
    "an option of send() in the message",
    ({ producer }) => producer.send(fromJavaScript({ ...message, delayLevel: 3 })),
    'no field "delayLevel", it is an option of producer.send(), its second argument',
  ],
  [
    "a field of the message in the options",
    ({ producer }) => producer.send(message, fromJavaScript({ tags: "a" })),
    'no option "tags", it is an option of the message, the first argument of producer.send()',
  ],
  [
    "send({ topic, messages })",
    ({ producer }) => producer.send(fromJavaScript({ topic: "orders", messages: [{ value: "paid" }] })),
    'no field "messages", pass several messages to producer.sendBatch([…])',
  ],
  [
    "a payload by another name",
    ({ producer }) => producer.send(fromJavaScript({ topic: "orders", value: "paid", headers: {} })),
    'no field "value", did you mean "body"?',
    'no field "headers", did you mean "properties"?',
  ],
  [
    "a delay level that no broker has",
    ({ producer }) => producer.send(message, { delayLevel: 19 }),
    "delayLevel is 19, allowed is an integer from 1 to 18",
  ],
  [
    "tags with a comma",
    ({ mq }) => mq.consumer({ group, topics: { orders: "paid,late" } }),
    'a message has one tag, without commas and blanks; for one of several use tag("paid", "late") or "paid || late"',
  ],
  [
    "tags with a blank",
    () => tag("paid late"),
    'for one of several use tag("paid", "late") or "paid || late"',
  ],
  [
    "LIKE",
    () => sql("region LIKE 'e%'"),
    "brokers do not know LIKE: use STARTSWITH 'x', ENDSWITH 'x' or CONTAINS 'x'",
    "allowed are comparisons (= <> < <= > >=), BETWEEN, IN, IS NULL, STARTSWITH, ENDSWITH, CONTAINS, NOT, AND, OR, ()",
  ],
  ["NOT LIKE", () => sql("price > 3 AND region NOT LIKE 'e%'"), "brokers do not know LIKE"],
  ["arithmetic", () => sql("price * 2 > 10"), 'brokers do not calculate, found "*" at 7'],
  ["arithmetic in brackets", () => sql("(price - 1) > 10"), 'brokers do not calculate, found "-" at 8'],
  [
    "two comparisons without AND",
    () => sql("a = 1 b = 2"),
    'brokers ignore what follows the first 6 characters: "b = 2"',
  ],
  [
    "run() without a function",
    ({ consumer }) => consumer.run(fromJavaScript(undefined)),
    "Cannot run handlers: run() takes a function, not undefined; use run(async (batch) => { … })",
  ],
  [
    "runEach({})",
    ({ consumer }) => consumer.runEach(fromJavaScript({})),
    "runEach() takes a function, not an object; use runEach(async (message) => { … })",
  ],
  [
    "run({ eachMessage })",
    ({ consumer }) => consumer.run(fromJavaScript({ eachMessage: () => {} })),
    "run() takes a function, not an object; use runEach(async (message) => { … })",
  ],
  [
    "runEach({ eachBatch })",
    ({ consumer }) => consumer.runEach(fromJavaScript({ eachBatch: () => {} })),
    "runEach() takes a function, not an object; use run(async (batch) => { … })",
  ],
  [
    "seek past the end",
    ({ consumer }) => consumer.seek(consumer.assignment()[0]!, 1_000),
    'position is 1000, allowed is an offset of orders@broker-a@0, up to its end 0, or "latest" for the end',
  ],
  [
    "one MemoryOffsetStore for two consumers",
    async ({ mq }) => {
      const options = { topics, model: "broadcasting", offsetStore: new MemoryOffsetStore() } as const;
      await using _first = await mq.consumer({ ...options, group: "one" });
      await mq.consumer({ ...options, group: "two" });
    },
    'offsetStore is used by a consumer of group "one" already: each consumer needs a store of its own',
  ],
];

Deno.test("mistakes are reported with what is right", async (t) => {
  await using broker = await EmbeddedBroker.start({ topics: { orders: { queues: 1 } } });
  const { nameServer } = broker;
  await using mq = await connect(nameServer, { logger: false });
  await using consumer = await mq.consumer({ group: "mistakes", topics: "orders" });
  await using producer = await mq.producer();
  for (const [mistake, make, ...texts] of rows) {
    await t.step(mistake, async () => {
      const error = await assertRejects(async () => await make({ mq, consumer, producer, nameServer }), Error);
      for (const text of texts) assertStringIncludes(error.message, text);
    });
  }
});

Deno.test("the list of options is in an error once, and an option that has another name is not missed too", async () => {
  await using broker = await EmbeddedBroker.start();
  await using mq = await connect(broker.nameServer, { logger: false });
  const make = () => mq.consumer(fromJavaScript({ groupId: "billing", topic: "orders", nothing: 1 }));
  const { message } = await assertRejects(make, Error);
  assertEquals([message.split("batchSize").length, message.includes("undefined")], [2, false]);
});
