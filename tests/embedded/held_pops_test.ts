import { assertEquals } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { EmbeddedBroker } from "../../src/embedded/mod.ts";
import { outcome, Peer, poppedTexts } from "./peer.ts";

const topics = { orders: { queues: 2 }, single: { queues: 1 } };

Deno.test("a held pop ends with the first message that matches", async () => {
  await using broker = await EmbeddedBroker.start({ topics });
  await using peer = await Peer.connect(broker);

  const held = peer.pop({ topic: "orders", pollTime: 15_000, exp: "b" });
  const other = peer.pop({ topic: "orders", pollTime: 15_000, queueId: 1, consumerGroup: "other" });
  await peer.served();
  assertEquals(broker.heldPops, 2);
  await broker.publish("orders", [{ body: "1", tags: "a" }], { queueId: 0 });
  assertEquals(broker.heldPops, 2);
  await broker.publish("orders", [{ body: "2", tags: "b" }], { queueId: 1 });

  assertEquals(poppedTexts(peer.read("orders", await held)), ["2"]);
  assertEquals(poppedTexts(peer.read("orders", await other)), ["2"]);
  assertEquals([broker.heldPops, broker.poppedMessages], [0, 2]);
});

Deno.test("of the held pops of one group only those end that get something", async () => {
  await using broker = await EmbeddedBroker.start({ topics });
  await using peer = await Peer.connect(broker);

  const held = [1, 1, 32].map((maxMsgNums) => peer.pop({ topic: "single", pollTime: 15_000, maxMsgNums }));
  await peer.served();
  await broker.publish("single", ["a", "b"]);
  assertEquals(broker.heldPops, 1);
  await broker.publish("single", ["c"]);

  const answers = await Promise.all(held);
  assertEquals(answers.flatMap((answer) => poppedTexts(peer.read("single", answer))), ["a", "b", "c"]);
});

Deno.test("a held pop ends with a message that becomes visible again", async () => {
  using time = new FakeTime();
  await using broker = await EmbeddedBroker.start({ topics });
  await using peer = await Peer.connect(broker);
  await broker.publish("orders", ["a", "b"], { queueId: 0 });
  await broker.publish("orders", ["c"], { queueId: 1 });
  await peer.popped({ topic: "orders", invisibleTime: 1_000 });

  const held = peer.pop({ topic: "orders", pollTime: 15_000 });
  await peer.served();
  await time.tickAsync(1_000);

  assertEquals(poppedTexts(peer.read("orders", await held)), ["a", "b", "c"]);
});

Deno.test("a held pop ends with 210 at its time", async () => {
  using time = new FakeTime();
  await using broker = await EmbeddedBroker.start({ topics });
  await using peer = await Peer.connect(broker);

  const held = peer.pop({ topic: "orders", pollTime: 15_000 });
  await peer.served();
  await time.tickAsync(14_949); // a broker is 50 ms early
  assertEquals(broker.heldPops, 1);
  await time.tickAsync(1);

  assertEquals(outcome(await held), [210, "NO_MESSAGE_IN_QUEUE"]);
  assertEquals(broker.heldPops, 0);
  assertEquals((await peer.pop({ topic: "orders", pollTime: 20 })).code, 210, "too short to be held");
});

Deno.test("a held pop of a closed connection is dropped, and takes nothing", async () => {
  await using broker = await EmbeddedBroker.start({ topics });
  await using peer = await Peer.connect(broker);
  await using watcher = await Peer.connect(broker);
  await watcher.join("billing", [], { clientId: "watcher" });
  await peer.join("billing", [], { clientId: "gone" });
  peer.pop({ topic: "orders", pollTime: 15_000 }).catch(() => {});
  await peer.served();
  peer.connection.close();
  await watcher.untilNotified(3);

  assertEquals(broker.heldPops, 0);
  await broker.publish("orders", ["a"]);
  assertEquals(broker.poppedMessages, 0);
});

Deno.test("a broker holds 1025 pops of one group, topic and queue, and refuses more", async () => {
  await using broker = await EmbeddedBroker.start({ topics });
  await using peer = await Peer.connect(broker);
  const held = Array.from({ length: 1_025 }, () => peer.pop({ topic: "single", pollTime: 15_000, maxMsgNums: 1 }));
  await peer.served();

  assertEquals(outcome(await peer.pop({ topic: "single", pollTime: 15_000 })), [209, "NO_MESSAGE_IN_QUEUE"]);
  assertEquals((await peer.pop({ topic: "single" })).code, 210);
  await broker.publish("single", Array.from({ length: 1_025 }, (_, i) => String(i)));
  assertEquals(
    new Set((await Promise.all(held)).flatMap((answer) => poppedTexts(peer.read("single", answer)))).size,
    1_025,
  );
});
