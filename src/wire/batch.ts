/**
 * Several messages in one body: of a batch that is sent, and of an inner batch that a broker stores as one record.
 *
 * They follow each other without a count in front. One message:
 *
 * | offset | size | meaning |
 * |---|---|---|
 * | 0 | 4 | size of the whole entry |
 * | 4 | 4 | 0 |
 * | 8 | 4 | CRC-32 of the body, usually not computed: 0 |
 * | 12 | 4 | flag |
 * | 16 | 4 | body length |
 * | 20 | body length | body |
 * | then | 2 | length of the properties |
 * | then | the rest | properties |
 *
 * Source: MessageDecoder.
 *
 * @module
 */

import { NetworkError, ValidationError } from "../errors.ts";
import type { BodyWriter } from "./frame_writer.ts";
import { MAX_PROPERTIES_SIZE } from "./properties.ts";
import { decodeUtf8, readable, utf8Length } from "./utf8.ts";

/** One message of a batch. */
export interface BatchMessage {
  /** The user's flag. */
  readonly flag: number;
  /** The body. */
  readonly body: Uint8Array;
  /** The properties as one text. */
  readonly properties: string;
  /** How many bytes the properties have as UTF-8. @default {it is counted} */
  readonly propertiesSize?: number;
}

/** Where the parts of one entry stand; it ends where the next one begins. */
export interface BatchEntry {
  /** The first byte of the entry. */
  readonly start: number;
  /** The first byte of the body. */
  readonly bodyStart: number;
  /** The first byte of the properties. */
  readonly propertiesStart: number;
  /** The first byte behind the entry. */
  readonly end: number;
}

/** The bytes of an entry without body and properties. */
const FIXED_SIZE = 22;
const FLAG = 12;
const BODY = 20;

const encoder = new TextEncoder();

/**
 * Writes messages as one body.
 *
 * @throws {ValidationError} if a message's properties have more than 32 767 bytes
 */
export function encodeBatch(messages: readonly BatchMessage[]): Uint8Array {
  const body = new BatchBody(messages);
  const bytes = new Uint8Array(body.length);
  body.writeTo(bytes, 0);
  return bytes;
}

/** Messages as one body that is written in place. */
export class BatchBody implements BodyWriter {
  /** How many bytes it has. */
  readonly length: number;
  #messages: readonly BatchMessage[];
  #propertySizes: readonly number[];
  #allProperties: number;

  /**
   * Takes messages, whose bodies must not change before they are written.
   *
   * @throws {ValidationError} if a message's properties have more than 32 767 bytes
   */
  constructor(messages: readonly BatchMessage[]) {
    this.#messages = messages;
    this.#propertySizes = messages.map(propertiesSize);
    let [length, allProperties] = [FIXED_SIZE * messages.length, 0];
    for (let i = 0; i < messages.length; i++) {
      length += messages[i]!.body.length + this.#propertySizes[i]!;
      allProperties += this.#propertySizes[i]!;
    }
    this.length = length;
    this.#allProperties = allProperties;
  }

  /**
   * Writes them from `at` on.
   *
   * All properties are written to the end in one go, as one call of an encoder takes longer than it takes to write
   * them, and moved to their places from there: an entry's place ends before the properties that are still to be moved.
   */
  writeTo(target: Uint8Array, at: number): void {
    const messages = this.#messages;
    let text = "";
    for (let i = 0; i < messages.length; i++) text += messages[i]!.properties;
    let properties = at + this.length - this.#allProperties;
    const { written } = encoder.encodeInto(text, target.subarray(properties, at + this.length));
    const isWhole = written === this.#allProperties; // halves of a surrogate pair met where two texts do
    const view = new DataView(target.buffer, target.byteOffset, target.byteLength);
    for (let i = 0; i < messages.length; i++) {
      const { flag, body } = messages[i]!;
      const size = this.#propertySizes[i]!;
      const propertiesStart = at + FIXED_SIZE + body.length;
      view.setInt32(at, FIXED_SIZE + body.length + size);
      view.setInt32(at + 4, 0); // written, as the target may have been used before
      view.setInt32(at + 8, 0);
      view.setInt32(at + FLAG, flag);
      view.setInt32(at + BODY - 4, body.length);
      target.set(body, at + BODY);
      view.setInt16(propertiesStart - 2, size);
      if (isWhole) target.copyWithin(propertiesStart, properties, properties + size);
      else encoder.encodeInto(messages[i]!.properties, target.subarray(propertiesStart, propertiesStart + size));
      at = propertiesStart + size;
      properties += size;
    }
  }
}

function propertiesSize({ properties, propertiesSize }: BatchMessage): number {
  const size = propertiesSize ?? utf8Length(properties);
  if (size <= MAX_PROPERTIES_SIZE) return size;
  const allowed = `up to ${MAX_PROPERTIES_SIZE} bytes`;
  throw new ValidationError("encode a batch", [{ field: "the size of a message's properties", value: size, allowed }]);
}

/**
 * Reads the messages of a body; their bodies are views on it.
 *
 * @throws {NetworkError} `MALFORMED_FRAME` if the lengths in it do not fit
 */
export function decodeBatch(bytes: Uint8Array): BatchMessage[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const buffer = readable(bytes);
  return scanBatch(view, 0, bytes.length).map(({ start, bodyStart, propertiesStart, end }) => ({
    flag: view.getInt32(start + FLAG),
    body: bytes.subarray(bodyStart, propertiesStart - 2),
    properties: decodeUtf8(buffer, propertiesStart, end),
  }));
}

/**
 * Finds the messages between two positions.
 *
 * @param max how many there may be
 * @throws {NetworkError} `MALFORMED_FRAME` if the lengths there do not fit, or there are more
 */
export function scanBatch(view: DataView, start: number, end: number, max: number = Infinity): BatchEntry[] {
  const entries: BatchEntry[] = [];
  for (let at = start; at < end;) {
    const left = end - at;
    if (entries.length === max) throw malformed(at - start, `allowed are ${max} messages`);
    if (left < FIXED_SIZE) throw malformed(at - start, `${left} bytes are left, at least ${FIXED_SIZE} are needed`);
    const size = view.getInt32(at);
    if (size < FIXED_SIZE || size > left) throw malformed(at - start, `its size is ${size}, ${left} bytes are left`);
    const bodyLength = view.getInt32(at + BODY - 4);
    if (bodyLength < 0 || bodyLength > size - FIXED_SIZE) {
      throw malformed(at - start, `its body has ${bodyLength} of its ${size} bytes`);
    }
    const propertiesStart = at + FIXED_SIZE + bodyLength;
    const propertiesLength = view.getInt16(propertiesStart - 2);
    if (propertiesStart + propertiesLength !== at + size) {
      throw malformed(at - start, `its parts have ${FIXED_SIZE + bodyLength + propertiesLength} of its ${size} bytes`);
    }
    entries.push({ start: at, bodyStart: at + BODY, propertiesStart, end: at + size });
    at += size;
  }
  return entries;
}

function malformed(at: number, problem: string): NetworkError {
  return new NetworkError(`Cannot read the message at byte ${at} of a batch: ${problem}`, "", "MALFORMED_FRAME");
}
