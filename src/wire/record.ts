/**
 * Stored messages on the wire: the bodies of answers to pulls and look-ups are records, one after the other.
 *
 * `record_layout.ts` has the table of a record.
 *
 * @module
 */

import { isRetryTopic } from "./names.ts";
import type { MessageQueue } from "../message.ts";
import { type BrokenRecord, brokenRecord, malformedRecord } from "./broken_record.ts";
import { MessageSysFlag } from "./codes.ts";
import {
  type DecodedRecords,
  INNER_BATCH,
  type InnerBatch,
  innerCount,
  type PackedBatch,
  unwrap,
} from "./inner_batch.ts";
import {
  At,
  bodyAt,
  MAGIC_V1,
  MAGIC_V2,
  MIN_RECORD_SIZE,
  readLong,
  readSafeLong,
  SAFE_UPPER_HALF,
} from "./record_layout.ts";
import type { RetryReader } from "./retry_reader.ts";
import type { RecordSource } from "./record_source.ts";
import { StoredMessage } from "./stored_message.ts";
import { readable } from "./utf8.ts";

export type { BrokenRecord } from "./broken_record.ts";
export { type DecodedRecords, type InnerBatch, type PackedBatch, unpackBatches } from "./inner_batch.ts";
export { encodeRecord, type StoredRecordFields } from "./record_encoder.ts";
export type { RetryReader } from "./retry_reader.ts";
export type { RecordSource } from "./record_source.ts";
export { MAX_BODY_SIZE, StoredMessage } from "./stored_message.ts";

/** The offsets that the answer to a pull speaks of. */
export interface PulledSpan {
  /** The offset that was pulled from. */
  readonly begin: number;
  /** Where the broker says to go on: its `nextBeginOffset`. */
  readonly end: number;
}

const LAST_ASCII = 0x7f;

const encoder = new TextEncoder();

/**
 * Reads records: views, every length checked, an inner batch as its single messages.
 *
 * A record that does not fit together inside is listed in `broken`; the others are read all the same. With `span` they
 * are the answer to a pull: the messages that come out rise in their offsets, and are within the span. A record is
 * broken too that is of another topic or queue, that is not behind the one before it, or that is an inner batch with
 * more messages than there are offsets before the next record. What is outside of the span was not asked for and is
 * left out: below it lies what a batch has in front of the offset, above it what comes with the next pull.
 *
 * @param span the offsets of the answer; of an end that is not behind its beginning nothing follows
 * @param reader the group that reads them, if there is one: see {@linkcode RetryReader}
 * @throws {NetworkError} `MALFORMED_FRAME` if a record's size is impossible: nothing behind it can be found
 */
export function decodeRecords(
  bytes: Uint8Array,
  queue: MessageQueue,
  span?: PulledSpan,
  reader?: RetryReader,
): DecodedRecords {
  const decoder = new RecordDecoder(sourceOf(bytes, queue, reader), span);
  const { length } = bytes;
  for (let start = 0; start < length;) start = decoder.read(start, length);
  const { messages, broken, packed } = decoder;
  return { messages, broken, packed };
}

/**
 * Reads one record as it is stored, an inner batch too.
 *
 * @throws {NetworkError} `MALFORMED_FRAME` if it does not fit together inside
 */
export function decodeStored(bytes: Uint8Array, queue: MessageQueue, reader?: RetryReader): StoredMessage {
  const decoder = new RecordDecoder(sourceOf(bytes, queue, reader), undefined, false);
  decoder.read(0, bytes.length);
  if (decoder.broken.length > 0) throw decoder.broken[0]!.error;
  return decoder.messages[0]!;
}

function sourceOf(bytes: Uint8Array, queue: MessageQueue, reader: RetryReader | undefined): RecordSource {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const isRetry = reader === undefined ? isRetryTopic(queue.topic) : queue.topic === reader.retryTopic;
  const topic = isRetry ? undefined : queue.topic;
  return { bytes, buffer: readable(bytes), view, queue, topic, reader };
}

/** What has been read so far, and what the next record may be. */
class RecordDecoder {
  readonly messages: StoredMessage[] = [];
  readonly broken: BrokenRecord[] = [];
  packed: PackedBatch[] = [];
  #source: RecordSource;
  #unwraps: boolean;
  /** The topic that all records must have; undefined if they need not. */
  #topic: string | undefined;
  #begin: number;
  #end: number;
  /** The offset behind the last message. */
  #next = 0;

  constructor(source: RecordSource, span: PulledSpan | undefined, unwraps = true) {
    this.#source = source;
    this.#unwraps = unwraps;
    this.#topic = span === undefined ? undefined : source.queue.topic;
    this.#begin = span?.begin ?? 0;
    this.#end = span !== undefined && span.end > span.begin ? span.end : Infinity;
  }

