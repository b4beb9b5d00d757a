import { assertEquals, assertStringIncludes } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { EmbeddedBroker, type PublishedMessage } from "../../src/embedded/mod.ts";
import { MAX_DEPTH } from "../../src/embedded/sql/parser.ts";
import { retryTopic } from "../../src/wire/names.ts";
import { checkClientConfig } from "../../src/wire/requests.ts";
import { outcome, Peer, subscription } from "./peer.ts";

const topics = { orders: { queues: 1 } };
const SQL92 = { expressionType: "SQL92" };
const SUSPEND = 6;

/** Messages with one property each, whose bodies are its values. */
function priced(...prices: string[]): PublishedMessage[] {
  return prices.map((price) => ({ body: price, properties: { price } }));
}

function sql(topic: string, expression: string, subVersion: number) {
  return { ...subscription(topic, "*", subVersion), subString: expression, ...SQL92 };
}

Deno.test("CheckClientConfig checks SQL, and refuses invalid SQL with the message", async () => {
  await using broker = await EmbeddedBroker.start({ topics });
  await using peer = await Peer.connect(broker);
  const check = async (subscriptionData?: object) =>
    outcome(await peer.ask(checkClientConfig, {}, { body: { clientId: "c", group: "billing", subscriptionData } }));

  assertEquals(await check(sql("orders", "price > 10 AND region = 'eu'", 1)), [0, undefined]);
  const [code, remark] = await check(sql("orders", "price >", 1));
  assertEquals(code, 23);
  assertStringIncludes(String(remark), 'ParseException: Encountered "<EOF>" at line 1, column 7.');
  assertEquals((await check({ ...sql("orders", "a = 1", 1), expressionType: "OTHER" }))[0], 23);
  assertEquals((await check({ topic: "orders", ...SQL92 }))[0], 23);
  assertEquals((await check({ topic: "orders", ...SQL92, subString: null }))[0], 23);
  assertEquals((await check(subscription("orders", "price >")))[0], 0);
  assertEquals((await check())[0], 0);
});

Deno.test("CheckClientConfig refuses all SQL where the property filter is off, and 4.9 what came with 5.0", async () => {
  const check = async (options: object, expression: string) => {
    await using broker = await EmbeddedBroker.start({ topics, ...options });
    await using peer = await Peer.connect(broker);
    const body = { clientId: "c", group: "billing", subscriptionData: sql("orders", expression, 1) };
    return (await peer.ask(checkClientConfig, {}, { body })).code;
  };

  assertEquals(await check({ propertyFilter: false }, "a = 1"), 1);
  assertEquals(await check({ propertyFilter: false }, "a ="), 1);
  assertEquals(await check({ dialect: "4.9" }, "a = 1"), 0);
  assertEquals(await check({ dialect: "4.9" }, "NOT (a CONTAINS 'x')"), 23);
});

Deno.test("PullMessage filters by its own SQL, and skips what does not match", async () => {
  await using broker = await EmbeddedBroker.start({ topics });
  await using peer = await Peer.connect(broker);
  await broker.publish("orders", [...priced("5", "15", "many", "25"), "without"]);
  const pull = { topic: "orders", ...SQL92 };
  const texts = async (subscription: string, queueOffset = 0) =>
    (await peer.messages({ ...pull, subscription, queueOffset })).map((message) => message.text());

  assertEquals(await texts("price > 10"), ["15", "25"]);
  assertEquals(await texts("price > 10", 2), ["25"]);
  assertEquals(await texts("price IS NULL"), ["without"]);
  const none = await peer.pull({ ...pull, subscription: "price > 100" });
  assertEquals([...outcome(none), none.fields.nextBeginOffset], [20, "NO_MATCHED_MESSAGE", "5"]);
  assertEquals((await peer.pull({ ...pull, subscription: "" })).code, 23);
});

Deno.test("PullMessage matches all messages if its SQL is invalid", async () => {
  await using broker = await EmbeddedBroker.start({ topics });
  await using peer = await Peer.connect(broker);
  await broker.publish("orders", priced("5", "15"));
  const count = async (header: object) => (await peer.messages({ topic: "orders", ...SQL92, ...header })).length;

  assertEquals(await count({ subscription: "price >" }), 2);
  assertEquals(await count({ subscription: "(".repeat(MAX_DEPTH + 1) }), 2);
  assertEquals(await count({ subscription: "price > 100", expressionType: "OTHER" }), 2);
});

