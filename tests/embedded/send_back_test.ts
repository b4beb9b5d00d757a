import { assert, assertEquals } from "@std/assert";
import { EmbeddedBroker } from "../../src/embedded/mod.ts";
import { MessageSysFlag } from "../../src/wire/codes.ts";
import { Peer } from "./peer.ts";

const options = { topics: { orders: { queues: 1 } }, delayLevels: [1, 1, 1, 1, 1] };
const RETRY = "%RETRY%billing";
const DEAD = "%DLQ%billing";

Deno.test("SendBack puts a message into the retry topic later, as the same message with one more try", async () => {
  await using broker = await EmbeddedBroker.start(options);
  await using peer = await Peer.connect(broker);
  const sysFlag = MessageSysFlag.COMPRESSED | MessageSysFlag.COMPRESSION_ZLIB;
  const given = { TAGS: "paid", KEYS: "42", UNIQ_KEY: "U", mine: "yes" };
  await peer.send({ topic: "orders", body: "packed", sysFlag, flag: 9, with: given });
  const [original] = await peer.messages({ topic: "orders" });
  assert(original);

  assertEquals((await peer.sendBack({ offset: original.commitLogOffset })).code, 0);
  const [first] = await peer.untilMessages({ topic: RETRY });
  assert(first);

  assertEquals([first.topic, first.storedTopic, first.queueOffset], ["orders", RETRY, 0]);
  assertEquals([first.reconsumeTimes, first.flag, first.sysFlag], [1, 9, sysFlag]);
  assertEquals(first.storedBody, original.storedBody);
  assertEquals([first.bornAt, first.bornHost], [original.bornAt, original.bornHost]);
  assertEquals(Object.fromEntries(first.properties), {
    ...Object.fromEntries(original.properties),
    RETRY_TOPIC: "orders",
    ORIGIN_MESSAGE_ID: original.offsetMessageId,
    WAIT: "false",
    DELAY: "3",
    REAL_TOPIC: RETRY,
    REAL_QID: "0",
  });

  await peer.sendBack({ offset: first.commitLogOffset });
  const [second] = await peer.untilMessages({ topic: RETRY, queueOffset: 1 });
  assertEquals([second!.reconsumeTimes, second!.property("DELAY")], [2, "4"]);
  assertEquals(second!.property("ORIGIN_MESSAGE_ID"), original.offsetMessageId);
  assertEquals(second!.topic, "orders");
});

Deno.test("SendBack stores a dead letter at once after maxReconsumeTimes, or for a negative level, with its topic", async () => {
  await using broker = await EmbeddedBroker.start(options);
  await using peer = await Peer.connect(broker);
  await broker.publish("orders", ["a"]);
  const [message] = await peer.messages({ topic: "orders" });
  const offset = message!.commitLogOffset;
  const originTopic = "orders";

  assertEquals((await peer.sendBack({ offset, delayLevel: -1 })).code, 1);
  await peer.sendBack({ offset, originTopic, delayLevel: -1 });
  await peer.sendBack({ offset, originTopic, maxReconsumeTimes: 0 });
  await peer.sendBack({ offset, originTopic, maxReconsumeTimes: 1 });
  const [retried] = await peer.untilMessages({ topic: RETRY });
  await peer.sendBack({ offset: retried!.commitLogOffset, originTopic, maxReconsumeTimes: 1 });

  const dead = await peer.messages({ topic: DEAD });
  assertEquals(dead.map((each) => each.reconsumeTimes), [1, 1, 2]);
  assertEquals(dead.map((each) => each.property("DELAY")), ["0", "0", "0"]);
  assertEquals(dead.map((each) => each.property("RETRY_TOPIC")), ["orders", "orders", "orders"]);
  assertEquals(broker.topicStats(DEAD).length, 1);
  assertEquals(broker.maxOffset(RETRY, 0), 1);
});

Deno.test("SendBack stores what has a long topic as its line does: 5.x retries only, 4.9 nothing", async () => {
  const group = "g".repeat(140);
  for (const [dialect, expected] of [["5.x", [0, 1]], ["4.9", [1, 1]]] as const) {
    await using broker = await EmbeddedBroker.start({ ...options, dialect });
    await using peer = await Peer.connect(broker);
    await broker.publish("orders", ["a"]);
    const [message] = await peer.messages({ topic: "orders" });
    const about = { group, offset: message!.commitLogOffset, originTopic: "orders" };
    const answers = [
      await peer.sendBack({ ...about, delayLevel: 1 }),
      await peer.sendBack({ ...about, delayLevel: -1 }),
    ];
    assertEquals(answers.map(({ code }) => code), [...expected], dialect);
    assertEquals(answers[1]!.remark, "MESSAGE_ILLEGAL");
  }
});

Deno.test("SendBack retries 16 times unless the request says otherwise", async () => {
  await using broker = await EmbeddedBroker.start({ ...options, delayLevels: [0] });
  await using peer = await Peer.connect(broker);
  await broker.publish("orders", ["a"]);
  let message = (await peer.messages({ topic: "orders" }))[0]!;

  for (let times = 0; times < 16; times++) {
    await peer.sendBack({ offset: message.commitLogOffset });
    message = (await peer.untilMessages({ topic: RETRY, queueOffset: times }))[0]!;
  }
  await peer.sendBack({ offset: message.commitLogOffset, originTopic: "orders" });

  assertEquals([broker.maxOffset(RETRY, 0), broker.maxOffset(DEAD, 0)], [16, 1]);
  assertEquals((await peer.messages({ topic: DEAD }))[0]!.reconsumeTimes, 17);
});

Deno.test("SendBack takes a level as it is, at most the highest", async () => {
  await using broker = await EmbeddedBroker.start(options);
  await using peer = await Peer.connect(broker);
  await broker.publish("orders", ["a"]);
  const [message] = await peer.messages({ topic: "orders" });

  await peer.sendBack({ offset: message!.commitLogOffset, delayLevel: 99 });

  assertEquals((await peer.untilMessages({ topic: RETRY }))[0]!.property("DELAY"), "5");
});

Deno.test("SendBack of a message that is not there is answered with 1, of a group with a bad name with 26", async () => {
  await using broker = await EmbeddedBroker.start(options);
  await using peer = await Peer.connect(broker);
  await broker.publish("orders", ["a", "b"]);
  const [first] = await peer.messages({ topic: "orders" });
  broker.deleteUntil("orders", 0, 1);

  assertEquals((await peer.sendBack({ offset: first!.commitLogOffset })).code, 1);
  assertEquals((await peer.sendBack({ offset: 1 })).code, 1);
  assertEquals((await peer.sendBack({ offset: 1e12 })).code, 1);
  assertEquals((await peer.sendBack({ offset: 0, group: "bad group" })).code, 26);
  assertEquals(broker.topicStats(RETRY).length, 1);
});
