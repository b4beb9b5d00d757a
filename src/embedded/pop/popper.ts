/**
 * Pops messages for a group from the queues of a topic and from its retry topic. Source: PopMessageProcessor.
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

/** A pop. */
export interface PopRequest {
  /** The consumer group. */
  readonly group: string;
  /** The topic. */
  readonly topic: string;
  /** The queue; a negative number for all queues. */
  readonly queueId: number;
  /** The largest number of messages. */
  readonly maxMessages: number;
  /** How long the messages stay invisible, in milliseconds. */
  readonly invisibleTime: number;
  /** The start of a group without an offset: 0 for the first message, else the last. */
  readonly initMode: number;
  /** Whether a queue is blocked while messages of it are in flight. */
  readonly order: boolean;
  /** The id of the attempt, for ordered pops. */
  readonly attemptId: string | undefined;
  /** The filter. */
  readonly matches: MessageFilter;
}

/** The messages of one pop. */
export interface Popped {
  /** When they were popped, in milliseconds since 1970. */
  readonly popTime: number;
  /** The revive queue of the receipts. */
  readonly reviveQueueId: number;
  /** The records. */
  readonly records: Uint8Array[];
  /** How many further messages there are. */
  rest: number;
  /** The start offsets by queue. */
  readonly starts: Map<string, number>;
  /** The offsets of the messages by queue. */
  readonly offsets: Map<string, number[]>;
  /** How often messages were popped before, for ordered pops. */
  readonly counts: Map<string, number>;
}

/** The number of revive queues. Source: BrokerConfig.reviveQueueNum. */
const REVIVE_QUEUES = 8;
/** Every fifth pop reads the retry topic first, the others read it last. Source: popFromRetryProbability, 20 of 100. */
const RETRY_FIRST = 5;
/** The init mode of groups that start at the first message. Source: ConsumeInitMode. */
const FROM_FIRST = 0;

/** Pops messages for all groups. The queues of a topic take turns in being read first. */
export class Popper {
  #parts: Parts;
  #turn = 0;

  /** Pops messages of a broker. */
  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** Pops messages. */
  pop(request: PopRequest): Popped {
    const turn = this.#turn++;
    const popped: Popped = {
      popTime: Date.now(),
      reviveQueueId: request.order ? POP_ORDER_REVIVE_QUEUE : turn % REVIVE_QUEUES,
      records: [],
      rest: 0,
      starts: new Map(),
      offsets: new Map(),
      counts: new Map(),
    };
    const retry = request.order ? undefined : popRetryTopic(request.group, request.topic);
    const retryFirst = turn % RETRY_FIRST === RETRY_FIRST - 1;
    if (retry !== undefined && retryFirst) this.#popFromTopic(retry, request, popped, turn);
    if (request.queueId < 0) this.#popFromTopic(request.topic, request, popped, turn);
    else this.#popFromQueue(this.#parts.store.queue(request.topic, request.queueId), request, popped);
    if (retry !== undefined && !retryFirst && popped.records.length < request.maxMessages) {
      this.#popFromTopic(retry, request, popped, turn);
    }
    return popped;
  }

  #popFromTopic(topic: string, request: PopRequest, popped: Popped, turn: number): void {
    const queues = this.#parts.topics.get(topic)?.readQueues ?? 0;
    for (let i = 0; i < queues; i++) {
      this.#popFromQueue(this.#parts.store.queue(topic, (turn + i) % queues), request, popped);
    }
  }

  #popFromQueue(queue: Queue, request: PopRequest, popped: Popped): void {
    const { topic, queueId } = queue;
    const { offsets, pop, options } = this.#parts;
    const place = { group: request.group, topic, queueId };
    const start = this.#startOf(queue, request);
    if (request.order && pop.ordered.isBlocked(place, request.attemptId)) return;
    const room = request.maxMessages - popped.records.length;
    if (room <= 0) {
      popped.rest += queue.maxOffset - start;
      return;
    }
    const { maxPullMessages: transferMessages, maxPullBytes: transferBytes } = options;
    const { status, records, nextOffset } = queue.read(
      start,
      { messages: room, transferMessages, transferBytes },
      request.matches,
    );
    popped.rest += queue.maxOffset - nextOffset;
    if (status === "NO_MATCHED_MESSAGE") offsets.commit(request.group, topic, queueId, nextOffset);
    if (records.length === 0) return;
    const taken = records.map(offsetOf);
    this.#record(place, start, taken, request, popped);
    offsets.commit(request.group, topic, queueId, request.order ? start : nextOffset);
    for (const record of records) popped.records.push(this.#recordToSend(record, place, start, request, popped));
  }

  /** The offset at which a group continues or starts. */
  #startOf(queue: Queue, { group, initMode }: PopRequest): number {
    const { topic, queueId, minOffset, maxOffset } = queue;
    const { offsets, pop } = this.#parts;
    const reset = offsets.takeReset(group, topic, queueId);
    if (reset !== undefined) pop.ordered.clear({ group, topic, queueId });
    const stored = reset ?? offsets.get(group, topic, queueId) ?? firstOffset(queue, initMode);
    const start = Math.max(minOffset, Math.min(stored, maxOffset));
    if (start !== offsets.get(group, topic, queueId)) offsets.commit(group, topic, queueId, start);
    return start;
  }

  #record(place: QueueOfGroup, start: number, taken: number[], request: PopRequest, popped: Popped): void {
    const { popTime } = popped;
    const { order, attemptId, invisibleTime } = request;
    const { ordered, deliveries } = this.#parts.pop;
    if (order) {
      const counts = ordered.add(place, { attemptId, popTime, invisibleTime, offsets: taken });
      for (const [key, count] of counts) popped.counts.set(key, count);
    } else deliveries.add({ ...place, startOffset: start, popTime }, taken, popTime + invisibleTime);
    const key = popQueueKey(popRetryOf(place.topic), place.queueId);
    popped.starts.set(key, start);
    popped.offsets.set(key, taken);
  }

  /** A record as it is sent: one from a retry topic carries the requested topic and its receipt. */
  #recordToSend(
    record: Uint8Array,
    place: QueueOfGroup,
    startOffset: number,
    request: PopRequest,
    popped: Popped,
  ): Uint8Array {
    if (place.topic === request.topic) return record;
    const { brokerName: broker } = this.#parts.options;
    const message = decodeStored(record, { ...place, broker });
    const receipt = formatPopReceipt({
      startOffset,
      popTime: popped.popTime,
      invisibleTime: request.invisibleTime,
      reviveQueueId: popped.reviveQueueId,
      retry: popRetryOf(place.topic),
      broker,
      queueId: place.queueId,
      queueOffset: message.queueOffset,
    });
    return encodeRecord({
      topic: request.topic,
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

/** The start of a group without an offset: the first message of a queue, if it still exists. */
function firstOffset(queue: Queue, initMode: number): number {
  if (initMode === FROM_FIRST || popRetryOf(queue.topic) !== 0) return queue.minOffset;
  return queue.at(0) !== undefined ? 0 : Math.max(0, queue.maxOffset - 1);
}

function offsetOf(record: Uint8Array): number {
  return readLong(new DataView(record.buffer, record.byteOffset, record.byteLength), At.QUEUE_OFFSET);
}
