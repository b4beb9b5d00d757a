/**
 * Sends to a real broker in every way that a producer has, beside a ceiling that only writes prepared frames and counts
 * answers: what this machine, this broker and this runtime's sockets allow.
 *
 * Run it by `deno task bench:produce [rows] [rounds] [messages] [bytes]`; `rows` is a part of their names. Needs Java
 * and Maven. After every run a ledger is drawn up: what the broker stored has to be what was acknowledged.
 *
 * @module
 */

import { connect, type Producer, type ProducerOptions } from "../mod.ts";
import { Connection } from "../src/transport/connection.ts";
import { denoTransport } from "../src/transport/deno.ts";
import { parseAddress } from "../src/transport/transport.ts";
import { startRocketMQ } from "../tools/rocketmq/cluster.ts";
import { Ceiling, Ledger, type Prepared } from "./ceiling.ts";
import process from "node:process";
import { cpus } from "node:os";

const [rowsWanted = "", ...numbers] = Deno.args;
const [rounds = 5, messages = 60_000, bytes = 256] = numbers.map(Number);
const topic = "bench-produce";
const queues = 8;
const perBatch = 32;
const body = new Uint8Array(bytes).fill(65);

/** One way to send, by us and by the ceiling. */
interface Row {
  readonly name: string;
  /** How many messages one run sends. */
  readonly count: number;
  /** Options of our producer. */
  readonly options?: ProducerOptions;
  /** Sends them by our producer; gives how many were acknowledged, or for one-way sends written. */
  readonly ours: (producer: Producer, count: number) => Promise<number>;
  /** What the ceiling has prepared. */
  readonly prepared: Prepared;
  /** How many of the ceiling's frames are on their way at a time. */
  readonly inFlight: number;
  /** Which ratio to the ceiling is wanted. */
  readonly wanted: number;
}

/** One run: how fast it was, and what this process spent on it. */
interface Run {
  /** Messages in a second. */
  readonly rate: number;
  /** Microseconds of this process for one message. */
  readonly cpu: number;
  /** Microseconds of the broker for one message; 0 where the system does not tell. */
  readonly brokerCpu: number;
  /** How many messages were sent and not stored. */
  readonly lost: number;
}

/** Shares `count` messages among callers that each send one after another. */
async function callers(count: number, callers: number, perCall: number, send: () => Promise<unknown>): Promise<number> {
  let left = count;
  const caller = async () => {
    while (left > 0) {
      left -= perCall;
      await send();
    }
  };
  await Promise.all(Array.from({ length: callers }, caller));
  return count - left;
}

const one = { topic, body };
const batch = Array.from({ length: perBatch }, () => one);
const sendOne = (inFlight: number) => (producer: Producer, count: number) =>
  callers(count, inFlight, 1, () => producer.send(one));
const sendBatches = (inFlight: number) => (producer: Producer, count: number) =>
  callers(count, inFlight, perBatch, () => producer.sendBatch(batch));
const sendOneway = (producer: Producer, count: number) => callers(count, 1, 1, () => producer.sendOneway(one));

const single = { prepared: "single", inFlight: 128 } as const;
const linger = { linger: 5 };

const rows: Row[] = [
  { name: "128 in flight", count: messages, ours: sendOne(128), ...single, wanted: 0.95 },
  { name: "one after another", count: messages / 10, ours: sendOne(1), ...single, inFlight: 1, wanted: 0.9 },
  {
    name: "batches, 1 caller",
    count: messages * 2,
    ours: sendBatches(1),
    prepared: "batch",
    inFlight: 1,
    wanted: 0.95,
  },
  {
    name: "batches, 8 callers",
    count: messages * 4,
    ours: sendBatches(8),
    prepared: "batch",
    inFlight: 8,
    wanted: 0.95,
  },
  { name: "one-way", count: messages, ours: sendOneway, prepared: "oneway", inFlight: 1, wanted: 0.9 },
  // Here the ceiling is that of plain sends, whatever the number of callers.
  { name: "linger, 128 callers", count: messages * 2, options: linger, ours: sendOne(128), ...single, wanted: 4 },
  { name: "linger, 1024 callers", count: messages * 4, options: linger, ours: sendOne(1024), ...single, wanted: 4 },
  {
    name: "linger, 1 caller",
    count: messages / 10,
    options: linger,
    ours: sendOne(1),
    ...single,
    inFlight: 1,
    wanted: 0.9,
  },
];

