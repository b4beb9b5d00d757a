/**
 * Work that is done again and again, one run at a time.
 *
 * @module
 */

import { inBackground } from "../../owned_work.ts";

/** Between the beginnings of two runs that notices cause, in milliseconds: a storm of them costs five runs a second. */
const NOTICE_INTERVAL = 200;
/** After a run that has failed, in milliseconds. */
const AFTER_FAILURE = 1_000;

/** Runs work on a timer, soon after a notice, and at once on request. */
export class RepeatedWork {
  #work: () => Promise<number>;
  #failed: (error: unknown) => void;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** When the timer fires, by the monotonic clock. */
  #due = Infinity;
  #running: Promise<void> | undefined;
  /** The run after the one under way, once somebody has requested it. */
  #next: Promise<void> | undefined;
  #startedAt = -Infinity;
  /** Whether a notice came that no run has begun after. */
  #isNoticed = false;
  #stopped = false;

  /**
   * `work` returns the milliseconds after which it is due again, unless requested before; `failed` is called if it
   * rejects, and the next run follows all the same.
   */
  constructor(work: () => Promise<number>, failed: (error: unknown) => void) {
    this.#work = work;
    this.#failed = failed;
  }

  /** Whether there are no more runs: one that is under way should have no effect. */
  get isStopped(): boolean {
    return this.#stopped;
  }

  /** Runs now, or right after the run under way; resolves when that run is complete, whatever is requested later. */
  run(): Promise<void> {
    if (this.#running === undefined) return this.#start();
    this.#next ??= this.#running.then(() => this.#start());
    return this.#next;
  }

  /** Runs soon: notices that come close together share a run. */
  notice(): void {
    this.#isNoticed = true;
    if (this.#running === undefined) this.#schedule(this.#sinceLastRun());
  }

  /** Ends the runs; resolves when the one under way is complete. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.#running;
  }

  /** How long a notice has to wait. */
  #sinceLastRun(): number {
    return Math.max(0, this.#startedAt + NOTICE_INTERVAL - performance.now());
  }

  #start(): Promise<void> {
    this.#next = undefined;
    clearTimeout(this.#timer);
    this.#due = Infinity;
    if (this.#stopped) return Promise.resolve();
    return this.#running = this.#runOnce();
  }

  async #runOnce(): Promise<void> {
    this.#startedAt = performance.now();
    this.#isNoticed = false;
    const nextIn = await this.#work().catch((error) => this.#afterFailure(error));
    this.#running = undefined;
    this.#schedule(this.#isNoticed ? Math.min(nextIn, this.#sinceLastRun()) : nextIn);
  }

  #afterFailure(error: unknown): number {
    this.#failed(error);
    return AFTER_FAILURE;
  }

  #schedule(ms: number): void {
    const due = performance.now() + ms;
    if (this.#stopped || this.#next !== undefined || due >= this.#due) return;
    clearTimeout(this.#timer);
    this.#due = due;
    this.#timer = setTimeout(() => inBackground(this.run(), this.#failed), ms);
  }
}
