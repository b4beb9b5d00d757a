/**
 * One timer for all work that is due later.
 *
 * @module
 */

/** A part of a broker that has work due at a later time. */
export interface Job {
  /** When its next work is due, in milliseconds since 1970; `Infinity` without work. */
  nextDue(): number;
  /** Does all work that is due. */
  run(now: number): void;
}

/** The longest delay that the timers of every runtime accept. */
const LONGEST_DELAY = 2_000_000_000;

/** Runs jobs when they are due: one timer for all of them, and none while no job has work. */
export class Scheduler {
  #jobs: Job[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;
  #due = Infinity;
  #running = false;

  /** Adds jobs. */
  add(...jobs: readonly Job[]): void {
    this.#jobs.push(...jobs);
  }

  /** Starts, or starts again after {@linkcode stop}. */
  start(): void {
    this.#running = true;
    this.#arm(Math.min(...this.#jobs.map((job) => job.nextDue())));
  }

  /** Clears the timer; jobs keep their work. */
  stop(): void {
    this.#running = false;
    clearTimeout(this.#timer);
    this.#due = Infinity;
  }

  /** Called by a job that has new work, due at `due`. */
  schedule(due: number): void {
    if (due < this.#due) this.#arm(due);
  }

  #arm(due: number): void {
    if (!this.#running) return;
    clearTimeout(this.#timer);
    this.#due = due;
    if (due === Infinity) return;
    const delay = Math.min(LONGEST_DELAY, Math.max(1, due - Date.now()));
    this.#timer = setTimeout(() => this.#fire(), delay);
  }

  #fire(): void {
    const now = Date.now();
    this.#due = Infinity;
    for (const job of this.#jobs) if (job.nextDue() <= now) job.run(now);
    this.#arm(Math.min(...this.#jobs.map((job) => job.nextDue())));
  }
}
