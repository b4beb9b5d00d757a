/**
 * How often the same may be said.
 *
 * @module
 */

/** How many keys are told apart; what comes then shares one for each kind. */
const MOST_KEYS = 1_000;

/** What is known of one key. */
export interface PaceEntry<T> {
  /** Its key. */
  readonly key: string;
  /** When its interval began. */
  start: number;
  /** How many have passed in it. */
  passed: number;
  /** How many have not passed since one did. */
  leftOut: number;
  /** The last of those that have not passed. */
  held: T | undefined;
}

/** Lets a number of things of one key pass in an interval, and counts the others. Its memory is bounded. */
export class Pace<T> {
  #most: number;
  #interval: number;
  /** Those whose interval began first come first. */
  #entries = new Map<string, PaceEntry<T>>();

  /** Makes one that lets `most` things of a key pass in `interval` milliseconds. */
  constructor(most: number, interval: number) {
    this.#most = most;
    this.#interval = interval;
  }

  /**
   * Whether one more may pass: then how many were left out before it, else undefined.
   *
   * @param kind what is told apart even if there are too many keys
   */
  pass(kind: string, place: string, thing: T, now: number): number | undefined {
    const entry = this.#entryOf(kind, place, now);
    if (this.#isOver(entry, now)) this.#beginAgain(entry, now);
    if (entry.passed < this.#most) return this.#passed(entry);
    entry.leftOut++;
    entry.held = thing;
    return undefined;
  }

  /** What was held back and may pass now, with how many were left out beside it. */
  *due(now: number, all = false): Generator<readonly [T, number]> {
    for (const entry of [...this.#entries.values()]) {
      const { held } = entry;
      if (held === undefined || !(all || this.#isOver(entry, now))) continue;
      this.#beginAgain(entry, now);
      yield [held, this.#passed(entry) - 1];
    }
  }

  /** Whether something is held back. */
  get isHolding(): boolean {
    return [...this.#entries.values()].some(({ held }) => held !== undefined);
  }

  /** Forgets everything. */
  clear(): void {
    this.#entries.clear();
  }

  #beginAgain(entry: PaceEntry<T>, now: number): void {
    entry.start = now;
    entry.passed = 0;
    this.#entries.delete(entry.key);
    this.#entries.set(entry.key, entry);
  }

  #passed(entry: PaceEntry<T>): number {
    const { leftOut } = entry;
    entry.passed++;
    entry.leftOut = 0;
    entry.held = undefined;
    return leftOut;
  }

  /** Also if the clock was set back. */
  #isOver({ start }: PaceEntry<T>, now: number): boolean {
    return Math.abs(now - start) >= this.#interval;
  }

  #entryOf(kind: string, place: string, now: number): PaceEntry<T> {
    const key = `${kind} ${place}`;
    const known = this.#entries.get(key);
    if (known !== undefined) return known;
    if (this.#entries.size >= MOST_KEYS && !this.#forgetOldest(now) && place !== "") {
      return this.#entryOf(kind, "", now);
    }
    const entry: PaceEntry<T> = { key, start: now, passed: 0, leftOut: 0, held: undefined };
    this.#entries.set(key, entry);
    return entry;
  }

  /** Whether there is room now: the oldest key whose interval is over is forgotten. */
  #forgetOldest(now: number): boolean {
    for (const [key, entry] of this.#entries) {
      if (!this.#isOver(entry, now) || entry.held !== undefined) return false;
      this.#entries.delete(key);
      return true;
    }
    return false;
  }
}
