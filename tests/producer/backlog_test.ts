import { assert, assertEquals } from "@std/assert";
import { EmbeddedCluster } from "../../src/embedded/mod.ts";
import { NetworkError, ProducerError } from "../../src/errors.ts";
import { turns } from "../transport/waiting.ts";
import { connectTo } from "./setup.ts";

const MIB = 1024 * 1024;
const topics = { orders: { queues: 1 } };
const message = { topic: "orders", body: new Uint8Array(MIB) };
/** How much is sent at once in these tests: more than a connection queues, and the system's buffers hold. */
const SENDS = 150;

Deno.test("sends to a broker that does not read are bounded: the others wait, and are stored once when it reads", async () => {
  await using cluster = await EmbeddedCluster.start({ brokers: 1, nameServers: 1, topics });
  const broker = cluster.brokers[0]!;
  await using client = await connectTo(cluster);
  const producer = await client.producer({ compressAbove: false, sendTimeout: 60_000 });
  await producer.send({ ...message, body: "first" });
  broker.pause({ reading: false });
  const sent: Promise<unknown>[] = [];
  for (let i = 0; i < SENDS; i++) {
    sent.push(producer.send(message));
    await turns(1);
  }
  await broker.resume();
  await Promise.all(sent);
  assertEquals(broker.maxOffset("orders", 0), 1 + SENDS);
});

Deno.test("what a broker does not read is bounded: a send beyond has certainly stored nothing, and says why", async () => {
  await using cluster = await EmbeddedCluster.start({ brokers: 1, nameServers: 1, topics });
  const broker = cluster.brokers[0]!;
  await using client = await connectTo(cluster);
  const producer = await client.producer({ compressAbove: false, sendTimeout: 2_000 });
  await producer.send({ ...message, body: "first" });
  broker.pause({ reading: false });
  const errors: Promise<unknown>[] = [];
  for (let i = 0; i < SENDS; i++) {
    errors.push(producer.send(message).catch((error) => error));
    await turns(1);
  }
  let queued = 0;
  for (const error of await Promise.all(errors)) {
    assert(error instanceof ProducerError && error.retriable, String(error));
    if (error.maybeStored) queued++;
    else assert(error.cause instanceof NetworkError && error.cause.code === "WRITE_BACKLOG", String(error.cause));
  }
  assert(queued >= 60 && queued <= 100, `${queued} MiB were taken`); // 64, one more, and what the system holds
  await broker.resume();
});
