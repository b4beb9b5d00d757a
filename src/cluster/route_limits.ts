/**
 * How much of a route is believed, and how what was left out is named.
 *
 * @module
 */

import { shown as shownIn } from "../plain_text.ts";

/** The most queues of one topic, over all brokers: a larger number is a mistake, and would fill the memory. */
export const MOST_QUEUES = 65_536;
/** The most brokers of one topic. */
export const MOST_BROKERS = 1_024;
/** The most replicas of one broker: each of them gets heartbeats. */
export const MOST_REPLICAS = 64;

/** The most addresses of one topic, over all brokers; each broker keeps one at least. */
export const MOST_ADDRESSES = 4_096;
/** The most characters of a broker's name: each of its queues has it. */
export const LONGEST_NAME = 255;
/** The most characters of an address: those of a host's name, and a port. */
export const LONGEST_ADDRESS = 260;

/** How many things a text names before it only counts them. */
const MOST_NAMED = 5;
/** How many characters of a server's value a text shows. */
const MOST_SHOWN = 60;

/** A list for a text: the first few are named, the others only counted. */
export class ShortList {
  /** How many there are. */
  count = 0;
  #first: string[] = [];

  /** Adds one. */
  add(text: string): void {
    if (this.count++ < MOST_NAMED) this.#first.push(text);
  }

  /** The list as a text. */
  toString(): string {
    const rest = this.count - this.#first.length;
    return this.#first.join(", ") + (rest > 0 ? ` and ${rest} more` : "");
  }
}

/** A server's value as events and errors show it. */
export function shown(value: unknown): string {
  return shownIn(value, MOST_SHOWN);
}
