/**
 * What all brokers of the scenarios have in common: everything that is asked and stored by raw requests.
 *
 * @module
 */

import type { Transport } from "../../src/transport/transport.ts";
import { encodeBatch } from "../../src/wire/batch.ts";
import type { ConsumerListBody, TopicRouteData } from "../../src/wire/bodies.ts";
import { PropertyName, ResponseCode } from "../../src/wire/codes.ts";
import { decodeHeader } from "../../src/wire/fields.ts";
import { parseJson } from "../../src/wire/json.ts";
import { UniqueKeys } from "../../src/wire/message_id.ts";
import { encodeProperties } from "../../src/wire/properties.ts";
import {
  createTopic,
  getConsumerList,
  getMaxOffset,
  getMinOffset,
  getRoute,
  queryConsumerOffset,
  sendBatch,
  sendMessage,
} from "../../src/wire/requests.ts";
import type { PublishOptions, QueueName, TestMessage } from "./harness.ts";
import { waitUntil } from "./harness.ts";
import { RawPeer } from "./raw_peer.ts";

/** How many messages, and about how many bytes, travel in one request. */
const BATCH_COUNT = 500;
const BATCH_BYTES = 512 * 1024;

/** How long a topic may take to show, in milliseconds: brokers that were not heard register again after ten seconds. */
const REGISTER_PATIENCE = 40_000;
/** How often a topic is made within that time. */
const MOST_TRIES = 4;

/** The group that messages are published under. */
const PRODUCER_GROUP = "behaviour";

const READ_AND_WRITE = 6;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** A message, ready to be sent. */
interface Outgoing {
  readonly body: Uint8Array;
  readonly properties: string;
  readonly key: string;
  readonly flag: number;
  readonly sysFlag: number;
  /** Whether it travels alone: a batch has no delay and no packed bodies. */
  readonly alone: boolean;
}

/** Raw requests to name servers and a broker. */
export class RawBroker {
  /** To the broker. */
  readonly broker: RawPeer;
  #names: readonly RawPeer[];
  /** The broker's name, if it is one of several. */
  #name: string | undefined;
  #keys = new UniqueKeys({ address: "127.0.0.1" });
  /** How many queues the topics have that were made here. */
  #queues = new Map<string, number>();

  constructor(transport: Transport, nameServer: string, address: string, name?: string) {
    this.broker = new RawPeer(transport, address);
    const each = nameServer.split(";");
    this.#names = each.map((names) => names === address ? this.broker : new RawPeer(transport, names));
    this.#name = name;
  }

