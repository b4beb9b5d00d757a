/**
 * A broker that hangs and goes on: `SIGSTOP` for 15 s, then `SIGCONT`. Every queue of our consumer moves within 5 s, and
 * goes on moving, alone in its group and beside Java's consumer. A queue moves when what is sent to it is delivered.
 *
 * One round for each version by default; `PAUSE_ROUNDS=20` is the proof that the guarantees speak of.
 */

import { assert, assertEquals } from "@std/assert";
import { type Client, connect, type StatusEvent } from "../../mod.ts";
import { denoTransport } from "../../src/transport/deno.ts";
import { startRocketMQ } from "../../tools/rocketmq/cluster.ts";
import { javaToolsMissing, ROCKETMQ_VERSIONS, type RocketMQVersion } from "../../tools/rocketmq/fetch.ts";
import { runJavaPeer } from "../../tools/rocketmq/java_peer.ts";
import { waitUntil, work } from "../behaviour/harness.ts";
import { RawBroker } from "../behaviour/raw_broker.ts";
import { sendWave, WatchedGroup, type Wave } from "./watched_group.ts";

const ROUNDS = Number(Deno.env.get("PAUSE_ROUNDS") ?? 1);
/** How long the broker hangs, and how long a queue of ours may stand after it, in milliseconds. */
const [PAUSE, LATEST] = [15_000, 5_000];
/** How long queues are watched: in the proof until each member has rebalanced and sent a heartbeat once more. */
const WATCH = ROUNDS > 1 ? 35_000 : 5_000;
const WAVE_INTERVAL = 1_000;
/**
 * How long queues of Java's share may stand. A member of Java's takes one share, also if the broker has two entries of
 * it, one of a connection that is dead: such a one stays for 120 s, is found by a scan each 10 s, and members look for
 * changes each 20 s.
 */
const JAVA_LATEST = 160_000;
/** How long they may stand while the broker has one entry of it. */
const JAVA_REBALANCE = 30_000;
const QUEUES = 8;

/** What Java's users have; the peer is quicker otherwise. */
const JAVA_DEFAULTS = [
  "-Drocketmq.client.rebalance.waitInterval=20000",
  "-Drocketmq.client.rebalance.minInterval=1000",
];

for (const version of ROCKETMQ_VERSIONS) {
  const missing = javaToolsMissing();
  if (missing !== undefined) console.log(`a pause of ${version}: not run: ${missing}`);
  const ignore = missing !== undefined && Deno.env.get("CI") === undefined;
  Deno.test({ name: `every queue moves soon after a pause of ${version}`, ignore, fn: () => rounds(version) });
}

async function rounds(version: RocketMQVersion): Promise<void> {
  await using cluster = await startRocketMQ({ version });
  const { address, pid } = cluster.brokers[0]!;
  const raw = new RawBroker(denoTransport, cluster.nameServer, address);
  const failed: unknown[] = [];
  try {
    await raw.createTopic("orders", QUEUES);
    for (let round = 0; round < ROUNDS; round++) {
      try {
        const result = await oneRound(version, cluster.nameServer, raw, pid!, round);
        console.log(`a pause of ${version}, round ${round}: ${result}`);
      } catch (error) { // the others count as well
        console.log(`a pause of ${version}, round ${round}: ${error}`);
        failed.push(error);
      }
    }
  } finally {
    await raw.close();
  }
  if (failed.length > 0) throw new AggregateError(failed, `${failed.length} of ${ROUNDS} rounds failed`);
}

