/**
 * How many one-way sends to a broker may be in flight.
 *
 * A socket exerts backpressure only while the broker does not read, and brokers always read: they put requests into a
 * queue, and silently drop what does not fit into it, or has waited there for 200 ms. So now and then a one-way send
 * requests an answer after all; sends wait for these answers only when too many are missing.
 *
 * Source: BrokerConfig (`sendThreadPoolQueueCapacity`, `waitTimeMillsInSendQueue`), NettyRemotingAbstract.
 *
 * @module
 */

import type { Deadline } from "./deadline.ts";

/** Every so many messages, or bytes of bodies, an answer is requested. */
const MESSAGES = 64;
const BYTES = 256 * 1024;
/** How many answers may be missing: with 512 messages a broker's queue of 10 000 has room for others. */
const MOST_MISSING = 8;

/** The window of one producer's one-way sends to one broker. */
export class OnewayWindow {
  #messages = 0;
  #bytes = 0;
  /** Answers that were requested and have not arrived. */
  #missing = 0;
  /** Oldest first; those whose deadline has passed are called too, without effect. */
  #waiting: (() => void)[] = [];

  /** Whether the next message has to wait for {@linkcode OnewayWindow.room}. */
  get isFull(): boolean {
    return this.#missing >= MOST_MISSING;
  }

  /**
   * Waits until the broker has caught up.
   *
   * @throws {TimeoutError} when the time is over; the signal's reason when it aborts
   */
  room(deadline: Deadline): Promise<void> {
    const room = new Promise<void>((resolve) => this.#waiting.push(resolve));
    return deadline.wait(room, "send one-way to a broker that is behind");
  }

  /** Counts a message; if it has to request an answer, returns what is to be called when that arrives or is lost. */
  next(bytes: number): (() => void) | undefined {
    this.#messages++;
    this.#bytes += bytes;
    if (this.#messages < MESSAGES && this.#bytes < BYTES) return undefined;
    this.#messages = 0;
    this.#bytes = 0;
    this.#missing++;
    let isMissing = true;
    return () => {
      if (isMissing) this.#answered();
      isMissing = false;
    };
  }

  #answered(): void {
    this.#missing--;
    // With none missing, nobody else would wake the rest.
    const woken = this.#waiting.splice(0, this.#missing === 0 ? Infinity : MESSAGES);
    for (const wake of woken) wake();
  }
}
