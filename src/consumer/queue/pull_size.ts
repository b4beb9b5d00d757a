/**
 * For how many messages a pull asks.
 *
 * @module
 */

/** After so many answers with messages a pull asks for one more again. */
const GROW_AFTER = 8;

/** Asks for fewer messages where answers become larger than a frame may be, and slowly for more again. */
export class PullSize {
  readonly #most: number;
  #count: number;
  #answers = 0;

  /** Begins with the most messages that a pull may ask for. */
  constructor(most: number) {
    this.#most = most;
    this.#count = most;
  }

  /** How many messages the next pull asks for. */
  get count(): number {
    return this.#count;
  }

  /** Notes an answer that was too large; false if a pull cannot ask for less. */
  halve(): boolean {
    this.#answers = 0;
    if (this.#count === 1) return false;
    this.#count = Math.ceil(this.#count / 2);
    return true;
  }

  /** Notes an answer with messages. */
  arrived(): void {
    if (this.#count === this.#most || ++this.#answers < GROW_AFTER) return;
    this.#answers = 0;
    this.#count++;
  }
}
