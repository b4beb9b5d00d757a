import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { NetworkError, ValidationError } from "../../src/errors.ts";
import { EmbeddedBroker } from "../../src/embedded/mod.ts";
import { getMaxOffset } from "../../src/wire/requests.ts";
import { Peer } from "./peer.ts";

const topics = { orders: { queues: 1 } };

/** Whether a promise has settled after everything that was sent before has been served. */
async function isSettled(peer: Peer, promise: Promise<unknown>): Promise<boolean> {
  let settled = false;
  promise.then(() => settled = true, () => settled = true);
  await peer.ask(getMaxOffset, { topic: "orders", queueId: 0 });
  return settled;
}

Deno.test("answer() answers the next requests of one kind, then they are handled again", async () => {
  await using broker = await EmbeddedBroker.start({ topics });
  await using peer = await Peer.connect(broker);
  const fault = broker.faults.answer("SendMessage", { code: 2, remark: "[OVERLOAD]" }, { times: 2 });
  const send = () => peer.send({ topic: "orders" });

  const answers = [await send(), await send(), await send()];

  assertEquals(answers.map((answer) => answer.code), [2, 2, 0]);
  assertEquals(answers[0]!.remark, "[OVERLOAD]");
  assertEquals([fault.hits, broker.maxOffset("orders", 0)], [2, 1]);
  assertEquals([broker.faults.received("SendMessage"), broker.faults.received(11)], [3, 0]);
});

Deno.test("answer() selects requests by match, and faults apply in the order in which they were injected", async () => {
  await using broker = await EmbeddedBroker.start({ topics });
  await using peer = await Peer.connect(broker);
  broker.faults.answer(11, { code: 1 }, { times: Infinity, match: (request) => request.fields.queueOffset === "1" });
  broker.faults.answer(11, { code: 215 });
  broker.faults.answer(11, { code: 2 });
  const pull = async (queueOffset: number) => (await peer.pull({ topic: "orders", queueOffset })).code;

  assertEquals([await pull(1), await pull(0), await pull(1), await pull(0), await pull(0)], [1, 215, 1, 2, 19]);
});

Deno.test('"drop" and "dropAnswer" swallow the answer: without and with effect', async () => {
  await using broker = await EmbeddedBroker.start({ topics });
  await using peer = await Peer.connect(broker);
  broker.faults.answer("SendMessage", "drop");
  const second = broker.faults.answer("SendMessage", "dropAnswer");

  const dropped = peer.send({ topic: "orders" });
  assertEquals(await isSettled(peer, dropped), false);
  assertEquals(broker.maxOffset("orders", 0), 0);
  const lost = peer.send({ topic: "orders" });
  await second.reached();
  assertEquals(await isSettled(peer, lost), false);
  assertEquals(broker.maxOffset("orders", 0), 1);

  peer.connection.close();
  await Promise.all([assertRejects(() => dropped), assertRejects(() => lost)]);
});

Deno.test('"delay" and "delayAnswer" hold until released', async () => {
  await using broker = await EmbeddedBroker.start({ topics });
  await using peer = await Peer.connect(broker);
  const before = broker.faults.answer("SendMessage", "delay");
  const after = broker.faults.answer("SendMessage", "delayAnswer");

  const first = peer.send({ topic: "orders", body: "first" });
  const second = peer.send({ topic: "orders", body: "second" });
  assertEquals(await isSettled(peer, Promise.race([first, second])), false);
  assertEquals(broker.maxOffset("orders", 0), 1);
  before.release();
  assertEquals((await first).fields.queueOffset, "1");
  assertEquals(await isSettled(peer, second), false);
  after.release();

  assertEquals((await second).fields.queueOffset, "0");
});

Deno.test('"cut" and "cutAnswer" close the connection: without and with effect', async () => {
  await using broker = await EmbeddedBroker.start({ topics });
  broker.faults.answer("SendMessage", "cut");
  broker.faults.answer("SendMessage", "cutAnswer");

  for (const stored of [0, 1]) {
    await using peer = await Peer.connect(broker);
    await assertRejects(() => peer.send({ topic: "orders" }), NetworkError);
    assertEquals(broker.maxOffset("orders", 0), stored);
  }
});

Deno.test("reached() waits for a number of hits, remove() and clear() end faults", async () => {
  await using broker = await EmbeddedBroker.start({ topics });
  await using peer = await Peer.connect(broker);
  const fault = broker.faults.answer("SendMessage", { code: 1 }, { times: Infinity });
  const held = broker.faults.answer("PullMessage", "delay", { times: Infinity });

  const twice = fault.reached(2);
  await peer.send({ topic: "orders" });
  await peer.send({ topic: "orders" });
  await twice;
  fault.remove();
  assertEquals((await peer.send({ topic: "orders" })).code, 0);
  const pull = peer.pull({ topic: "orders" });
  await held.reached();
  broker.faults.clear();
  assertEquals((await pull).code, 0);
  assertEquals((await peer.pull({ topic: "orders" })).code, 0);
});

Deno.test("answer() refuses unknown names and bad numbers", async () => {
  await using broker = await EmbeddedBroker.start();

  assertThrows(() => broker.faults.answer("Pull", "drop"), ValidationError, "PullMessage");
  assertThrows(() => broker.faults.answer(11, "drop", { times: 0 }), ValidationError, "times");
});

Deno.test("whenReceived() waits for a number of requests of one kind", async () => {
  await using broker = await EmbeddedBroker.start({ topics });
  await using peer = await Peer.connect(broker);
  let done = false;
  const twice = broker.faults.whenReceived("SendMessage", 2).then(() => done = true);

  await peer.send({ topic: "orders" });
  await peer.pull({ topic: "orders" });
  assertEquals([done, broker.faults.received("SendMessage")], [false, 1]);
  await peer.send({ topic: "orders" });
  await twice;
  await broker.faults.whenReceived(310, 1);
});
