/**
 * Work that is done again and again, one run at a time.
 *
 * @module
 */

/** Runs work on a timer, and at once when asked to; who asks during a run gets another. */
export class RepeatedWork {
  #work: () => Promise<number>;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #running: Promise<void> | undefined;
  #again = false;
  #stopped = false;

  /** `work` gives the milliseconds after which it is due again, if nobody asks before; it must not reject. */
  constructor(work: () => Promise<number>) {
    this.#work = work;
  }

  /** Whether there are no more runs: one that is under way should have no effect. */
  get isStopped(): boolean {
    return this.#stopped;
  }

  /** Runs now; resolves when a run that began after this call is complete. */
  async run(): Promise<void> {
    if (this.#running !== undefined) this.#again = true;
    else this.#running = this.#loop().finally(() => this.#running = undefined);
    await this.#running;
  }

  /** Ends the runs; resolves when the one under way is complete. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.#running;
  }

  async #loop(): Promise<void> {
    clearTimeout(this.#timer);
    let nextIn: number;
    do {
      this.#again = false;
      if (this.#stopped) return;
      nextIn = await this.#work();
    } while (this.#again);
    if (!this.#stopped) this.#timer = setTimeout(() => this.run(), nextIn);
  }
}
