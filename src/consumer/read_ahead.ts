/**
 * Two pulls of a queue on their way at a time, where it holds much more.
 *
 * @module
 */

import type { PullAnswer } from "./puller.ts";

/** From this size of answers on, in bytes, reading them takes longer than waiting for the next, and memory counts. */
const LARGE_ANSWER = 64 * 1024;

/** Where answers come from. */
export interface PullSource<T = unknown> {
  /** Makes one pull, at a time by the monotonic clock; an answer with a rest is asked for that before the next. */
  pull(offset: number, brokerId: number, now: number): Promise<PullAnswer<T>>;
  /** Whether it pays to have another pull leave before the next is answered, and both answers fit. */
  mayPullAhead(): boolean;
}

/**
 * Guesses where the next pull but one begins, and has it leave early: a broker that waits for our next request does
 * nothing, and we do nothing while we wait for its answer.
 *
 * It guesses only where answers are not large and have had the same number of offsets twice, and where the queue is
 * known to hold what the pull asks for, so that the broker never holds it. A wrong guess costs the broker one read; its
 * answer is dropped.
 */
export class ReadAhead<T = unknown> {
  #source: PullSource<T>;
  #ahead: { readonly offset: number; readonly answer: Promise<PullAnswer<T>> } | undefined;
  /** How many offsets the last answer covered, and whether the one before covered as many. */
  #stride = 0;
  #isSteady = false;
  /** The end of the queue, as far as it is known. */
  #end = 0;

  /** Makes one with nothing on its way. */
  constructor(source: PullSource<T>) {
    this.#source = source;
  }

  /** The answer to a pull from `offset` on, which leaves now or has left before. */
  pull(offset: number, brokerId: number, now: number): Promise<PullAnswer<T>> {
    const answer = this.#ahead?.offset === offset ? this.#ahead.answer : this.#source.pull(offset, brokerId, now);
    this.#ahead = undefined;
    const next = offset + this.#stride;
    if (this.#isSteady && next + this.#stride <= this.#end && this.#source.mayPullAhead()) {
      this.#ahead = { offset: next, answer: this.#source.pull(next, brokerId, now) };
      this.#ahead.answer.catch(() => {}); // whoever asks for it is told
    }
    return answer;
  }

  /** Learns from an answer with messages, to a pull from `offset` on. */
  learn(offset: number, { bytes, nextOffset, maxOffset, rest }: PullAnswer<T>): void {
    const stride = nextOffset - offset;
    this.#isSteady = stride > 0 && stride === this.#stride && rest === undefined && bytes <= LARGE_ANSWER;
    this.#stride = stride;
    this.#end = maxOffset;
  }

  /** Forgets what is on its way, and what was learned. */
  reset(): void {
    this.#ahead = undefined;
    this.#isSteady = false;
    this.#stride = 0;
  }
}
