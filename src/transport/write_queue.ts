/**
 * Frames on their way out.
 *
 * @module
 */

import type { Socket } from "./transport.ts";

/** How many bytes are put together for one write; a larger frame is written as it is. */
const WRITE_SIZE = 256 * 1024;

/**
 * Gathers the frames of one tick into one write: each write is a system call, and with TCP_NODELAY a packet.
 *
 * While a write is under way, further frames gather for the next.
 */
export class WriteQueue {
  #socket: Socket;
  #maxQueued: number;
  #onError: (cause: unknown) => void;
  #frames: Uint8Array[] = [];
  /** Bytes that wait for the write under way to end. */
  #queuedBytes = 0;
  #running = false;
  #writing = false;
  #failure: { reason: unknown } | undefined;
  /** Settles when all frames that are queued now have been written; made only if somebody waits for it. */
  #written: { promise: Promise<void>; resolve: () => void; reject: (reason: unknown) => void } | undefined;

  /** Makes a queue of one socket; `onError` hears of the first failed write, or of more than `maxQueued` bytes. */
  constructor(socket: Socket, maxQueued: number, onError: (cause: unknown) => void) {
    this.#socket = socket;
    this.#maxQueued = maxQueued;
    this.#onError = onError;
  }

  /** Queues a frame; with `wait`, the promise settles when it has been written, else it is settled already. */
  push(frame: Uint8Array, wait = false): Promise<void> {
    this.#frames.push(frame);
    this.#queuedBytes += frame.length;
    if (!this.#running) {
      this.#running = true;
      queueMicrotask(() => this.#run());
    } else if (this.#writing && this.#queuedBytes > this.#maxQueued) {
      this.#onError(`the other side does not read: ${this.#queuedBytes} bytes wait for it`);
    }
    return wait ? this.#whenWritten() : Promise.resolve();
  }

  /** Drops what is queued; whoever waits for it fails with `reason`. */
  fail(reason: unknown): void {
    this.#failure = { reason };
    this.#frames = [];
    this.#written?.reject(reason);
    this.#written = undefined;
  }

  #whenWritten(): Promise<void> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure.reason);
    if (this.#written === undefined) {
      let resolve!: () => void;
      let reject!: (reason: unknown) => void;
      const promise = new Promise<void>((yes, no) => [resolve, reject] = [yes, no]);
      this.#written = { promise, resolve, reject };
    }
    return this.#written.promise;
  }

  async #run(): Promise<void> {
    while (this.#frames.length > 0) {
      const frames = this.#frames;
      const written = this.#written;
      this.#frames = [];
      this.#written = undefined;
      this.#queuedBytes = 0;
      this.#writing = true;
      try {
        for (const chunk of chunks(frames)) await this.#socket.write(chunk);
      } catch (error) {
        this.#onError(error);
        written?.reject(this.#failure?.reason ?? error);
        break;
      }
      written?.resolve();
    }
    this.#writing = false;
    this.#running = false;
  }
}

/** Puts frames together up to {@linkcode WRITE_SIZE} bytes. */
function* chunks(frames: readonly Uint8Array[]): Generator<Uint8Array> {
  for (let first = 0; first < frames.length;) {
    let size = frames[first]!.length;
    let end = first + 1;
    while (end < frames.length && size + frames[end]!.length <= WRITE_SIZE) size += frames[end++]!.length;
    if (end === first + 1) yield frames[first]!;
    else yield join(frames, first, end, size);
    first = end;
  }
}

function join(frames: readonly Uint8Array[], first: number, end: number, size: number): Uint8Array {
  const joined = new Uint8Array(size);
  let at = 0;
  for (let i = first; i < end; i++) {
    joined.set(frames[i]!, at);
    at += frames[i]!.length;
  }
  return joined;
}
