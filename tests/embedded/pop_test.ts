import { assertEquals } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { EmbeddedBroker } from "../../src/embedded/mod.ts";
import { changedPopReceipt, formatPopReceipt } from "../../src/wire/pop.ts";
import type { PoppedMessage } from "../../src/wire/pop_receive.ts";
import { batchAcks } from "../../src/wire/pop_acks.ts";
import { decodeHeader } from "../../src/wire/fields.ts";
import { batchAckMessage, changeInvisibleTime } from "../../src/wire/requests.ts";
import { outcome, Peer, poppedTexts } from "./peer.ts";

const topics = { orders: { queues: 2 }, single: { queues: 1 } };
const RETRY = "%RETRY%billing_orders";

Deno.test("a pop takes messages of all queues, each once", async () => {
  await using broker = await EmbeddedBroker.start({ topics });
  await using peer = await Peer.connect(broker);
  await broker.publish("orders", ["a", "b", "c"], { queueId: 0 });
  await broker.publish("orders", ["d"], { queueId: 1 });

  assertEquals(poppedTexts(await peer.popped({ topic: "orders", queueId: 0, maxMsgNums: 2 })), ["a", "b"]);
  assertEquals(poppedTexts(await peer.popped({ topic: "orders" })), ["c", "d"]);
  assertEquals(outcome(await peer.pop({ topic: "orders" })), [210, "NO_MESSAGE_IN_QUEUE"]);
  assertEquals(poppedTexts(await peer.popped({ topic: "orders", consumerGroup: "other" })), ["a", "b", "c", "d"]);
  assertEquals([broker.committed("billing", "orders"), broker.poppedMessages], [4, 8]);
});

Deno.test("an answer to a pop carries start offsets, message offsets and the number of further messages", async () => {
  await using broker = await EmbeddedBroker.start({ topics });
  await using peer = await Peer.connect(broker);
  await broker.publish("single", ["1", "2", "3", "4"].map((body, i) => ({ body, tags: i % 2 ? "odd" : "even" })));

  const { fields } = await peer.pop({ topic: "single", exp: "odd", maxMsgNums: 1 });
  assertEquals([fields.startOffsetInfo, fields.msgOffsetInfo, fields.restNum], ["0 0 0", "0 0 1", "2"]);
  assertEquals(broker.committed("billing", "single"), 2);
  const next = await peer.pop({ topic: "single", exp: "odd" });
  assertEquals([next.fields.startOffsetInfo, next.fields.msgOffsetInfo, next.fields.restNum], ["0 0 2", "0 0 3", "0"]);
  assertEquals(next.fields.invisibleTime, "60000");
});

Deno.test("a pop skips what its filter does not match", async () => {
  await using broker = await EmbeddedBroker.start({ topics });
  await using peer = await Peer.connect(broker);
  await broker.publish("single", [{ body: "a", properties: { n: "1" } }, { body: "b", properties: { n: "2" } }]);

  const sql = { topic: "single", expType: "SQL92" };
  assertEquals(poppedTexts(await peer.popped({ ...sql, exp: "n > 1" })), ["b"]);
  assertEquals((await peer.pop({ ...sql, consumerGroup: "none", exp: "n > 2" })).code, 210);
  assertEquals(broker.committed("none", "single"), 2);
  assertEquals(outcome(await peer.pop({ ...sql, exp: "n >" })), [23, "parse the consumer's subscription failed"]);
  assertEquals((await peer.pop({ ...sql, expType: "OTHER", exp: "n" })).code, 23);
});

