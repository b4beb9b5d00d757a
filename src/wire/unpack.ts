/**
 * Unpacks large bodies in the background: in steps, with turns of the event loop between them.
 *
 * Node and Bun unpack zlib and Zstandard in threads of their own; Deno does it where everything else runs, and without
 * letting the event loop turn. So it is a stream everywhere that is read a step at a time.
 *
 * @module
 */

import { builtin } from "../builtin.ts";
import { NetworkError } from "../errors.ts";
import { Semaphore, turn } from "../waiting.ts";
import { inSteps, STEP_SIZE } from "./background.ts";
import { MessageSysFlag } from "./codes.ts";
import { decompress } from "./compression.ts";
import { joinInSteps } from "./join.ts";
import { decompressLz4InSteps } from "./lz4.ts";
import { isBodyTooLarge, isTooLarge, requireContent, tooLargeError, unpackError, zlibError } from "./unpack_error.ts";
import { type ZstdFrame, zstdFrames, zstdFramesInSteps } from "./zstd.ts";
import { inBackground, unheard } from "../owned_work.ts";

/**
 * Packed bodies of this size or more are unpacked in the background, in bytes. Of zlib, which can grow by 1 032 times,
 * this is 3 ms of work at most; it is 30 µs where a body grows by four times.
 */
export const LARGE_PACKED_SIZE: number = 4 * 1024;

/**
 * Zstandard can grow by more than 30 000 times. Where a small body might unpack to more than this it is a large one.
 */
const LARGE_UNPACKED_SIZE = 1024 * 1024;
/** Up to this size a zlib body may well unpack in one step. */
const ONE_STEP_PACKED_SIZE = STEP_SIZE / 2;
/** How many bytes a stream is given at a time: they may unpack to nothing, but not without work. */
const INPUT_STEP = 64 * 1024;
/** How many bytes a stream takes before it must return half of that: what it returns is seen a little later. */
const STREAM_AHEAD = 256 * 1024;

/** What it costs to step over a Zstandard block, as a number of bytes. */
const BLOCK_COST = 16;
/** What a Zstandard frame costs beside its bytes, as a number of bytes. */
const FRAME_COST = 8 * 1024;

/** How {@linkcode unpackInBackground} unpacks. */
export interface UnpackOptions {
  /** The most bytes that a body may unpack to. */
  readonly maxSize: number;
  /** Ends the work: the result is of no use any more. */
  readonly signal?: AbortSignal | undefined;
}

/** Whether a body takes too long for one turn of the event loop. */
export function isLargePacked(body: Uint8Array, sysFlag: number): boolean {
  if (body.length >= LARGE_PACKED_SIZE) return true;
  if ((sysFlag & MessageSysFlag.COMPRESSION_MASK) !== MessageSysFlag.COMPRESSION_ZSTD) return false;
  try {
    return zstdFrames(body).reduce((size, { mostSize }) => size + mostSize, 0) > LARGE_UNPACKED_SIZE;
  } catch {
    return false; // it is broken, which is found as fast when it is unpacked
  }
}

/**
 * Bodies are unpacked one after the other among those of about their size; the three lanes take turns. So a small body
 * never waits for a large one, and what is under way has at most so many bytes together. A body that has more than
 * its lane allows begins anew in the next one, which has eight times as much: that costs an eighth of its time.
 *
 * A queue has one body at a time here, so that within a lane queues take turns too.
 */
const lanes: readonly { readonly most: number; readonly gate: Semaphore }[] = [1, 8, Infinity].map((mib) => ({
  most: mib * 1024 * 1024,
  gate: new Semaphore(1),
}));

/**
 * Does what {@linkcode decompress} does, with the same result or error, but never blocks the event loop for long.
 *
 * @throws the signal's reason, if it has aborted
 */
export async function unpackInBackground(
  body: Uint8Array,
  sysFlag: number,
  { maxSize, signal }: UnpackOptions,
): Promise<Uint8Array> {
  for (const { most, gate } of lanes) {
    if (most < Math.min(body.length, maxSize)) continue; // it is hardly smaller when it is unpacked
    const limit = Math.min(most, maxSize);
    try {
      return await gate.pass(() => inSteps(unpackSteps(body, sysFlag, limit), signal));
    } catch (error) {
      if (limit === maxSize || !isBodyTooLarge(error)) throw error;
    }
  }
  throw new RangeError("the last lane has no limit");
}

/**
 * Unpacks a body in steps; each is done when it is asked for, and yields how many bytes it has unpacked, hashed or
 * copied: never more than two times {@linkcode STEP_SIZE}.
 */
export async function* unpackSteps(
  body: Uint8Array,
  sysFlag: number,
  maxSize: number,
): AsyncGenerator<number, Uint8Array, void> {
  switch (sysFlag & MessageSysFlag.COMPRESSION_MASK) {
    case 0:
    case MessageSysFlag.COMPRESSION_ZLIB:
      return yield* zlibSteps(body, sysFlag, maxSize);
    case MessageSysFlag.COMPRESSION_LZ4: {
      const parts = yield* decompressLz4InSteps(body, maxSize, STEP_SIZE);
      return yield* joinInSteps(parts, STEP_SIZE);
    }
    case MessageSysFlag.COMPRESSION_ZSTD:
      if (typeof builtin("node:zlib").createZstdDecompress === "function") return yield* zstdSteps(body, maxSize);
      // falls through: it reports what is missing
    default:
      return decompress(body, sysFlag, maxSize);
  }
}

