/**
 * Makes the captured bytes in `tests/wire/golden/` again, from real brokers:
 *
 * ```sh
 * deno run -A tools/capture_golden.ts        # all of them
 * deno run -A tools/capture_golden.ts pops   # one kind: records, frames, json or pops
 * ```
 *
 * What the bytes mean is told by RocketMQ's own decoder, into `records.json` and `frames.json` (`CaptureGolden.java`),
 * and by its own client, into `pops.json` (`CapturePops.java`).
 *
 * @module
 */

import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { encodeBatch } from "../src/wire/batch.ts";
import { retryTopic } from "../src/wire/names.ts";
import { encodeHeader, type Fields, type HeaderOf } from "../src/wire/fields.ts";
import { type Command, decodeFrame, encodeBinaryFrame, encodeFrame, FrameReader } from "../src/wire/frame.ts";
import { parseOffsetMessageId } from "../src/wire/message_id.ts";
import { popRetryTopic } from "../src/wire/pop.ts";
import { encodeProperties } from "../src/wire/properties.ts";
import * as requests from "../src/wire/requests.ts";
import { type RealRocketMQ, type RocketMQVersion, startRocketMQ } from "./rocketmq/cluster.ts";
import { fetchRocketMQ } from "./rocketmq/fetch.ts";
import { javaArgs, logbackFile, SILENT_LOGBACK } from "./rocketmq/server_config.ts";

const GOLDEN = fileURLToPath(new URL("../tests/wire/golden/", import.meta.url));
const JAVA = fileURLToPath(new URL("./CaptureGolden.java", import.meta.url));
const JAVA_POPS = fileURLToPath(new URL("./CapturePops.java", import.meta.url));

/** What can be captured. */
const KINDS = ["records", "frames", "json", "pops"] as const;
type Kind = typeof KINDS[number];

const GROUP = "golden";
/** Long enough for a retry topic of more than 127 bytes, with which records have version 2. */
const LONG_GROUP = `golden-${"long-".repeat(23)}group`;
const ONEWAY = 2;
/** How long something may take to appear on a broker, in milliseconds. */
const PATIENCE = 20_000;

// Requests that the package itself does not make.
const endTransaction = {
  code: 37,
  header: {
    producerGroup: "text",
    tranStateTableOffset: "long",
    commitLogOffset: "long",
    commitOrRollback: "int",
    fromTransactionCheck: "bool",
    msgId: "text",
    transactionId: "text",
  },
} as const satisfies Spec;
const getTopicStats = { code: 202, header: { topic: "text" } } as const satisfies Spec;
const getConsumeStats = { code: 208, header: { consumerGroup: "text", topic: "text" } } as const satisfies Spec;

const encoder = new TextEncoder();

interface Spec {
  readonly code: number;
  readonly header: Fields;
}

interface AskOptions {
  body?: Uint8Array;
  binary?: boolean;
  version?: number;
}

/** A connection that shows frames as they came. */
class Peer {
  /** The last frame that answered a request. */
  lastFrame = new Uint8Array(0);
  /** The frames of requests that the other side made. */
  readonly requests: Uint8Array[] = [];
  readonly #connection: Deno.TcpConn;
  readonly #answers: Uint8Array[] = [];
  readonly #reader = new FrameReader((frame) => {
    ((decodeFrame(frame).flag & 1) === 0 ? this.requests : this.#answers).push(frame);
  });
  #opaque = 0;

  private constructor(connection: Deno.TcpConn) {
    this.#connection = connection;
  }

  static async open(address: string): Promise<Peer> {
    const at = address.lastIndexOf(":");
    const hostname = address.slice(0, at).replace(/[[\]]/g, "");
    return new Peer(await Deno.connect({ hostname, port: Number(address.slice(at + 1)) }));
  }

  async ask<S extends Spec>(spec: S, header: HeaderOf<S["header"]>, options: AskOptions = {}): Promise<Command> {
    await this.#send(spec, header, 0, options);
    while (this.#answers.length === 0) await this.read();
    this.lastFrame = this.#answers.shift()!.slice();
    return decodeFrame(this.lastFrame);
  }

  tell<S extends Spec>(spec: S, header: HeaderOf<S["header"]>): Promise<void> {
    return this.#send(spec, header, ONEWAY, {});
  }

  async read(): Promise<void> {
    const buffer = new Uint8Array(65_536);
    const size = await this.#connection.read(buffer);
    if (size === null) throw new Error("The other side closed the connection");
    this.#reader.push(buffer.subarray(0, size));
  }

  close(): void {
    this.#connection.close();
  }

  async #send(spec: Spec, header: object, flag: number, { body, binary, version }: AskOptions): Promise<void> {
    const fields = encodeHeader(spec.header, header as HeaderOf<Fields>);
    const init = { code: spec.code, opaque: ++this.#opaque, flag, fields, ...(version && { version }), body };
    const frame = binary ? encodeBinaryFrame(init) : encodeFrame(init);
    for (let at = 0; at < frame.length;) at += await this.#connection.write(frame.subarray(at));
  }
}

