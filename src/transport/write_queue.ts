/**
 * Frames on their way out.
 *
 * @module
 */

import { FrameWriter, type WritableCommand } from "../wire/frame_writer.ts";
import type { Socket } from "./transport.ts";
import { inBackground } from "../owned_work.ts";

/** How many bytes are put together for one write. */
const WRITE_SIZE = 256 * 1024;
/** A frame from this size on gets bytes of its own, and is written by itself. */
const LARGE = WRITE_SIZE / 2;
/** The first size of a buffer; it doubles where that is not enough. */
const FIRST_SIZE = 4 * 1024;

const EMPTY = new Uint8Array(0);

/**
 * Gathers the frames of one tick into one write: each write is a system call, and with TCP_NODELAY a packet.
 *
 * While a write is under way, further frames gather for the next. Frames are made in the bytes that are written: two
 * buffers serve a connection for its whole life, one fills while the other is written.
 */
export class WriteQueue {
  #socket: Socket;
  #maxQueued: number;
  #onError: (cause: unknown) => void;
  /** Full buffers and large frames, in the order of their frames. */
  #sealed: Uint8Array[] = [];
  /** The buffer that fills, and how far it is filled: what it holds comes after what is sealed. */
  #open = EMPTY;
  #end = 0;
  /** A buffer that has been written and can be filled again. */
  #spare = EMPTY;
  /** Bytes that the system has not taken, those of the write under way included. */
  #unwritten = 0;
  #running = false;
  #writing = false;
  /** Called when all frames that are queued now have been written. */
  #listeners: (() => void)[] = [];

  /** Makes a queue of one socket that is full from `maxQueued` bytes on; `onError` is called with the first failure. */
  constructor(socket: Socket, maxQueued: number, onError: (cause: unknown) => void) {
    this.#socket = socket;
    this.#maxQueued = maxQueued;
    this.#onError = onError;
  }

  /**
   * Whether nothing more should be queued: the other side does not read, or is behind. What comes in one turn is always
   * taken, as nothing of it could have been written.
   */
  get isFull(): boolean {
    return this.#writing && this.#unwritten > this.#maxQueued;
  }

  /** How many bytes the system has not taken. */
  get unwritten(): number {
    return this.#unwritten;
  }

  /**
   * Queues a frame.
   *
   * @throws {ValidationError} if it would be larger than a frame may be: nothing is queued then
   */
  push(command: WritableCommand): void {
    const frame = new FrameWriter(command);
    if (frame.maxLength >= LARGE) {
      const bytes = new Uint8Array(frame.maxLength);
      const end = frame.writeTo(bytes, 0);
      this.#seal();
      this.#sealed.push(bytes.subarray(0, end));
      this.#pushed(end);
      return;
    }
    this.#makeRoom(frame.maxLength);
    const start = this.#end;
    this.#end = frame.writeTo(this.#open, start);
    this.#pushed(this.#end - start);
  }

  /** Calls `listener` when all that is queued now has been written; never if that fails. */
  onWritten(listener: () => void): void {
    this.#listeners.push(listener);
  }

  /** Drops what is queued. */
  clear(): void {
    this.#sealed = [];
    this.#end = 0;
    this.#listeners = [];
  }

  #pushed(bytes: number): void {
    this.#unwritten += bytes;
    if (this.#running) return;
    this.#running = true;
    queueMicrotask(() => inBackground(this.#run(), this.#onError));
  }

  /** Makes the open buffer one that takes so many bytes more. */
  #makeRoom(bytes: number): void {
    if (this.#end + bytes <= this.#open.length) return;
    let size = Math.max(FIRST_SIZE, this.#open.length);
    if (this.#end + bytes > WRITE_SIZE) this.#seal();
    const held = this.#open.subarray(0, this.#end);
    while (size < this.#end + bytes) size *= 2;
    this.#open = new Uint8Array(size);
    this.#open.set(held);
  }

  /** Closes the open buffer: what comes next has to follow what is in it. */
  #seal(): void {
    if (this.#end === 0) return;
    this.#sealed.push(this.#open.subarray(0, this.#end));
    this.#open = EMPTY;
    this.#end = 0;
  }

  async #run(): Promise<void> {
    while (this.#sealed.length > 0 || this.#end > 0) {
      const buffer = this.#open;
      this.#seal();
      const chunks = this.#sealed;
      const listeners = this.#listeners;
      this.#sealed = [];
      this.#open = this.#spare;
      this.#spare = EMPTY;
      this.#listeners = [];
      this.#writing = true;
      try {
        for (const chunk of chunks) {
          await this.#socket.write(chunk);
          this.#unwritten -= chunk.length;
        }
      } catch (error) {
        this.#onError(error);
        break;
      }
      this.#spare = buffer;
      for (const listener of listeners) listener();
    }
    this.#writing = false;
    this.#running = false;
  }
}