Deno.test("PullMessage filters by properties whatever else is in a message", async () => {
  const group = "g".repeat(200);
  const topic = "t".repeat(127);
  await using broker = await EmbeddedBroker.start({ topics: { [topic]: { queues: 1 } }, delayLevels: [0] });
  await using peer = await Peer.connect(broker);
  const body = new Uint8Array(100_000).fill(1);
  await broker.publish(topic, [
    { body, tags: "paid", keys: ["a", "b"], properties: { region: "größer", note: "" } },
    { body, tags: "open", properties: { region: "x".repeat(1_000) } },
  ]);
  const [first] = await peer.messages({ topic });
  const retries = retryTopic(group); // its length has two bytes in records
  await peer.sendBack({ group, offset: first!.commitLogOffset, delayLevel: 1, originTopic: topic });
  await peer.untilMessages({ topic: retries });
  const offsets = async (subscription: string, from = topic) =>
    (await peer.messages({ topic: from, ...SQL92, subscription })).map((message) => message.queueOffset);

  assertEquals(await offsets("region = 'größer'"), [0]);
  assertEquals(await offsets("TAGS IN ('paid') AND KEYS = 'a b'"), [0]);
  assertEquals(await offsets("region STARTSWITH 'xxx'"), [1]);
  assertEquals(await offsets("UNIQ_KEY IS NOT NULL"), [0, 1]);
  assertEquals(await offsets("region = 'größer' AND TAGS = 'paid'", retries), [0]);
  assertEquals(await offsets("region IS NULL", retries), []);
});

Deno.test("PullMessage filters by the SQL of its group's heartbeat", async () => {
  await using broker = await EmbeddedBroker.start({ topics });
  await using peer = await Peer.connect(broker);
  await broker.publish("orders", priced("5", "15"));
  const pull = (subVersion: number) => peer.pull({ topic: "orders", sysFlag: 0, subVersion });
  const texts = async (subVersion: number) =>
    (await peer.messages({ topic: "orders", sysFlag: 0, subVersion })).map((message) => message.text());

  await peer.join("billing", [sql("orders", "price > 10", 2)]);
  assertEquals(await texts(2), ["15"]);
  assertEquals((await pull(3)).code, 25);
  await peer.join("billing", [sql("orders", "price < 10", 2)]);
  assertEquals(await texts(2), ["15"]);
  await peer.join("billing", [sql("orders", "price < 10", 3)]);
  assertEquals(await texts(3), ["5"]);
  await peer.join("billing", [sql("orders", "price < 10", 4)]);
  assertEquals(await texts(4), ["5"]);
  await peer.join("billing", [sql("orders", "", 5)]);
  assertEquals(outcome(await pull(5)), [28, "the consumer's consumer filter data not latest"]);
  await peer.join("billing", [sql("orders", "price <", 6)]);
  const remark = "The broker's consumer filter data is not exist!Your expression may be wrong!";
  assertEquals(outcome(await pull(6)), [27, remark]);
  await peer.join("billing", [subscription("orders", "*", 7)]);
  assertEquals(await texts(7), ["5", "15"]);
});

Deno.test("a group's SQL outlives its members", async () => {
  await using broker = await EmbeddedBroker.start({ topics });
  await broker.publish("orders", priced("5", "15"));
  for (const expression of ["price > 10", "price < 10"]) {
    await using peer = await Peer.connect(broker);
    await peer.join("billing", [sql("orders", expression, 2)]);
    const found = await peer.messages({ topic: "orders", sysFlag: 0, subVersion: 2 });
    assertEquals(found.map((message) => message.text()), ["15"], "the same version is not taken over");
  }
});

Deno.test("a retry topic is not filtered by the SQL of its group", async () => {
  await using broker = await EmbeddedBroker.start({ topics });
  await using peer = await Peer.connect(broker);
  const topic = retryTopic("billing");
  await peer.join("billing", [sql("orders", "price > 10", 1), subscription(topic)]);
  await peer.send({ topic, body: "again", with: { price: "5" } });

  const [message] = await peer.messages({ topic, sysFlag: 0, subVersion: 1 });
  assertEquals(message?.text(), "again");
});

for (const own of [true, false]) {
  Deno.test(`a held pull waits for messages that ${own ? "its" : "its group's"} SQL matches`, async () => {
    await using broker = await EmbeddedBroker.start({ topics });
    await using peer = await Peer.connect(broker);
    await peer.join("billing", [sql("orders", "price > 10", 1)]);
    const subscribed = own ? { sysFlag: SUSPEND, subscription: "price > 10" } : { sysFlag: 2, subVersion: 1 };

    const held = peer.pull({ topic: "orders", ...SQL92, ...subscribed });
    await peer.served();
    for (const price of ["5", "many", "10"]) {
      await broker.publish("orders", priced(price));
      assertEquals(broker.heldPulls, 1);
    }
    await broker.publish("orders", ["without", ...priced("11", "12", "1")]);

    const answer = await held;
    assertEquals([...outcome(answer), answer.fields.nextBeginOffset], [0, "FOUND", "7"]);
    assertEquals(broker.heldPulls, 0);
  });
}

Deno.test("a held pull by SQL ends with 20 within 5 seconds of messages that do not match", async () => {
  using time = new FakeTime();
  await using broker = await EmbeddedBroker.start({ topics });
  await using peer = await Peer.connect(broker);

  const held = peer.pull({ topic: "orders", sysFlag: SUSPEND, ...SQL92, subscription: "price > 10" });
  await peer.served();
  await broker.publish("orders", priced("5"));
  time.tick(4_999);
  assertEquals(broker.heldPulls, 1);
  time.tick(1);
  const answer = await held;
  assertEquals([...outcome(answer), answer.fields.nextBeginOffset], [20, "NO_MATCHED_MESSAGE", "1"]);
});
