import { assertEquals } from "@std/assert";
import { EmbeddedBroker } from "../../src/embedded/mod.ts";
import { javaHashCode } from "../../src/wire/codes.ts";
import { outcome, Peer, subscription } from "./peer.ts";

const topics = { orders: { queues: 1 } };

function texts(messages: readonly { text(): string }[]): string[] {
  return messages.map((message) => message.text());
}

Deno.test("PullMessage returns messages from an offset on, and the offset range of the queue", async () => {
  await using broker = await EmbeddedBroker.start({ topics });
  await using peer = await Peer.connect(broker);
  await broker.publish("orders", ["a", "b", "c"]);

  const answer = await peer.pull({ topic: "orders", queueOffset: 1, maxMsgNums: 1 });

  assertEquals(outcome(answer), [0, "FOUND"]);
  assertEquals(answer.fields, {
    suggestWhichBrokerId: "0",
    nextBeginOffset: "2",
    minOffset: "0",
    maxOffset: "3",
    topicSysFlag: "0",
    groupSysFlag: "0",
  });
  assertEquals(texts(await peer.messages({ topic: "orders", queueOffset: 1 })), ["b", "c"]);
});

Deno.test("PullMessage answers 19 and 21 as the offset lies to the queue", async () => {
  await using broker = await EmbeddedBroker.start({ topics });
  await using peer = await Peer.connect(broker);
  const pull = async (queueOffset: number) => {
    const answer = await peer.pull({ topic: "orders", queueOffset });
    return [...outcome(answer), answer.fields.nextBeginOffset];
  };

  assertEquals(await pull(0), [19, "NO_MESSAGE_IN_QUEUE", "0"]);
  assertEquals(await pull(5), [21, "NO_MESSAGE_IN_QUEUE", "0"]);
  await broker.publish("orders", ["a", "b", "c"]);
  broker.deleteUntil("orders", 0, 2);
  assertEquals(await pull(1), [21, "OFFSET_TOO_SMALL", "2"]);
  assertEquals(await pull(2), [0, "FOUND", "3"]);
  assertEquals(await pull(3), [19, "OFFSET_OVERFLOW_ONE", "3"]);
  assertEquals(await pull(4), [21, "OFFSET_OVERFLOW_BADLY", "3"]);
});

Deno.test("PullMessage applies the broker's limits and its own, but always returns one message", async () => {
  await using broker = await EmbeddedBroker.start({ topics, maxPullMessages: 3, maxPullBytes: 1_000 });
  await using peer = await Peer.connect(broker);
  const count = async (queueOffset: number, maxMsgNums = 32) =>
    (await peer.messages({ topic: "orders", queueOffset, maxMsgNums })).length;
  await broker.publish("orders", ["a", "b", "c", "d", "x".repeat(2_000), "e", "y".repeat(500), "z".repeat(500)]);

  assertEquals(await count(0), 3);
  assertEquals(await count(0, 2), 2);
  assertEquals(await count(0, 0), 1);
  assertEquals(await count(3), 1);
  assertEquals(await count(4), 1);
  assertEquals(await count(6), 1);
});

Deno.test("PullMessage filters by the hash codes of tags, and skips what does not match", async () => {
  await using broker = await EmbeddedBroker.start({ topics });
  await using peer = await Peer.connect(broker);
  assertEquals(javaHashCode("Aa"), javaHashCode("BB"));
  await broker.publish("orders", [
    { body: "none" },
    { body: "Aa", tags: "Aa" },
    { body: "BB", tags: "BB" },
    { body: "C", tags: "C" },
  ]);
  const pull = (subscription: string, queueOffset = 0) => peer.pull({ topic: "orders", subscription, queueOffset });

  assertEquals(texts(await peer.messages({ topic: "orders", subscription: "Aa" })), ["Aa", "BB"]);
  assertEquals(texts(await peer.messages({ topic: "orders", subscription: " C ||Aa" })), ["Aa", "BB", "C"]);
  assertEquals(texts(await peer.messages({ topic: "orders", subscription: "" })).length, 4);
  const none = await pull("D");
  assertEquals([...outcome(none), none.fields.nextBeginOffset], [20, "NO_MATCHED_MESSAGE", "4"]);
  assertEquals((await pull("Aa")).fields.nextBeginOffset, "4");
  assertEquals((await pull("||")).code, 23);
});

