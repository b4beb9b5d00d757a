/**
 * How far one-way sends may be ahead of a broker.
 *
 * A socket pushes back only while the broker does not read, and brokers always do: they put requests into a row, and
 * drop without a word what does not fit into it, or has waited there for 200 ms. So now and then a one-way send asks
 * for an answer after all, which nobody waits for until too many are missing.
 *
 * Source: BrokerConfig (`sendThreadPoolQueueCapacity`, `waitTimeMillsInSendQueue`), NettyRemotingAbstract.
 *
 * @module
 */

import type { Deadline } from "./deadline.ts";

/** Every so many messages, or bytes of bodies, an answer is asked for. */
const MESSAGES = 64;
const BYTES = 256 * 1024;
/** How many answers may be missing: with 512 messages a broker's row of 10 000 has room for others. */
const MOST_MISSING = 8;

/** The pace of one producer's one-way sends to one broker. */
export class OnewayPace {
  #messages = 0;
  #bytes = 0;
  /** Answers that were asked for and are not there. */
  #missing = 0;
  /** Oldest first; those that gave up are called too, and do not mind. */
  #waiting: (() => void)[] = [];

  /** Whether the next message has to wait for {@linkcode OnewayPace.room}. */
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

  /** Counts a message; if an answer is to be asked for with it, gives who has to hear that it is there or lost. */
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
