/**
 * A queue: its messages by offset.
 *
 * @module
 */

import { Deque } from "./deque.ts";

/** A stored message. */
export interface Entry {
  /** The encoded record, as answers to pulls carry it; empty once the message is deleted. */
  record: Uint8Array;
  /** Its offset in the queue. */
  readonly queueOffset: number;
  /** Its position in the commit log, in bytes. */
  readonly commitLogOffset: number;
  /** When it was stored, in milliseconds since 1970. */
  readonly storedAt: number;
  /** Java's hash code of its tag; 0 without one. */
  readonly tagsCode: number;
  /** Its queue. */
  readonly queue: Queue;
}

/** The result of a read in one word. Source: GetMessageStatus. */
export type ReadStatus =
  | "FOUND"
  | "NO_MATCHED_MESSAGE"
  | "NO_MESSAGE_IN_QUEUE"
  | "OFFSET_TOO_SMALL"
  | "OFFSET_OVERFLOW_ONE"
  | "OFFSET_OVERFLOW_BADLY"
  | "OFFSET_RESET";

/** The limits of a read. */
export interface ReadLimits {
  /** The largest number of messages. */
  readonly messages: number;
  /** The broker's own limit of messages. */
  readonly transferMessages: number;
  /** The broker's own limit of bytes; one message always fits. */
  readonly transferBytes: number;
}

/** The result of a read. Source: GetMessageResult. */
export interface ReadResult {
  /** The result in one word. */
  readonly status: ReadStatus;
  /** The offset to read from next. */
  readonly nextOffset: number;
  /** The records. */
  readonly records: readonly Uint8Array[];
  /** The sum of their sizes. */
  readonly bytes: number;
}

/** How many index entries a read scans if few match: 16 000 bytes of 20 each. Source: maxFilterMessageSize. */
const SCAN_LIMIT = 800;

/** One queue of a topic: an index from offset to message. */
export class Queue {
  /** The topic. */
  readonly topic: string;
  /** The queue's number. */
  readonly queueId: number;
  #entries = new Deque<Entry>();
  #minOffset = 0;

  /** Makes an empty queue. */
  constructor(topic: string, queueId: number) {
    this.topic = topic;
    this.queueId = queueId;
  }

  /** The smallest offset that it holds; the next offset if it is empty. */
  get minOffset(): number {
    return this.#minOffset;
  }

  /** The offset of the next message. */
  get maxOffset(): number {
    return this.#minOffset + this.#entries.length;
  }

  /** The message at an offset. */
  at(offset: number): Entry | undefined {
    return this.#entries.at(offset - this.#minOffset);
  }

  /** Adds a message at the end. */
  push(entry: Entry): void {
    this.#entries.push(entry);
  }

  /** Deletes the oldest message. */
  shift(): Entry | undefined {
    const entry = this.#entries.shift();
    if (entry !== undefined) this.#minOffset++;
    return entry;
  }

  /** The first offset whose message was stored at or after a time; the maximum if all are older. */
  offsetAt(timestamp: number): number {
    return this.#minOffset + this.#entries.search((entry) => entry.storedAt >= timestamp);
  }

  /** The last offset whose message was stored at or before a time; the minimum if all are younger. */
  lastOffsetAt(timestamp: number): number {
    return this.#minOffset + Math.max(0, this.#entries.search((entry) => entry.storedAt > timestamp) - 1);
  }

  /** The offset whose message was stored nearest to a time, as brokers before 5.0 search; 0 in an empty queue. */
  nearestOffsetAt(timestamp: number): number {
    const right = this.offsetAt(timestamp);
    const before = this.at(right - 1);
    const after = this.at(right);
    if (before === undefined || after === undefined) return before === undefined ? this.#minOffset : right - 1;
    return timestamp - before.storedAt > after.storedAt - timestamp ? right : right - 1;
  }

  /** Whether a message from `from` on matches. */
  hasMatch(from: number, matches: (entry: Entry) => boolean): boolean {
    for (let offset = Math.max(from, this.#minOffset); offset < this.maxOffset; offset++) {
      if (matches(this.at(offset)!)) return true;
    }
    return false;
  }

  /** Reads the messages that match, from an offset on. Source: DefaultMessageStore.getMessage. */
  read(offset: number, limits: ReadLimits, matches: (entry: Entry) => boolean): ReadResult {
    const { minOffset, maxOffset } = this;
    const none = (status: ReadStatus, nextOffset: number): ReadResult => ({
      status,
      nextOffset,
      records: [],
      bytes: 0,
    });
    if (maxOffset === 0) return none("NO_MESSAGE_IN_QUEUE", 0);
    if (offset < minOffset) return none("OFFSET_TOO_SMALL", minOffset);
    if (offset === maxOffset) return none("OFFSET_OVERFLOW_ONE", offset);
    if (offset > maxOffset) return none("OFFSET_OVERFLOW_BADLY", maxOffset);
    const end = Math.min(maxOffset, offset + Math.max(SCAN_LIMIT, limits.messages));
    const records: Uint8Array[] = [];
    let bytes = 0;
    let next = offset;
    for (; next < end; next++) {
      const entry = this.at(next)!;
      const { record } = entry;
      if (isFull(records.length, bytes, record.length, limits)) break;
      if (!matches(entry)) continue;
      records.push(record);
      bytes += record.length;
    }
    return { status: records.length > 0 ? "FOUND" : "NO_MATCHED_MESSAGE", nextOffset: next, records, bytes };
  }
}

/** Whether another record does not fit; the first always does. Source: DefaultMessageStore.isTheBatchFull. */
function isFull(count: number, bytes: number, size: number, limits: ReadLimits): boolean {
  if (count === 0) return false;
  return count >= limits.messages || count >= limits.transferMessages || bytes + size > limits.transferBytes;
}