Deno.test("PullMessage looks at 800 messages that do not match, no more", async () => {
  await using broker = await EmbeddedBroker.start({ topics });
  await using peer = await Peer.connect(broker);
  await broker.publish("orders", Array.from({ length: 1_000 }, (_, i) => ({ body: `${i}`, tags: "a" })));

  const answer = await peer.pull({ topic: "orders", subscription: "b" });

  assertEquals([...outcome(answer), answer.fields.nextBeginOffset], [20, "NO_MATCHED_MESSAGE", "800"]);
});

Deno.test("PullMessage uses the group's subscription if it carries none", async () => {
  await using broker = await EmbeddedBroker.start({ topics });
  await using peer = await Peer.connect(broker);
  await broker.publish("orders", [{ body: "1", tags: "a" }, { body: "2", tags: "b" }]);
  const pull = { topic: "orders", sysFlag: 0, subVersion: 5 };

  assertEquals((await peer.pull(pull)).code, 24);
  await peer.join("billing", [subscription("payments")]);
  assertEquals((await peer.pull(pull)).code, 24);
  await peer.join("billing", [subscription("orders", "a", 4)]);
  assertEquals((await peer.pull(pull)).code, 25);
  await peer.join("billing", [subscription("orders", "b", 5)]);
  assertEquals(texts(await peer.messages(pull)), ["2"]);
});

Deno.test("PullMessage refuses what a broker refuses", async () => {
  const topics = { orders: { queues: 2 }, secret: { queues: 1, permission: 2 } };
  await using broker = await EmbeddedBroker.start({ topics });
  await using peer = await Peer.connect(broker);
  const code = async (header: Parameters<Peer["pull"]>[0]) => (await peer.pull(header)).code;

  assertEquals(await code({ topic: "orders", consumerGroup: "bad group" }), 26);
  assertEquals(await code({ topic: "unknown" }), 17);
  assertEquals(await code({ topic: "secret" }), 16);
  assertEquals(await code({ topic: "orders", queueId: 2 }), 29);
  assertEquals(await code({ topic: "orders", queueId: -1 }), 29);
});

Deno.test("PullMessage with SQL is refused by a broker whose property filter is off", async () => {
  await using broker = await EmbeddedBroker.start({ topics, propertyFilter: false });
  await using peer = await Peer.connect(broker);
  const sql = { ...subscription("orders"), subString: "a > 1", expressionType: "SQL92" };
  const refused = [1, "The broker does not support consumer to filter message by SQL92"];

  assertEquals(outcome(await peer.pull({ topic: "orders", subscription: "a > 1", expressionType: "SQL92" })), refused);
  assertEquals((await peer.pull({ topic: "orders", subscription: "", expressionType: "SQL92" })).code, 23);
  await peer.join("billing", [sql]);
  assertEquals(outcome(await peer.pull({ topic: "orders", sysFlag: 0 })), refused);
});

Deno.test("PullMessage commits the offset that it carries, if it says so", async () => {
  await using broker = await EmbeddedBroker.start({ topics });
  await using peer = await Peer.connect(broker);
  await broker.publish("orders", ["a", "b", "c"]);

  await peer.pull({ topic: "orders", sysFlag: 4, commitOffset: 1 });
  assertEquals(broker.committedOffset("billing", { topic: "orders", queueId: 0 }), undefined);
  await peer.pull({ topic: "orders", sysFlag: 5, commitOffset: 2 });
  assertEquals(broker.committedOffset("billing", { topic: "orders", queueId: 0 }), 2);
});

Deno.test("PullMessage under the code of lite pulls is the same", async () => {
  await using broker = await EmbeddedBroker.start({ topics });
  await using peer = await Peer.connect(broker);
  await broker.publish("orders", ["a"]);
  const fields = { consumerGroup: "billing", topic: "orders", queueId: "0", queueOffset: "0", maxMsgNums: "32" };
  const rest = { sysFlag: "20", commitOffset: "0", suspendTimeoutMillis: "0", subscription: "*", subVersion: "0" };

  assertEquals((await peer.askText({ name: "LitePull", code: 361 }, { ...fields, ...rest })).code, 0);
});
