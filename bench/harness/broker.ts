/**
 * The real broker that everything is measured against, and bare requests to prepare and to check what is measured.
 *
 * @module
 */

import { Connection, type OutgoingRequest } from "../../src/transport/connection.ts";
import { denoTransport } from "../../src/transport/deno.ts";
import { parseAddress } from "../../src/transport/transport.ts";
import { encodeBatch } from "../../src/wire/batch.ts";
import { decodeHeader, type HeaderOf } from "../../src/wire/fields.ts";
import type { Command } from "../../src/wire/frame.ts";
import { JsonFields, NO_FIELDS } from "../../src/wire/json_fields.ts";
import {
  createTopic,
  getMaxOffset,
  getRoute,
  pullMessage,
  type RequestSpec,
  sendBatch,
} from "../../src/wire/requests.ts";
import { type RealRocketMQ, startRocketMQ } from "../../tools/rocketmq/cluster.ts";
import { bodyOf } from "../peers/bodies.ts";
import { PROPERTIES } from "../peers/requests.ts";

/** The version of the broker. */
export const BROKER_VERSION = "5.3.3";

/**
 * Tests start with a small heap and the quick compiler, and a production broker with neither.
 *
 * Files of consume queues end where pulls of any size end, so that every pull of a backlog is full.
 */
const JAVA_OPTIONS = [
  "-XX:TieredStopAtLevel=4",
  "-XX:-UseSerialGC",
  "-XX:+UseG1GC",
  "-Xms512m",
  "-Xmx1g",
  "-XX:MaxDirectMemorySize=1g",
];
const BROKER_CONFIG = {
  mappedFileSizeCommitLog: String(1024 * 1024 * 1024),
  mappedFileSizeConsumeQueue: String(20 * 65_536),
  // Oneway sends that come faster than they are stored wait instead of being dropped.
  sendThreadPoolQueueCapacity: "1000000",
};

const UPDATE_BROKER_CONFIG = 25;
const PATIENCE = 60_000;

/** A backlog that is to be made, or that is there. */
export interface Backlog {
  readonly topic: string;
  readonly queues: number;
  /** How many messages in each queue. */
  readonly perQueue: number;
  /** The size of a body. */
  readonly bytes: number;
  /** The number of the first message. @default {0} */
  readonly from?: number;
}

/** One broker with its name server. */
export class BenchBroker {
  readonly #rocketmq: RealRocketMQ;
  readonly #broker: Link;
  readonly #nameServer: Link;

  private constructor(rocketmq: RealRocketMQ) {
    this.#rocketmq = rocketmq;
    this.#broker = new Link(rocketmq.brokers[0]!.address);
    this.#nameServer = new Link(rocketmq.nameServer);
  }

  /** Starts it; `config` goes on top of its settings. */
  static async start(config: Record<string, string> = {}): Promise<BenchBroker> {
    const brokerConfig = { ...BROKER_CONFIG, ...config };
    return new BenchBroker(await startRocketMQ({ version: BROKER_VERSION, javaOptions: JAVA_OPTIONS, brokerConfig }));
  }

  /** The name server's `host:port`. */
  get nameServer(): string {
    return this.#rocketmq.nameServer;
  }

  /** The broker's `host:port`. */
  get address(): string {
    return this.#rocketmq.brokers[0]!.address;
  }

  /** Changes settings of the running broker. */
  async configure(settings: Record<string, string>): Promise<void> {
    const body = new TextEncoder().encode(Object.entries(settings).map(([key, value]) => `${key}=${value}\n`).join(""));
    const request = { name: "UpdateBrokerConfig", code: UPDATE_BROKER_CONFIG, fields: NO_FIELDS, body };
    const { code, remark } = await this.#broker.request(request);
    if (code !== 0) throw new Error(`Cannot change the broker's settings: ${remark}`);
  }

