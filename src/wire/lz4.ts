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

import { join } from "./join.ts";
import { BlockUnpacker, cutOff, malformed, Steps } from "./lz4_block.ts";
import { requireContent } from "./unpack_error.ts";
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
/** What each block and frame costs beside its bytes, as a number of bytes: they may be many and empty. */
const BLOCK_COST = 64;
const FRAME_COST = 512;
/** No packed block grows by more than this: a byte of a long length stands for 255. */
const MOST_GROWTH = 255;
/** A frame of more blocks than this is not looked through for what it may come to. */
const MOST_BLOCKS = 65_536;
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
 * how many it were. Returns the frames' contents, not joined.
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
  readonly #steps: Steps;
  readonly #blocks: BlockUnpacker;
  #at = 0;
  /** The contents of the frames before this one, and their sizes together. */
  #contents: Uint8Array[] = [];
  #before = 0;

  constructor(input: Uint8Array, maxSize: number, stepSize: number) {
    this.#input = input;
    this.#view = new DataView(input.buffer, input.byteOffset, input.byteLength);
    this.#steps = new Steps(stepSize);
    this.#blocks = new BlockUnpacker(input, maxSize, this.#steps);
  }

  *run(): Generator<number, Uint8Array[], void> {
    let frames = 0;
    do {
      requireContent("an LZ4", ++frames, this.#at, this.#before);
      const magic = this.#uint32();
      if ((magic & SKIPPABLE_MASK) >>> 0 === SKIPPABLE_MAGIC) this.#take(this.#uint32());
      else if (magic === MAGIC) yield* this.#frame();
      else throw malformed(`its magic number is 0x${magic.toString(16)}`);
      if (this.#steps.isDue(FRAME_COST)) yield this.#steps.end();
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
    yield* this.#unpackBlocks(flags, maxBlock);
    const { content } = this.#blocks;
    if (contentSize >= 0 && content.length !== contentSize) {
      throw malformed(`it has ${content.length} bytes, its header says ${contentSize}`);
    }
    if ((flags & Flag.CONTENT_CHECKSUM) !== 0) {
      const checksum = this.#uint32();
      if (checksum !== (yield* this.#hash(content, 0, content.length))) {
        throw malformed("its content checksum is wrong");
      }
    }
    this.#before += content.length;
    if (content.length > 0) this.#contents.push(content);
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
    this.#blocks.begin(this.#before, most, at - start);
  }

  *#unpackBlocks(flags: number, maxBlock: number): Generator<number, void, void> {
    const blocks = this.#blocks;
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
      const window = (flags & Flag.INDEPENDENT_BLOCKS) === 0 ? 0 : blocks.length;
      blocks.beginBlock(maxBlock);
      if ((word & PLAIN_BLOCK) !== 0) yield* blocks.plain(start, size);
      else yield* blocks.packed(start, start + size, window);
      requireContent("an LZ4", 1, this.#at, this.#before + blocks.length);
      if (this.#steps.isDue(BLOCK_COST)) yield this.#steps.end();
    }
  }

  *#hash(bytes: Uint8Array, start: number, end: number): Generator<number, number, void> {
    const hash = new XxHash32(bytes, start, end);
    for (let more = true, at = start; more; at += this.#steps.size) {
      more = hash.advance(this.#steps.size);
      if (this.#steps.isDue(Math.min(this.#steps.size, end - at))) yield this.#steps.end();
    }
    return hash.value;
  }

  /** Steps over `size` bytes of input and returns where they begin. */
  #take(size: number): number {
    if (size > this.#input.length - this.#at) throw cutOff();
    this.#at += size;
    return this.#at - size;
  }

  #uint32(): number {
    return this.#view.getUint32(this.#take(4), true);
  }
}
