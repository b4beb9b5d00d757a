/**
 * The pulls of one queue, one after the other.
 *
 * @module
 */

import type { BrokenRecord } from "../../wire/record.ts";
import type { ProcessQueue } from "./process_queue.ts";
import { delayAfter, IDLE_DELAY, UnheldAnswers } from "./pull_pace.ts";
import type { PullAnswer } from "./puller.ts";
import { Prefetch, type PullSource } from "./prefetch.ts";
import { inBackground } from "../../owned_work.ts";

/**
 * What a {@linkcode PullLoop} works with. More than a few functions, as one object has them all: the flow of the queue,
 * which decides about room and faults, while the loop decides about time and order.
 */
export interface PullLoopContext<T = unknown> extends PullSource<T> {
  /** What the queue holds. */
  readonly process: ProcessQueue<T>;
  /** Milliseconds between two pulls. */
  readonly interval: number;
  /** How long an answer may take, in milliseconds. */
  readonly timeout: number;
  /**
   * Whether one more answer fits, and the queue is not paused; takes room for it, unless its pull has left before.
   *
   * @param hasLeft whether the answer is on its way, or what is left of the last one
   */
  mayPull(hasLeft: boolean): boolean;
  /** Releases the room that was taken for an answer of so many messages, which is here if there was one. */
  answered(asked: number, answer?: PullAnswer<T>): void;
  /**
   * Called with new messages in the process queue, after the next pull has left: when the last was stored, by the
   * broker's clock, and when they were received, by the monotonic one.
   */
  onMessages(newestStoredAt: number, receivedAt: number): void;
  /** Called with records that cannot be read, before the messages of their answer are in the process queue. */
  onBroken(broken: readonly BrokenRecord[]): void;
  /** The broker does not have the position: when to go on, in milliseconds; undefined if another epoch begins. */
  onMoved(answer: PullAnswer<T>): number | undefined;
  /**
   * Called with an error: how long to wait, in milliseconds, or undefined for as long as is usual after such an error.
   *
   * @param isFirst whether an answer came before; errors that follow each other are the same story
   */
  onError(error: unknown, isFirst: boolean): number | undefined;
  /** Called with an answer that brings messages, or none, and leaves the position where it was; once until it moves. */
  onStandstill(answer: PullAnswer<T>): void;
}

/** What a loop waits for, and since when, by the monotonic clock. */
export type PullWait = "nothing" | "answer" | "interval" | "room" | "error" | "move";

/**
 * Pulls one queue for as long as there is room, from the process queue's position on. Answers are taken in the order of
 * their offsets, also where a second pull has left early.
 *
 * The next pull leaves as soon as an answer's messages are in the process queue, before they are delivered. Of an
 * answer that comes in parts, each is asked for when there is room for it, as if it were a pull.
 */
export class PullLoop<T = unknown> {
  #context: PullLoopContext<T>;
  #ahead: Prefetch<T>;
  /** Answers and timers of an earlier generation have no effect. */
  #generation = 0;
  #waitsFor: PullWait = "nothing";
  #since = performance.now();
  #brokerId = 0;
  /** What is left of the last answer, and for how many messages there is room. */
  #rest: { readonly next: NonNullable<PullAnswer<T>["rest"]>; readonly asked: number } | undefined;
  #unheld = new UnheldAnswers();
  #failing = false;
  /** Whether an answer that left the position where it was has been reported, and none that moved it came since. */
  #standsStill = false;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** Makes a loop that stands still until {@linkcode PullLoop.start}. */
  constructor(context: PullLoopContext<T>) {
    this.#context = context;
    this.#ahead = new Prefetch(context);
  }

  /** What the loop waits for; `"nothing"` while it is stopped. */
  get waitsFor(): PullWait {
    return this.#waitsFor;
  }

  /** Since when, by the monotonic clock. */
  get since(): number {
    return this.#since;
  }

