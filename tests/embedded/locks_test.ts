import { assertEquals } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { EmbeddedBroker } from "../../src/embedded/mod.ts";
import { lockQueues, unlockQueues } from "../../src/wire/requests.ts";
import { jsonOf, Peer } from "./peer.ts";

/** The numbers of the queues that a client could lock. */
async function lock(peer: Peer, clientId: string, queueIds: number[], consumerGroup = "billing"): Promise<number[]> {
  const answer = await peer.ask(lockQueues, {}, { body: { consumerGroup, clientId, mqSet: queues(queueIds) } });
  return (jsonOf(answer) as { lockOKMQSet: { queueId: number }[] }).lockOKMQSet.map((queue) => queue.queueId);
}

async function unlock(peer: Peer, clientId: string, queueIds: number[]): Promise<void> {
  await peer.ask(unlockQueues, {}, { body: { consumerGroup: "billing", clientId, mqSet: queues(queueIds) } });
}

function queues(queueIds: number[]): object[] {
  return queueIds.map((queueId) => ({ topic: "orders", brokerName: "broker-a", queueId }));
}

Deno.test("LockQueues locks each queue of a group for one client", async () => {
  await using broker = await EmbeddedBroker.start();
  await using peer = await Peer.connect(broker);

  assertEquals(await lock(peer, "one", [0, 1]), [0, 1]);
  assertEquals(await lock(peer, "two", [1, 2]), [2]);
  assertEquals(await lock(peer, "one", [0, 1, 2]), [0, 1]);
  assertEquals(await lock(peer, "two", [0], "other"), [0]);
});

Deno.test("UnlockQueues frees what the client holds, nothing else", async () => {
  await using broker = await EmbeddedBroker.start();
  await using peer = await Peer.connect(broker);

  await lock(peer, "one", [0, 1]);
  await unlock(peer, "two", [0]);
  await unlock(peer, "one", [1]);

  assertEquals(await lock(peer, "two", [0, 1]), [1]);
});

Deno.test("a lock lives 60 seconds after its last renewal", async () => {
  using time = new FakeTime();
  await using broker = await EmbeddedBroker.start();
  await using peer = await Peer.connect(broker);

  await lock(peer, "one", [0, 1]);
  time.tick(40_000);
  await lock(peer, "one", [0]);
  time.tick(20_001);

  assertEquals(await lock(peer, "two", [0, 1]), [1]);
});
