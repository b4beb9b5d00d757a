/**
 * Inner batches: several messages that a broker keeps as one record, with one offset for each.
 *
 * Two bits of the system flag say that a record is one, and any producer can set them. So a record is believed only
 * if its properties say where it begins and how many messages it has, as brokers that keep such batches write them; if
 * that is what is in it; and if it has that many offsets to itself.
 *
 * Source: MessageDecoder, BatchConsumeQueue.
 *
 * @module
 */

import { scanBatch } from "./batch.ts";
import { type BrokenRecord, brokenRecord } from "./broken_record.ts";
import { MessageSysFlag, PropertyName } from "./codes.ts";
import { MAX_FRAME_SIZE } from "./frame_writer.ts";
import { findProperty } from "./properties.ts";
import { At } from "./record_layout.ts";
import type { RecordSource } from "./record_source.ts";
import { StoredMessage } from "./stored_message.ts";
import { unpackInBackground } from "./unpack.ts";
import { readable } from "./utf8.ts";

/** The bits of a record that is an inner batch. */
export const INNER_BATCH: number = MessageSysFlag.NEED_UNWRAP | MessageSysFlag.INNER_BATCH;

/** The most messages of an inner batch: brokers count them as an int16. */
const MAX_COUNT = 32_767;
/** The most bytes that an inner batch may unpack to: what it may have if it is not packed. */
const MAX_UNPACKED_SIZE = MAX_FRAME_SIZE;

const encoder = new TextEncoder();
const INNER_NUM = encoder.encode(PropertyName.INNER_NUM);
const INNER_BASE = encoder.encode(PropertyName.INNER_BASE);
const DIGITS = /^\d{1,16}$/;

/** Where the parts of a record that is an inner batch stand. */
export interface InnerBatch {
  /** The bytes in which it stands. */
  readonly source: RecordSource;
  /** The first byte of the record. */
  readonly start: number;
  /** The first byte behind it. */
  readonly end: number;
  /** The first byte of the body. */
  readonly bodyStart: number;
  /** The first byte behind the body. */
  readonly bodyEnd: number;
  /** The first byte of the properties. */
  readonly propertiesStart: number;
  /** The offset of its first message. */
  readonly queueOffset: number;
}

/** An inner batch that is packed as a whole, and how it stands among the records around it. */
export interface PackedBatch extends InnerBatch {
  /** How many messages it has. */
  readonly count: number;
  /** Its messages below this offset are left out. */
  readonly begin: number;
  /** How many messages of other records are in front of it. */
  readonly messagesBefore: number;
  /** How many broken records are in front of it. */
  readonly brokenBefore: number;
}

/** What was read of an answer's records. */
export interface DecodedRecords {
  /** The messages, in the order of their records. */
  readonly messages: StoredMessage[];
  /** The records that cannot be read, in their order. */
  readonly broken: BrokenRecord[];
  /**
   * Inner batches that {@linkcode unpackBatches} has to unpack first: their messages are missing. Nearly always empty.
   */
  readonly packed: readonly PackedBatch[];
  /** The offset to go on from, if not all records were read. */
  readonly stoppedAt?: number;
}

/**
 * How many messages an inner batch claims to have; a text says why that cannot be true.
 *
 * @param limit the offset that its messages must be below
 */
export function innerCount({ source, end, propertiesStart, queueOffset }: InnerBatch, limit: number): number | string {
  const base = numberIn(source, propertiesStart, end, INNER_BASE);
  if (base !== queueOffset) {
    return `it is an inner batch that begins at offset ${base}, and is stored at ${queueOffset}`;
  }
  const count = numberIn(source, propertiesStart, end, INNER_NUM) ?? 0;
  if (count < 1 || count > MAX_COUNT) return `it is an inner batch of ${count} messages, allowed are 1 to ${MAX_COUNT}`;
  if (queueOffset + count <= limit) return count;
  return `it is an inner batch of ${count} messages from offset ${queueOffset} on, allowed is up to offset ${
    limit - 1
  }`;
}