/** One version's brokers, and what is made with them. */
class Capture {
  readonly #version: RocketMQVersion;
  readonly #cluster: RealRocketMQ;
  readonly #broker: Peer;
  readonly #nameServer: Peer;

  private constructor(version: RocketMQVersion, cluster: RealRocketMQ, broker: Peer, nameServer: Peer) {
    this.#version = version;
    this.#cluster = cluster;
    this.#broker = broker;
    this.#nameServer = nameServer;
  }

  static async run(version: RocketMQVersion, kinds: readonly Kind[]): Promise<void> {
    const cluster = await startRocketMQ({ version });
    try {
      const broker = await Peer.open(cluster.brokers[0]!.address);
      const nameServer = await Peer.open(cluster.nameServer);
      const capture = new Capture(version, cluster, broker, nameServer);
      const steps: Record<Kind, () => Promise<void>> = {
        records: () => capture.#records(),
        frames: () => capture.#frames(),
        json: () => capture.#json(),
        pops: () => capture.#pops(),
      };
      await capture.#topic("plain"); // of frames and json, too
      for (const kind of kinds) await steps[kind]();
      broker.close();
      nameServer.close();
    } finally {
      await cluster.stop();
    }
  }

  async #records(): Promise<void> {
    await this.#sendPlain("plain");
    await this.#sendPlain("plain");
    await this.#pull("plain", "plain", 2);

    await this.#topic("tagged");
    await this.#java(["tagged", this.#cluster.nameServer, "tagged"]);
    await this.#pull("tagged", "tagged", 1);

    for (const type of this.#version === "5.3.3" ? ["zlib", "lz4", "zstd"] : ["zlib"]) {
      await this.#topic(`packed-${type}`);
      const flags = [`-Drocketmq.message.compressType=${type.toUpperCase()}`];
      await this.#java(["packed", this.#cluster.nameServer, `packed-${type}`], flags);
      await this.#pull(`packed-${type}`, `packed-${type}`, 1);
    }

    await this.#topic("batch");
    await this.#sendBatch("batch", [["WAIT", "true"], ["KEYS", "of-the-batch"]]);
    await this.#pull("batch", "batch", 3);