  async close(): Promise<void> {
    await Promise.all([this.broker, ...this.#names].map((peer) => peer.close()));
  }

  /**
   * Makes a topic at the broker, and waits until the name servers show its queues.
   *
   * Brokers tell of one topic at a time, with the version of all: of two that change at once a name server may take one
   * and leave the other as known. Then the topic is changed once more, in what nobody here looks at.
   */
  async createTopic(topic: string, queues: number): Promise<void> {
    for (let tries = 1;; tries++) {
      await this.broker.askWell(createTopic, {
        topic,
        defaultTopic: "TBW102",
        readQueueNums: queues,
        writeQueueNums: queues,
        perm: READ_AND_WRITE,
        topicFilterType: "SINGLE_TAG",
        topicSysFlag: 0,
        order: tries % 2 === 0,
      });
      try {
        return await this.untilRouted(topic, queues, REGISTER_PATIENCE / MOST_TRIES);
      } catch (error) {
        if (tries === MOST_TRIES) throw error;
      }
    }
  }

  /** How many queues of the broker the name servers show of a topic. */
  queuesOf(topic: string): Promise<number> {
    return this.#routedQueues(topic);
  }

  /** Whether any name server shows the broker in a topic's route. */
  async isRouted(topic: string): Promise<boolean> {
    return (await Promise.all(this.#names.map((names) => this.#queuesAt(names, topic)))).some((queues) => queues > 0);
  }

  /** Waits until the name servers show so many queues of a topic. */
  async untilRouted(topic: string, queues: number, timeout: number = REGISTER_PATIENCE): Promise<void> {
    this.#queues.set(topic, queues);
    await waitUntil(async () => await this.#routedQueues(topic) === queues, {
      what: `${queues} queues of ${topic} at the name server`,
      timeout,
    });
  }

  async publish(
    topic: string,
    messages: Iterable<string | TestMessage>,
    options: PublishOptions = {},
  ): Promise<string[]> {
    const count = this.#queues.get(topic) ?? 1;
    const outgoing = Array.from(messages, (message) => this.#prepare(message));
    const queues = new Map<number, Outgoing[]>();
    outgoing.forEach((message, i) => {
      const queueId = options.queueId ?? i % count;
      const queue = queues.get(queueId);
      if (queue === undefined) queues.set(queueId, [message]);
      else queue.push(message);
    });
    await Promise.all([...queues].map(([queueId, queue]) => this.#publishTo(topic, queueId, queue)));
    return outgoing.map(({ key }) => key);
  }

  async consumerList(group: string): Promise<readonly string[]> {
    const answer = await this.broker.ask(getConsumerList, { consumerGroup: group });
    if (answer.code !== ResponseCode.SUCCESS) return []; // 1: nobody is in it
    return (parseJson(decoder.decode(answer.body)) as ConsumerListBody).consumerIdList ?? [];
  }

  async committed(group: string, { topic, queueId }: QueueName): Promise<number | undefined> {
    const header = { consumerGroup: group, topic, queueId, setZeroIfNotFound: false };
    const answer = await this.broker.ask(queryConsumerOffset, header);
    if (answer.code === ResponseCode.QUERY_NOT_FOUND) return undefined;
    return decodeHeader(queryConsumerOffset.answer, answer.fields, "offset").offset;
  }

  async maxOffset({ topic, queueId }: QueueName): Promise<number> {
    const answer = await this.broker.askWell(getMaxOffset, { topic, queueId });
    return decodeHeader(getMaxOffset.answer, answer.fields, "maximum").offset;
  }

  async minOffset({ topic, queueId }: QueueName): Promise<number> {
    const answer = await this.broker.askWell(getMinOffset, { topic, queueId });
    return decodeHeader(getMinOffset.answer, answer.fields, "minimum").offset;
  }

  /** As the name server says that knows the fewest. */
  async #routedQueues(topic: string): Promise<number> {
    return Math.min(...await Promise.all(this.#names.map((names) => this.#queuesAt(names, topic))));
  }

  async #queuesAt(names: RawPeer, topic: string): Promise<number> {
    const answer = await names.ask(getRoute, { topic, acceptStandardJsonOnly: true });
    if (answer.code !== ResponseCode.SUCCESS) return 0;
    const { queueDatas = [] } = parseJson(decoder.decode(answer.body)) as TopicRouteData;
    return queueDatas.filter(({ brokerName }) => (this.#name ?? brokerName) === brokerName)
      .reduce((sum, { readQueueNums }) => sum + readQueueNums, 0);
  }

  #prepare(given: string | TestMessage): Outgoing {
    const { body, tags, keys, properties = {}, flag = 0, sysFlag = 0 } = typeof given === "string"
      ? { body: given }
      : given;
    const key = properties[PropertyName.UNIQUE_KEY] ?? this.#keys.next();
    const all = new Map(Object.entries(properties)).set(PropertyName.UNIQUE_KEY, key);
    if (tags !== undefined) all.set(PropertyName.TAGS, tags);
    if (keys !== undefined) all.set(PropertyName.KEYS, keys.join(" "));
    return {
      body: typeof body === "string" ? encoder.encode(body) : body,
      properties: encodeProperties(all),
      key,
      flag,
      sysFlag,
      alone: all.has(PropertyName.DELAY) || sysFlag !== 0,
    };
  }

  /** One request after the other, so that the queue has the order that was given. */
  async #publishTo(topic: string, queueId: number, queue: readonly Outgoing[]): Promise<void> {
    for (let first = 0; first < queue.length;) {
      let last = first;
      for (let bytes = 0; last < queue.length && last - first < BATCH_COUNT && bytes < BATCH_BYTES; last++) {
        const { alone, body } = queue[last]!;
        if (alone && last > first) break;
        bytes += alone ? BATCH_BYTES : body.length;
      }
      const group = queue.slice(first, last);
      if (group.length === 1) await this.#sendOne(topic, queueId, group[0]!);
      else await this.#sendMany(topic, queueId, group);
      first = last;
    }
  }

  async #sendOne(topic: string, queueId: number, { body, properties, flag, sysFlag }: Outgoing): Promise<void> {
    await this.broker.askWell(sendMessage, { ...sendHeader(topic, queueId), properties, flag, sysFlag }, body);
  }

  async #sendMany(topic: string, queueId: number, group: readonly Outgoing[]): Promise<void> {
    const body = encodeBatch(group.map(({ body, properties, flag }) => ({ body, properties, flag })));
    await this.broker.askWell(sendBatch, { ...sendHeader(topic, queueId), properties: "", batch: true }, body);
  }
}

function sendHeader(topic: string, queueId: number) {
  return {
    producerGroup: PRODUCER_GROUP,
    topic,
    defaultTopic: "TBW102",
    defaultTopicQueueNums: 4,
    queueId,
    sysFlag: 0,
    bornTimestamp: Date.now(),
    flag: 0,
  };
}
