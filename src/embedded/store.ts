/**
 * The stored messages: one bounded log in the order of arrival, and an index per queue.
 *
 * @module
 */

import { javaHashCode, PropertyName } from "../wire/codes.ts";
import { parseHost } from "../wire/host.ts";
import { hexOf } from "../wire/message_id.ts";
import { encodeProperties } from "../wire/properties.ts";
import { encodeRecord } from "../wire/record.ts";
import { Deque } from "./deque.ts";
import { type Entry, Queue } from "./queue.ts";
import { Slabs } from "./slabs.ts";

/** A message to be stored. */
export interface NewMessage {
  /** The topic. */
  readonly topic: string;
  /** The queue. */
  readonly queueId: number;
  /** The user's flag. */
  readonly flag: number;
  /** The system flag: compression. */
  readonly sysFlag: number;
  /** When its producer created it, in milliseconds since 1970. */
  readonly bornAt: number;
  /** The producer's `host:port`, or the result of `parseHost`. */
  readonly bornHost: string | Uint8Array;
  /** How often it was retried. */
  readonly reconsumeTimes: number;
  /** The body, as it was sent. */
  readonly body: Uint8Array;
  /** The properties. */
  readonly properties: ReadonlyMap<string, string>;
}

/** The limits of a store. */
export interface StoreLimits {
  /** The largest number of messages. */
  readonly maxMessages: number;
  /** The largest number of bytes of records. */
  readonly maxBytes: number;
}

const DELETED = new Uint8Array(0);

/** Messages in memory. */
export class Store {
  #address!: string;
  #storeHost!: Uint8Array;
  #limits: StoreLimits;
  #slabs = new Slabs();
  #log = new Deque<Entry>();
  #queues = new Map<string, Queue[]>();
  #nextPosition = 0;
  #lastStoredAt = 0;
  #messages = 0;
  #bytes = 0;

  /** Makes an empty store of the broker at `address`, an IP address with a port. */
  constructor(limits: StoreLimits, address: string) {
    this.#limits = limits;
    this.moveTo(address);
  }

  /** The broker's `host:port`. */
  get address(): string {
    return this.#address;
  }

  /** The broker's address, as the bytes that records carry. */
  get storeHost(): Uint8Array {
    return this.#storeHost;
  }

  /** Changes the broker's address for later messages; stored ones keep theirs. */
  moveTo(address: string): void {
    this.#address = address;
    this.#storeHost = parseHost(address);
  }

  /** The offset id of the message at a position of the commit log. */
  messageId(commitLogOffset: number): string {
    const { length } = this.#storeHost;
    return hexOf(this.#storeHost, 0, length) + commitLogOffset.toString(16).toUpperCase().padStart(16, "0");
  }

  /** How many messages it holds. */
  get messages(): number {
    return this.#messages;
  }

  /** How many bytes of records it holds. */
  get bytes(): number {
    return this.#bytes;
  }

  /** A queue; it is created if it does not exist. */
  queue(topic: string, queueId: number): Queue {
    let queues = this.#queues.get(topic);
    if (queues === undefined) this.#queues.set(topic, queues = []);
    return queues[queueId] ??= new Queue(topic, queueId);
  }

  /** A queue; undefined if nothing was ever stored in it or read from it. */
  find(topic: string, queueId: number): Queue | undefined {
    return this.#queues.get(topic)?.[queueId];
  }

  /** Reserves `size` bytes of the commit log for a message that is stored elsewhere. */
  reserve(size: number): number {
    const position = this.#nextPosition;
    this.#nextPosition += size;
    return position;
  }

  /** Appends a message to its queue, and deletes the oldest messages above the limits. */
  append(message: NewMessage): Entry {
    const queue = this.queue(message.topic, message.queueId);
    const storedAt = this.#lastStoredAt = Math.max(this.#lastStoredAt, Date.now());
    const queueOffset = queue.maxOffset;
    const commitLogOffset = this.#nextPosition;
    const record = this.#slabs.copy(encodeRecord({
      topic: message.topic,
      queueId: message.queueId,
      flag: message.flag,
      queueOffset,
      commitLogOffset,
      sysFlag: message.sysFlag,
      bornTimestamp: message.bornAt,
      bornHost: message.bornHost,
      storeTimestamp: storedAt,
      storeHost: this.#storeHost,
      reconsumeTimes: message.reconsumeTimes,
      body: message.body,
      properties: encodeProperties(message.properties),
    }));
    const tag = message.properties.get(PropertyName.TAGS);
    const tagsCode = tag === undefined ? 0 : javaHashCode(tag);
    const entry: Entry = { record, queueOffset, commitLogOffset, storedAt, tagsCode, queue };
    this.#nextPosition += record.length;
    this.#messages++;
    this.#bytes += record.length;
    queue.push(entry);
    this.#log.push(entry);
    this.#evict();
    return entry;
  }

  /** The message at a position of the commit log; undefined if there is none. */
  lookUp(commitLogOffset: number): Entry | undefined {
    const entry = this.#log.at(this.#log.search((each) => each.commitLogOffset >= commitLogOffset));
    return entry?.commitLogOffset === commitLogOffset && entry.record !== DELETED ? entry : undefined;
  }

  /** Deletes a queue's messages before an offset. */
  deleteUntil(queue: Queue, offset: number): void {
    while (queue.minOffset < Math.min(offset, queue.maxOffset)) this.#delete(queue.shift()!);
    while (this.#log.at(0)?.record === DELETED) this.#log.shift();
  }

  #evict(): void {
    const { maxMessages, maxBytes } = this.#limits;
    while ((this.#messages > maxMessages || this.#bytes > maxBytes) && this.#messages > 1) {
      const oldest = this.#log.shift()!;
      if (oldest.record !== DELETED) this.#delete(oldest.queue.shift()!);
    }
  }

  #delete(entry: Entry): void {
    this.#messages--;
    this.#bytes -= entry.record.length;
    entry.record = DELETED;
  }
}
