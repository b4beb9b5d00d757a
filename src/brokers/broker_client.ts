/**
 * The requests that consumers and offset stores make to brokers, typed and addressed by broker name.
 *
 * @module
 */

import { NetworkError, ResponseError } from "../errors.ts";
import type { Message, MessageQueue } from "../message.ts";
import type { ConsumerConnection, QueueName, SubscriptionData } from "../wire/bodies.ts";
import { readConnections, readConsumerList, readLocked, readTimeSpans } from "../wire/body_readers.ts";
import { PullSysFlag, ResponseCode, VERSION_5_0_0 } from "../wire/codes.ts";
import type { BinaryFields } from "../wire/binary_fields.ts";
import type { HeaderOf } from "../wire/fields.ts";
import { decodeRecords } from "../wire/record.ts";
import {
  checkClientConfig,
  getConsumerConnections,
  getConsumerList,
  getMaxOffset,
  getMinOffset,
  lockQueues,
  pullMessage,
  queryConsumerOffset,
  queryTimeSpan,
  type RequestSpec,
  searchOffsetByTimestamp,
  sendBack,
  unlockQueues,
  updateConsumerOffset,
} from "../wire/requests.ts";
import type { Brokers } from "../cluster/brokers.ts";
import type { Cluster } from "../cluster/cluster.ts";
import type { Answer } from "../cluster/endpoint.ts";
import type { Membership } from "../cluster/membership.ts";
import { firstSince, type StoredAt } from "./store_times.ts";

const encoder = new TextEncoder();
/** The answers to a pull that are no errors. */
const PULL_ANSWERS = [
  ResponseCode.PULL_NOT_FOUND,
  ResponseCode.PULL_RETRY_IMMEDIATELY,
  ResponseCode.PULL_OFFSET_MOVED,
] as const;

/** A group that nobody has, whose offsets brokers are asked for to read their clock. */
const CLOCK_GROUP = "denorocket_clock";
/** By how much a broker's clock is taken to be behind ours if it cannot be read, in milliseconds. */
const UNKNOWN_SKEW = 60_000;

/** Where a message that is sent back stands in its broker's commit log. */
export type SendBackSource = Pick<Message, "queue" | "commitLogOffset" | "topic" | "messageId">;

/** How a message is sent back. */
export interface SendBackOptions {
  /** The group whose retry topic takes it. */
  readonly group: string;
  /** The delay level; 0 lets the broker count (3 + times), −1 is the dead letter queue. */
  readonly delayLevel: number;
  /** After how many retries it goes to the dead letter queue. */
  readonly maxReconsumeTimes: number;
}

/** What {@linkcode BrokerClient.peek} returns. */
export interface Peeked {
  /** The messages; none if the queue has none there. */
  readonly messages: readonly Message[];
  /** The smallest offset that the queue holds. */
  readonly minOffset: number;
  /** Where the next message is. */
  readonly next: number;
}

/** Typed requests to brokers by name. All reject with the errors of {@linkcode Endpoint.call}. */
export class BrokerClient {
  #brokers: Brokers;
  #membership: Pick<Membership, "version">;
  #clientId: string;
  #group: string;

  /** Makes a client over a cluster's shared connections, which reads messages in the name of a group. */
  constructor({ brokers, membership, clientId }: Pick<Cluster, "brokers" | "membership" | "clientId">, group: string) {
    this.#brokers = brokers;
    this.#membership = membership;
    this.#clientId = clientId;
    this.#group = group;
  }

  /** Pulls messages; waits `timeout` milliseconds from `now` on, which must be longer than the hold. */
  pull(
    queue: MessageQueue,
    brokerId: number,
    fields: BinaryFields,
    timeout: number,
    now: number = performance.now(),
  ): Promise<Answer<typeof pullMessage>> {
    const options = { timeout, deadline: now + timeout, accept: PULL_ANSWERS };
    return this.#brokers.get(queue.broker, brokerId).callWith(pullMessage, fields, options);
  }

