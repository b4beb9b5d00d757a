/**
 * Stored messages on the wire: the bodies of answers to pulls and look-ups are records, one after the other.
 *
 * `record_layout.ts` has the table of a record.
 *
 * @module
 */

import { NetworkError } from "../errors.ts";
import type { MessageQueue } from "../message.ts";
import { scanBatch } from "./batch.ts";
import { MessageSysFlag } from "./codes.ts";
import { decompress } from "./compression.ts";
import { formatHost } from "./host.ts";
import {
  At,
  bodyAt,
  MAGIC_V1,
  MAGIC_V2,
  MIN_RECORD_SIZE,
  readLong,
  storeHostAt,
  storeHostSize,
} from "./record_layout.ts";
import { MAX_BODY_SIZE, type RecordSource, StoredMessage } from "./stored_message.ts";
import { readable } from "./utf8.ts";

export { encodeRecord, type StoredRecordFields } from "./record_encoder.ts";
export { MAX_BODY_SIZE, type RecordSource, StoredMessage } from "./stored_message.ts";

/** A record that does not fit together inside. Its fields are what could be read. */
export interface BrokenRecord {
  /** The number of its queue. */
  readonly queueId: number;
  /** Its offset in the queue. */
  readonly queueOffset: number | undefined;
  /** Its position in the broker's commit log, in bytes. */
  readonly commitLogOffset: number | undefined;
  /** The `host:port` of the broker that stored it. */
  readonly storeHost: string | undefined;
  /** What is wrong with it. */
  readonly error: NetworkError;
}

/** What {@linkcode decodeRecords} gives. */
export interface DecodedRecords {
  /** The messages, in the order of their records. */
  readonly messages: StoredMessage[];
  /** The records that cannot be read, in their order. */
  readonly broken: BrokenRecord[];
}

const RETRY_PREFIX = "%RETRY%";
const INNER_BATCH = MessageSysFlag.NEED_UNWRAP | MessageSysFlag.INNER_BATCH;
/** An int64 whose upper half is not above this is below 2^53 and not negative. */
const SAFE_UPPER_HALF = 0x1fffff;

/**
 * Reads records: views, every length checked, an inner batch as its single messages.
 *
 * A record that does not fit together inside is told in `broken`; the others are read all the same.
 *
 * @throws {NetworkError} `MALFORMED_FRAME` if a record's size is impossible: nothing behind it can be found
 */
export function decodeRecords(bytes: Uint8Array, queue: MessageQueue): DecodedRecords {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const topic = queue.topic.startsWith(RETRY_PREFIX) ? undefined : queue.topic;
  const source: RecordSource = { bytes, buffer: readable(bytes), view, queue, topic };
  const messages: StoredMessage[] = [];
  const broken: BrokenRecord[] = [];
  const length = bytes.length;
  for (let start = 0; start < length;) {
    const left = length - start;
    const size = left < 4 ? 0 : view.getInt32(start);
    if (size < MIN_RECORD_SIZE || size > left) {
      throw malformed(start, `its size is ${size} bytes, allowed are ${MIN_RECORD_SIZE} to ${left}`);
    }
    const problem = decodeRecord(source, start, start + size, messages);
    if (problem !== undefined) broken.push(brokenRecord(source, start, start + size, problem));
    start += size;
  }
  return { messages, broken };
}

/** Adds a record's message or messages; a text or an error tells what is wrong with it. */
function decodeRecord(source: RecordSource, start: number, end: number, to: StoredMessage[]): unknown {
  const { view } = source;
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
  if ((sysFlag & INNER_BATCH) === INNER_BATCH) return unwrap(source, start, bodyStart, bodyEnd, queueOffset, to);
  to.push(new StoredMessage(source, start, start, bodyStart, propertiesStart, queueOffset));
  return undefined;
}

/** Adds the messages of an inner batch, all or none. */
function unwrap(
  source: RecordSource,
  start: number,
  bodyStart: number,
  bodyEnd: number,
  queueOffset: number,
  to: StoredMessage[],
): unknown {
  const { bytes, view } = source;
  const sysFlag = view.getInt32(start + At.SYS_FLAG);
  try {
    if ((sysFlag & MessageSysFlag.COMPRESSED) !== 0) {
      const body = decompress(bytes.subarray(bodyStart, bodyEnd), sysFlag, MAX_BODY_SIZE);
      const unpacked = withBody(source, start, bodyStart, bodyEnd, body);
      return unwrap(unpacked, 0, bodyStart - start, bodyStart - start + body.length, queueOffset, to);
    }
    const entries = scanBatch(view, bodyStart, bodyEnd);
    if (entries.length === 0) return "it is an inner batch without messages";
    entries.forEach((entry, i) => {
      to.push(new StoredMessage(source, start, entry.start, entry.bodyStart, entry.propertiesStart, queueOffset + i));
    });
    return undefined;
  } catch (error) {
    return error;
  }
}

/** One record on its own, with an unpacked body in place of the packed one. */
function withBody(
  source: RecordSource,
  start: number,
  bodyStart: number,
  bodyEnd: number,
  body: Uint8Array,
): RecordSource {
  const end = start + source.view.getInt32(start);
  const bytes = new Uint8Array(end - start - (bodyEnd - bodyStart) + body.length);
  bytes.set(source.bytes.subarray(start, bodyStart));
  bytes.set(body, bodyStart - start);
  bytes.set(source.bytes.subarray(bodyEnd, end), bodyStart - start + body.length);
  const view = new DataView(bytes.buffer);
  view.setInt32(At.SIZE, bytes.length);
  view.setInt32(bodyStart - start - 4, body.length);
  view.setInt32(At.SYS_FLAG, view.getInt32(At.SYS_FLAG) & ~MessageSysFlag.COMPRESSED);
  return { ...source, bytes, buffer: readable(bytes), view };
}

function brokenRecord({ bytes, view }: RecordSource, start: number, end: number, problem: unknown): BrokenRecord {
  const sysFlag = view.getInt32(start + At.SYS_FLAG);
  const host = start + storeHostAt(sysFlag);
  const hostEnd = host + storeHostSize(sysFlag);
  const error = problem instanceof Error
    ? malformed(start, "it is an inner batch that cannot be read", problem)
    : malformed(start, String(problem));
  return {
    queueId: view.getInt32(start + At.QUEUE_ID),
    queueOffset: safeLong(view, start + At.QUEUE_OFFSET),
    commitLogOffset: safeLong(view, start + At.COMMIT_LOG_OFFSET),
    storeHost: hostEnd > end ? undefined : formatHost(bytes, host, hostEnd),
    error,
  };
}

function safeLong(view: DataView, at: number): number | undefined {
  return view.getUint32(at) > SAFE_UPPER_HALF ? undefined : readLong(view, at);
}

function malformed(at: number, problem: string, cause?: Error): NetworkError {
  return new NetworkError(`Cannot read the record at byte ${at}: ${problem}`, "", "MALFORMED_FRAME", { cause });
}
