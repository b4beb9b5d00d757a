/**
 * The memory of requests that have not arrived completely.
 *
 * @module
 */

/** The size of the length word that begins a frame. */
const PREFIX_SIZE = 4;

/** The frame that arrives on one connection. */
class ArrivingFrame {
  /** How many of its bytes have arrived. */
  arrived = 0;
  /** Its length, according to the bytes of its length word so far. */
  #length = 0;
  readonly close: () => void;

  constructor(close: () => void) {
    this.close = close;
  }

  /** Follows the bytes of a connection from frame to frame. A malformed length is the frame reader's matter. */
  push(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length;) {
      if (this.arrived < PREFIX_SIZE) {
        this.#length = (this.#length << 8) | bytes[at++]!;
        this.arrived++;
      } else {
        const size = Math.min(bytes.length - at, this.#length + PREFIX_SIZE - this.arrived);
        at += size;
        this.arrived += size;
      }
      if (this.arrived >= PREFIX_SIZE && this.arrived >= this.#length + PREFIX_SIZE) this.arrived = this.#length = 0;
    }
  }
}

/** Bounds the bytes of incomplete frames of all connections together: beyond, the largest frame is closed. */
export class UnfinishedFrames {
  #most: number;
  #total = 0;
  #frames = new Set<ArrivingFrame>();

  /** Allows `most` bytes. */
  constructor(most: number) {
    this.#most = most;
  }

  /** How many bytes of incomplete frames have arrived. */
  get bytes(): number {
    return this.#total;
  }

  /** Adds a connection, which `close` closes. */
  add(close: () => void): ArrivingFrame {
    const frame = new ArrivingFrame(close);
    this.#frames.add(frame);
    return frame;
  }

  /** Counts bytes that have arrived on a connection. */
  push(frame: ArrivingFrame, bytes: Uint8Array): void {
    if (!this.#frames.has(frame)) return;
    this.#total -= frame.arrived;
    frame.push(bytes);
    this.#total += frame.arrived;
    while (this.#total > this.#most) this.#closeLargest();
  }

  /** Removes a connection. */
  remove(frame: ArrivingFrame): void {
    if (this.#frames.delete(frame)) this.#total -= frame.arrived;
  }

  #closeLargest(): void {
    const largest = [...this.#frames].reduce((a, b) => b.arrived > a.arrived ? b : a);
    this.remove(largest);
    largest.close();
  }
}