  /** Whether the name server knows a topic. */
  async has(topic: string): Promise<boolean> {
    return await call(this.#nameServer, getRoute, { topic }).then(() => true, () => false);
  }

  /** Makes a topic, and waits until the name server knows it. */
  async createTopic(topic: string, queues: number): Promise<void> {
    await call(this.#broker, createTopic, {
      topic,
      defaultTopic: "TBW102",
      readQueueNums: queues,
      writeQueueNums: queues,
      perm: 6,
      topicFilterType: "SINGLE_TAG",
      order: false,
    });
    const deadline = Date.now() + PATIENCE;
    while (!await this.has(topic)) {
      if (Date.now() > deadline) throw new Error(`Cannot find the topic "${topic}" on the name server`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  /** Makes a topic with numbered messages in it; waits until they can be pulled. Returns the size of a record. */
  async fill(backlog: Backlog): Promise<number> {
    const { topic, queues, perQueue, bytes, from = 0 } = backlog;
    await this.createTopic(topic, queues);
    const queueIds = Array.from({ length: queues }, (_, queueId) => queueId);
    let next = 0;
    const worker = async () => {
      while (next < queues) {
        const queueId = next++;
        await this.#fillQueue(backlog, queueId, from + queueId * perQueue);
      }
    };
    await Promise.all(queueIds.slice(0, 8).map(worker));
    await this.untilStored(topic, queues, queues * perQueue);
    const header = { consumerGroup: "bench-size", topic, queueId: 0, queueOffset: 0, maxMsgNums: 1, sysFlag: 4 };
    const more = { commitOffset: 0, suspendTimeoutMillis: 0, subscription: "*", subVersion: 0, expressionType: "TAG" };
    const { body } = await call(this.#broker, pullMessage, { ...header, ...more });
    if (body.length < bytes) throw new Error(`Cannot pull what was sent to "${topic}"`);
    return body.length;
  }

  async #fillQueue({ topic, queues, perQueue, bytes }: Backlog, queueId: number, from: number): Promise<void> {
    const most = Math.max(1, Math.min(512, Math.floor(1_000_000 / bytes)));
    for (let at = 0; at < perQueue; at += most) {
      const messages = Array.from({ length: Math.min(most, perQueue - at) }, (_, i) => ({
        flag: 0,
        body: bodyOf(from + at + i, bytes),
        properties: PROPERTIES,
      }));
      await call(this.#broker, sendBatch, {
        producerGroup: "bench-fill",
        topic,
        defaultTopic: "TBW102",
        defaultTopicQueueNums: queues,
        queueId,
        sysFlag: 0,
        bornTimestamp: Date.now(),
        flag: 0,
        batch: true,
      }, encodeBatch(messages));
    }
  }

  /** How many messages a topic has. */
  async stored(topic: string, queues: number): Promise<number> {
    const offsets = Array.from({ length: queues }, async (_, queueId) => {
      const { fields } = await call(this.#broker, getMaxOffset, { topic, queueId });
      return decodeHeader(getMaxOffset.answer, fields, "the end of a queue").offset;
    });
    return (await Promise.all(offsets)).reduce((sum, offset) => sum + offset, 0);
  }

  /** Waits until a topic has so many messages, or no more come for ten seconds; returns how many there are. */
  async untilStored(topic: string, queues: number, expected: number): Promise<number> {
    let stored = -1;
    for (let since = Date.now(); stored < expected && Date.now() - since < 10_000;) {
      const before = stored;
      stored = await this.stored(topic, queues);
      if (stored !== before) since = Date.now();
      if (stored < expected) await new Promise((resolve) => setTimeout(resolve, 5));
    }
    return stored;
  }

  /** Kills everything. */
  async stop(): Promise<void> {
    await this.#broker.close();
    await this.#nameServer.close();
    await this.#rocketmq.stop();
  }
}

/** A connection that is opened when it is needed: servers close those on which nothing is said for two minutes. */
class Link {
  readonly #address: string;
  #connection: Promise<Connection> | undefined;

  constructor(address: string) {
    this.#address = address;
  }

  async request(request: OutgoingRequest): Promise<Command> {
    const last = this.#connection;
    const isOpen = (await last)?.isOpen === true;
    if (!isOpen && this.#connection === last) this.#connection = open(this.#address); // else another caller has
    return await (await this.#connection!).request(request, { timeout: PATIENCE });
  }

  async close(): Promise<void> {
    (await this.#connection)?.close();
  }
}

async function open(address: string): Promise<Connection> {
  const { host, port } = parseAddress(address)!;
  return new Connection(await denoTransport.connect(host, port, { signal: AbortSignal.timeout(5_000) }));
}

async function call<S extends RequestSpec>(
  link: Link,
  { name, code, header }: S,
  values: HeaderOf<S["header"]>,
  body?: Uint8Array,
): Promise<Command> {
  const answer = await link.request({ name, code, fields: JsonFields.of<S["header"]>(header, values), body });
  if (answer.code !== 0) throw new Error(`Cannot complete ${name}: the answer is ${answer.code} "${answer.remark}"`);
  return answer;
}
