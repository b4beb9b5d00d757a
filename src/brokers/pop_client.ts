/**
 * The requests of POP, typed and addressed by broker name. All go to masters.
 *
 * @module
 */

import type { QueryAssignmentBody, QueueAssignment } from "../wire/bodies.ts";
import { readAssignment } from "../wire/body_readers.ts";
import { ResponseCode } from "../wire/codes.ts";
import { changedPopReceipt, formatPopReceipt, type PopReceipt, realPopTopic } from "../wire/pop.ts";
import { batchAcks, type PopAck } from "../wire/pop_acks.ts";
import { type PoppedMessage, receiveBroken, receivePopped } from "../wire/pop_receive.ts";
import { type BrokenRecord, decodeRecords, MAX_BODY_SIZE, type StoredMessage, unpackBatches } from "../wire/record.ts";
import { ackMessage, batchAckMessage, changeInvisibleTime, popMessage, queryAssignment } from "../wire/requests.ts";
import type { Brokers } from "../cluster/brokers.ts";
import type { Cluster } from "../cluster/cluster.ts";

const encoder = new TextEncoder();

/** A held pop may be answered late, and needs time on the way. Source: DefaultMQPushConsumerImpl.popMessage. */
const HOLD_MARGIN = 10_000;
/** The answers to a pop that are no errors. */
const POP_ANSWERS = [ResponseCode.PULL_NOT_FOUND, ResponseCode.POLLING_FULL, ResponseCode.POLLING_TIMEOUT] as const;

/** Where messages are popped from. */
export interface PopPlace {
  /** The topic. */
  readonly topic: string;
  /** The broker's name. */
  readonly broker: string;
  /** The queue's number; -1 for all queues of the broker. */
  readonly queueId: number;
}

/** The key of a place. */
export function placeKey({ topic, broker, queueId }: PopPlace): string {
  return `${topic}@${broker}@${queueId}`;
}

/** How messages are popped. */
export interface PopRequest {
  /** The most messages, 1 to 32. */
  readonly max: number;
  /** How long nobody else gets them, in milliseconds. */
  readonly invisibleTime: number;
  /** How long the broker may hold the request while there is nothing, in milliseconds. */
  readonly hold: number;
  /** Whether a group without an offset begins at the smallest one. */
  readonly fromFirst: boolean;
  /** Which messages are delivered: the kind of the expression, and itself. */
  readonly selector: { readonly type: string; readonly expression: string };
  /** Ends the unpacking of large bodies: the messages are returned as they are. */
  readonly signal?: AbortSignal | undefined;
}

/** A record of an answer that cannot be read, or not settled message by message. */
export interface BrokenPopped {
  /** What could be read of it. */
  readonly record: BrokenRecord;
  /** Its receipt, if that is certain. */
  readonly receipt: PopReceipt | undefined;
}

/** What a broker answered to a pop. */
export interface PopAnswer {
  /** `full`: too many requests wait there. */
  readonly kind: "found" | "empty" | "full";
  /** The messages with their receipts. */
  readonly popped: readonly PoppedMessage[];
  /** Records that cannot be read. */
  readonly broken: readonly BrokenPopped[];
  /** When it came, by the monotonic clock: bodies may have been unpacked since. */
  readonly receivedAt: number;
}

/** Pops, acknowledges and extends for one group. */
export class PopClient {
  #brokers: Brokers;
  #clientId: string;
  #group: string;
  /** Brokers that do not know the request for many acks. */
  #withoutBatches = new Set<string>();

  /** Makes a client over a cluster's shared connections. */
  constructor({ brokers, clientId }: Pick<Cluster, "brokers" | "clientId">, group: string) {
    this.#brokers = brokers;
    this.#clientId = clientId;
    this.#group = group;
  }