    await this.#topic("failing");
    // 4.9 refuses the long one: it has no second version of records.
    const groups = { retry: GROUP, ...(this.#version === "5.3.3" && { "retry-long": LONG_GROUP }) };
    for (const [name, group] of Object.entries(groups)) {
      const { commitLogOffset } = parseOffsetMessageId((await this.#sendPlain("failing")).fields["msgId"]!);
      const sendBack = { offset: commitLogOffset, group, delayLevel: 1, originTopic: "failing", maxReconsumeTimes: 16 };
      await this.#ok(this.#broker.ask(requests.sendBack, sendBack));
      await this.#pull(name, retryTopic(group), 1, group);
    }

    await this.#topic("transaction");
    await this.#sendTransaction("transaction");
    await this.#pull("transaction", "transaction", 1);

    await this.#topic("ipv6");
    const ipv6 = await Peer.open(this.#cluster.brokers[0]!.address.replace("127.0.0.1", "[::1]"));
    await this.#sendPlain("ipv6", ipv6);
    ipv6.close();
    await this.#pull("ipv6", "ipv6", 1);

    if (this.#version === "5.3.3") {
      await this.#topic("inner-batch", "+queue.type=BatchCQ");
      await this.#sendBatch("inner-batch", [["UNIQ_KEY", "7F000001000200000000000000000009"]]);
      await this.#sendBatch("inner-batch", [["UNIQ_KEY", "7F00000100020000000000000000000A"]]);
      await this.#pull("inner-batch", "inner-batch", 2);
      // From the middle of the second batch on: it comes whole.
      await this.#pull("inner-batch-middle", "inner-batch", 1, GROUP, 4);
    }
  }

  async #frames(): Promise<void> {
    const queue = { topic: "plain", queueId: 0 };
    await this.#ok(this.#broker.ask(requests.getMaxOffset, queue));
    await this.#save("frame-json-answer", this.#broker.lastFrame);
    await this.#ok(this.#broker.ask(requests.getMaxOffset, queue, { binary: true }));
    await this.#save("frame-answer-to-binary", this.#broker.lastFrame);
    await this.#nameServer.ask(requests.getRoute, { topic: "missing" });
    await this.#save("frame-json-error", this.#nameServer.lastFrame);
    await this.#nameServer.ask(requests.getRoute, { topic: "missing" }, { binary: true });
    await this.#save("frame-error-to-binary", this.#nameServer.lastFrame);
    await this.#broker.ask(requests.pullMessage, pullHeader("plain", GROUP, 0), { binary: true });
    await this.#save("frame-pull-to-binary", this.#broker.lastFrame);
    await this.#saveNotification();
    for (const type of ["JSON", "ROCKETMQ"]) {
      const frame = await this.#firstFrameOfJava([`-Drocketmq.serialize.type=${type}`]);
      await this.#save(`frame-java-request-${type.toLowerCase()}`, frame);
    }
  }

  /** A request that the broker makes: the group has a new member. */
  async #saveNotification(): Promise<void> {
    const member = await Peer.open(this.#cluster.brokers[0]!.address);
    for (const [peer, clientID] of [[member, "first"], [this.#broker, "second"]] as const) {
      const consumerDataSet = [{
        groupName: "members",
        consumeType: "CONSUME_PASSIVELY",
        messageModel: "CLUSTERING",
        consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET",
        subscriptionDataSet: [],
        unitMode: false,
      }];
      const body = encoder.encode(JSON.stringify({ clientID, producerDataSet: [], consumerDataSet }));
      await this.#ok(peer.ask(requests.heartbeat, {}, { body }));
    }
    while (member.requests.length === 0) await member.read();
    await this.#save("frame-broker-request", member.requests[0]!);
    member.close();
  }

  async #json(): Promise<void> {
    const newVersion = 479;
    const oldVersion = 400;
    for (const [name, version] of [["route", newVersion], ["route-for-old", oldVersion]] as const) {
      await this.#saveJson(name, this.#nameServer.ask(requests.getRoute, { topic: "plain" }, { version }));
    }
    await this.#saveJson("cluster-info", this.#nameServer.ask(requests.getClusterInfo, {}));
    const queue = { consumerGroup: GROUP, topic: "plain", queueId: 0 };
    await this.#ok(this.#broker.ask(requests.updateConsumerOffset, { ...queue, commitOffset: 1 }));
    await this.#saveJson("topic-stats", this.#broker.ask(getTopicStats, { topic: "plain" }));
    await this.#saveJson("consume-stats", this.#broker.ask(getConsumeStats, { consumerGroup: GROUP, topic: "plain" }));
  }

  /** Answers to pops, whole: of messages that are new, of some that come again beside a new one, and in order. */
  async #pops(): Promise<void> {
    if (this.#version !== "5.3.3") return;
    await this.#topic("popped");
    for (let i = 0; i < 3; i++) await this.#sendPlain("popped");
    await this.#untilStored("popped", 3);
    await this.#ok(
      this.#broker.ask(requests.popMessage, { ...popHeader("popped"), maxMsgNums: 2, invisibleTime: 100 }),
    );
    await this.#save("frame-pop-new", this.#broker.lastFrame);
    await this.#untilStored(popRetryTopic(GROUP, "popped"), 2);
    await this.#ok(this.#broker.ask(requests.popMessage, popHeader("popped")));
    await this.#save("frame-pop-again", this.#broker.lastFrame);

    await this.#topic("popped-in-order");
    for (let i = 0; i < 3; i++) await this.#sendPlain("popped-in-order");
    await this.#untilStored("popped-in-order", 3);
    const inOrder = { ...popHeader("popped-in-order"), order: true, invisibleTime: 1 };
    await this.#ok(this.#broker.ask(requests.popMessage, { ...inOrder, maxMsgNums: 2 }));
    await until(async () => (await this.#broker.ask(requests.popMessage, inOrder)).code === 0, "the queue is free");
    await this.#save("frame-pop-ordered", this.#broker.lastFrame);
  }

  #untilStored(topic: string, count: number): Promise<void> {
    return until(async () => {
      const { fields } = await this.#broker.ask(requests.getMaxOffset, { topic, queueId: 0 });
      return fields["offset"] === String(count);
    }, `${count} messages in ${topic}`);
  }

  async #topic(topic: string, attributes = ""): Promise<void> {
    const numbers = { readQueueNums: 1, writeQueueNums: 1, perm: 6, topicSysFlag: 0 };
    const header = {
      topic,
      defaultTopic: "TBW102",
      topicFilterType: "SINGLE_TAG",
      order: false,
      attributes,
      ...numbers,
    };
    await this.#ok(this.#broker.ask(requests.createTopic, header));
    await until(async () => (await this.#nameServer.ask(requests.getRoute, { topic })).code === 0, `route of ${topic}`);
  }

  #sendPlain(topic: string, peer = this.#broker): Promise<Command> {
    const properties = encodeProperties([["UNIQ_KEY", "7F000001000200000000000000000001"]]);
    return this.#ok(
      peer.ask(requests.sendMessage, sendHeader(topic, { properties }), { body: encoder.encode("hello") }),
    );
  }

  async #sendBatch(topic: string, properties: [string, string][]): Promise<void> {
    const body = encodeBatch([0, 1, 2].map((i) => ({
      flag: i,
      body: encoder.encode(`message ${i}`),
      properties: encodeProperties([["UNIQ_KEY", `7F00000100020000000000000000001${i}`], ["TAGS", `tag-${i}`]]),
    })));
    const header = sendHeader(topic, { properties: encodeProperties(properties), batch: true });
    await this.#ok(this.#broker.ask(requests.sendBatch, header, { body }));
  }

  async #sendTransaction(topic: string): Promise<void> {
    const msgId = "7F000001000200000000000000000002";
    const properties = encodeProperties([["UNIQ_KEY", msgId], ["TRAN_MSG", "true"], ["PGROUP", GROUP]]);
    const header = sendHeader(topic, { properties, sysFlag: 4 });
    const { fields } = await this.#ok(
      this.#broker.ask(requests.sendMessage, header, { body: encoder.encode("committed") }),
    );
    await this.#broker.tell(endTransaction, {
      producerGroup: GROUP,
      tranStateTableOffset: Number(fields["queueOffset"]),
      commitLogOffset: parseOffsetMessageId(fields["msgId"]!).commitLogOffset,
      commitOrRollback: 8,
      fromTransactionCheck: false,
      msgId,
      transactionId: fields["transactionId"] ?? msgId,
    });
  }

  /** Pulls until an answer has as many records as it should, and saves its body. */
  async #pull(name: string, topic: string, count: number, group = GROUP, offset = 0): Promise<void> {
    let body = new Uint8Array(0);
    await until(async () => {
      const answer = await this.#broker.ask(requests.pullMessage, pullHeader(topic, group, offset));
      body = answer.body.slice();
      return answer.code === 0 && countRecords(body) === count;
    }, `${count} records in ${topic}`);
    await this.#save(`records-${name}`, body);
  }

  async #firstFrameOfJava(flags: string[]): Promise<Uint8Array> {
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const enough = new AbortController();
    const args = ["connect", `127.0.0.1:${listener.addr.port}`];
    const java = runJava(this.#version, args, flags, enough.signal).catch(() => {}); // nobody answers, and we end it
    using connection = await listener.accept();
    let frame: Uint8Array | undefined;
    const reader = new FrameReader((whole) => frame ??= whole);
    const buffer = new Uint8Array(4_096);
    while (frame === undefined) reader.push(buffer.subarray(0, await connection.read(buffer) ?? 0));
    enough.abort();
    await java;
    return frame;
  }

  #java(args: string[], flags: string[] = []): Promise<string> {
    return runJava(this.#version, args, flags);
  }

  async #ok(answer: Promise<Command>): Promise<Command> {
    const { code, remark } = await answer;
    if (code !== 0) throw new Error(`${this.#version} answers ${code}: ${remark}`);
    return answer;
  }

  async #saveJson(name: string, answer: Promise<Command>): Promise<void> {
    const { body } = await this.#ok(answer);
    // As it is: most of them are no JSON, so that is not what they are called.
    await writeFile(join(GOLDEN, `${name}-${this.#version}.txt`), body);
  }

  #save(name: string, bytes: Uint8Array): Promise<void> {
    return writeFile(join(GOLDEN, `${name}-${this.#version}.bin`), bytes);
  }
}

