import { assertEquals, assertRejects } from "@std/assert";
import { InvalidTopicError, RocketMQError, ValidationError } from "../../src/errors.ts";
import { EmbeddedBroker } from "../../src/embedded/mod.ts";
import { Peer } from "./peer.ts";

Deno.test("publish() stores in the queues in turn, with tags, keys and properties", async () => {
  await using broker = await EmbeddedBroker.start({ topics: { orders: { queues: 2 } } });
  await using peer = await Peer.connect(broker);

  await broker.publish("orders", ["a", new TextEncoder().encode("b"), "c"]);
  await broker.publish("orders", [{ body: "d", tags: "paid", keys: ["1", "2"], properties: { region: "eu" } }]);

  assertEquals((await peer.messages({ topic: "orders", queueId: 0 })).map((each) => each.text()), ["a", "c"]);
  const [, message] = await peer.messages({ topic: "orders", queueId: 1 });
  assertEquals([message!.text(), message!.tags, message!.keys, message!.property("region")], [
    "d",
    "paid",
    ["1", "2"],
    "eu",
  ]);
});

Deno.test("publish() makes an unknown topic with 4 queues, or refuses it", async () => {
  await using broker = await EmbeddedBroker.start();
  await using strict = await EmbeddedBroker.start({ autoCreateTopics: false });

  await broker.publish("orders", ["a"]);
  assertEquals(broker.topicStats("orders").length, 4);
  await assertRejects(() => strict.publish("orders", ["a"]), InvalidTopicError, '"orders"');
});

Deno.test("publish() refuses bad messages and stores none then", async () => {
  await using broker = await EmbeddedBroker.start({ topics: { orders: { queues: 1 } }, maxMessageSize: 10 });

  await assertRejects(() => broker.publish("orders", ["a", ""]), ValidationError, "body");
  await assertRejects(() => broker.publish("orders", ["a", "x".repeat(11)]), ValidationError, "1 to 10 bytes");
  await assertRejects(() => broker.publish("orders", ["a"], { queueId: 1 }), ValidationError, "queueId");
  const bad = { body: "b", properties: { region: "e\u0002u" } };
  await assertRejects(() => broker.publish("orders", ["a", bad]), ValidationError, "region");
  assertEquals(broker.maxOffset("orders", 0), 0);
});

Deno.test("publish() takes delay levels, as long as there is room for what waits", async () => {
  await using broker = await EmbeddedBroker.start({ topics: { orders: { queues: 1 } }, maxMessages: 2 });
  const later = { body: "later", properties: { DELAY: "18" } };

  const error = await assertRejects(() => broker.publish("orders", ["a", later, later, later, "b"]), RocketMQError);

  assertEquals(error.code, "DELAY_REFUSED");
  assertEquals([broker.maxOffset("orders", 0), broker.delayedMessages], [1, 2]);
});

Deno.test("the oldest messages of all topics are dropped when there are too many", async () => {
  const topics = { orders: { queues: 1 }, payments: { queues: 1 } };
  await using broker = await EmbeddedBroker.start({ topics, maxMessages: 5 });
  await using peer = await Peer.connect(broker);

  await broker.publish("orders", ["a", "b"]);
  await broker.publish("payments", ["c", "d", "e", "f"]);
  assertEquals([broker.minOffset("orders", 0), broker.minOffset("payments", 0)], [1, 0]);
  await broker.publish("payments", ["g", "h"]);

  assertEquals(broker.topicStats("orders"), [{ queueId: 0, minOffset: 2, maxOffset: 2 }]);
  assertEquals(broker.topicStats("payments"), [{ queueId: 0, minOffset: 1, maxOffset: 6 }]);
  assertEquals((await peer.pull({ topic: "orders", queueOffset: 0 })).code, 21);
  const messages = await peer.messages({ topic: "payments", queueOffset: 1 });
  assertEquals(messages.map((message) => message.text()), ["d", "e", "f", "g", "h"]);
});

Deno.test("the oldest messages are dropped when they have too many bytes, but never the last one", async () => {
  await using broker = await EmbeddedBroker.start({ topics: { orders: { queues: 1 } }, maxBytes: 3_000 });

  await broker.publish("orders", Array.from({ length: 100 }, () => "x".repeat(1_000)));
  assertEquals(broker.topicStats("orders"), [{ queueId: 0, minOffset: 98, maxOffset: 100 }]);
  await broker.publish("orders", ["y".repeat(9_000)]);
  assertEquals(broker.topicStats("orders"), [{ queueId: 0, minOffset: 100, maxOffset: 101 }]);
});

Deno.test("deleteUntil() raises the smallest offset, up to the end", async () => {
  await using broker = await EmbeddedBroker.start({ topics: { orders: { queues: 2 } }, maxMessages: 6 });
  await broker.publish("orders", ["a", "b", "c"], { queueId: 0 });

  broker.deleteUntil("orders", 0, 1);
  assertEquals(broker.minOffset("orders", 0), 1);
  broker.deleteUntil("orders", 0, 0);
  assertEquals(broker.minOffset("orders", 0), 1);
  broker.deleteUntil("orders", 0, 99);
  assertEquals([broker.minOffset("orders", 0), broker.maxOffset("orders", 0)], [3, 3]);
  broker.deleteUntil("unknown", 7, 1);
  await broker.publish("orders", ["d", "e", "f", "g", "h", "i", "j"], { queueId: 1 });
  assertEquals([broker.minOffset("orders", 1), broker.maxOffset("orders", 1)], [1, 7]);
});

Deno.test("thousands of messages go through in offset order", async () => {
  await using broker = await EmbeddedBroker.start({ topics: { orders: { queues: 1 } }, maxMessages: 20_000 });
  await using peer = await Peer.connect(broker);
  await broker.publish("orders", Array.from({ length: 30_000 }, (_, i) => `${i}`));

  assertEquals(broker.minOffset("orders", 0), 10_000);
  let next = 10_000;
  while (next < 30_000) {
    for (const message of await peer.messages({ topic: "orders", queueOffset: next })) {
      if (message.queueOffset !== next || message.text() !== `${next}`) throw new RangeError(`not ${next}`);
      next++;
    }
  }
});
