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

import type { NetworkError } from "../errors.ts";
import { join } from "./join.ts";
import { requireContent, tooLargeError, unpackError } from "./unpack_error.ts";
import { XxHash32, xxHash32 } from "./xxhash32.ts";

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

/** What each block and frame costs beside its bytes, as a number of bytes: they may be many and empty. */
const BLOCK_COST = 64;
const FRAME_COST = 512;
/** No packed block grows by more than this: a byte of a long length stands for 255. */
const MOST_GROWTH = 255;
/** A frame of more blocks than this is not looked through for what it may come to. */
const MOST_BLOCKS = 65_536;
/** From this size on, output grows by eight times instead of two, so that it is seldom copied. */
const LARGE_OUTPUT = 1024 * 1024;

/**
 * Unpacks frames that follow each other, checksums included.
 *
 * @throws {NetworkError} `MALFORMED_FRAME` if the input is cut off, is no LZ4, or unpacks to more than `maxSize` bytes
 */
export function decompressLz4(input: Uint8Array, maxSize: number): Uint8Array {
  const steps = decompressLz4InSteps(input, maxSize, Infinity);
  let step = steps.next();
  while (!step.done) step = steps.next();
  return join(step.value);
}

/**
 * Does the same in steps. Each unpacks, copies or hashes about `stepSize` bytes, at most two times as many, and yields
 * how many it were. Gives the frames' contents, not joined.
 *
 * @throws {NetworkError} as {@linkcode decompressLz4}
 */
export function decompressLz4InSteps(
  input: Uint8Array,
  maxSize: number,
  stepSize: number,
): Generator<number, Uint8Array[], void> {
  return new FrameDecoder(input, maxSize, stepSize).run();
}

class FrameDecoder {
  readonly #input: Uint8Array;
  readonly #view: DataView;
  readonly #maxSize: number;
  readonly #stepSize: number;
  #at = 0;
  /** The contents of the frames before this one, and their sizes together. */
  #contents: Uint8Array[] = [];
  #before = 0;
  /** What was unpacked of this frame until now: the first `#length` bytes. */
  #output = new Uint8Array(0);
  #length = 0;
  /** The most that this frame's content can come to. */
  #most = 0;
  /** Where `#length` may not go beyond: the end of the largest block that the frame allows. */
  #limit = 0;
  /** What is done since the last step, in bytes. */
  #work = 0;
  /** What is left to be copied of a sequence that is too long for one step. */
  #literals = 0;
  #match = 0;
  #distance = 0;
  /** The token of a sequence whose literals are copied, and its match is not; else -1. */
  #token = -1;

  constructor(input: Uint8Array, maxSize: number, stepSize: number) {
    this.#input = input;
    this.#view = new DataView(input.buffer, input.byteOffset, input.byteLength);
    this.#maxSize = maxSize;
    this.#stepSize = stepSize;
  }

