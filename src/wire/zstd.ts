/**
 * Finds the ends of Zstandard frames, without unpacking them.
 *
 * Runtimes differ where the input is not one whole frame: Deno returns what a cut-off frame holds, and of several frames
 * only the first, as if that were all.
 *
 * | part | size | meaning |
 * |---|---|---|
 * | magic | 4 | 0xFD2FB528; 0x184D2A50 to 5F: a frame to skip |
 * | descriptor | 1 | bits 6-7 content size, 5 single segment, 2 checksum, 0-1 dictionary |
 * | window | 1 | missing in a single segment |
 * | dictionary id | 0, 1, 2, 4 | |
 * | content size | 0, 1, 2, 4, 8 | |
 * | blocks | 3 + n | bit 0 last, 1-2 type (0 plain, 1 one repeated byte, 2 packed), then size |
 * | checksum | 0, 4 | |
 *
 * Numbers are little-endian. Source: RFC 8878.
 *
 * @module
 */

import type { NetworkError } from "../errors.ts";
import { requireContent, unpackError } from "./unpack_error.ts";

const MAGIC = 0xfd2fb528;
const SKIPPABLE_MAGIC = 0x184d2a50;
const SKIPPABLE_MASK = 0xfffffff0;
const DICTIONARY_SIZES = [0, 1, 2, 4];
const CONTENT_SIZES = [0, 2, 4, 8];
const REPEATED_BYTE = 1;
const PACKED = 2;
/** The most bytes that a block holds. */
const MOST_BLOCK = 128 * 1024;

/** One frame of a body. */
export interface ZstdFrame {
  /** The whole frame. */
  readonly bytes: Uint8Array;
  /** Where it ends in the body. */
  readonly end: number;
  /** The most bytes that its blocks can hold. */
  readonly mostSize: number;
  /** Where it can be cut so that no piece holds more than two blocks' bytes; the last one is its end. */
  readonly cuts: readonly number[];
}

/**
 * Cuts `input` into its frames; those to skip are left out.
 *
 * @throws {NetworkError} `MALFORMED_FRAME` if it is cut off, has too many frames, or is something else
 */
export function zstdFrames(input: Uint8Array): ZstdFrame[] {
  const steps = zstdFramesInSteps(input, Infinity);
  let step = steps.next();
  while (!step.done) step = steps.next();
  return step.value;
}

/**
 * Does the same in steps of so many blocks, and yields how many it were: a body may have a million empty ones.
 *
 * @throws {NetworkError} as {@linkcode zstdFrames}
 */
export function* zstdFramesInSteps(input: Uint8Array, blocks: number): Generator<number, ZstdFrame[], void> {
  const view = new DataView(input.buffer, input.byteOffset, input.byteLength);
  const frames: ZstdFrame[] = [];
  let at = 0;
  let seen = 0;
  let count = 0;
  let mostOfAll = 0;
  /** Steps over `size` bytes of input and returns where they begin. */
  const take = (size: number): number => {
    if (size > input.length - at) throw malformed("it is cut off");
    at += size;
    return at - size;
  };
  do {
    const start = at;
    requireContent("a Zstandard", ++count, start, mostOfAll);
    const magic = view.getUint32(take(4), true);
    if ((magic & SKIPPABLE_MASK) >>> 0 === SKIPPABLE_MAGIC) {
      take(view.getUint32(take(4), true));
      continue;
    }
    if (magic !== MAGIC) throw malformed(`its magic number is 0x${magic.toString(16)}`);
    const descriptor = input[take(1)]!;
    const singleSegment = (descriptor & 0x20) !== 0;
    take(singleSegment ? 0 : 1);
    take(DICTIONARY_SIZES[descriptor & 3]!);
    take(singleSegment && descriptor >>> 6 === 0 ? 1 : CONTENT_SIZES[descriptor >>> 6]!);
    let mostSize = 0;
    let mostBefore = 0;
    const cuts: number[] = [];
    for (let last = false; !last;) {
      if (++seen >= blocks) {
        yield seen;
        seen = 0;
      }
      const header = view.getUint16(take(2), true) | (input[take(1)]! << 16);
      last = (header & 1) !== 0;
      const type = (header >>> 1) & 3;
      take(type === REPEATED_BYTE ? 1 : header >>> 3);
      mostSize += type === PACKED ? MOST_BLOCK : header >>> 3;
      requireContent("a Zstandard", count, at, mostOfAll + mostSize);
      if (last || mostSize - mostBefore < MOST_BLOCK) continue;
      cuts.push(at - start);
      mostBefore = mostSize;
    }
    take((descriptor & 0x04) === 0 ? 0 : 4);
    cuts.push(at - start);
    mostOfAll += mostSize;
    frames.push({ bytes: input.subarray(start, at), end: at, mostSize, cuts });
  } while (at < input.length);
  return frames;
}

function malformed(problem: string): NetworkError {
  return unpackError("a Zstandard", problem);
}