  /** A group's stored offset of a queue; undefined if the broker has none. */
  async storedOffset(group: string, queue: MessageQueue): Promise<number | undefined> {
    // Without the last field brokers answer 0 for a group they do not know, if the queue's first message is still
    // there; 4.9 does so in any case. Source: ConsumerManageProcessor.
    const header = { consumerGroup: group, topic: queue.topic, queueId: queue.queueId, setZeroIfNotFound: false };
    try {
      const { offset } = (await this.#brokers.call(queue.broker, queryConsumerOffset, header)).header;
      return offset < 0 ? undefined : offset;
    } catch (error) {
      if (error instanceof ResponseError && error.responseCode === ResponseCode.QUERY_NOT_FOUND) return undefined;
      throw error;
    }
  }

  /** Stores a group's offset: brokers take any value, also a smaller one. */
  async storeOffset(group: string, queue: MessageQueue, commitOffset: number): Promise<void> {
    const header = { consumerGroup: group, topic: queue.topic, queueId: queue.queueId, commitOffset };
    await this.#brokers.call(queue.broker, updateConsumerOffset, header);
  }

  /** The offset that the queue's next message will get. */
  async maxOffset({ topic, broker, queueId }: MessageQueue): Promise<number> {
    return position(getMaxOffset, (await this.#brokers.call(broker, getMaxOffset, { topic, queueId })).header.offset);
  }

  /** The smallest offset that the queue still holds. */
  async minOffset({ topic, broker, queueId }: MessageQueue): Promise<number> {
    return position(getMinOffset, (await this.#brokers.call(broker, getMinOffset, { topic, queueId })).header.offset);
  }

  /** Whether a broker is older than 5.0, as far as its answers have shown. */
  isOld(broker: string): boolean {
    const { address } = this.#brokers.get(broker);
    return (this.#membership.version(address) ?? VERSION_5_0_0) < VERSION_5_0_0;
  }

  /**
   * The first offset that was stored at or after a time; the end of the queue if all are older.
   *
   * 4.9 answers with the nearest message instead, of several of one millisecond with any, and behind the last with
   * that: there the messages around it are looked at. Source: ConsumeQueue `getOffsetInQueueByTime`, 4.9.
   */
  async offsetAt(queue: MessageQueue, time: number): Promise<number> {
    const { topic, broker, queueId } = queue;
    const header = { topic, queueId, timestamp: time };
    const { version, header: { offset } } = await this.#brokers.call(broker, searchOffsetByTimestamp, header);
    const near = position(searchOffsetByTimestamp, offset);
    if (version >= VERSION_5_0_0) return near;
    return await firstSince(time, near, (from, count) => this.#storeTimes(queue, from, count));
  }

  /** When the messages from an offset on were stored; of the last of them, where the next begins. */
  async #storeTimes(queue: MessageQueue, from: number, count: number): Promise<StoredAt> {
    const { messages, minOffset, next } = await this.peek(queue, from, count);
    const times = messages.map(({ queueOffset, storedAt }) => ({ offset: queueOffset, time: storedAt.getTime() }));
    return { messages: times, minOffset, next };
  }

  /** Messages of a queue from an offset on, unfiltered and at once, which nobody consumes by it. */
  async peek(queue: MessageQueue, from: number, maxMsgNums: number): Promise<Peeked> {
    const { topic, queueId } = queue;
    const header: HeaderOf<typeof pullMessage.header> = {
      consumerGroup: this.#group,
      topic,
      queueId,
      queueOffset: from,
      maxMsgNums,
      sysFlag: PullSysFlag.SUBSCRIPTION,
      commitOffset: 0,
      suspendTimeoutMillis: 0,
      subscription: "*",
      subVersion: 0,
      expressionType: "TAG",
    };
    const options = { timeout: this.#brokers.requestTimeout, accept: PULL_ANSWERS };
    const answer = await this.#brokers.get(queue.broker).call(pullMessage, header, options);
    const { nextBeginOffset, minOffset } = answer.header;
    if (answer.code !== ResponseCode.SUCCESS) return { messages: [], minOffset, next: nextBeginOffset };
    const { messages } = decodeRecords(answer.body, queue);
    return { messages, minOffset, next: nextBeginOffset };
  }

  /** By how many milliseconds a broker's clock is ahead of ours, or less: it is read by a request that takes time. */
  async clockSkew({ topic, broker }: MessageQueue): Promise<number> {
    let body: Uint8Array;
    try {
      ({ body } = await this.#brokers.call(broker, queryTimeSpan, { topic, group: CLOCK_GROUP }));
    } catch (error) {
      if (error instanceof ResponseError) return -UNKNOWN_SKEW;
      throw error;
    }
    const now = Date.now();
    const { consumeTimeSpanSet = [] } = readTimeSpans(body);
    const clocks = consumeTimeSpanSet.map(({ delayTime }) => delayTime - 1).filter((clock) => clock > 0);
    return clocks.length === 0 ? -UNKNOWN_SKEW : Math.min(...clocks) - now;
  }

  /** The client ids in a group, as one broker knows them. */
  async members(group: string, broker: string): Promise<readonly string[]> {
    const answer = await this.#brokers.call(broker, getConsumerList, { consumerGroup: group });
    return readConsumerList(answer.body).consumerIdList ?? [];
  }

  /** Who is in a group, and with which subscriptions, as one broker knows it. */
  async connections(group: string, broker: string, longest = Infinity): Promise<ConsumerConnection> {
    const timeout = Math.min(longest, this.#brokers.requestTimeout);
    const header = { consumerGroup: group };
    const answer = await this.#brokers.get(broker).call(getConsumerConnections, header, { timeout });
    return readConnections(answer.body);
  }

  /**
   * Asks a broker whether it takes a subscription.
   *
   * @throws {ResponseError} 23 if the expression does not parse, 1 if the broker has no property filter
   */
  async checkSubscription(broker: string, group: string, subscription: SubscriptionData): Promise<void> {
    const body = encoder.encode(JSON.stringify({
      clientId: this.#clientId,
      group,
      subscriptionData: subscription,
    }));
    const timeout = this.#brokers.requestTimeout;
    await this.#brokers.get(broker).call(checkClientConfig, {}, { body, timeout });
  }

  /** Locks queues of one broker for this client, or renews their locks; returns those that are held now. */
  async lock(group: string, broker: string, queues: readonly MessageQueue[]): Promise<readonly MessageQueue[]> {
    const answer = await this.#brokers.get(broker, 0, true).call(lockQueues, {}, this.#lockRequest(group, queues));
    const { lockOKMQSet = [] } = readLocked(answer.body);
    return lockOKMQSet.map(({ topic, brokerName, queueId }) => ({ topic, broker: brokerName, queueId }));
  }

  /** Releases the locks of queues of one broker. */
  async unlock(group: string, broker: string, queues: readonly MessageQueue[]): Promise<void> {
    await this.#brokers.get(broker, 0, true).call(unlockQueues, {}, this.#lockRequest(group, queues));
  }

  #lockRequest(group: string, queues: readonly MessageQueue[]): { body: Uint8Array; timeout: number } {
    const mqSet: QueueName[] = queues.map(({ topic, broker, queueId }) => ({ brokerName: broker, queueId, topic }));
    const body = { consumerGroup: group, clientId: this.#clientId, mqSet };
    return { body: encoder.encode(JSON.stringify(body)), timeout: this.#brokers.requestTimeout };
  }

  /** Sends a message back for later; resolves when the broker has stored it. */
  async sendBack(message: SendBackSource, options: SendBackOptions): Promise<void> {
    const header = {
      offset: message.commitLogOffset,
      group: options.group,
      delayLevel: options.delayLevel,
      originMsgId: message.messageId,
      originTopic: message.topic,
      unitMode: false,
      maxReconsumeTimes: options.maxReconsumeTimes,
    };
    const master = this.#brokers.get(message.queue.broker, 0, true);
    await master.call(sendBack, header, { timeout: this.#brokers.requestTimeout });
  }
}

/** An offset that a broker has answered with: none is negative. */
function position({ name }: RequestSpec, offset: number): number {
  if (Number.isSafeInteger(offset) && offset >= 0) return offset;
  throw new NetworkError(`Cannot use the answer to ${name}: ${offset} is no offset`, "", "MALFORMED_FRAME");
}