function sendHeader(topic: string, more: { properties: string; sysFlag?: number; batch?: boolean }) {
  const numbers = { defaultTopicQueueNums: 1, queueId: 0, sysFlag: 0, bornTimestamp: 1_700_000_000_123, flag: 7 };
  return { producerGroup: GROUP, topic, defaultTopic: "TBW102", reconsumeTimes: 0, ...numbers, ...more };
}

function pullHeader(topic: string, consumerGroup: string, queueOffset: number) {
  const subscription = { sysFlag: 4, subscription: "*", subVersion: 0, expressionType: "TAG" };
  const numbers = { queueId: 0, maxMsgNums: 32, commitOffset: 0, suspendTimeoutMillis: 0 };
  return { consumerGroup, topic, queueOffset, ...numbers, ...subscription };
}

function popHeader(topic: string) {
  const numbers = { queueId: -1, maxMsgNums: 32, invisibleTime: 60_000, pollTime: 0, bornTime: 0, initMode: 0 };
  return { consumerGroup: GROUP, topic, expType: "TAG", exp: "*", ...numbers };
}

function countRecords(bytes: Uint8Array): number {
  const view = new DataView(bytes.buffer);
  let count = 0;
  for (let at = 0; at < bytes.length; at += view.getInt32(at)) count++;
  return count;
}