Deno.test("an acked message is removed, the others are redelivered with a receipt of the broker", async () => {
  using time = new FakeTime();
  await using broker = await EmbeddedBroker.start({ topics });
  await using peer = await Peer.connect(broker);
  await broker.publish("orders", [{ body: "a" }, { body: "b", tags: "t" }], { queueId: 1 });
  const [a, b] = await peer.popped({ topic: "orders", invisibleTime: 1_000 });
  const firstPopTime = b!.receipt.popTime;

  assertEquals((await peer.ack("orders", a!.receipt)).code, 0);
  assertEquals(broker.poppedMessages, 1);
  await time.tickAsync(999);
  assertEquals((await peer.pop({ topic: "orders" })).code, 210);
  await time.tickAsync(1);

  const [again, ...more] = await peer.popped({ topic: "orders", invisibleTime: 2_000, exp: "t" });
  assertEquals(more, []);
  const { message, receipt, reconsumeTimes } = again!;
  assertEquals([message.text(), message.storedTopic, message.tags, reconsumeTimes], ["b", "orders", "t", 1]);
  assertEquals(message.property("POP_CK"), formatPopReceipt(receipt));
  assertEquals([receipt.retry, receipt.queueId, receipt.queueOffset], [1, 0, 0]);
  assertEquals([again!.firstPopTime, message.property("1ST_POP_TIME")], [firstPopTime, String(firstPopTime)]);
  assertEquals([broker.maxOffset(RETRY, 0), broker.committed("billing", RETRY)], [1, 1]);

  await time.tickAsync(2_000);
  const [third] = await peer.popped({ topic: "orders" });
  assertEquals([third!.reconsumeTimes, third!.firstPopTime, third!.receipt.queueOffset], [2, firstPopTime, 1]);
  await peer.ack("orders", third!.receipt);
  assertEquals(broker.poppedMessages, 0);
  await time.tickAsync(120_000);
  assertEquals((await peer.pop({ topic: "orders" })).code, 210);
});

Deno.test("an ack under a wrong topic, group, broker or time has no effect, and is no error", async () => {
  await using broker = await EmbeddedBroker.start({ topics });
  await using peer = await Peer.connect(broker);
  await broker.publish("single", ["a"]);
  const [{ receipt }] = await peer.popped({ topic: "single" }) as [PoppedMessage];

  const answers = [
    await peer.ack("single", receipt, { consumerGroup: "other" }),
    await peer.ack("single", { ...receipt, popTime: receipt.popTime + 1 }),
    await peer.ack("single", { ...receipt, broker: "broker-b" }),
    await peer.ack("single", receipt, { offset: 1 }),
    await peer.ack("orders", receipt, { offset: 0 }),
  ];
  assertEquals([...answers.map(({ code }) => code), broker.poppedMessages], [0, 0, 0, 0, 0, 1]);
});

Deno.test("invalid acks and changes are refused", async () => {
  await using broker = await EmbeddedBroker.start({ topics });
  await using peer = await Peer.connect(broker);
  await broker.publish("single", ["a"]);
  const [{ receipt }] = await peer.popped({ topic: "single" }) as [PoppedMessage];
  const codes = async (header: Parameters<Peer["ack"]>[2]) => [
    (await peer.ack("single", receipt, header)).code,
    (await peer.changeInvisible("single", receipt, 1_000, header)).code,
  ];

  assertEquals(await codes({ offset: 2 }), [208, 208]);
  assertEquals(await codes({ offset: -1 }), [208, 208]);
  assertEquals(await codes({ offset: 1 }), [0, 208], "an ack may name the next message");
  assertEquals(await codes({ queueId: 1 }), [13, 13]);
  assertEquals(await codes({ queueId: -1 }), [13, 13]);
  assertEquals(await codes({ topic: "unknown" }), [17, 17]);
  assertEquals(await codes({ extraInfo: "0 1" }), [1, 1]);
  assertEquals(outcome(await peer.ack("single", receipt, { offset: 2 })), [
    208,
    "offset is illegal, key:single@0, commit:2, store:0~1",
  ]);
  assertEquals(broker.poppedMessages, 1);
});