/**
 * Runs once. What is stored is what counts: without answers and without a pace brokers drop what they have no room for,
 * so the ceiling of one-way sends loses messages. We must not.
 */
async function measure(count: number, send: () => Promise<number>, ledger: Ledger, mayLose = false): Promise<Run> {
  const before = await ledger.stored();
  const cpuBefore = process.cpuUsage();
  const brokerBefore = brokerCpu();
  const started = performance.now();
  const acknowledged = await send();
  if (acknowledged < count) throw new RangeError(`${acknowledged} of ${count} messages were acknowledged`);
  const settled = await ledger.settled(before + acknowledged);
  const stored = settled.stored - before;
  const elapsed = settled.at - started;
  const { user, system } = process.cpuUsage(cpuBefore);
  if (stored > acknowledged || (stored < acknowledged && !mayLose)) {
    throw new RangeError(`${acknowledged} were acknowledged, ${stored} are stored`);
  }
  return {
    rate: stored / elapsed * 1_000,
    cpu: (user + system) / stored,
    brokerCpu: (brokerCpu() - brokerBefore) / stored,
    lost: acknowledged - stored,
  };
}

/** Microseconds of processor time that the broker has taken so far, as Linux tells it in hundredths of seconds. */
function brokerCpu(): number {
  try {
    const stat = Deno.readTextFileSync(`/proc/${rocketmq.brokers[0]!.pid}/stat`);
    const [user, system] = stat.slice(stat.lastIndexOf(")")).split(" ").slice(12, 14).map(Number);
    return (user! + system!) * 10_000;
  } catch {
    return 0;
  }
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;
}

function show(name: string, runs: readonly Run[]): string {
  const rate = Math.round(median(runs.map((run) => run.rate))).toLocaleString("en");
  const cpu = median(runs.map((run) => run.cpu)).toFixed(2);
  const broker = median(runs.map((run) => run.brokerCpu)).toFixed(1);
  const lost = median(runs.map((run) => run.lost));
  return `${name} ${rate.padStart(9)} msg/s ${cpu.padStart(6)} + ${broker.padStart(4)} µs${
    lost === 0 ? "" : ` (${lost} lost)`
  }`;
}

const { model } = cpus()[0] ?? { model: "unknown" };
console.log(`Deno ${Deno.version.deno}, ${cpus().length} × ${model}; RocketMQ 5.3.3, ${bytes} B, ${queues} queues`);
// Tests start with a small heap and the quick compiler; a broker in production has neither.
const rocketmq = await startRocketMQ({ version: "5.3.3", javaOptions: ["-XX:TieredStopAtLevel=4", "-Xmx1g"] });
try {
  const address = rocketmq.brokers[0]!.address;
  const { host, port } = parseAddress(address)!;
  const socket = await denoTransport.connect(host, port, { signal: AbortSignal.timeout(3_000) });
  const ledger = new Ledger(new Connection(socket), topic, queues);
  await ledger.createTopic();
  const ceiling = await Ceiling.open(address, { topic, queues, body, perBatch });
  for (const row of rows.filter(({ name }) => name.includes(rowsWanted))) {
    await using mq = await connect(rocketmq.nameServer);
    await using producer = await mq.producer(row.options);
    const frames = ceiling.prepare(row.prepared, row.count);
    const ours: Run[] = [];
    const theirs: Run[] = [];
    for (let round = -1; round < rounds; round++) { // the first warms up
      const ceilingRun = await measure(row.count, () => ceiling.send(frames, row.inFlight), ledger, !frames.answered);
      const ourRun = await measure(row.count, () => row.ours(producer, row.count), ledger);
      if (round < 0) continue;
      theirs.push(ceilingRun);
      ours.push(ourRun);
    }
    const ratios = ours.map(({ rate }, i) => rate / theirs[i]!.rate);
    // On a machine whose processors are all busy, less work of both sides is what makes a way faster.
    const work = (run: Run) => run.cpu + run.brokerCpu;
    const byWork = median(ours.map((run, i) => work(theirs[i]!) / work(run)));
    console.log(
      `${row.name.padEnd(20)} ${show("ours", ours)}, ${show("ceiling", theirs)}: ${median(ratios).toFixed(2)} × ` +
        `by time, ${byWork.toFixed(2)} by work (wanted ${row.wanted}; by round ${
          ratios.map((ratio) => ratio.toFixed(2)).join(" ")
        })`,
    );
  }
  ceiling.close();
  ledger.close();
} finally {
  await rocketmq.stop();
}
