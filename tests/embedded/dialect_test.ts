import { assertEquals } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { EmbeddedBroker } from "../../src/embedded/mod.ts";
import { searchOffsetByTimestamp } from "../../src/wire/requests.ts";
import { Peer, subscription } from "./peer.ts";

const options = { dialect: "4.9", topics: { orders: { queues: 1 } } } as const;

Deno.test("a 4.9 broker says so, and takes every commit", async () => {
  await using broker = await EmbeddedBroker.start(options);
  await using peer = await Peer.connect(broker);

  const answer = await peer.join("billing", [subscription("orders")]);
  assertEquals([answer.version, answer.fields], [407, {}]);
  assertEquals((await peer.commit("nobody", "unknown", 1)).code, 0);
  assertEquals((await peer.query("billing", "orders", false)).fields.offset, "0");
});

Deno.test("a 4.9 broker has 1 for bad parameters, and no keys or transaction ids of its own", async () => {
  await using broker = await EmbeddedBroker.start(options);
  await using peer = await Peer.connect(broker);

  assertEquals((await peer.send({ topic: "or ders" })).code, 1);
  assertEquals((await peer.send({ topic: "orders", queueId: 1 })).code, 1);
  assertEquals((await peer.pull({ topic: "orders", queueId: 1 })).code, 1);
  assertEquals((await peer.send({ topic: "orders" })).fields.transactionId, undefined);
  assertEquals((await peer.messages({ topic: "orders" }))[0]!.property("UNIQ_KEY"), undefined);
  assertEquals((await peer.askText({ name: "LitePull", code: 361 }, {})).code, 3);
});

Deno.test("a 4.9 broker puts a retry that was sent with the most times into the dead letters", async () => {
  await using broker = await EmbeddedBroker.start(options);
  await using peer = await Peer.connect(broker);

  await peer.send({ topic: "%RETRY%billing", reconsumeTimes: 15 });
  await peer.send({ topic: "%RETRY%billing", reconsumeTimes: 16 });

  assertEquals([broker.maxOffset("%RETRY%billing", 0), broker.maxOffset("%DLQ%billing", 0)], [1, 1]);
});

Deno.test("resetOffset() of a 4.9 broker notifies the members, in the form of Java", async () => {
  await using broker = await EmbeddedBroker.start(options);
  await using peer = await Peer.connect(broker);
  await peer.join("billing", [subscription("orders")]);

  broker.resetOffset("billing", { topic: "orders", queueId: 0 }, 7);
  const { fields, body } = await peer.pushed(220);

  assertEquals([fields.topic, fields.group, fields.isForce], ["orders", "billing", "true"]);
  const queue = '{"brokerName":"broker-a","queueId":0,"topic":"orders"}';
  assertEquals(new TextDecoder().decode(body), `{"offsetTable":{${queue}:7}}`);
});

Deno.test("a 4.9 broker has no timers", async () => {
  await using broker = await EmbeddedBroker.start(options);
  await using peer = await Peer.connect(broker);

  await peer.send({ topic: "orders", with: { TIMER_DELAY_SEC: "60" } });

  assertEquals(broker.maxOffset("orders", 0), 1);
});

Deno.test("a 4.9 broker finds the message that is nearest to a time", async () => {
  using time = new FakeTime(10_000);
  await using broker = await EmbeddedBroker.start(options);
  await using peer = await Peer.connect(broker);
  const search = async (timestamp: number) =>
    (await peer.ask(searchOffsetByTimestamp, { topic: "orders", queueId: 0, timestamp })).fields.offset;

  assertEquals(await search(10_000), "0");
  for (const body of ["a", "b", "c"]) {
    await broker.publish("orders", [body]);
    time.tick(1_000);
  }
  const times = [9_000, 10_400, 10_500, 10_600, 11_000, 99_000];
  assertEquals(await Promise.all(times.map(search)), ["0", "0", "0", "1", "1", "2"]);
});
