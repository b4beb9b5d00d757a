/**
 * A broker that hangs and goes on: `SIGSTOP` for 15 s, then `SIGCONT`. Every queue of our consumer moves within 5 s.
 *
 * One round for each version by default; `PAUSE_ROUNDS=20` is the proof that the guarantees speak of.
 */

import { assert, assertEquals } from "@std/assert";
import { type Client, connect, type Consumer, type StatusEvent } from "../../mod.ts";
import { startRocketMQ } from "../../tools/rocketmq/cluster.ts";
import { javaToolsMissing, ROCKETMQ_VERSIONS, type RocketMQVersion } from "../../tools/rocketmq/fetch.ts";
import { RawBroker } from "../behaviour/raw_broker.ts";
import { waitUntil, work } from "../behaviour/harness.ts";
import { denoTransport } from "../../src/transport/deno.ts";

const ROUNDS = Number(Deno.env.get("PAUSE_ROUNDS") ?? 1);
/** How long the broker hangs, and how long a queue may take after it, in milliseconds. */
const [PAUSE, LATEST] = [15_000, 5_000];
const QUEUES = 4;

for (const version of ROCKETMQ_VERSIONS) {
  const missing = javaToolsMissing();
  if (missing !== undefined) console.log(`a pause of ${version}: not run: ${missing}`);
  const ignore = missing !== undefined && Deno.env.get("CI") === undefined;
  Deno.test({ name: `every queue moves soon after a pause of ${version}`, ignore, fn: () => rounds(version) });
}

async function rounds(version: RocketMQVersion): Promise<void> {
  await using cluster = await startRocketMQ({ version });
  const [process] = cluster.brokers;
  const raw = new RawBroker(denoTransport, cluster.nameServer, process!.address);
  const slowest: number[] = [];
  try {
    await raw.createTopic("orders", QUEUES);
    for (let round = 0; round < ROUNDS; round++) {
      slowest.push(await oneRound(cluster.nameServer, raw, process!.pid!, `billing-${round}`));
    }
  } finally {
    await raw.close();
  }
  const times = slowest.map((ms) => (ms / 1_000).toFixed(2)).join(", ");
  console.log(`a pause of ${version}: the slowest queue moved after ${times} s`);
}

/** Returns how long the slowest queue took, in milliseconds. */
async function oneRound(nameServers: string, raw: RawBroker, pid: number, group: string): Promise<number> {
  const mq = await connect({ nameServers, logger: false });
  const events: StatusEvent[] = [];
  const reading = collect(mq, events);
  try {
    const consumer = await mq.consumer({ group, topics: "orders", consumeFrom: "last" });
    const seen = new Map<number, Set<string>>();
    const consuming = consume(consumer, seen);
    const untilAll = async (round: string, timeout: number) => {
      const started = performance.now();
      for (let queueId = 0; queueId < QUEUES; queueId++) await raw.publish("orders", [round], { queueId });
      const has = (queueId: number) => seen.get(queueId)?.has(round) ?? false;
      const missing = () => Array.from({ length: QUEUES }, (_, queueId) => queueId).filter((id) => !has(id));
      await waitUntil(() => missing().length === 0, { what: () => `queues ${missing()} move`, timeout });
      return performance.now() - started;
    };
    await untilAll("before", LATEST);
    Deno.kill(pid, "SIGSTOP");
    await work(PAUSE); // what is measured is a pause of that length
    Deno.kill(pid, "SIGCONT");
    const slowest = await untilAll("after", LATEST);
    assert(slowest <= LATEST, `the slowest queue took ${slowest} ms`);
    assertEquals(events.filter(({ type }) => type === "duplicateClientId"), []);
    await consumer.close();
    await consuming;
    return slowest;
  } finally {
    await mq.close();
    await reading;
  }
}

async function collect(mq: Client, events: StatusEvent[]): Promise<void> {
  for await (const event of mq.status()) events.push(event);
}

async function consume(consumer: Consumer, seen: Map<number, Set<string>>): Promise<void> {
  for await (const batch of consumer) {
    for (const message of batch) {
      const { queueId } = message.queue;
      seen.set(queueId, (seen.get(queueId) ?? new Set()).add(message.text()));
    }
  }
}