  *run(): Generator<number, Uint8Array[], void> {
    let frames = 0;
    do {
      requireContent("an LZ4", ++frames, this.#at, this.#before);
      const magic = this.#uint32();
      if ((magic & SKIPPABLE_MASK) >>> 0 === SKIPPABLE_MAGIC) this.#take(this.#uint32());
      else if (magic === MAGIC) yield* this.#frame();
      else throw malformed(`its magic number is 0x${magic.toString(16)}`);
      if (this.#isDue(FRAME_COST)) yield this.#step();
    } while (this.#at < this.#input.length);
    return this.#contents;
  }

  *#frame(): Generator<number, void, void> {
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

    const maxBlock = 1 << (8 + 2 * blockKind);
    this.#begin(flags, maxBlock);
    yield* this.#blocks(flags, maxBlock);
    if (contentSize >= 0 && this.#length !== contentSize) {
      throw malformed(`it has ${this.#length} bytes, its header says ${contentSize}`);
    }
    if ((flags & Flag.CONTENT_CHECKSUM) !== 0) {
      const checksum = this.#uint32();
      if (checksum !== (yield* this.#hash(this.#output, 0, this.#length))) {
        throw malformed("its content checksum is wrong");
      }
    }
    this.#before += this.#length;
    if (this.#length > 0) this.#contents.push(this.#output.subarray(0, this.#length));
  }

  /** Makes room for a frame's content, in proportion to what is stored of it. */
  #begin(flags: number, maxBlock: number): void {
    const checksumSize = (flags & Flag.BLOCK_CHECKSUM) === 0 ? 0 : 4;
    const start = this.#at;
    let at = start;
    let most = 0;
    for (let blocks = 0; at + 4 <= this.#input.length; blocks++) {
      const word = this.#view.getUint32(at, true);
      if (word === 0) break;
      const size = Math.min(word & ~PLAIN_BLOCK, this.#input.length - at - 4); // a claim beyond the end is nothing
      at += 4 + size + checksumSize;
      most += (word & PLAIN_BLOCK) !== 0 ? size : Math.min(maxBlock, MOST_GROWTH * size);
      if (blocks === MOST_BLOCKS) most = Infinity;
      if (most === Infinity) break;
    }
    this.#most = Math.min(most, this.#maxSize - this.#before);
    this.#length = 0;
    this.#output = new Uint8Array(Math.min(4 * (at - start), this.#most));
  }

  *#blocks(flags: number, maxBlock: number): Generator<number, void, void> {
    for (let word = this.#uint32(); word !== 0; word = this.#uint32()) {
      const size = word & ~PLAIN_BLOCK;
      if (size > maxBlock) throw malformed(`a block has ${size} bytes, its header allows ${maxBlock}`);
      const start = this.#take(size);
      if ((flags & Flag.BLOCK_CHECKSUM) !== 0) {
        const checksum = this.#uint32();
        if (checksum !== (yield* this.#hash(this.#input, start, start + size))) {
          throw malformed("a block's checksum is wrong");
        }
      }
      const blockStart = this.#length;
      this.#limit = Math.min(this.#maxSize - this.#before, blockStart + maxBlock);
      if ((word & PLAIN_BLOCK) !== 0) yield* this.#plain(start, size);
      else yield* this.#packed(start, start + size, (flags & Flag.INDEPENDENT_BLOCKS) === 0 ? 0 : blockStart);
      requireContent("an LZ4", 1, this.#at, this.#before + this.#length);
      if (this.#isDue(BLOCK_COST)) yield this.#step();
    }
  }

  *#plain(start: number, size: number): Generator<number, void, void> {
    for (let done = 0; done < size;) {
      const piece = Math.min(size - done, this.#stepSize);
      this.#copyInput(start + done, piece);
      done += piece;
      if (this.#isDue(piece)) yield this.#step();
    }
  }

  /** Unpacks one block; its matches may reach back to `window`. */
  *#packed(start: number, end: number, window: number): Generator<number, void, void> {
    let at = start;
    while (true) {
      const before = this.#length;
      at = this.#sequences(at, end, window, before + this.#stepSize - this.#work);
      if (this.#isDue(this.#length - before)) yield this.#step();
      if (at < 0) return;
      while (this.#literals > 0) {
        const piece = Math.min(this.#literals, this.#stepSize);
        this.#copyInput(at, piece);
        at += piece;
        this.#literals -= piece;
        if (this.#isDue(piece)) yield this.#step();
      }
      while (this.#match > 0) {
        const piece = Math.min(this.#match, this.#stepSize);
        this.#copyMatch(this.#distance, piece);
        this.#match -= piece;
        if (this.#isDue(piece)) yield this.#step();
      }
    }
  }

  /**
   * Unpacks sequences until `#length` is at `stop`, or something long is to be copied. Gives where to go on, -1 at the
   * end of the block.
   */
  #sequences(start: number, end: number, window: number, stop: number): number {
    const input = this.#input;
    const longest = this.#stepSize / 2;
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
      if (this.#limit === this.#maxSize - this.#before) throw tooLargeError("an LZ4", this.#maxSize);
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

  *#hash(bytes: Uint8Array, start: number, end: number): Generator<number, number, void> {
    const hash = new XxHash32(bytes, start, end);
    for (let more = true, at = start; more; at += this.#stepSize) {
      more = hash.advance(this.#stepSize);
      if (this.#isDue(Math.min(this.#stepSize, end - at))) yield this.#step();
    }
    return hash.value;
  }

  /** Notes what was done; tells whether it is enough for one step. */
  #isDue(bytes: number): boolean {
    this.#work += bytes;
    return this.#work >= this.#stepSize;
  }

  /** Ends a step; gives its size. */
  #step(): number {
    const work = this.#work;
    this.#work = 0;
    return work;
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
  return unpackError("an LZ4", problem);
}
