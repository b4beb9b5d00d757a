import { assertEquals } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { EmbeddedBroker } from "../../src/embedded/mod.ts";
import type { PoppedMessage } from "../../src/wire/pop_receive.ts";
import { getMaxOffset } from "../../src/wire/requests.ts";
import { Peer } from "./peer.ts";

const topics = { orders: { queues: 1 } };
const wish = { topic: "orders", order: true, invisibleTime: 1_000, maxMsgNums: 3 };

async function start() {
  const broker = await EmbeddedBroker.start({ topics });
  const peer = await Peer.connect(broker);
  await broker.publish("orders", ["a", "b", "c", "d"]);
  return {
    broker,
    peer,
    [Symbol.asyncDispose]: async () => {
      await peer[Symbol.asyncDispose]();
      await broker.close();
    },
  };
}

function seen(messages: readonly PoppedMessage[]): string {
  return messages.map(({ message, reconsumeTimes }) => `${message.text()}${reconsumeTimes}`).join(" ");
}

Deno.test("an ordered pop blocks its queue until all of it is acked", async () => {
  await using server = await start();
  const { broker, peer } = server;
  const first = await peer.pop(wish);
  assertEquals([first.fields.reviveQid, first.fields.orderCountInfo], ["999", "0 0 0"]);
  const [a, b, c] = peer.read("orders", first);

  assertEquals((await peer.pop(wish)).code, 210);
  assertEquals([broker.committed("billing", "orders"), broker.poppedMessages], [0, 0]);
  await peer.ack("orders", a!.receipt);
  await peer.ack("orders", c!.receipt);
  assertEquals([broker.committed("billing", "orders"), (await peer.pop(wish)).code], [1, 210]);
  await peer.ack("orders", b!.receipt);
  assertEquals(broker.committed("billing", "orders"), 3);
  assertEquals(seen(await peer.popped(wish)), "d0");
});

Deno.test("an ordered pop receives again what was not acked, from its first message on, and how often", async () => {
  using time = new FakeTime();
  await using server = await start();
  const { peer } = server;
  const [a] = await peer.popped(wish);
  await peer.ack("orders", a!.receipt);
  await time.tickAsync(1_000);

  const second = await peer.pop(wish);
  assertEquals(second.fields.orderCountInfo, "0 qo0%1 1;0 qo0%2 1;0 0 0");
  assertEquals(seen(peer.read("orders", second)), "b1 c1 d0");
  await time.tickAsync(1_000);
  assertEquals((await peer.pop(wish)).fields.orderCountInfo, "0 qo0%1 2;0 qo0%2 2;0 qo0%3 1;0 0 1");
});

Deno.test("acks of an ordered pop that are late, twice or of another message", async () => {
  using time = new FakeTime();
  await using server = await start();
  const { broker, peer } = server;
  const [a, b] = await peer.popped(wish);
  await time.tickAsync(1_000);
  const [again] = await peer.popped(wish);

  assertEquals((await peer.ack("orders", b!.receipt)).code, 0, "of an earlier pop: it does not count");
  assertEquals(broker.committed("billing", "orders"), 0);
  await peer.ack("orders", again!.receipt);
  assertEquals((await peer.ack("orders", a!.receipt)).code, 0, "it is committed");
  assertEquals((await peer.ack("orders", again!.receipt, { offset: 3 })).code, 13);
  assertEquals(broker.committed("billing", "orders"), 1);
});

Deno.test("a changed invisible time of an ordered pop moves the end of its block", async () => {
  using time = new FakeTime();
  await using server = await start();
  const { peer } = server;
  const [a] = await peer.popped({ ...wish, maxMsgNums: 1 });
  await time.tickAsync(400);

  const { code, fields } = await peer.changeInvisible("orders", a!.receipt, 5_000);
  assertEquals([code, fields.popTime, fields.invisibleTime], [0, String(a!.receipt.popTime), "5400"]);
  const held = peer.pop({ ...wish, pollTime: 15_000 });
  await peer.ask(getMaxOffset, { topic: "orders", queueId: 0 });
  await time.tickAsync(4_999);
  assertEquals(server.broker.heldPops, 1);
  await time.tickAsync(1);
  assertEquals(seen(peer.read("orders", await held)), "a1 b0 c0");
});

Deno.test("a held ordered pop ends when what was in flight is acked", async () => {
  await using server = await start();
  const { broker, peer } = server;
  const popped = await peer.popped(wish);
  const held = peer.pop({ ...wish, pollTime: 15_000 });
  for (const { receipt } of popped) await peer.ack("orders", receipt);

  assertEquals(seen(peer.read("orders", await held)), "d0");
  assertEquals(broker.heldPops, 0);
});

Deno.test("the same attempt gets the same messages again, and counts once", async () => {
  await using server = await start();
  const { peer } = server;

  assertEquals(seen(await peer.popped({ ...wish, attemptId: "one" })), "a0 b0 c0");
  assertEquals(seen(await peer.popped({ ...wish, attemptId: "one" })), "a0 b0 c0");
  assertEquals(seen(await peer.popped({ ...wish, attemptId: "two" })), "");
});
