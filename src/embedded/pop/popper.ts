/**
 * Taking messages for a group, from the queues of a topic and from its retry topic. Source: PopMessageProcessor.
 *
 * @module
 */

import { PropertyName } from "../../wire/codes.ts";
import { formatPopReceipt, POP_ORDER_REVIVE_QUEUE, popQueueKey, popRetryOf, popRetryTopic } from "../../wire/pop.ts";
import { encodeProperties } from "../../wire/properties.ts";
import { decodeStored, encodeRecord } from "../../wire/record.ts";
import { At, readLong } from "../../wire/record_layout.ts";
import type { MessageFilter } from "../filter.ts";
import type { Parts } from "../parts.ts";
import type { Queue } from "../queue.ts";
import type { QueueOfGroup } from "./ordered_pops.ts";

/** What is wanted. */
export interface PopWish {
  /** For whom. */
  readonly group: string;
  /** The topic. */
  readonly topic: string;
  /** The queue; a negative number for all of them. */
  readonly queueId: number;
  /** The most messages. */
  readonly maxMessages: number;
  /** How long nobody else gets them, in milliseconds. */
  readonly invisibleTime: number;
  /** Where a group begins that has no offset: 0 at the first message, else at the last. */
  readonly initMode: number;
  /** Whether a queue gives nothing while something of it is in hand. */
  readonly order: boolean;
  /** The attempt that it belongs to, in order. */
  readonly attemptId: string | undefined;
  /** Which messages. */
  readonly matches: MessageFilter;
}

/** What was taken. */
export interface Popped {
  /** When, in milliseconds since 1970. */
  readonly popTime: number;
  /** The revive queue that receipts name. */
  readonly reviveQueueId: number;
  /** The messages. */
  readonly records: Uint8Array[];
  /** How many messages are left. */
  rest: number;
  /** The start offsets by queue. */
  readonly starts: Map<string, number>;
  /** The messages' offsets by queue. */
  readonly offsets: Map<string, number[]>;
  /** How often messages were taken before, in order. */
  readonly counts: Map<string, number>;
}

/** How many queues a broker keeps its records of deliveries in. Source: BrokerConfig.reviveQueueNum. */
const REVIVE_QUEUES = 8;
/** Every such pop looks into the retry topic first: the others do last. Source: popFromRetryProbability, 20 of 100. */
const RETRY_FIRST = 5;
/** The init mode of groups that begin at the first message. Source: ConsumeInitMode. */
const FROM_FIRST = 0;

/** Takes messages for all groups; a queue that was first comes later next time. */
export class Popper {
  #parts: Parts;
  #turn = 0;

  /** Makes one for a broker. */
  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** Takes messages. */
  take(wish: PopWish): Popped {
    const turn = this.#turn++;
    const popped: Popped = {
      popTime: Date.now(),
      reviveQueueId: wish.order ? POP_ORDER_REVIVE_QUEUE : turn % REVIVE_QUEUES,
      records: [],
      rest: 0,
      starts: new Map(),
      offsets: new Map(),
      counts: new Map(),
    };
    const retry = wish.order ? undefined : popRetryTopic(wish.group, wish.topic);
    const retryFirst = turn % RETRY_FIRST === RETRY_FIRST - 1;
    if (retry !== undefined && retryFirst) this.#takeFromTopic(retry, wish, popped, turn);
    if (wish.queueId < 0) this.#takeFromTopic(wish.topic, wish, popped, turn);
    else this.#takeFromQueue(this.#parts.store.queue(wish.topic, wish.queueId), wish, popped);
    if (retry !== undefined && !retryFirst && popped.records.length < wish.maxMessages) {
      this.#takeFromTopic(retry, wish, popped, turn);
    }
    return popped;
  }