function numberIn({ buffer }: RecordSource, start: number, end: number, name: Uint8Array): number | undefined {
  const text = findProperty(buffer, start, end, name);
  return text !== undefined && DIGITS.test(text) ? Number(text) : undefined;
}

/** Adds the messages of an inner batch that are at `begin` or behind, or none; returns a text or an error that says why. */
export function unwrap(batch: InnerBatch, count: number, begin: number, to: StoredMessage[]): unknown {
  const { source, start, bodyStart, bodyEnd, queueOffset } = batch;
  try {
    const entries = scanBatch(source.view, bodyStart, bodyEnd, count);
    if (entries.length < count) return `it is an inner batch of ${entries.length} messages, and claims ${count}`;
    for (let i = Math.max(0, begin - queueOffset); i < count; i++) {
      const entry = entries[i]!;
      to.push(new StoredMessage(source, start, entry.start, entry.bodyStart, entry.propertiesStart, queueOffset + i));
    }
    return undefined;
  } catch (error) {
    return error;
  }
}

/**
 * Completes records with the messages of the inner batches that are packed, which it unpacks in the background.
 *
 * Reading stops in front of a packed batch once so many bytes are unpacked that the next would be too much.
 *
 * @param maxSize about how many bytes they may unpack to together
 * @param signal ends the work: rejects with its reason
 */
export async function unpackBatches(
  records: DecodedRecords,
  maxSize: number,
  signal?: AbortSignal,
): Promise<DecodedRecords> {
  const messages: StoredMessage[] = [];
  const broken: BrokenRecord[] = [];
  let [taken, listed, size] = [0, 0, 0];
  for (const batch of records.packed) {
    while (taken < batch.messagesBefore) messages.push(records.messages[taken++]!);
    while (listed < batch.brokenBefore) broken.push(records.broken[listed++]!);
    if (size >= maxSize) return { messages, broken, packed: [], stoppedAt: batch.queueOffset };
    const unpacked = await unpackedBatch(batch, signal);
    size += unpacked instanceof Error ? MAX_UNPACKED_SIZE : unpacked.bodyEnd - unpacked.bodyStart;
    const problem = unpacked instanceof Error ? unpacked : unwrap(unpacked, batch.count, batch.begin, messages);
    if (problem !== undefined) broken.push(brokenRecord(batch.source, batch.start, batch.end, problem));
  }
  while (taken < records.messages.length) messages.push(records.messages[taken++]!);
  while (listed < records.broken.length) broken.push(records.broken[listed++]!);
  return { messages, broken, packed: [] };
}

/** The batch as a record of its own, with the unpacked body in place of the packed one; or why there is none. */
async function unpackedBatch(batch: InnerBatch, signal: AbortSignal | undefined): Promise<InnerBatch | Error> {
  const { source, start, end, bodyStart, bodyEnd, propertiesStart, queueOffset } = batch;
  const sysFlag = source.view.getInt32(start + At.SYS_FLAG);
  let body: Uint8Array;
  try {
    const packed = source.bytes.subarray(bodyStart, bodyEnd);
    body = await unpackInBackground(packed, sysFlag, { maxSize: MAX_UNPACKED_SIZE, signal });
  } catch (error) {
    signal?.throwIfAborted();
    if (error instanceof Error) return error;
    throw error;
  }
  const grown = body.length - (bodyEnd - bodyStart);
  const bytes = new Uint8Array(end - start + grown);
  bytes.set(source.bytes.subarray(start, bodyStart));
  bytes.set(body, bodyStart - start);
  bytes.set(source.bytes.subarray(bodyEnd, end), bodyEnd - start + grown);
  const view = new DataView(bytes.buffer);
  view.setInt32(At.SIZE, bytes.length);
  view.setInt32(bodyStart - start - 4, body.length);
  view.setInt32(At.SYS_FLAG, sysFlag & ~MessageSysFlag.COMPRESSED);
  return {
    source: { ...source, bytes, buffer: readable(bytes), view },
    start: 0,
    end: bytes.length,
    bodyStart: bodyStart - start,
    bodyEnd: bodyEnd - start + grown,
    propertiesStart: propertiesStart - start + grown,
    queueOffset,
  };
}
