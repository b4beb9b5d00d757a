/**
 * UTF-8 in the small: the short texts of which records and properties are made.
 *
 * @module
 */

/** Up to this many bytes, building a text by hand takes a quarter of the time of a `TextDecoder` call. */
const SHORT = 16;

/** The largest byte that is a character by itself. */
const LAST_ASCII = 0x7f;

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

/** Reads `bytes[start, end)` as UTF-8; what is no UTF-8 becomes U+FFFD, a byte order mark stays. */
export function decodeUtf8(bytes: Uint8Array, start: number, end: number): string {
  if (end - start > SHORT) return decoder.decode(bytes.subarray(start, end));
  let bits = 0;
  for (let i = start; i < end; i++) bits |= bytes[i]!;
  return bits <= LAST_ASCII ? ascii(bytes, start, end) : decoder.decode(bytes.subarray(start, end));
}

function ascii(bytes: Uint8Array, start: number, end: number): string {
  let text = "";
  let at = start;
  for (; at + 4 <= end; at += 4) {
    text += String.fromCharCode(bytes[at]!, bytes[at + 1]!, bytes[at + 2]!, bytes[at + 3]!);
  }
  for (; at < end; at++) text += String.fromCharCode(bytes[at]!);
  return text;
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
