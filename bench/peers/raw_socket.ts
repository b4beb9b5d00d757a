/**
 * A socket of Deno that cuts frames off the stream and gathers what is written: all that the ceiling and the bare loop
 * need.
 *
 * @module
 */

import { parseAddress } from "../../src/transport/transport.ts";

/** The same as our client's. */
const READ_BUFFER_SIZE = 256 * 1024;

/** What is written while a piece of bytes is looked at, or while a write is on its way, leaves as one. */
export class RawSocket {
  #conn: Deno.TcpConn;
  #waiting: Uint8Array[] = [];
  #isWriting = false;
  #isReading = false;

  private constructor(conn: Deno.TcpConn) {
    this.#conn = conn;
  }

  /** Connects to `host:port`. */
  static async open(address: string): Promise<RawSocket> {
    const { host, port } = parseAddress(address)!;
    const conn = await Deno.connect({ hostname: host, port });
    conn.setNoDelay(true);
    return new RawSocket(conn);
  }

  /** Hands every piece of bytes over until `onBytes` says that it was the last. The buffer is used again. */
  async read(onBytes: (bytes: Uint8Array) => boolean): Promise<void> {
    const buffer = new Uint8Array(READ_BUFFER_SIZE);
    for (;;) {
      const size = await this.#conn.read(buffer);
      if (size === null) throw new Error("Cannot read on: the broker closed the connection");
      this.#isReading = true;
      const isLast = onBytes(buffer.subarray(0, size));
      this.#isReading = false;
      this.#flush();
      if (isLast) return;
    }
  }

  /** Writes a frame. */
  write(frame: Uint8Array): void {
    this.#waiting.push(frame);
    if (!this.#isReading) this.#flush();
  }

  async #flush(): Promise<void> {
    if (this.#isWriting) return;
    this.#isWriting = true;
    while (this.#waiting.length > 0) {
      const bytes = joined(this.#waiting);
      this.#waiting = [];
      for (let at = 0; at < bytes.length;) at += await this.#conn.write(bytes.subarray(at));
    }
    this.#isWriting = false;
    this.#onDrained();
  }

  #onDrained = (): void => {};

  /** Resolves when everything was handed to the system. */
  drained(): Promise<void> {
    return new Promise((resolve) => {
      if (!this.#isWriting) resolve();
      else this.#onDrained = resolve;
    });
  }
}

function joined(pieces: readonly Uint8Array[]): Uint8Array {
  if (pieces.length === 1) return pieces[0]!;
  const bytes = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    bytes.set(piece, at);
    at += piece.length;
  }
  return bytes;
}

/** Counts whole frames and the bytes of their bodies by the two length words; looks at nothing else. */
export class FrameCounter {
  /** Bytes of bodies of whole frames. */
  bodyBytes = 0;
  readonly #onFrame: () => void;
  readonly #prefix = new Uint8Array(8);
  readonly #view = new DataView(this.#prefix.buffer);
  #prefixLength = 0;
  #left = 0;
  #body = 0;

  /** Makes a counter that calls `onFrame` for every whole frame. */
  constructor(onFrame: () => void) {
    this.#onFrame = onFrame;
  }

  /** Takes the next bytes. */
  push(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length;) {
      if (this.#prefixLength < 8) {
        this.#prefix[this.#prefixLength++] = bytes[at++]!;
        if (this.#prefixLength < 8) continue;
        this.#left = this.#view.getUint32(0) - 4;
        this.#body = this.#left - (this.#view.getUint32(4) & 0xffffff);
      }
      const size = Math.min(this.#left, bytes.length - at);
      this.#left -= size;
      at += size;
      if (this.#left > 0) return;
      this.#prefixLength = 0;
      this.bodyBytes += this.#body;
      this.#onFrame();
    }
  }
}