  /** Reads the record that begins here; returns its end. */
  read(start: number, length: number): number {
    const left = length - start;
    const size = left < 4 ? 0 : this.#source.view.getInt32(start);
    if (size < MIN_RECORD_SIZE || size > left) {
      throw malformedRecord(start, `its size is ${size} bytes, allowed are ${MIN_RECORD_SIZE} to ${left}`);
    }
    const end = start + size;
    const problem = this.#record(start, end);
    if (problem !== undefined) this.broken.push(brokenRecord(this.#source, start, end, problem));
    return end;
  }

  /** Adds a record's message or messages; returns a text or an error if something is wrong with it. */
  #record(start: number, end: number): unknown {
    const { view } = this.#source;
    const magic = view.getInt32(start + At.MAGIC);
    const isLong = magic === MAGIC_V2;
    if (!isLong && magic !== MAGIC_V1) return `its magic number is 0x${(magic >>> 0).toString(16)}`;
    if (view.getUint32(start + At.QUEUE_OFFSET) > SAFE_UPPER_HALF) return "its queue offset is negative or above 2^53";
    if (view.getUint32(start + At.COMMIT_LOG_OFFSET) > SAFE_UPPER_HALF) {
      return "its commit log offset is negative or above 2^53";
    }
    const sysFlag = view.getInt32(start + At.SYS_FLAG);
    const bodyStart = start + bodyAt(sysFlag);
    if (bodyStart > end) return "its hosts pass its end";
    const bodyLength = view.getInt32(bodyStart - 4);
    const bodyEnd = bodyStart + bodyLength;
    const topicStart = bodyEnd + (isLong ? 2 : 1);
    if (bodyLength < 0 || topicStart > end) return `its body has ${bodyLength} of its ${end - start} bytes`;
    const topicLength = isLong ? view.getInt16(bodyEnd) : view.getInt8(bodyEnd);
    const propertiesStart = topicStart + topicLength + 2;
    if (topicLength < 0 || propertiesStart > end) return `its topic has ${topicLength} of its ${end - start} bytes`;
    const propertiesLength = view.getInt16(propertiesStart - 2);
    if (propertiesStart + propertiesLength !== end) {
      return `its parts have ${propertiesStart + propertiesLength - start} of its ${end - start} bytes`;
    }
    const queueOffset = readLong(view, start + At.QUEUE_OFFSET);
    if (this.#topic !== undefined) {
      if (view.getInt32(start + At.QUEUE_ID) !== this.#source.queue.queueId) return "it is of another queue";
      if (!isTopic(this.#source.bytes, topicStart, topicLength, this.#topic)) return "it is of another topic";
      if (queueOffset >= this.#end) return undefined;
      if (queueOffset < this.#next) return `its offset is ${queueOffset}, allowed is ${this.#next} or more`;
    }
    if ((sysFlag & INNER_BATCH) === INNER_BATCH && this.#unwraps) {
      return this.#batch({ source: this.#source, start, end, bodyStart, bodyEnd, propertiesStart, queueOffset });
    }
    if (queueOffset < this.#begin) return undefined;
    this.#next = queueOffset + 1;
    this.messages.push(new StoredMessage(this.#source, start, start, bodyStart, propertiesStart, queueOffset));
    return undefined;
  }

  #batch(batch: InnerBatch): unknown {
    const count = innerCount(batch, this.#limitOf(batch));
    if (typeof count === "string") return count;
    const next = batch.queueOffset + count;
    if (next <= this.#begin) return undefined;
    if ((batch.source.view.getInt32(batch.start + At.SYS_FLAG) & MessageSysFlag.COMPRESSED) === 0) {
      const problem = unwrap(batch, count, this.#begin, this.messages);
      if (problem !== undefined) return problem;
    } else {
      const [messagesBefore, brokenBefore] = [this.messages.length, this.broken.length];
      this.packed.push({ ...batch, count, begin: this.#begin, messagesBefore, brokenBefore });
    }
    if (this.#topic !== undefined) this.#next = next;
    return undefined;
  }

  /** The offset that a batch's messages must be below: that of the record behind it, or the end. */
  #limitOf({ source: { bytes, view }, end, queueOffset }: InnerBatch): number {
    if (this.#topic === undefined) return Infinity;
    const last = this.#end === Infinity ? queueOffset + 1 : this.#end;
    const next = end + MIN_RECORD_SIZE > bytes.length ? undefined : readSafeLong(view, end + At.QUEUE_OFFSET);
    return next === undefined || next <= queueOffset ? last : Math.min(next, last);
  }
}

/** Whether bytes are a topic in UTF-8; those of real brokers are ASCII, which needs no copy of the topic. */
function isTopic(bytes: Uint8Array, start: number, length: number, topic: string): boolean {
  let at = 0;
  while (at < length && topic.charCodeAt(at) === bytes[start + at] && bytes[start + at]! <= LAST_ASCII) at++;
  if (at === length && at === topic.length) return true;
  if (!(topic.charCodeAt(at) > LAST_ASCII)) return false;
  const encoded = encoder.encode(topic);
  return encoded.length === length && encoded.every((byte, i) => byte === bytes[start + i]);
}
