/**
 * One timer for everything that happens later.
 *
 * @module
 */

/** Something that has work at a later time. */
export interface Job {
  /** When it has work next, in milliseconds since 1970; `Infinity` if it has none. */
  nextDue(): number;
  /** Does all work that is due. */
  run(now: number): void;
}

/** The longest wait that every runtime's timers take. */
const LONGEST = 2_000_000_000;

/** Runs jobs when they are due, with one timer for all of them and none while no job has work. */
export class Timetable {
  #jobs: Job[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;
  #due = Infinity;
  #running = false;

  /** Adds a job. */
  add(job: Job): void {
    this.#jobs.push(job);
  }

  /** Begins, or goes on after {@linkcode stop}. */
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

  /** To be called when a job got work that is due at `due`. */
  announce(due: number): void {
    if (due < this.#due) this.#arm(due);
  }

  #arm(due: number): void {
    if (!this.#running) return;
    clearTimeout(this.#timer);
    this.#due = due;
    if (due === Infinity) return;
    const wait = Math.min(LONGEST, Math.max(1, due - Date.now()));
    this.#timer = setTimeout(() => this.#fire(), wait);
  }

  #fire(): void {
    const now = Date.now();
    this.#due = Infinity;
    for (const job of this.#jobs) if (job.nextDue() <= now) job.run(now);
    this.#arm(Math.min(...this.#jobs.map((job) => job.nextDue())));
  }
}