Deno.test("a changed invisible time makes a new receipt, and the old one has no effect", async () => {
  using time = new FakeTime();
  await using broker = await EmbeddedBroker.start({ topics });
  await using peer = await Peer.connect(broker);
  await broker.publish("orders", ["a", "b"], { queueId: 0 });
  const [a, b] = await peer.popped({ topic: "orders", invisibleTime: 1_000 });
  await peer.ack("orders", a!.receipt);

  const answer = await peer.changeInvisible("orders", b!.receipt, 5_000);
  const header = decodeHeader(changeInvisibleTime.answer, answer.fields, "answer");
  const changed = changedPopReceipt(b!.receipt, header);
  assertEquals(changed, { ...b!.receipt, startOffset: 1, popTime: header.popTime, invisibleTime: 5_000 });
  await peer.ack("orders", b!.receipt);
  await time.tickAsync(4_999);
  assertEquals((await peer.pop({ topic: "orders" })).code, 210);
  await time.tickAsync(2); // the new receipt is a millisecond younger
  const [again] = await peer.popped({ topic: "orders" });
  assertEquals([again!.message.text(), again!.reconsumeTimes], ["b", 1]);

  const sooner = await peer.changeInvisible("orders", again!.receipt, 10);
  assertEquals(sooner.code, 0);
  await peer.ack(
    "orders",
    changedPopReceipt(again!.receipt, decodeHeader(changeInvisibleTime.answer, sooner.fields, "")),
  );
  assertEquals(broker.poppedMessages, 0);
});

Deno.test("a batch of acks applies the valid ones and skips the rest", async () => {
  await using broker = await EmbeddedBroker.start({ topics });
  await using peer = await Peer.connect(broker);
  await broker.publish("single", ["a", "b", "c"]);
  const [a, b, c] = (await peer.popped({ topic: "single" })).map(({ receipt }) => receipt);
  const send = (body?: object | string) => peer.ask(batchAckMessage, {}, body === undefined ? {} : { body });
  const batch = (...acks: Parameters<typeof batchAcks>[1][]) => ({
    brokerName: broker.brokerName,
    acks: acks.flatMap((each) => batchAcks("billing", each)),
  });

  assertEquals((await send()).code, 208);
  assertEquals((await send(batch())).code, 208);
  assertEquals((await send("{")).code, 1);
  const far = { ...a!, queueOffset: 70 };
  const nowhere = { ...a!, queueId: 7 };
  const answer = await send(batch(
    [{ topic: "single", receipt: a! }, { topic: "single", receipt: c! }, { topic: "single", receipt: far }],
    [{ topic: "single", receipt: nowhere }, { topic: "unknown", receipt: b! }],
  ));
  assertEquals([answer.code, broker.poppedMessages], [0, 1]);
  await send({ ...batch([{ topic: "single", receipt: b! }]), brokerName: "broker-b" });
  assertEquals(broker.poppedMessages, 1);
  await send(batch([{ topic: "single", receipt: b! }]));
  assertEquals(broker.poppedMessages, 0);
});

Deno.test("invalid pops are refused", async () => {
  await using broker = await EmbeddedBroker.start({ topics: { ...topics, secret: { permission: 2 } } });
  await using peer = await Peer.connect(broker);
  const code = async (header: Parameters<Peer["pop"]>[0]) => (await peer.pop(header)).code;

  assertEquals(await code({ topic: "unknown" }), 17);
  assertEquals(await code({ topic: "orders", queueId: 2 }), 29);
  assertEquals(await code({ topic: "orders", maxMsgNums: 33 }), 29);
  assertEquals(await code({ topic: "orders", consumerGroup: "a b" }), 26);
  assertEquals(await code({ topic: "secret" }), 16);
  const late = await peer.pop({ topic: "orders", bornTime: Date.now() - 2_000, pollTime: 1_000 });
  assertEquals(outcome(late), [210, "the broker[127.0.0.1] pop message is timeout too much"]);
  assertEquals(late.fields, { popTime: "0", invisibleTime: "0", reviveQid: "0", restNum: "0" });
});