async function until(done: () => Promise<boolean>, what: string): Promise<void> {
  const deadline = Date.now() + PATIENCE;
  while (!(await done())) {
    if (Date.now() > deadline) throw new Error(`Nothing came of waiting for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

async function runJava(
  version: RocketMQVersion,
  args: string[],
  flags: string[] = [],
  signal?: AbortSignal,
  program = JAVA,
): Promise<string> {
  const release = await fetchRocketMQ(version);
  const folder = await mkdtemp(join(tmpdir(), "denorocket-golden-"));
  try {
    await mkdir(join(folder, "conf"));
    await writeFile(join(folder, logbackFile("tools")), SILENT_LOGBACK);
    const java = [...javaArgs(release, "tools", "."), "-Dfile.encoding=UTF-8", ...flags, program, ...args];
    return await new Promise((resolve, reject) => {
      const options = { cwd: folder, timeout: 60_000, maxBuffer: 1 << 26, ...(signal && { signal }) };
      execFile("java", java, options, (error, stdout, stderr) => {
        if (error === null) resolve(stdout);
        else reject(new Error(`${basename(program)} ${args[0]} failed: ${stderr}`, { cause: error }));
      });
    });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Writes down what RocketMQ's own code finds in the captured files. */
async function explain(kind: "records" | "frames" | "pops", prefix: string, program = JAVA): Promise<void> {
  const files = (await readdir(GOLDEN)).filter((file) => file.startsWith(prefix) && file.endsWith(".bin")).sort();
  const args = [kind, ...files.map((file) => join(GOLDEN, file))];
  const found = await runJava("5.3.3", args, [], undefined, program);
  const file = join(GOLDEN, `${kind}.json`);
  await writeFile(file, JSON.stringify(JSON.parse(found)));
  await new Deno.Command(Deno.execPath(), { args: ["fmt", "--quiet", file] }).output();
}

const given = KINDS.filter((kind) => Deno.args.includes(kind));
const kinds = given.length > 0 ? given : KINDS;
for (const version of ["5.3.3", "4.9.7"] as const) await Capture.run(version, kinds);
if (kinds.includes("records")) await explain("records", "records-");
await explain("frames", "frame-");
if (kinds.includes("pops")) await explain("pops", "frame-pop-", JAVA_POPS);
