import { assertEquals } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { EmbeddedBroker } from "../../src/embedded/mod.ts";
import { outcome, Peer, subscription } from "./peer.ts";

const topics = { orders: { queues: 2 } };
const SUSPEND = 6;

Deno.test("a pull at the end of a queue is held until there is a message", async () => {
  await using broker = await EmbeddedBroker.start({ topics });
  await using peer = await Peer.connect(broker);
  await using producer = await Peer.connect(broker);

  const held = peer.pull({ topic: "orders", sysFlag: SUSPEND });
  const other = peer.pull({ topic: "orders", queueId: 1, sysFlag: SUSPEND });
  await peer.served();
  assertEquals(broker.heldPulls, 2);
  await producer.send({ topic: "orders", queueId: 0 });

  assertEquals(outcome(await held), [0, "FOUND"]);
  assertEquals(broker.heldPulls, 1);
  await broker.publish("orders", ["for the other"], { queueId: 1 });
  assertEquals((await other).fields.nextBeginOffset, "1");
  assertEquals(broker.heldPulls, 0);
});

Deno.test("a held pull gets all messages of one batch", async () => {
  await using broker = await EmbeddedBroker.start({ topics });
  await using peer = await Peer.connect(broker);

  const held = peer.pull({ topic: "orders", sysFlag: SUSPEND });
  await peer.served();
  await broker.publish("orders", ["a", "b", "c"], { queueId: 0 });

  assertEquals((await held).fields.nextBeginOffset, "3");
});

Deno.test("a held pull waits for messages of its tags, and skips the others then", async () => {
  await using broker = await EmbeddedBroker.start({ topics });
  await using peer = await Peer.connect(broker);
  await peer.join("billing", [subscription("orders", "a")]);

  const held = peer.pull({ topic: "orders", sysFlag: 2, subVersion: 1 });
  await peer.served();
  await broker.publish("orders", [{ body: "1", tags: "b" }], { queueId: 0 });
  assertEquals(broker.heldPulls, 1);
  await broker.publish("orders", [{ body: "2", tags: "a" }], { queueId: 0 });

  const answer = await held;
  assertEquals([...outcome(answer), answer.fields.nextBeginOffset], [0, "FOUND", "2"]);
});

Deno.test("a held pull ends with 19 at its time, or with 20 within 5 seconds of messages that do not match", async () => {
  using time = new FakeTime();
  await using broker = await EmbeddedBroker.start({ topics });
  await using peer = await Peer.connect(broker);

  const first = peer.pull({ topic: "orders", sysFlag: SUSPEND, suspendTimeoutMillis: 15_000 });
  await peer.served();
  time.tick(14_999);
  assertEquals(broker.heldPulls, 1);
  time.tick(1);
  assertEquals(broker.heldPulls, 0);
  assertEquals(outcome(await first), [19, "NO_MESSAGE_IN_QUEUE"]);

  const second = peer.pull({ topic: "orders", sysFlag: SUSPEND, subscription: "a", suspendTimeoutMillis: 15_000 });
  await peer.served();
  await broker.publish("orders", [{ body: "1", tags: "b" }], { queueId: 0 });
  time.tick(4_999);
  assertEquals(broker.heldPulls, 1);
  time.tick(1);
  assertEquals(outcome(await second), [20, "NO_MATCHED_MESSAGE"]);
});

Deno.test("a held pull does not commit a second time when it is answered", async () => {
  await using broker = await EmbeddedBroker.start({ topics });
  await using peer = await Peer.connect(broker);

  const held = peer.pull({ topic: "orders", sysFlag: SUSPEND | 1, commitOffset: 0 });
  await peer.served();
  await peer.commit("billing", "orders", 7);
  await broker.publish("orders", ["a"], { queueId: 0 });
  await held;

  assertEquals(broker.committed("billing", "orders"), 7);
});

Deno.test("a held pull of a closed connection is dropped", async () => {
  await using broker = await EmbeddedBroker.start({ topics });
  await using watcher = await Peer.connect(broker);
  await watcher.join("billing", [subscription("orders")], { clientId: "watcher" });
  {
    await using peer = await Peer.connect(broker);
    await peer.join("billing", [subscription("orders")], { clientId: "gone" });
    peer.pull({ topic: "orders", sysFlag: SUSPEND }).catch(() => {});
    await peer.served();
    assertEquals(broker.heldPulls, 1);
  }
  await watcher.untilNotified(3);

  assertEquals(broker.heldPulls, 0);
  await broker.publish("orders", ["a"]);
});

Deno.test("only code 19 is held, and only if the pull may be", async () => {
  await using broker = await EmbeddedBroker.start({ topics });
  await using peer = await Peer.connect(broker);

  assertEquals((await peer.pull({ topic: "orders" })).code, 19);
  assertEquals((await peer.pull({ topic: "orders", sysFlag: SUSPEND, queueOffset: 9 })).code, 21);
});
