/**
 * How soon a place is popped again that gave nothing.
 *
 * @module
 */

/** Pops without progress leave so far apart, in milliseconds: five a second. */
export const FRUITLESS_INTERVAL = 200;
/** How many of them in a row are taken as they come: another member may have been faster. */
const FREE = 3;
/** After so many in a row something is wrong. */
const STALLED_AFTER = 25;

/**
 * Paces the pops of one place: what comes back at once and brings nothing, an error included, must not become a tight
 * loop.
 */
export class PopPace {
  #fruitless = 0;

  /** How many pops in a row were answered at once and brought nothing. */
  get fruitless(): number {
    return this.#fruitless;
  }

  /** Whether these are so many that something is wrong. */
  get isStalled(): boolean {
    return this.#fruitless >= STALLED_AFTER;
  }

  /** Notes a pop that has brought something. */
  progress(): void {
    this.#fruitless = 0;
  }

  /** Notes a pop that took `ms` milliseconds and brought nothing; returns the least pause before the next. */
  pauseAfter(ms: number): number {
    if (ms >= FRUITLESS_INTERVAL) { // the broker held it
      this.#fruitless = 0;
      return 0;
    }
    this.#fruitless++;
    return this.#fruitless > FREE ? FRUITLESS_INTERVAL - ms : 0;
  }
}
