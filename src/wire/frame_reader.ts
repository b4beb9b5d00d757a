/**
 * Cutting a stream of bytes into frames.
 *
 * @module
 */

import { NetworkError } from "../errors.ts";
import { MAX_FRAME_SIZE } from "./frame_writer.ts";

/** Up to this size whole frames that arrive together share a copy: less than one answer of many messages may have. */
const SHARED_SIZE = 64 * 1024;
/** A frame takes no more memory than this, in bytes, before more has arrived: of it, or of the large one before it. */
const FIRST_CAPACITY = 64 * 1024;
/** How much a frame's memory grows by when it is full: each time costs a copy. */
const GROWTH = 4;
/**
 * How many times the size of the last large frame is taken at once for the next: it saves the copies of a steady flow.
 */
const TRUST = 2;
/** But never more than this, in bytes. */
const MOST_TRUST = 8 * 1024 * 1024;
/** The length word and the header word. */
const PREFIX_SIZE = 8;
/** The most bytes that are kept of a frame that is too large: enough for the header of any answer. */
const MAX_HEAD_SIZE = 64 * 1024;
/** The largest length word: it is an int32. */
const MAX_LENGTH = 0x7fffffff;

/** Options of a {@linkcode FrameReader}. */
export interface FrameReaderOptions {
  /**
   * Whether a frame without a body may be a view on the bytes that were pushed, valid during the call: most answers
   * are such, and taking memory for one costs more than reading it.
   *
   * @default {false}
   */
  readonly inPlace?: boolean;
  /**
   * Called for a frame larger than {@linkcode MAX_FRAME_SIZE} as soon as its header has arrived, with the frame as far
   * as the header's end, and the size of the whole. Its other bytes are skipped as they arrive, and nothing is kept of
   * them. Without it such a frame is malformed.
   */
  readonly onTooLarge?: ((head: Uint8Array, size: number) => void) | undefined;
}

/**
 * Cuts a stream of bytes into frames, whatever the pieces in which they arrive.
 *
 * Every frame is copied out once. Whole frames that arrive together share a copy of up to {@linkcode SHARED_SIZE}
 * bytes: taking memory for each would take longer than to copy them. What keeps a message alive keeps no more alive
 * than that, or its own frame. The memory of a large frame grows as it arrives, from 64 KiB or twice the large frame
 * before it, and not by what its length word claims.
 */
export class FrameReader {
  #onFrame: (frame: Uint8Array) => void;
  #inPlace: boolean;
  #onTooLarge: FrameReaderOptions["onTooLarge"];
  /** The length word, while it is incomplete. */
  #prefix = new Uint8Array(4);
  #prefixLength = 0;
  /** The size of the frame that is arriving; 0 between two. */
  #size = 0;
  /** How much of it has arrived. */
  #arrived = 0;
  /** What has arrived of it, with room for more; of a frame that is too large its head, and then nothing. */
  #frame: Uint8Array | undefined;
  /** How much memory a frame may take at once: the peer has sent that much before, and not only claimed to. */
  #trusted = FIRST_CAPACITY;

  /** Makes a reader that hands every whole frame to `onFrame`. */
  constructor(onFrame: (frame: Uint8Array) => void, options: FrameReaderOptions = {}) {
    this.#onFrame = onFrame;
    this.#inPlace = options.inPlace === true;
    this.#onTooLarge = options.onTooLarge;
  }

  /** Whether the next `count` bytes all belong to a frame whose bytes are skipped: they bring nothing. */
  isSkipping(count: number): boolean {
    return this.#size > MAX_FRAME_SIZE && this.#frame === undefined && count <= this.#size - this.#arrived;
  }

