/**
 * The blocks of an LZ4 frame, and what they unpack to.
 *
 * @module
 */

import type { NetworkError } from "../errors.ts";
import { tooLargeError, unpackError } from "./unpack_error.ts";

/** A length of 15 in a token goes on in the bytes behind it. */
const LONG_LENGTH = 15;
const SHORTEST_MATCH = 4;
/** Up to this many bytes a loop copies faster than a call. */
const SHORT_COPY = 24;
/** From this size on, output grows by eight times instead of two, so that it is seldom copied. */
const LARGE_OUTPUT = 1024 * 1024;

/** Work in steps of about the same size. */
export class Steps {
  /** About how many bytes one step is for. */
  readonly size: number;
  /** What is done since the last step, in bytes. */
  work = 0;

  /** Begins the first step. */
  constructor(size: number) {
    this.size = size;
  }

  /** Notes what was done; returns whether it is enough for one step. */
  isDue(bytes: number): boolean {
    this.work += bytes;
    return this.work >= this.size;
  }

  /** Ends a step; returns its size. */
  end(): number {
    const { work } = this;
    this.work = 0;
    return work;
  }
}

/** Unpacks the blocks of one frame after the other. */
export class BlockUnpacker {
  readonly #input: Uint8Array;
  readonly #maxSize: number;
  readonly #steps: Steps;
  /** What was unpacked of this frame until now: the first `#length` bytes. */
  #output = new Uint8Array(0);
  #length = 0;
  /** The most that the content of this frame may have, and the most that it can come to. */
  #room = 0;
  #most = 0;
  /** Where `#length` may not go beyond: the end of the largest block that the frame allows. */
  #limit = 0;
  /** What is left to be copied of a sequence that is too long for one step. */
  #literals = 0;
  #match = 0;
  #distance = 0;
  /** The token of a sequence whose literals are copied, and its match is not; else -1. */
  #token = -1;

  /** Unpacks from `input`, all frames together to at most `maxSize` bytes. */
  constructor(input: Uint8Array, maxSize: number, steps: Steps) {
    this.#input = input;
    this.#maxSize = maxSize;
    this.#steps = steps;
  }

  /** How many bytes of this frame's content there are. */
  get length(): number {
    return this.#length;
  }

  /** The content of this frame until now: a view, which the next block may leave behind. */
  get content(): Uint8Array {
    return this.#output.subarray(0, this.#length);
  }

  /** Begins a frame behind `before` bytes of content, which can come to `most` bytes and is stored in `size`. */
  begin(before: number, most: number, size: number): void {
    this.#room = this.#maxSize - before;
    this.#most = Math.min(most, this.#room);
    this.#length = 0;
    this.#output = new Uint8Array(Math.min(4 * size, this.#most));
  }

  /** Begins a block of at most so many bytes. */
  beginBlock(maxBlock: number): void {
    this.#limit = Math.min(this.#room, this.#length + maxBlock);
  }

  /** Copies a block that is not packed. */
  *plain(start: number, size: number): Generator<number, void, void> {
    for (let done = 0; done < size;) {
      const piece = Math.min(size - done, this.#steps.size);
      this.#copyInput(start + done, piece);
      done += piece;
      if (this.#steps.isDue(piece)) yield this.#steps.end();
    }
  }

  /** Unpacks one block; its matches may reach back to `window`. */
  *packed(start: number, end: number, window: number): Generator<number, void, void> {
    let at = start;
    while (true) {
      const before = this.#length;
      at = this.#sequences(at, end, window, before + this.#steps.size - this.#steps.work);
      if (this.#steps.isDue(this.#length - before)) yield this.#steps.end();
      if (at < 0) return;
      while (this.#literals > 0) {
        const piece = Math.min(this.#literals, this.#steps.size);
        this.#copyInput(at, piece);
        at += piece;
        this.#literals -= piece;
        if (this.#steps.isDue(piece)) yield this.#steps.end();
      }
      while (this.#match > 0) {
        const piece = Math.min(this.#match, this.#steps.size);
        this.#copyMatch(this.#distance, piece);
        this.#match -= piece;
        if (this.#steps.isDue(piece)) yield this.#steps.end();
      }
    }
  }

  /**
   * Unpacks sequences until `#length` is at `stop`, or something long is to be copied. Returns where to go on, -1 at
   * the end of the block.
   */
  #sequences(start: number, end: number, window: number, stop: number): number {
    const input = this.#input;
    const longest = this.#steps.size / 2;
    let at = start;
    /** Reads on a length whose first part stood in the token. */
    const lengthFrom = (first: number): number => {
      let length = first;
      if (first < LONG_LENGTH) return length;
      for (let more = 255; more === 255;) {
        if (at >= end) throw cutOff();
        length += more = input[at++]!;
      }
      return length;
    };
    let token = this.#token;
    this.#token = -1;
    do {
      if (token < 0) {
        if (at >= end) throw cutOff();
        token = input[at++]!;
        const literals = lengthFrom(token >>> 4);
        if (literals > end - at) throw cutOff();
        if (literals > longest) {
          this.#token = token;
          this.#literals = literals;
          return at;
        }
        this.#copyInput(at, literals);
        at += literals;
      }
      if (at === end) return -1; // a block's last sequence has literals only
      if (end - at < 2) throw cutOff();
      const distance = input[at]! | (input[at + 1]! << 8);
      at += 2;
      if (distance === 0 || distance > this.#length - window) {
        throw malformed(`a match reaches ${distance} bytes back, ${this.#length - window} are there`);
      }
      const match = lengthFrom(token & LONG_LENGTH) + SHORTEST_MATCH;
      token = -1;
      if (match > longest) {
        this.#distance = distance;
        this.#match = match;
        return at;
      }
      this.#copyMatch(distance, match);
    } while (this.#length < stop);
    return at;
  }

  #copyInput(start: number, size: number): void {
    const input = this.#input;
    const output = this.#reserve(size);
    const at = this.#length;
    if (size > SHORT_COPY) output.set(input.subarray(start, start + size), at);
    else for (let i = 0; i < size; i++) output[at + i] = input[start + i]!;
    this.#length = at + size;
  }

  #copyMatch(distance: number, size: number): void {
    const output = this.#reserve(size);
    const at = this.#length;
    const end = at + size;
    if (size <= SHORT_COPY) {
      for (let i = at; i < end; i++) output[i] = output[i - distance]!;
    } else {
      // A match that overlaps its own copy repeats itself: every round can copy twice as much as the one before.
      for (let to = at; to < end;) {
        const step = Math.min(end - to, to - at + distance);
        output.copyWithin(to, at - distance, at - distance + step);
        to += step;
      }
    }
    this.#length = end;
  }

  /** Makes room for more output. */
  #reserve(size: number): Uint8Array {
    const needed = this.#length + size;
    if (needed > this.#limit) {
      if (this.#limit === this.#room) throw tooLargeError("an LZ4", this.#maxSize);
      throw malformed("a block is too large");
    }
    if (needed > this.#output.length) {
      const grown = this.#output.length * (needed > LARGE_OUTPUT ? 8 : 2);
      const larger = new Uint8Array(Math.max(needed, Math.min(grown, this.#most)));
      larger.set(this.#output.subarray(0, this.#length));
      this.#output = larger;
    }
    return this.#output;
  }
}

/** The input ends too early. */
export function cutOff(): NetworkError {
  return malformed("it is cut off");
}

/** The input is no LZ4. */
export function malformed(problem: string): NetworkError {
  return unpackError("an LZ4", problem);
}
