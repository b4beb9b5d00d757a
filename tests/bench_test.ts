import { EmbeddedBroker } from "@denorocket/rocketmq/embedded";
import { assert, assertEquals } from "@std/assert";
import { start } from "../bench/harness/process.ts";
import { bodyOf } from "../bench/peers/bodies.ts";
import { denoPeer, type Peer } from "../bench/peers/peers.ts";
import { defaultWork, type Outcome, type Work } from "../bench/peers/work.ts";

/** Of each queue two pulls, the last of which is not full. */
const COUNT = 4 * 48;
const BYTES = 64;
const ours = denoPeer("ours");
const bare = denoPeer("bare");

Deno.test("programs of the benchmark count every message once", async () => {
  const topics = { bench: { queues: 4 }, sent: { queues: 4 } };
  await using broker = await EmbeddedBroker.start({ topics });
  await broker.publish("bench", Array.from({ length: COUNT }, (_, number) => bodyOf(number, BYTES)));
  const address = broker.nameServer;
  const work: Work = { ...defaultWork, nameServer: address, broker: address, queues: 4, count: COUNT, bytes: BYTES };
  const run = async (peer: Peer, order: Partial<Work> = {}): Promise<Outcome> => {
    const running = await start(peer, { ...work, group: crypto.randomUUID(), ...order });
    await running.end();
    return running.outcome;
  };
  const counted = ({ count, distinct }: Outcome) => [count, distinct];

  assertEquals(counted(await run(ours)), [COUNT, COUNT]);
  assertEquals(counted(await run(ours, { each: true, loops: 4 })), [COUNT, COUNT]);
  assertEquals(counted(await run(bare)), [COUNT, COUNT]);
  const sent = await run(ours, { kind: "send", topic: "sent", inFlight: 8, warmUp: 16 });
  assertEquals(counted(sent), [COUNT, COUNT]);
  const stored = [0, 1, 2, 3].map((queueId) => broker.maxOffset("sent", queueId));
  assertEquals(stored.reduce((sum, each) => sum + each), 16 + COUNT);
  assert(sent.p50! > 0 && sent.p99! >= sent.p50!);
});
