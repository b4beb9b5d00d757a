/**
 * How many messages a place is asked for whose answers were too large.
 *
 * @module
 */

import { placeKey, type PopPlace } from "../../brokers/pop_client.ts";

/** The most messages of one pop. */
const MOST = 32;

/** Halves the count of a place for each answer that is too large, and raises it by one for each that fits. */
export class PopSizes {
  #limits = new Map<string, number>();

  /** How many to ask for, at most `max`. */
  count(place: PopPlace, max: number): number {
    if (this.#limits.size === 0) return max;
    return Math.min(max, this.#limits.get(placeKey(place)) ?? max);
  }

  /** Notes that an answer to a pop of `count` was too large; false if there is no smaller one. */
  halve(place: PopPlace, count: number): boolean {
    this.#limits.set(placeKey(place), Math.max(1, count >> 1));
    return count > 1;
  }

  /** Notes that an answer to a pop of `count` has fitted. */
  raise(place: PopPlace, count: number): void {
    if (this.#limits.size === 0) return;
    const key = placeKey(place);
    const limit = this.#limits.get(key);
    if (limit === undefined || count < limit) return;
    if (limit + 1 < MOST) this.#limits.set(key, limit + 1);
    else this.#limits.delete(key);
  }
}
