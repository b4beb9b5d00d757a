/**
 * Consumes a backlog from a real broker through `for await`, beside a bare loop that pulls and decodes and does nothing
 * else: the bare loop is what this machine, this broker and this codec allow.
 *
 * Run it by `deno task bench [messages] [bytes] [queues]`. Needs Java and Maven.
 *
 * @module
 */

import { connect } from "../mod.ts";
import { Connection } from "../src/transport/connection.ts";
import { denoTransport } from "../src/transport/deno.ts";
import { parseAddress } from "../src/transport/transport.ts";
import { decodeHeader, encodeHeader, type HeaderOf } from "../src/wire/fields.ts";
import { encodeBatch } from "../src/wire/batch.ts";
import { decodeRecords } from "../src/wire/record.ts";
import { createTopic, pullMessage, type RequestSpec, sendBatch } from "../src/wire/requests.ts";
import { startRocketMQ } from "../tools/rocketmq/cluster.ts";
import process from "node:process";
import { cpus } from "node:os";

const [messages = 300_000, bytes = 256, queues = 8] = Deno.args.map(Number);
const topic = "backlog";
const rounds = 5;

/** One run: how long it took, and what this process spent on it. */
interface Run {
  /** Messages in a second. */
  readonly rate: number;
  /** Microseconds of this process for one message. */
  readonly cpu: number;
  /** Milliseconds until the first message. */
  readonly first: number;
}

/** A broker spoken to by bare requests. */
class BareBroker {
  #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  static async open(address: string): Promise<BareBroker> {
    const { host, port } = parseAddress(address)!;
    return new BareBroker(
      new Connection(await denoTransport.connect(host, port, { signal: AbortSignal.timeout(3_000) })),
    );
  }

  call<S extends RequestSpec>(spec: S, header: HeaderOf<S["header"]>, body?: Uint8Array) {
    const fields = encodeHeader(spec.header, header);
    return this.#connection.request({ name: spec.name, code: spec.code, fields, body }, { timeout: 30_000 });
  }

  close(): void {
    this.#connection.close();
  }
}

async function produce(broker: BareBroker): Promise<void> {
  await broker.call(createTopic, {
    topic,
    defaultTopic: "TBW102",
    readQueueNums: queues,
    writeQueueNums: queues,
    perm: 6,
    topicFilterType: "SINGLE_TAG",
    order: false,
  });
  const perBatch = Math.max(1, Math.min(500, Math.floor(1_000_000 / bytes)));
  const body = new Uint8Array(bytes).fill(65);
  const send = async (queueId: number) => {
    for (let left = Math.ceil(messages / queues); left > 0; left -= perBatch) {
      const batch = Array.from({ length: Math.min(left, perBatch) }, () => ({ flag: 0, body, properties: "" }));
      await broker.call(sendBatch, {
        producerGroup: "bench",
        topic,
        defaultTopic: "TBW102",
        defaultTopicQueueNums: queues,
        queueId,
        sysFlag: 0,
        bornTimestamp: Date.now(),
        flag: 0,
        batch: true,
      }, encodeBatch(batch));
    }
  };
  await Promise.all(Array.from({ length: queues }, (_, queueId) => send(queueId)));
}

async function measure(consume: (onFirst: () => void) => Promise<number>): Promise<Run> {
  const started = performance.now();
  const before = process.cpuUsage();
  let first = 0;
  const count = await consume(() => first = performance.now() - started);
  const elapsed = performance.now() - started - first;
  const { user, system } = process.cpuUsage(before);
  return { rate: count / elapsed * 1_000, cpu: (user + system) / count, first };
}

/** Pulls each queue and decodes what comes; the texts are read so that nothing is left undone. */
async function bareLoop(broker: BareBroker, onFirst: () => void): Promise<number> {
  let count = 0;
  let length = 0;
  const pullQueue = async (queueId: number) => {
    const queue = { topic, broker: "", queueId };
    for (let offset = 0; offset < Math.ceil(messages / queues);) {
      const answer = await broker.call(pullMessage, {
        consumerGroup: "bare",
        topic,
        queueId,
        queueOffset: offset,
        maxMsgNums: 32,
        sysFlag: 4,
        commitOffset: 0,
        suspendTimeoutMillis: 0,
        subscription: "*",
        subVersion: 0,
        expressionType: "TAG",
      });
      offset = decodeHeader(pullMessage.answer, answer.fields, "pull").nextBeginOffset;
      if (count === 0) onFirst();
      for (const message of decodeRecords(answer.body, queue).messages) {
        count++;
        length += message.text().length;
      }
    }
  };
  await Promise.all(Array.from({ length: queues }, (_, queueId) => pullQueue(queueId)));
  if (length !== count * bytes) throw new RangeError(`${length} bytes in ${count} messages`);
  return count;
}

async function forAwait(nameServer: string, group: string, onFirst: () => void): Promise<number> {
  await using mq = await connect(nameServer);
  await using consumer = await mq.consumer({ group, topics: topic, consumeFrom: "first" });
  const expected = Math.ceil(messages / queues) * queues;
  let count = 0;
  for await (const batch of consumer) {
    if (count === 0) onFirst();
    for (const message of batch) if (message.text().length === bytes) count++;
    if (count >= expected) break;
  }
  return count;
}

function show(name: string, runs: readonly Run[]): number {
  const median = (of: (run: Run) => number) => runs.map(of).sort((a, b) => a - b)[Math.floor(runs.length / 2)]!;
  const all = runs.map((run) => Math.round(run.rate / 1_000)).join(" ");
  const rate = median((run) => run.rate);
  console.log(
    `${name.padEnd(12)} ${Math.round(rate).toLocaleString("en")} msg/s, ${
      median((run) => run.cpu).toFixed(2)
    } µs CPU a ` +
      `message, first after ${median((run) => run.first).toFixed(0)} ms (k/s by round: ${all})`,
  );
  return rate;
}

const { model } = cpus()[0] ?? { model: "unknown" };
console.log(
  `Deno ${Deno.version.deno}, ${cpus().length} × ${model}; RocketMQ 5.3.3, ${messages} × ${bytes} B, ${queues} queues`,
);
// Tests start with a small heap and the quick compiler; a broker in production has neither.
const rocketmq = await startRocketMQ({ version: "5.3.3", javaOptions: ["-XX:TieredStopAtLevel=4", "-Xmx1g"] });
try {
  const broker = await BareBroker.open(rocketmq.brokers[0]!.address);
  await produce(broker);
  const bare: Run[] = [];
  const ours: Run[] = [];
  for (let round = 0; round < rounds; round++) {
    bare.push(await measure((onFirst) => bareLoop(broker, onFirst)));
    ours.push(await measure((onFirst) => forAwait(rocketmq.nameServer, `bench-${round}`, onFirst)));
  }
  broker.close();
  const ratio = show("for await", ours) / show("bare loop", bare);
  console.log(`for await at ${ratio.toFixed(2)} × the bare loop`);
} finally {
  await rocketmq.stop();
}
