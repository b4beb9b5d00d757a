import { assertEquals } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { EmbeddedBroker } from "../../src/embedded/mod.ts";
import { Peer } from "./peer.ts";

const topics = { orders: { queues: 2 } };

Deno.test("a message with a delay level is delivered at its time, with its target kept", async () => {
  using time = new FakeTime();
  await using broker = await EmbeddedBroker.start({ topics, delayLevels: [1_000, 5_000] });
  await using peer = await Peer.connect(broker);

  const late = await peer.send({ topic: "orders", queueId: 1, body: "late", with: { DELAY: "2" } });
  const early = await peer.send({ topic: "orders", queueId: 1, body: "early", with: { DELAY: "1" } });
  assertEquals([late.fields.queueId, late.fields.queueOffset], ["1", "0"]);
  assertEquals(late.fields.msgId === early.fields.msgId, false);
  assertEquals(broker.delayedMessages, 2);

  time.tick(999);
  assertEquals(broker.maxOffset("orders", 1), 0);
  time.tick(1);
  assertEquals(broker.maxOffset("orders", 1), 1);
  time.tick(4_000);
  const messages = await peer.messages({ topic: "orders", queueId: 1 });
  assertEquals(messages.map((message) => message.text()), ["early", "late"]);
  assertEquals(messages.map((message) => message.property("REAL_TOPIC")), ["orders", "orders"]);
  assertEquals(messages.map((message) => message.property("REAL_QID")), ["1", "1"]);
  assertEquals(messages.map((message) => message.property("DELAY")), ["1", "2"]);
  assertEquals(broker.delayedMessages, 0);
});

Deno.test("messages of one level keep their order, and a level above the highest is the highest", async () => {
  using time = new FakeTime();
  await using broker = await EmbeddedBroker.start({ topics, delayLevels: [1_000, 1_000] });
  await using peer = await Peer.connect(broker);
  const bodies = Array.from({ length: 20 }, (_, i) => `${i}`);

  for (const body of bodies) await peer.send({ topic: "orders", body, with: { DELAY: "9" } });
  time.tick(1_000);

  const messages = await peer.messages({ topic: "orders" });
  assertEquals(messages.map((message) => message.text()), bodies);
  assertEquals(messages[0]!.property("DELAY"), "2");
});

Deno.test("a delayed message keeps its tries, and wakes a held pull", async () => {
  await using broker = await EmbeddedBroker.start({ topics, delayLevels: [1] });
  await using peer = await Peer.connect(broker);

  await peer.join("billing", []);
  const waiting = peer.untilMessages({ topic: "%RETRY%billing" });
  await peer.send({ topic: "%RETRY%billing", reconsumeTimes: 3, with: { DELAY: "1" } });

  assertEquals((await waiting).map((message) => message.reconsumeTimes), [3]);
});

Deno.test("messages that wait when the broker is killed are delivered after it is back", async () => {
  using time = new FakeTime();
  await using broker = await EmbeddedBroker.start({ topics, delayLevels: [1_000] });
  await broker.publish("orders", [{ body: "later", properties: { DELAY: "1" } }], { queueId: 0 });

  await broker.kill();
  time.tick(5_000);
  assertEquals(broker.maxOffset("orders", 0), 0);
  await broker.revive();
  time.tick(1);

  assertEquals(broker.maxOffset("orders", 0), 1);
});

Deno.test("a full broker refuses delayed messages with 14, and loses none", async () => {
  await using broker = await EmbeddedBroker.start({ topics, maxMessages: 2 });
  await using peer = await Peer.connect(broker);
  const send = async () => (await peer.send({ topic: "orders", with: { DELAY: "18" } })).code;

  assertEquals([await send(), await send(), await send()], [0, 0, 14]);
  assertEquals(broker.delayedMessages, 2);
});

Deno.test("a timer message is delivered at its second, by the first of its properties that is there", async () => {
  using time = new FakeTime(10_500);
  await using broker = await EmbeddedBroker.start({ topics });
  await using peer = await Peer.connect(broker);
  const send = async (properties: Record<string, string>) =>
    (await peer.send({ topic: "orders", with: properties })).code;
  const due = () => broker.maxOffset("orders", 0);

  await send({ TIMER_DELAY_SEC: "2", TIMER_DELAY_MS: "9000" }); // 12 500: at 12 000
  await send({ TIMER_DELAY_MS: "3500", TIMER_DELIVER_MS: "99000" }); // 14 000: at 13 000
  await send({ TIMER_DELIVER_MS: "15001" }); // at 15 000
  await send({ TIMER_DELIVER_MS: "10500" }); // at once
  assertEquals([due(), broker.delayedMessages], [1, 3]);
  time.tick(1_499);
  assertEquals(due(), 1);
  time.tick(1);
  assertEquals(due(), 2);
  time.tick(1_000);
  assertEquals(due(), 3);
  time.tick(2_000);
  assertEquals(due(), 4);

  const [, first] = await peer.messages({ topic: "orders" });
  assertEquals([first!.property("TIMER_OUT_MS"), first!.property("REAL_TOPIC")], ["12000", "orders"]);
  assertEquals(await send({ TIMER_DELAY_SEC: String(3 * 86_400 + 1) }), 13);
  assertEquals(await send({ TIMER_DELAY_SEC: "soon" }), 13);
  assertEquals(await send({ TIMER_DELAY_SEC: "60", DELAY: "1" }), 0);
  time.tick(1_000);
  assertEquals(due(), 5);
});

Deno.test("a timer message that is sent back waits for its retry only", async () => {
  await using broker = await EmbeddedBroker.start({ topics, delayLevels: [1] });
  await using peer = await Peer.connect(broker);
  await peer.send({ topic: "orders", with: { TIMER_DELAY_MS: "1" } });
  const [message] = await peer.untilMessages({ topic: "orders" });

  await peer.sendBack({ offset: message!.commitLogOffset });
  const [retried] = await peer.untilMessages({ topic: "%RETRY%billing" });
  await peer.sendBack({ offset: retried!.commitLogOffset, originTopic: "orders", delayLevel: -1 });

  assertEquals((await peer.untilMessages({ topic: "%DLQ%billing" })).length, 1);
});