/** Two groups at once: one is ours alone, the other has a member of Java's. Returns what it came to. */
async function oneRound(
  version: RocketMQVersion,
  nameServers: string,
  raw: RawBroker,
  pid: number,
  round: number,
): Promise<string> {
  const name = `shared-${round}`;
  const leaving = new AbortController();
  let shared: WatchedGroup | undefined;
  const java = runJavaPeer(version, ["consume", nameServers, name, "orders", "1000000"], {
    timeout: 600_000,
    javaOptions: JAVA_DEFAULTS,
    signal: leaving.signal,
    onLine: (line) => shared?.note(line.slice(0, line.indexOf("\t")), "java"),
  });
  // With the default most pauses would be without a heartbeat, and those are what leaves entries behind.
  const mq = await connect({ nameServers, heartbeatInterval: 5_000, logger: false });
  const events: StatusEvent[] = [];
  const reading = collect(mq, events);
  try {
    await waitUntil(async () => (await raw.consumerList(name)).length > 0, { what: "Java joins", timeout: 120_000 });
    const options = { topics: "orders", consumeFrom: "first" } as const;
    const alone = new WatchedGroup(await mq.consumer({ group: `alone-${round}`, ...options }), "orders", QUEUES);
    shared = new WatchedGroup(await mq.consumer({ group: name, ...options }), "orders", QUEUES);
    await untilShared(raw, alone, shared, round);

    Deno.kill(pid, "SIGSTOP");
    await work(PAUSE); // what is measured is a pause of that length
    Deno.kill(pid, "SIGCONT");
    const { waves, members } = await watch(raw, alone, shared, { name, round, clientId: mq.clientId });
    assertEquals(events.filter(({ type }) => type === "duplicateClientId"), []);
    const seconds = (ms: number) => `${(ms / 1_000).toFixed(2)} s`;
    const [ours, javas] = [shared.slowest(waves, "ours"), shared.slowest(waves, "java")].map(seconds);
    const times = `slowest alone ${seconds(alone.slowest(waves, "ours"))}, beside Java's ours ${ours}, Java's ${javas}`;
    await Promise.all([alone.close(), shared.close()]);
    return `${times}; ${members}`;
  } finally {
    leaving.abort();
    await mq.close();
    await Promise.all([reading, java]);
  }
}

/** Waits until each member gets the messages of its own queues. */
async function untilShared(raw: RawBroker, alone: WatchedGroup, shared: WatchedGroup, round: number): Promise<void> {
  let wave: Wave | undefined;
  await waitUntil(async () => {
    if (wave !== undefined && [alone, shared].some((group) => group.missing(wave!).length > 0)) return false;
    if (wave !== undefined && shared.owned().length < QUEUES) {
      if (shared.gotBy(wave, "ours").join() === shared.owned().join()) return true;
    }
    wave = await sendWave(raw, "orders", QUEUES, `${round}-before-${performance.now()}`);
    return false;
  }, { what: () => `both have a share; ours is ${shared.owned()}`, timeout: JAVA_LATEST });
}

/** Sends waves for some time, and waits until all have come; fails when a queue of ours stands. */
async function watch(
  raw: RawBroker,
  alone: WatchedGroup,
  shared: WatchedGroup,
  { name, round, clientId }: { name: string; round: number; clientId: string },
): Promise<{ waves: Wave[]; members: string }> {
  const started = performance.now();
  const waves: Wave[] = [];
  const most = { ours: 0, java: 0 };
  await waitUntil(async () => {
    const now = performance.now();
    const watching = now - started < WATCH;
    if (watching && now - (waves.at(-1)?.sentAt ?? 0) >= WAVE_INTERVAL) {
      waves.push(await sendWave(raw, "orders", QUEUES, `${round}-after-${waves.length}`));
      const ids = await raw.consumerList(name);
      const ours = ids.filter((id) => id === clientId).length;
      most.ours = Math.max(most.ours, ours);
      most.java = Math.max(most.java, ids.length - ours);
    }
    const standing = [alone.standing(waves, LATEST, alone.ids), shared.standing(waves, LATEST)];
    const when = `${((now - started) / 1_000).toFixed(1)} s after the pause`;
    assertEquals(standing, [[], []], `queues stand ${when}, alone or beside Java; ${JSON.stringify(most)}`);
    if (most.java === 1) assert(shared.slowest(waves, "java") <= JAVA_REBALANCE, `Java's queues stand ${when}`);
    if (watching) return false;
    const missing = [alone, shared].flatMap((group) => waves.flatMap((wave) => group.missing(wave)));
    return missing.length === 0 || ROUNDS === 1 && most.java > 1; // the proof waits for Java's share as well
  }, {
    what: () => `queues ${shared.missing(waves.at(-1)!)} move beside Java; ours are ${shared.owned()}`,
    timeout: WATCH + JAVA_LATEST,
  });
  assert(shared.owned().length > 0, "ours has a share");
  return { waves, members: `members at the broker: ours ${most.ours} times, Java's ${most.java}` };
}

async function collect(mq: Client, events: StatusEvent[]): Promise<void> {
  for await (const event of mq.status()) events.push(event);
}