  /**
   * Takes the next bytes; they may be overwritten afterwards.
   *
   * @throws {NetworkError} `MALFORMED_FRAME` for a length that no frame can have, or if it is too large and has no
   * header: the stream cannot be read on
   */
  push(bytes: Uint8Array): void {
    let at = 0;
    while (at < bytes.length) {
      if (this.#size === 0) {
        if (this.#prefixLength === 0) {
          const end = this.#takeWhole(bytes, at);
          if (end > at) {
            at = end;
            continue;
          }
        }
        const missing = Math.min(4 - this.#prefixLength, bytes.length - at);
        for (let i = 0; i < missing; i++) this.#prefix[this.#prefixLength++] = bytes[at++]!;
        if (this.#prefixLength < 4) return;
        this.#begin(bytes.length - at);
      }
      at = this.#size > MAX_FRAME_SIZE ? this.#skip(bytes, at) : this.#fill(bytes, at);
    }
  }

  /** Passes on the frames that begin here and are here as a whole, and returns their end. */
  #takeWhole(bytes: Uint8Array, at: number): number {
    const first = endOfWhole(bytes, at);
    if (this.#inPlace && first > at && isBodiless(bytes, at, first)) {
      this.#onFrame(bytes.subarray(at, first));
      return first;
    }
    let end = first;
    while (end > at && end < bytes.length) {
      const next = endOfWhole(bytes, end);
      if (next === end || next - at > SHARED_SIZE) break;
      end = next;
    }
    if (end === at) return at;
    const copy = new Uint8Array(end - at); // not by slice(): that of a Buffer copies nothing
    copy.set(bytes.subarray(at, end));
    for (let start = 0; start < copy.length;) {
      const next = endOfWhole(copy, start);
      this.#onFrame(start === 0 && next === copy.length ? copy : copy.subarray(start, next));
      start = next;
    }
    return end;
  }

  #begin(available: number): void {
    const length = readWord(this.#prefix, 0);
    const isTooLarge = length + 4 > MAX_FRAME_SIZE;
    if (length < 4 || length > MAX_LENGTH || (isTooLarge && this.#onTooLarge === undefined)) {
      throw malformedFrame(`its length word is ${length}, allowed is 4 to ${MAX_FRAME_SIZE - 4}`);
    }
    const size = length + 4;
    this.#frame = new Uint8Array(isTooLarge ? PREFIX_SIZE : Math.min(size, Math.max(this.#trusted, available + 4)));
    this.#frame.set(this.#prefix);
    this.#arrived = 4;
    this.#size = size;
  }

  /** Takes bytes of the frame that is arriving; returns where they end. */
  #fill(bytes: Uint8Array, at: number): number {
    const count = Math.min(this.#size - this.#arrived, bytes.length - at);
    const frame = this.#keep(bytes, at, count, Math.min(this.#size, this.#frame!.length * GROWTH));
    if (this.#arrived === this.#size) {
      this.#trusted = Math.max(FIRST_CAPACITY, Math.min(TRUST * this.#size, MOST_TRUST));
      this.#end();
      this.#onFrame(frame);
    }
    return at + count;
  }

  /** Keeps the next bytes of a frame; its memory grows to `capacity`, or to what they need, if they do not fit. */
  #keep(bytes: Uint8Array, at: number, count: number, capacity: number): Uint8Array {
    let frame = this.#frame!;
    const arrived = this.#arrived + count;
    if (arrived > frame.length) {
      const larger = new Uint8Array(Math.max(arrived, capacity));
      larger.set(frame.subarray(0, this.#arrived));
      this.#frame = frame = larger;
    }
    frame.set(count === bytes.length ? bytes : bytes.subarray(at, at + count), this.#arrived);
    this.#arrived = arrived;
    return frame;
  }

  /** Takes bytes of a frame that is too large: its head first, then nothing; returns where they end. */
  #skip(bytes: Uint8Array, at: number): number {
    while (this.#frame !== undefined) {
      const end = this.#arrived < PREFIX_SIZE ? PREFIX_SIZE : headEnd(this.#frame, this.#size);
      const count = Math.min(end - this.#arrived, bytes.length - at);
      const head = this.#keep(bytes, at, count, end);
      at += count;
      const whole = headEnd(head, this.#size); // at the first byte that no header has, a text or TLS is no frame
      if (this.#arrived < end) return at;
      if (whole > end) continue;
      this.#frame = undefined;
      this.#onTooLarge?.(head, this.#size);
    }
    const count = Math.min(this.#size - this.#arrived, bytes.length - at);
    this.#arrived += count;
    if (this.#arrived === this.#size) this.#end();
    return at + count;
  }

  #end(): void {
    this.#frame = undefined;
    this.#size = 0;
    this.#prefixLength = 0;
  }
}

/** Where the header ends of a frame that is too large, as far as its bytes show. */
function headEnd(frame: Uint8Array, size: number): number {
  const end = PREFIX_SIZE + (readWord(frame, 4) & 0xffffff);
  if (frame[4]! <= 1 && end <= MAX_HEAD_SIZE) return end;
  const allowed = `allowed is 4 to ${MAX_FRAME_SIZE - 4}`;
  throw malformedFrame(
    `its length word is ${size - 4}, ${allowed}, and no header follows that names its request`,
  );
}

/** Where the frame ends that begins here; `at` itself if it is not here as a whole, or no frame. */
function endOfWhole(bytes: Uint8Array, at: number): number {
  if (at + 8 > bytes.length) return at;
  const length = readWord(bytes, at);
  const end = at + 4 + length;
  return length < 4 || length + 4 > MAX_FRAME_SIZE || end > bytes.length ? at : end;
}

function isBodiless(bytes: Uint8Array, at: number, end: number): boolean {
  return at + 8 + (readWord(bytes, at + 4) & 0xffffff) === end;
}

/** Reads a uint32. */
export function readWord(bytes: Uint8Array, at: number): number {
  return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0;
}

/** The error of a frame that cannot be read. */
export function malformedFrame(problem: string, cause?: unknown): NetworkError {
  return new NetworkError(`Cannot read a frame: ${problem}`, "", "MALFORMED_FRAME", { cause });
}
