/**
 * Many acks in one request: one entry per delivery, with a bit for each of its messages.
 *
 * Source: BatchAck, BatchAckMessageRequestBody.
 *
 * @module
 */

import { type Problem, ValidationError } from "../errors.ts";
import type { BatchAck } from "./bodies.ts";
import type { PopReceipt } from "./pop.ts";

/** A message that is to be acked. */
export interface PopAck {
  /** The topic that it was sent to; not the retry topic. */
  readonly topic: string;
  /** Its receipt. */
  readonly receipt: PopReceipt;
}

/** How far an offset may lie behind the start offset of its delivery: each step is a bit of the request. */
const MAX_DISTANCE = 1 << 20;
/** The characters of base64 that so many bits need: each of them may become an offset. */
const LONGEST_BITS = 4 * Math.ceil(((MAX_DISTANCE >> 3) + 1) / 3);

/**
 * Puts acks of one group together: one entry per delivery, in the order of their first messages.
 *
 * All must be of one broker, which gets them.
 *
 * @throws {ValidationError} if a receipt's offset lies before its start offset, or more than 2^20 behind it
 */
export function batchAcks(group: string, acks: Iterable<PopAck>): BatchAck[] {
  const deliveries = new Map<string, { first: PopAck; offsets: number[] }>();
  for (const ack of acks) {
    const { startOffset, popTime, invisibleTime, reviveQueueId, retry, queueId, queueOffset } = ack.receipt;
    const key = [startOffset, popTime, invisibleTime, reviveQueueId, retry, queueId, ack.topic].join(" ");
    const delivery = deliveries.get(key);
    if (delivery === undefined) deliveries.set(key, { first: ack, offsets: [queueOffset] });
    else delivery.offsets.push(queueOffset);
  }
  return [...deliveries.values()].map(({ first: { topic, receipt }, offsets }): BatchAck => ({
    c: group,
    t: topic,
    r: String(receipt.retry),
    so: receipt.startOffset,
    q: receipt.queueId,
    rq: receipt.reviveQueueId,
    pt: receipt.popTime,
    it: receipt.invisibleTime,
    b: encodeAckBits(receipt.startOffset, offsets),
  }));
}

/**
 * Writes offsets as bits: bit n of the bytes, the lowest of the first byte first, is the offset `startOffset` + n. As
 * base64.
 *
 * @throws {ValidationError} if an offset lies before the start offset, or more than 2^20 behind it
 */
export function encodeAckBits(startOffset: number, offsets: readonly number[]): string {
  const bits = offsets.map((offset) => offset - startOffset);
  const problems = bits.flatMap((bit, i): Problem[] =>
    bit >= 0 && bit <= MAX_DISTANCE
      ? []
      : [{ field: "offset", value: offsets[i], allowed: `${startOffset} to ${startOffset + MAX_DISTANCE}` }]
  );
  if (problems.length > 0) throw new ValidationError("encode acks", problems);
  const bytes = new Uint8Array((bits.reduce((most, bit) => Math.max(most, bit), -1) >> 3) + 1);
  for (const bit of bits) bytes[bit >> 3]! |= 1 << (bit & 7);
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text);
}

/**
 * Reads the offsets that {@linkcode encodeAckBits} wrote, ascending.
 *
 * @throws {ValidationError} if the text is no base64, or has offsets more than 2^20 behind the start offset
 */
export function decodeAckBits(startOffset: number, bits: string): number[] {
  const offsets: number[] = [];
  const bytes = decodeBase64(bits);
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    if ((bytes.charCodeAt(bit >> 3) >> (bit & 7) & 1) !== 0) offsets.push(startOffset + bit);
  }
  return offsets;
}

/** The bytes, each a character. */
function decodeBase64(base64: string): string {
  try {
    if (base64.length <= LONGEST_BITS) return atob(base64);
  } catch {
    // Reported below.
  }
  const allowed = `base64 of up to ${LONGEST_BITS} characters`;
  throw new ValidationError("decode acks", [{ field: "bits", value: base64, allowed }]);
}