Deno.test("a group without an offset begins at the first message, or at the last if the first ones are deleted", async () => {
  await using broker = await EmbeddedBroker.start({ topics });
  await using peer = await Peer.connect(broker);
  await broker.publish("single", ["a", "b", "c", "d"]);

  assertEquals(poppedTexts(await peer.popped({ topic: "single", initMode: 1 })), ["a", "b", "c", "d"]);
  broker.deleteUntil("single", 0, 2);
  assertEquals(poppedTexts(await peer.popped({ topic: "single", initMode: 1, consumerGroup: "last" })), ["d"]);
  assertEquals(poppedTexts(await peer.popped({ topic: "single", consumerGroup: "first" })), ["c", "d"]);
});

Deno.test("the next pop begins at a reset offset", async () => {
  await using broker = await EmbeddedBroker.start({ topics });
  await using peer = await Peer.connect(broker);
  await broker.publish("single", ["a", "b", "c"]);
  await peer.popped({ topic: "single" });

  broker.resetOffset("billing", { topic: "single", queueId: 0 }, 1);
  assertEquals(poppedTexts(await peer.popped({ topic: "single" })), ["b", "c"]);
  assertEquals(broker.committed("billing", "single"), 3);
});

Deno.test("popped messages survive a broker that was killed, offsets only if they are durable", async () => {
  using time = new FakeTime();
  await using broker = await EmbeddedBroker.start({ topics, offsetPersistInterval: 5_000 });
  await broker.publish("single", ["a", "b"]);
  {
    await using peer = await Peer.connect(broker);
    await peer.popped({ topic: "single", maxMsgNums: 1, invisibleTime: 1_000 });
  }
  await broker.kill();
  await time.tickAsync(2_000);
  await broker.revive();
  await time.tickAsync(1);
  await using peer = await Peer.connect(broker);

  assertEquals(poppedTexts(await peer.popped({ topic: "single" })), ["a", "a", "b"]);
});

Deno.test("a message that the store has deleted is not redelivered", async () => {
  using time = new FakeTime();
  await using broker = await EmbeddedBroker.start({ topics });
  await using peer = await Peer.connect(broker);
  await broker.publish("single", ["a", "b"]);
  await peer.popped({ topic: "single", invisibleTime: 1_000 });
  broker.deleteUntil("single", 0, 1);
  await time.tickAsync(1_000);

  assertEquals(poppedTexts(await peer.popped({ topic: "single" })), ["b"]);
});

Deno.test("a message that was sent with a delay is delayed again before it is redelivered", async () => {
  using time = new FakeTime();
  await using broker = await EmbeddedBroker.start({ topics, delayLevels: [3_000] });
  await using peer = await Peer.connect(broker);
  await peer.send({ topic: "single", with: { DELAY: "1" } });
  await time.tickAsync(3_000);
  await peer.popped({ topic: "single", invisibleTime: 1_000 });

  await time.tickAsync(1_000);
  assertEquals([(await peer.pop({ topic: "single" })).code, broker.delayedMessages], [210, 1]);
  await time.tickAsync(3_000);
  assertEquals((await peer.popped({ topic: "single" })).map(({ reconsumeTimes }) => reconsumeTimes), [1]);
});

Deno.test("deliveries that are acked leave no memory in use", async () => {
  await using broker = await EmbeddedBroker.start({ topics });
  await using peer = await Peer.connect(broker);
  for (let round = 0; round < 15; round++) {
    await broker.publish("single", Array.from({ length: 100 }, (_, i) => String(i)));
    const popped = await Promise.all(
      Array.from({ length: 100 }, () => peer.popped({ topic: "single", maxMsgNums: 1, invisibleTime: 300_000 })),
    );
    for (const { receipt } of popped.flat()) peer.ack("single", receipt);
    await peer.served();
  }
  assertEquals(broker.poppedMessages, 0);
});

Deno.test("a 4.9 broker has no POP", async () => {
  await using broker = await EmbeddedBroker.start({ topics, dialect: "4.9" });
  await using peer = await Peer.connect(broker);

  for (const code of [200_050, 200_051, 200_151, 200_053, 400, 401]) {
    assertEquals(outcome(await peer.askText({ name: "Pop", code }, {})), [3, ` request type ${code} not supported`]);
  }
});
