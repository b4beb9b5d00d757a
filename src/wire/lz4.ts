/**
 * Unpacks LZ4 frames, the form in which RocketMQ's LZ4 bodies come.
 *
 * | part | size | meaning |
 * |---|---|---|
 * | magic | 4 | 0x184D2204; 0x184D2A50 to 5F: a frame to skip |
 * | descriptor | 2 to 14 | flags, largest block, content size (8, if flagged), dictionary id (4, if flagged) |
 * | header checksum | 1 | second byte of the descriptor's XXH32 |
 * | blocks | 4 + n (+ 4) | length, highest bit set if not compressed; the data; its XXH32, if flagged |
 * | end mark | 4 | a length of 0 |
 * | content checksum | 4 | XXH32 of the unpacked content, if flagged |
 *
 * Numbers are little-endian. Source: the LZ4 frame format 1.6.
 *
 * @module
 */

import { NetworkError } from "../errors.ts";
import { xxHash32 } from "./xxhash32.ts";

const MAGIC = 0x184d2204;
const SKIPPABLE_MAGIC = 0x184d2a50;
const SKIPPABLE_MASK = 0xfffffff0;

/** The bits of the descriptor's first byte. */
const Flag = {
  VERSION: 0xc0,
  VERSION_1: 0x40,
  INDEPENDENT_BLOCKS: 0x20,
  BLOCK_CHECKSUM: 0x10,
  CONTENT_SIZE: 0x08,
  CONTENT_CHECKSUM: 0x04,
  RESERVED: 0x02,
  DICTIONARY: 0x01,
} as const;

/** Set in a block's length if the block is not compressed. */
const PLAIN_BLOCK = 0x80000000;
/** A length of 15 in a token goes on in the bytes behind it. */
const LONG_LENGTH = 15;
const SHORTEST_MATCH = 4;
/** Up to this many bytes a loop copies faster than a call. */
const SHORT_COPY = 24;

/**
 * Unpacks frames that follow each other, checksums included.
 *
 * @throws {NetworkError} `MALFORMED_FRAME` if the input is cut off, is no LZ4, or unpacks to more than `maxSize` bytes
 */
export function decompressLz4(input: Uint8Array, maxSize: number): Uint8Array {
  return new FrameDecoder(input, maxSize).run();
}

class FrameDecoder {
  readonly #input: Uint8Array;
  readonly #view: DataView;
  readonly #maxSize: number;
  #at = 0;
  /** What was unpacked until now: the first `#length` bytes. */
  #output: Uint8Array;
  #length = 0;
  /** Where `#length` may not go beyond: the end of the largest block that the frame allows. */
  #limit = 0;

  constructor(input: Uint8Array, maxSize: number) {
    this.#input = input;
    this.#view = new DataView(input.buffer, input.byteOffset, input.byteLength);
    this.#maxSize = maxSize;
    this.#output = new Uint8Array(Math.min(maxSize, 4 * input.length));
  }

  run(): Uint8Array {
    do {
      const magic = this.#uint32();
      if ((magic & SKIPPABLE_MASK) >>> 0 === SKIPPABLE_MAGIC) this.#take(this.#uint32());
      else if (magic === MAGIC) this.#frame();
      else throw malformed(`its magic number is 0x${magic.toString(16)}`);
    } while (this.#at < this.#input.length);
    return this.#length === this.#output.length ? this.#output : this.#output.slice(0, this.#length);
  }

  #frame(): void {
    const descriptor = this.#at;
    const flags = this.#input[this.#take(1)]!;
    const sizes = this.#input[this.#take(1)]!;
    const blockKind = (sizes >>> 4) & 7;
    if ((flags & Flag.VERSION) !== Flag.VERSION_1) throw malformed(`its version is ${flags >>> 6}, known is 1`);
    if ((flags & Flag.RESERVED) !== 0 || (sizes & 0x8f) !== 0) throw malformed("it uses reserved bits");
    if ((flags & Flag.DICTIONARY) !== 0) throw malformed("it needs a dictionary");
    if (blockKind < 4) throw malformed(`its block size is of kind ${blockKind}, known are 4 to 7`);
    const contentSize = (flags & Flag.CONTENT_SIZE) === 0 ? -1 : this.#uint32() + this.#uint32() * 2 ** 32;
    const checksum = (xxHash32(this.#input, descriptor, this.#at) >>> 8) & 0xff;
    if (this.#input[this.#take(1)] !== checksum) throw malformed("its header checksum is wrong");

    const start = this.#length;
    this.#blocks(flags, 1 << (8 + 2 * blockKind));
    if (contentSize >= 0 && this.#length - start !== contentSize) {
      throw malformed(`it has ${this.#length - start} bytes, its header says ${contentSize}`);
    }
    if ((flags & Flag.CONTENT_CHECKSUM) !== 0 && this.#uint32() !== xxHash32(this.#output, start, this.#length)) {
      throw malformed("its content checksum is wrong");
    }
  }

  #blocks(flags: number, maxBlock: number): void {
    const frameStart = this.#length;
    for (let word = this.#uint32(); word !== 0; word = this.#uint32()) {
      const size = word & ~PLAIN_BLOCK;
      if (size > maxBlock) throw malformed(`a block has ${size} bytes, its header allows ${maxBlock}`);
      const start = this.#take(size);
      if ((flags & Flag.BLOCK_CHECKSUM) !== 0 && this.#uint32() !== xxHash32(this.#input, start, start + size)) {
        throw malformed("a block's checksum is wrong");
      }
      const blockStart = this.#length;
      this.#limit = Math.min(this.#maxSize, blockStart + maxBlock);
      if ((word & PLAIN_BLOCK) !== 0) this.#copyInput(start, size);
      else this.#block(start, start + size, (flags & Flag.INDEPENDENT_BLOCKS) === 0 ? frameStart : blockStart);
    }
  }

  /** Unpacks one block; its matches may reach back to `window`. */
  #block(start: number, end: number, window: number): void {
    const input = this.#input;
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
    while (true) {
      if (at >= end) throw cutOff();
      const token = input[at++]!;
      const literals = lengthFrom(token >>> 4);
      if (literals > end - at) throw cutOff();
      this.#copyInput(at, literals);
      at += literals;
      if (at === end) return; // a block's last sequence has literals only
      if (end - at < 2) throw cutOff();
      const distance = input[at]! | (input[at + 1]! << 8);
      at += 2;
      if (distance === 0 || distance > this.#length - window) {
        throw malformed(`a match reaches ${distance} bytes back, ${this.#length - window} are there`);
      }
      this.#copyMatch(distance, lengthFrom(token & LONG_LENGTH) + SHORTEST_MATCH);
    }
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
      const why = this.#limit === this.#maxSize ? `it has more than ${this.#maxSize} bytes` : "a block is too large";
      throw malformed(why);
    }
    if (needed > this.#output.length) {
      const larger = new Uint8Array(Math.min(this.#maxSize, Math.max(needed, 2 * this.#output.length)));
      larger.set(this.#output.subarray(0, this.#length));
      this.#output = larger;
    }
    return this.#output;
  }

  /** Steps over `size` bytes of input and tells where they begin. */
  #take(size: number): number {
    if (size > this.#input.length - this.#at) throw cutOff();
    this.#at += size;
    return this.#at - size;
  }

  #uint32(): number {
    return this.#view.getUint32(this.#take(4), true);
  }
}

function cutOff(): NetworkError {
  return malformed("it is cut off");
}

function malformed(problem: string): NetworkError {
  return new NetworkError(`Cannot unpack an LZ4 body: ${problem}`, "", "MALFORMED_FRAME");
}
