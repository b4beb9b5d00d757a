/** A socket without a network: what is written is kept, what is received is the test's. */

import type { Socket } from "../../src/transport/transport.ts";
import { type Command, type CommandInit, decodeFrame, encodeFrame, FrameReader } from "../../src/wire/frame.ts";

/** One side of a connection; the other is the test. */
export class MemorySocket implements Socket {
  readonly remoteAddress = "memory:1";
  readonly localHost = "memory";
  readonly localPort = 1;
  /** What every write held. */
  readonly writes: Uint8Array[] = [];
  closes = 0;
  /** What the next writes come to: by default they succeed at once. */
  onWrite: () => Promise<void> = () => Promise.resolve();
  #onBytes: (bytes: Uint8Array) => void = () => {};
  #end!: () => void;
  #fail!: (reason: unknown) => void;
  #ended: Promise<void>;

  constructor() {
    this.#ended = new Promise((resolve, reject) => [this.#end, this.#fail] = [resolve, reject]);
  }

  /** The frames that have been written. */
  get written(): Command[] {
    const commands: Command[] = [];
    const reader = new FrameReader((frame) => commands.push(decodeFrame(frame)));
    for (const bytes of this.writes) reader.push(bytes);
    return commands;
  }

  receive(onBytes: (bytes: Uint8Array) => void): Promise<void> {
    this.#onBytes = onBytes;
    return this.#ended;
  }

  write(bytes: Uint8Array): Promise<void> {
    this.writes.push(bytes.slice());
    return this.onWrite();
  }

  close(): void {
    this.closes++;
    this.#end();
  }

  /** Lets a frame arrive. */
  deliver(command: CommandInit): void {
    this.deliverBytes(encodeFrame(command));
  }

  /** Lets bytes arrive, whatever they are. */
  deliverBytes(bytes: Uint8Array): void {
    try {
      this.#onBytes(bytes);
    } catch (error) {
      this.#fail(error);
    }
  }
}
