/**
 * UTF-8 in the small: the many short texts of which records, properties and headers are made.
 *
 * @module
 */

import { Buffer } from "node:buffer";

/** The largest byte that is a character by itself. */
const LAST_ASCII = 0x7f;

/** Up to this many bytes Deno's `Buffer` reads a text in half the time of a `TextDecoder`, and above in twice of it. */
const SHORT = 256;

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
const encoder = new TextEncoder();

/** How many bytes are taken at a time for texts: memory for one short text takes longer than writing it. */
const SLAB_SIZE = 64 * 1024;
/** The longest text, in UTF-16 units, that shares its memory with others. */
const SHARES_SLAB = 4 * 1024;
let slab = new Uint8Array(0);
let slabEnd = 0;

/** Writes a text as UTF-8. A short text's bytes may stand in the same buffer as others': they are for passing uses. */
export function encodeUtf8(text: string): Uint8Array {
  if (text.length > SHARES_SLAB) return encoder.encode(text);
  if (slab.length - slabEnd < text.length * 3) { // the most bytes that a UTF-16 unit has
    slab = new Uint8Array(SLAB_SIZE);
    slabEnd = 0;
  }
  const start = slabEnd;
  slabEnd += encoder.encodeInto(text, slab.subarray(start)).written;
  return slab.subarray(start, slabEnd);
}

/** The same bytes for {@linkcode decodeUtf8}, which needs no view on them for each short text. */
export function readable(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Reads `bytes[start, end)` as UTF-8; what is no UTF-8 becomes U+FFFD, a byte order mark stays. */
export function decodeUtf8(bytes: Buffer, start: number, end: number): string {
  if (end - start <= SHORT) return bytes.toString("utf8", start, end);
  return decoder.decode(new Uint8Array(bytes.buffer, bytes.byteOffset + start, end - start));
}

/** Reads one text of `bytes`, as {@linkcode decodeUtf8} does. */
export function readUtf8(bytes: Uint8Array, start: number, end: number): string {
  return end - start <= SHORT ? decodeUtf8(readable(bytes), start, end) : decoder.decode(bytes.subarray(start, end));
}

/** How many bytes a text has in UTF-8; half a surrogate pair counts as the U+FFFD that is written for it. */
export function utf8Length(text: string): number {
  let length = text.length;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit <= LAST_ASCII) continue;
    length += unit <= 0x7ff ? 1 : 2;
    // A pair of halves has four bytes: its two units, and the two added for the first half.
    if ((unit & 0xfc00) === 0xd800 && (text.charCodeAt(i + 1) & 0xfc00) === 0xdc00) i++;
  }
  return length;
}