  #takeFromTopic(topic: string, wish: PopWish, popped: Popped, turn: number): void {
    const queues = this.#parts.topics.get(topic)?.readQueues ?? 0;
    for (let i = 0; i < queues; i++) {
      this.#takeFromQueue(this.#parts.store.queue(topic, (turn + i) % queues), wish, popped);
    }
  }

  #takeFromQueue(queue: Queue, wish: PopWish, popped: Popped): void {
    const { topic, queueId } = queue;
    const { offsets, pop, options } = this.#parts;
    const place = { group: wish.group, topic, queueId };
    const start = this.#startOf(queue, wish);
    if (wish.order && pop.ordered.isBlocked(place, wish.attemptId)) return;
    const room = wish.maxMessages - popped.records.length;
    if (room <= 0) {
      popped.rest += queue.maxOffset - start;
      return;
    }
    const { maxPullMessages: transferMessages, maxPullBytes: transferBytes } = options;
    const { status, records, nextOffset } = queue.read(
      start,
      { messages: room, transferMessages, transferBytes },
      wish.matches,
    );
    popped.rest += queue.maxOffset - nextOffset;
    if (status === "NO_MATCHED_MESSAGE") offsets.commit(wish.group, topic, queueId, nextOffset);
    if (records.length === 0) return;
    const taken = records.map(offsetOf);
    this.#remember(place, start, taken, wish, popped);
    offsets.commit(wish.group, topic, queueId, wish.order ? start : nextOffset);
    for (const record of records) popped.records.push(this.#shown(record, place, start, wish, popped));
  }

  /** Where a group goes on in a queue, or begins. */
  #startOf(queue: Queue, { group, initMode }: PopWish): number {
    const { topic, queueId, minOffset, maxOffset } = queue;
    const { offsets, pop } = this.#parts;
    const reset = offsets.takeReset(group, topic, queueId);
    if (reset !== undefined) pop.ordered.clear({ group, topic, queueId });
    const stored = reset ?? offsets.get(group, topic, queueId) ?? firstOffset(queue, initMode);
    const start = Math.max(minOffset, Math.min(stored, maxOffset));
    if (start !== offsets.get(group, topic, queueId)) offsets.commit(group, topic, queueId, start);
    return start;
  }

  #remember(place: QueueOfGroup, start: number, taken: number[], wish: PopWish, popped: Popped): void {
    const { popTime } = popped;
    const { order, attemptId, invisibleTime } = wish;
    const { ordered, deliveries } = this.#parts.pop;
    if (order) {
      const counts = ordered.take(place, { attemptId, popTime, invisibleTime, offsets: taken });
      for (const [key, count] of counts) popped.counts.set(key, count);
    } else deliveries.add({ ...place, startOffset: start, popTime }, taken, popTime + invisibleTime);
    const key = popQueueKey(popRetryOf(place.topic), place.queueId);
    popped.starts.set(key, start);
    popped.offsets.set(key, taken);
  }

  /** A record as the answer shows it: one from a retry topic with the topic that was asked for, and its receipt. */
  #shown(record: Uint8Array, place: QueueOfGroup, startOffset: number, wish: PopWish, popped: Popped): Uint8Array {
    if (place.topic === wish.topic) return record;
    const { brokerName: broker } = this.#parts.options;
    const message = decodeStored(record, { ...place, broker });
    const receipt = formatPopReceipt({
      startOffset,
      popTime: popped.popTime,
      invisibleTime: wish.invisibleTime,
      reviveQueueId: popped.reviveQueueId,
      retry: popRetryOf(place.topic),
      broker,
      queueId: place.queueId,
      queueOffset: message.queueOffset,
    });
    return encodeRecord({
      topic: wish.topic,
      queueId: place.queueId,
      queueOffset: message.queueOffset,
      commitLogOffset: message.commitLogOffset,
      flag: message.flag,
      sysFlag: message.sysFlag,
      bornTimestamp: message.bornAt.getTime(),
      bornHost: message.bornHost,
      storeTimestamp: message.storedAt.getTime(),
      storeHost: message.storeHost,
      reconsumeTimes: message.reconsumeTimes,
      body: message.storedBody,
      properties: encodeProperties(new Map(message.properties).set(PropertyName.POP_RECEIPT, receipt)),
    });
  }
}

/** Where a group begins that has no offset. A queue whose first message is still there is read from it in any case. */
function firstOffset(queue: Queue, initMode: number): number {
  if (initMode === FROM_FIRST || popRetryOf(queue.topic) !== 0) return queue.minOffset;
  return queue.at(0) !== undefined ? 0 : Math.max(0, queue.maxOffset - 1);
}

function offsetOf(record: Uint8Array): number {
  return readLong(new DataView(record.buffer, record.byteOffset, record.byteLength), At.QUEUE_OFFSET);
}
