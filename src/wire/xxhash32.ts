/**
 * XXH32 with seed 0, the checksum inside LZ4 frames.
 *
 * @module
 */

const PRIME_1 = 0x9e3779b1;
const PRIME_2 = 0x85ebca77;
const PRIME_3 = 0xc2b2ae3d;
const PRIME_4 = 0x27d4eb2f;
const PRIME_5 = 0x165667b1;

/** The bytes that one step takes, four lanes of an int32 each. */
const STRIPE = 16;

function rotate(value: number, bits: number): number {
  return (value << bits) | (value >>> (32 - bits));
}

/** Folds one int32 into a lane. */
function round(lane: number, input: number): number {
  return Math.imul(rotate((lane + Math.imul(input, PRIME_2)) | 0, 13), PRIME_1);
}

/** The hash of `bytes[start, end)`, 0 to 2^32 - 1. */
export function xxHash32(bytes: Uint8Array, start: number, end: number): number {
  const hash = new XxHash32(bytes, start, end);
  hash.advance(end - start);
  return hash.value;
}

/** The hash of a long stretch of bytes, a part at a time. */
export class XxHash32 {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #start: number;
  readonly #end: number;
  #at: number;
  #a = (PRIME_1 + PRIME_2) | 0;
  #b = PRIME_2 | 0;
  #c = 0;
  #d = -PRIME_1 | 0;

  /** Begins the hash of `bytes[start, end)`. */
  constructor(bytes: Uint8Array, start: number, end: number) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#start = start;
    this.#end = end;
    this.#at = start;
  }

  /** Takes in about `size` bytes more; false if only {@linkcode XxHash32.value} is left to be asked for. */
  advance(size: number): boolean {
    const view = this.#view;
    const last = this.#end - STRIPE;
    const until = Math.min(last, this.#at + size - 1);
    let [at, a, b, c, d] = [this.#at, this.#a, this.#b, this.#c, this.#d];
    for (; at <= until; at += STRIPE) {
      a = round(a, view.getInt32(at, true));
      b = round(b, view.getInt32(at + 4, true));
      c = round(c, view.getInt32(at + 8, true));
      d = round(d, view.getInt32(at + 12, true));
    }
    [this.#at, this.#a, this.#b, this.#c, this.#d] = [at, a, b, c, d];
    return at <= last;
  }

  /** The hash, once all is taken in. */
  get value(): number {
    const size = this.#end - this.#start;
    let hash = size >= STRIPE
      ? rotate(this.#a, 1) + rotate(this.#b, 7) + rotate(this.#c, 12) + rotate(this.#d, 18)
      : PRIME_5;
    hash = (hash + size) | 0;
    let at = this.#at;
    for (; at + 4 <= this.#end; at += 4) {
      hash = Math.imul(rotate((hash + Math.imul(this.#view.getInt32(at, true), PRIME_3)) | 0, 17), PRIME_4);
    }
    for (; at < this.#end; at++) {
      hash = Math.imul(rotate((hash + Math.imul(this.#bytes[at]!, PRIME_5)) | 0, 11), PRIME_1);
    }
    hash = Math.imul(hash ^ (hash >>> 15), PRIME_2);
    hash = Math.imul(hash ^ (hash >>> 13), PRIME_3);
    return (hash ^ (hash >>> 16)) >>> 0;
  }
}
