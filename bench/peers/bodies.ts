/**
 * Bodies that carry a number, and the ledger that each number has to be entered in once.
 *
 * @module
 */

/** How many digits a body begins with. */
const DIGITS = 10;
const ZERO = 48;
const FILLER = 120; // "x"

/** How many bytes of filler are made at a time: small bodies would take longer one by one than a client to send them. */
const BLOCK = 64 * 1024;
let block = new Uint8Array(0);
let blockEnd = 0;

/** A body of a size: the number, below 2^31, in ten digits, then filler. */
export function bodyOf(number: number, bytes: number): Uint8Array {
  if (blockEnd + bytes > block.length) {
    block = new Uint8Array(Math.max(BLOCK, bytes)).fill(FILLER);
    blockEnd = 0;
  }
  const body = block.subarray(blockEnd, blockEnd += bytes);
  for (let at = DIGITS - 1, rest = number; at >= 0; at--) {
    const tens = (rest / 10) | 0;
    body[at] = ZERO + rest - tens * 10;
    rest = tens;
  }
  return body;
}

/** Reads a body's number. */
export function numberOf(text: string): number {
  let number = 0;
  for (let at = 0; at < DIGITS; at++) number = number * 10 + text.charCodeAt(at) - ZERO;
  return number;
}

/** Counts every message once, and keeps the time of the first and the last one. */
export class Ledger {
  /** Messages entered, those that came twice included. */
  count = 0;
  /** Different numbers entered. */
  distinct = 0;
  readonly #expected: number;
  readonly #bytes: number;
  readonly #seen: Uint8Array;
  readonly #onFirst: () => void;
  readonly #onFull: () => void;

  /** Makes a ledger for the numbers below `expected`, in bodies of one size. */
  constructor(expected: number, bytes: number, on: { readonly first: () => void; readonly full: () => void }) {
    this.#expected = expected;
    this.#bytes = bytes;
    this.#seen = new Uint8Array(expected);
    this.#onFirst = on.first;
    this.#onFull = on.full;
  }

  /** Whether every number was entered. */
  get isFull(): boolean {
    return this.distinct === this.#expected;
  }

  /** Enters a message; returns its number. */
  add(text: string): number {
    if (this.count++ === 0) this.#onFirst();
    const number = numberOf(text);
    const isNew = this.#seen[number] === 0;
    if (text.length !== this.#bytes || (!isNew && this.#seen[number] === undefined)) {
      throw new RangeError(`Cannot count a message: ${text.length} bytes, it begins with "${text.slice(0, 20)}"`);
    }
    if (!isNew) return number;
    this.#seen[number] = 1;
    if (++this.distinct === this.#expected) this.#onFull();
    return number;
  }
}