  /**
   * Takes messages for a while; waits for `hold` and what a held request needs.
   *
   * Large packed bodies are unpacked before the answer is given, in the background; those beyond
   * {@linkcode MAX_BODY_SIZE} together stay as they are until they are asked for.
   */
  async pop(place: PopPlace, request: PopRequest): Promise<PopAnswer> {
    const { topic, broker, queueId } = place;
    const header = {
      consumerGroup: this.#group,
      topic,
      queueId,
      maxMsgNums: request.max,
      invisibleTime: request.invisibleTime,
      pollTime: request.hold,
      bornTime: 0, // the broker's own clock: ours may differ, and then it answers at once
      initMode: request.fromFirst ? 0 : 1,
      expType: request.selector.type,
      exp: request.selector.expression,
      order: false,
    };
    const timeout = request.hold + HOLD_MARGIN;
    const answer = await this.#broker(broker).call(popMessage, header, { timeout, accept: POP_ANSWERS });
    const { receivedAt } = answer;
    if (answer.code === ResponseCode.POLLING_FULL) return { kind: "full", popped: [], broken: [], receivedAt };
    if (answer.code !== ResponseCode.SUCCESS) return { kind: "empty", popped: [], broken: [], receivedAt };
    let read = decodeRecords(answer.body, { topic, broker, queueId: -1 });
    if (read.packed.length > 0) read = await unpackBatches(read, MAX_BODY_SIZE, request.signal);
    const { messages, broken } = read;
    // Without receipts nothing can be acknowledged: they are redelivered.
    const { popped, strange } = receivePopped(messages, answer.header, broker);
    if (messages.some((message) => message.isLargePacked)) await unpackLarge(messages, request.signal);
    const records = [...broken, ...strange];
    const receipts = receiveBroken(records, answer.header, broker);
    const withReceipts = records.map((record, i) => ({ record, receipt: receipts[i] }));
    return { kind: "found", popped, broken: withReceipts, receivedAt };
  }

  /** Acknowledges messages of one broker; resolves when it has answered. */
  async ack(broker: string, acks: readonly PopAck[]): Promise<void> {
    if (acks.length > 1 && !this.#withoutBatches.has(broker) && await this.#ackMany(broker, acks)) return;
    await Promise.all(acks.map((ack) => this.#ackOne(ack)));
  }

  /** Changes after which time from now on a message becomes visible; returns its new receipt. */
  async changeInvisibleTime({ topic, receipt }: PopAck, invisibleTime: number): Promise<PopReceipt> {
    const header = { ...this.#headerOf(topic, receipt), invisibleTime };
    const { header: answer } = await this.#broker(receipt.broker).call(changeInvisibleTime, header, this.#wait);
    return changedPopReceipt(receipt, answer);
  }

  /** Which queues a broker assigns to this client; undefined if it does not know how. */
  async assignment(topic: string, broker: string): Promise<readonly QueueAssignment[]> {
    const body: QueryAssignmentBody = {
      topic,
      consumerGroup: this.#group,
      clientId: this.#clientId,
      strategyName: "AVG",
      messageModel: "CLUSTERING",
    };
    const bytes = encoder.encode(JSON.stringify(body));
    const answer = await this.#broker(broker).call(queryAssignment, {}, { body: bytes, ...this.#wait });
    return readAssignment(answer.body).messageQueueAssignments ?? [];
  }

  /** False if the broker does not know this request. */
  async #ackMany(broker: string, acks: readonly PopAck[]): Promise<boolean> {
    const body = encoder.encode(JSON.stringify({ brokerName: broker, acks: batchAcks(this.#group, acks) }));
    const accept = [ResponseCode.REQUEST_CODE_NOT_SUPPORTED] as const;
    const answer = await this.#broker(broker).call(batchAckMessage, {}, { body, accept, ...this.#wait });
    if (answer.code === ResponseCode.SUCCESS) return true;
    this.#withoutBatches.add(broker);
    return false;
  }

  async #ackOne({ topic, receipt }: PopAck): Promise<void> {
    await this.#broker(receipt.broker).call(ackMessage, this.#headerOf(topic, receipt), this.#wait);
  }

  /** An ack must name the topic that the message was popped from: with another one it is lost. */
  #headerOf(topic: string, receipt: PopReceipt) {
    const { retry, queueId, queueOffset: offset } = receipt;
    const popped = realPopTopic(this.#group, topic, retry);
    return { consumerGroup: this.#group, topic: popped, queueId, extraInfo: formatPopReceipt(receipt), offset };
  }

  #broker(name: string) {
    return this.#brokers.get(name, 0, true);
  }

  get #wait(): { readonly timeout: number } {
    return { timeout: this.#brokers.requestTimeout };
  }
}

async function unpackLarge(messages: readonly StoredMessage[], signal: AbortSignal | undefined): Promise<void> {
  let bytes = 0;
  for (const message of messages) {
    if (bytes >= MAX_BODY_SIZE) return;
    if (!message.isLargePacked) continue;
    await message.unpack(signal).catch((error) => {
      if (!signal?.aborted) throw error;
    });
    if (signal?.aborted) return; // whoever gets the messages now returns them
    bytes += message.heldSize - message.size;
  }
}
