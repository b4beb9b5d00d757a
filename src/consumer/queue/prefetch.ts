/**
 * Two pulls of a queue on their way at a time, where it holds much more.
 *
 * @module
 */

import type { PullAnswer } from "./puller.ts";
import { inBackground, unheard } from "../../owned_work.ts";

/** From this size of answers on, in bytes, reading them takes longer than waiting for the next, and memory counts. */
const LARGE_ANSWER = 64 * 1024;

/** Where answers come from. */
export interface PullSource<T = unknown> {
  /** For how many messages there is room that was taken for the last pull. */
  readonly asked: number;
  /** Makes one pull, at a time by the monotonic clock; an answer with a rest is asked for that before the next. */
  pull(offset: number, brokerId: number, now: number): Promise<PullAnswer<T>>;
  /** Whether it pays to have another pull leave before the next is answered, and both fit; takes room for it. */
  mayPrefetch(): boolean;
  /** Releases the room that was taken for an answer of so many messages. */
  answered(asked: number): void;
}

/**
 * Guesses where the next pull but one begins, and has it leave early: a broker that waits for our next request does
 * nothing, and we do nothing while we wait for its answer.
 *
 * It guesses only where answers are not large and have had the same number of offsets twice, and where the queue is
 * known to hold what the pull asks for, so that the broker never holds it. A wrong guess costs the broker one read; its
 * answer is dropped.
 */
export class Prefetch<T = unknown> {
  #source: PullSource<T>;
  #ahead: { readonly offset: number; readonly asked: number; readonly answer: Promise<PullAnswer<T>> } | undefined;
  #asked = 0;
  /** How many offsets the last answer covered, and whether the one before covered as many. */
  #stride = 0;
  #isSteady = false;
  /** The end of the queue, as far as it is known. */
  #end = 0;

  /** Makes one with nothing on its way. */
  constructor(source: PullSource<T>) {
    this.#source = source;
  }

  /** For how many messages there is room that was taken for the last answer given. */
  get asked(): number {
    return this.#asked;
  }

  /** Whether the pull from `offset` on has left. */
  has(offset: number): boolean {
    return this.#ahead?.offset === offset;
  }

  /** The answer to a pull from `offset` on, which leaves now or has left before. */
  pull(offset: number, brokerId: number, now: number): Promise<PullAnswer<T>> {
    const ahead = this.has(offset) ? this.#ahead : undefined;
    if (ahead === undefined) this.#drop();
    this.#ahead = undefined;
    const answer = ahead?.answer ?? this.#source.pull(offset, brokerId, now);
    this.#asked = ahead?.asked ?? this.#source.asked;
    const next = offset + this.#stride;
    if (this.#isSteady && next + this.#stride <= this.#end && this.#source.mayPrefetch()) {
      const answer = this.#source.pull(next, brokerId, now);
      inBackground(answer, unheard); // whoever requests it receives the failure
      this.#ahead = { offset: next, asked: this.#source.asked, answer };
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
    this.#drop();
    this.#isSteady = false;
    this.#stride = 0;
  }
  #drop(): void {
    if (this.#ahead !== undefined) this.#source.answered(this.#ahead.asked);
    this.#ahead = undefined;
  }
}