  /** Whether an answer should have come or failed long ago: every other wait has its own end. */
  isOverdue(now: number, grace: number): boolean {
    return this.#waitsFor === "answer" && now - this.#since > this.#context.timeout + grace;
  }

  /** Begins, or begins anew: what is under way is forgotten. */
  start(): void {
    this.stop();
    this.#step();
  }

  /** Stops at once; the answer to the pull under way has no effect. */
  stop(): void {
    this.#generation++;
    if (this.#rest !== undefined) this.#context.answered(this.#rest.asked);
    this.#rest = undefined;
    this.#ahead.reset();
    clearTimeout(this.#timer);
    this.#await("nothing");
  }

  /** There may be room again. */
  wake(): void {
    if (this.#waitsFor === "room") this.#step();
  }

  #await(what: PullWait): void {
    this.#waitsFor = what;
    this.#since = performance.now();
  }

  #step(): void {
    const { position } = this.#context.process;
    const rest = this.#rest;
    if (!this.#context.mayPull(rest !== undefined || this.#ahead.has(position))) {
      this.#await("room");
      return;
    }
    this.#await("answer");
    const generation = this.#generation;
    this.#rest = undefined;
    const answer = rest?.next() ?? this.#ahead.pull(position, this.#brokerId, this.#since);
    const asked = rest?.asked ?? this.#ahead.asked;
    const taken = answer.then(
      (answer) => this.#answered(answer, asked, generation),
      (error) => {
        this.#context.answered(asked);
        if (generation === this.#generation) this.#fail(error);
      },
    );
    inBackground(taken, (error) => generation === this.#generation && this.#fail(error));
  }

  #answered(answer: PullAnswer<T>, asked: number, generation: number): void {
    const isWanted = generation === this.#generation;
    if (isWanted && answer.rest !== undefined) this.#rest = { next: answer.rest, asked };
    else this.#context.answered(asked, answer);
    if (isWanted) this.#take(answer);
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
    this.#await("move");
    const wait = this.#context.onMoved(answer);
    if (wait !== undefined) this.#stepIn(wait, "move");
  }

  #found(answer: PullAnswer<T>): void {
    const { process, interval } = this.#context;
    const before = process.position;
    this.#ahead.learn(before, answer);
    process.put(answer.messages, answer.nextOffset);
    if (process.position === before) {
      this.#standStill(answer);
      return;
    }
    this.#unheld.reset();
    this.#standsStill = false;
    this.#stepIn(answer.rest === undefined ? interval : 0, "interval");
    const newest = answer.messages.at(-1);
    if (newest !== undefined) this.#context.onMessages(newest.storedAt.getTime(), answer.receivedAt);
  }

  /** A broker that finds the same again and again, or nothing where it says that there is something. */
  #standStill(answer: PullAnswer<T>): void {
    this.#ahead.reset();
    if (!this.#standsStill) this.#context.onStandstill(answer);
    this.#standsStill = true;
    this.#stepIn(Math.max(IDLE_DELAY, this.#context.interval), "interval");
  }

  #empty(answer: PullAnswer<T>): void {
    const { process, interval } = this.#context;
    this.#ahead.reset();
    if (answer.nextOffset > process.position) {
      this.#unheld.reset();
      this.#standsStill = false;
    }
    const pause = this.#unheld.pauseAfter(performance.now() - this.#since);
    process.put([], answer.nextOffset);
    this.#stepIn(Math.max(pause, interval), "interval");
  }

  #fail(error: unknown): void {
    const wait = this.#context.onError(error, !this.#failing);
    this.#failing = true;
    this.#ahead.reset();
    this.#brokerId = 0; // a replica that fails must not keep us from the master
    this.#stepIn(wait ?? delayAfter(error), "error");
  }

  #stepIn(ms: number, why: PullWait): void {
    if (ms === 0) {
      this.#step();
      return;
    }
    this.#await(why);
    const generation = this.#generation;
    this.#timer = setTimeout(() => generation === this.#generation && this.#step(), ms);
  }
}
