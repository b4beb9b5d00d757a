/**
 * The pulls of one queue, one after the other.
 *
 * @module
 */

import type { BrokenRecord } from "../wire/record.ts";
import type { ProcessQueue } from "./process_queue.ts";
import { delayAfter, UnheldAnswers } from "./pull_pace.ts";
import type { PullAnswer } from "./puller.ts";
import { type PullSource, ReadAhead } from "./read_ahead.ts";

/** What a {@linkcode PullLoop} works with. */
export interface PullLoopContext<T = unknown> extends PullSource<T> {
  /** What the queue holds. */
  readonly process: ProcessQueue<T>;
  /** Milliseconds between two pulls. */
  readonly interval: number;
  /** Whether one more answer fits, and the queue is not paused. */
  mayPull(): boolean;
  /**
   * Hears of new messages in the process queue, after the next pull has left: when the last was stored, by the
   * broker's clock, and when they were received, by the monotonic one.
   */
  onMessages(newestStoredAt: number, receivedAt: number): void;
  /** Hears of records that cannot be read, before the messages of their answer are in the process queue. */
  onBroken(broken: readonly BrokenRecord[]): void;
  /** The broker does not have the position: when to go on, in milliseconds; undefined if another epoch begins. */
  onMoved(answer: PullAnswer<T>): number | undefined;
  /** Hears of the first error after an answer; those that follow it are the same story. */
  onError(error: unknown): void;
}

/**
 * Pulls one queue for as long as there is room, from the process queue's position on. Answers are taken in the order of
 * their offsets, also where a second pull has left early.
 *
 * The next pull leaves as soon as an answer's messages are in the process queue, before they are handed out. Of an
 * answer that comes in parts, each is asked for when there is room for it, as if it were a pull.
 */
export class PullLoop<T = unknown> {
  #context: PullLoopContext<T>;
  #ahead: ReadAhead<T>;
  /** Answers and timers of an earlier generation have no effect. */
  #generation = 0;
  #state: "stopped" | "pulling" | "blocked" | "waiting" = "stopped";
  #since = performance.now();
  #brokerId = 0;
  /** What is left of the last answer. */
  #rest: PullAnswer<T>["rest"];
  #unheld = new UnheldAnswers();
  #failing = false;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** Makes a loop that stands still until {@linkcode PullLoop.start}. */
  constructor(context: PullLoopContext<T>) {
    this.#context = context;
    this.#ahead = new ReadAhead(context);
  }

  /** Since when the loop is in its state, by the monotonic clock. */
  get since(): number {
    return this.#since;
  }

  /** Whether an answer or the end of a wait is due: a loop without room, or stopped, waits for others. */
  get isBusy(): boolean {
    return this.#state === "pulling" || this.#state === "waiting";
  }

  /** Begins, or begins anew: what is under way is forgotten. */
  start(): void {
    this.stop();
    this.#step();
  }

  /** Stops at once; the answer to the pull under way has no effect. */
  stop(): void {
    this.#generation++;
    this.#rest = undefined;
    this.#ahead.reset();
    clearTimeout(this.#timer);
    this.#enter("stopped");
  }

  /** There may be room again. */
  wake(): void {
    if (this.#state === "blocked") this.#step();
  }

  #enter(state: "stopped" | "pulling" | "blocked" | "waiting"): void {
    this.#state = state;
    this.#since = performance.now();
  }

  #step(): void {
    if (!this.#context.mayPull()) {
      this.#enter("blocked");
      return;
    }
    this.#enter("pulling");
    const generation = this.#generation;
    const answer = this.#rest?.() ?? this.#ahead.pull(this.#context.process.position, this.#brokerId, this.#since);
    this.#rest = undefined;
    answer.then(
      (answer) => generation === this.#generation && this.#take(answer),
      (error) => generation === this.#generation && this.#fail(error),
    );
  }

  #take(answer: PullAnswer<T>): void {
    this.#brokerId = answer.brokerId;
    this.#failing = false;
    if (answer.broken.length > 0) this.#context.onBroken(answer.broken);
    if (answer.kind === "found") this.#found(answer);
    else if (answer.kind === "empty") this.#empty(answer);
    else this.#moved(answer);
  }

  #moved(answer: PullAnswer<T>): void {
    this.#ahead.reset();
    const wait = this.#context.onMoved(answer);
    if (wait !== undefined) this.#stepIn(wait);
  }

  #found(answer: PullAnswer<T>): void {
    this.#unheld.reset();
    this.#ahead.learn(this.#context.process.position, answer);
    this.#context.process.put(answer.messages, answer.nextOffset);
    this.#rest = answer.rest;
    this.#stepIn(answer.rest === undefined ? this.#context.interval : 0);
    const newest = answer.messages.at(-1);
    if (newest !== undefined) this.#context.onMessages(newest.storedAt.getTime(), answer.receivedAt);
  }

  #empty(answer: PullAnswer<T>): void {
    this.#ahead.reset();
    if (answer.nextOffset > this.#context.process.position) this.#unheld.reset();
    const pause = this.#unheld.pauseAfter(performance.now() - this.#since);
    this.#context.process.put([], answer.nextOffset);
    this.#stepIn(Math.max(pause, this.#context.interval));
  }

  #fail(error: unknown): void {
    if (!this.#failing) this.#context.onError(error);
    this.#failing = true;
    this.#ahead.reset();
    this.#brokerId = 0; // a replica that fails must not keep us from the master
    this.#stepIn(delayAfter(error));
  }

  #stepIn(ms: number): void {
    if (ms === 0) {
      this.#step();
      return;
    }
    this.#enter("waiting");
    const generation = this.#generation;
    this.#timer = setTimeout(() => generation === this.#generation && this.#step(), ms);
  }
}