async function* zlibSteps(
  body: Uint8Array,
  sysFlag: number,
  maxSize: number,
): AsyncGenerator<number, Uint8Array, void> {
  if (body.length <= ONE_STEP_PACKED_SIZE) {
    const whole = ifSmall(() => decompress(body, sysFlag, Math.min(maxSize, STEP_SIZE)));
    yield whole?.length ?? STEP_SIZE;
    if (whole !== undefined) return whole;
    if (maxSize <= STEP_SIZE) throw tooLargeError("a zlib", maxSize);
  }
  const parts: Uint8Array[] = [];
  yield* inflateSteps(body, maxSize, parts);
  return yield* joinInSteps(parts, STEP_SIZE);
}

async function* zstdSteps(body: Uint8Array, maxSize: number): AsyncGenerator<number, Uint8Array, void> {
  const scan = zstdFramesInSteps(body, STEP_SIZE / BLOCK_COST);
  let step = scan.next();
  for (; !step.done; step = scan.next()) yield step.value * BLOCK_COST;
  const parts: Uint8Array[] = [];
  let left = maxSize;
  for (const frame of step.value) {
    const size = parts.length;
    if (frame.mostSize <= STEP_SIZE) {
      const part = decompress(frame.bytes, MessageSysFlag.COMPRESSION_ZSTD, STEP_SIZE);
      if (part.length > 0) parts.push(part);
      yield Math.min(part.length + FRAME_COST, STEP_SIZE);
    } else {
      yield* zstdFrameSteps(frame, { left, maxSize }, parts);
    }
    for (const part of parts.slice(size)) left -= part.length;
    if (left < 0) throw tooLargeError("a Zstandard", maxSize);
    requireContent("a Zstandard", 1, frame.end, maxSize - left);
  }
  return yield* joinInSteps(parts, STEP_SIZE);
}

/** The result of something, unless it is too large. */
function ifSmall(run: () => Uint8Array): Uint8Array | undefined {
  try {
    return run();
  } catch (error) {
    if (isTooLarge((error as Error).cause)) return undefined;
    throw error;
  }
}

/** Adds what a zlib stream unpacks to, as it is read: the stream holds one step's output, and waits for that. */
async function* inflateSteps(
  input: Uint8Array,
  maxSize: number,
  to: Uint8Array[],
): AsyncGenerator<number, void, void> {
  const options = { chunkSize: STEP_SIZE, highWaterMark: STEP_SIZE };
  const stream = builtin("node:zlib").createInflate(options);
  let fed = 0;
  let size = 0;
  const feed = () => {
    if (stream.destroyed || stream.readableEnded) return;
    if (fed >= input.length) stream.end();
    else if (fed > STREAM_AHEAD + 2 * size) {
      stream.destroy(unpackError("a zlib", `its first ${fed} bytes hold ${size}`));
    } else stream.write(input.subarray(fed, fed += INPUT_STEP), (error) => error == null && turn().then(feed));
  };
  feed();
  try {
    for await (const part of stream as AsyncIterable<Uint8Array>) {
      size += part.length;
      if (size > maxSize) throw tooLargeError("a zlib", maxSize);
      to.push(new Uint8Array(part.buffer, part.byteOffset, part.length));
      yield part.length;
    }
  } catch (cause) {
    throw cause instanceof NetworkError ? cause : zlibError("a zlib", maxSize, cause);
  } finally {
    stream.destroy();
  }
}

/**
 * Adds what a Zstandard frame unpacks to, a block at a time. The stream has room for all that may come: where it has to
 * go on after its room was full, Deno reports what is broken there to nobody, which ends the program.
 */
async function* zstdFrameSteps(
  { bytes, end, mostSize, cuts }: ZstdFrame,
  { left, maxSize }: { readonly left: number; readonly maxSize: number },
  to: Uint8Array[],
): AsyncGenerator<number, void, void> {
  const stream = builtin("node:zlib").createZstdDecompress({ chunkSize: Math.min(mostSize, left) + 3 * STEP_SIZE });
  const failed = new Promise<never>((_, reject) => stream.on("error", reject));
  const ended = new Promise<void>((resolve) => stream.on("end", resolve));
  inBackground(failed, unheard);
  let size = 0;
  stream.on("data", ({ buffer, byteOffset, length }: Uint8Array) => {
    size += length;
    to.push(new Uint8Array(buffer, byteOffset, length));
  });
  let fed = 0;
  try {
    for (const cut of cuts) {
      const before = size;
      const piece = bytes.subarray(fed, fed = cut);
      await Promise.race([failed, new Promise<void>((resolve) => stream.write(piece, () => resolve()))]);
      await turn(); // then all that came of it is counted
      if (size > left) throw tooLargeError("a Zstandard", maxSize);
      requireContent("a Zstandard", 1, end - bytes.length + cut, maxSize - left + size);
      yield size - before;
    }
    stream.end();
    await Promise.race([failed, ended]);
  } catch (cause) {
    throw cause instanceof NetworkError ? cause : zlibError("a Zstandard", maxSize, cause);
  } finally {
    stream.destroy();
  }
}
