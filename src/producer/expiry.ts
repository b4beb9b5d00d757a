/**
 * The timeouts of many waits.
 *
 * @module
 */

import { type Placed, PlacedList } from "../placed_list.ts";
import type { Deadline } from "../sending/deadline.ts";

/** Something that waits until its deadline at the most. */
export interface Expiring extends Placed {
  /** The deadline. */
  readonly deadline: Deadline;
}

/** Ends waits whose deadline has passed. One timer serves all: it is set for the earliest, and checks all of them. */
export class Expiry<T extends Expiring> {
  #waits = new PlacedList<T>();
  #onLate: (wait: T) => void;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #due = Infinity;
  #isClosing = false;

  /** Makes an empty set of waits; `onLate` has to end a wait and to delete it. */
  constructor(onLate: (wait: T) => void) {
    this.#onLate = onLate;
  }

  /** Adds a wait. */
  add(wait: T): void {
    this.#waits.add(wait);
    this.#watch(wait.deadline.end);
  }

  /** Removes a wait that has ended. */
  delete(wait: T): void {
    this.#waits.delete(wait);
    if (this.#isClosing) this.#stop();
  }

  /** Keeps no timer without a wait: before, the next wait might use it. */
  close(): void {
    this.#isClosing = true;
    this.#stop();
  }

  #stop(): void {
    if (this.#waits.size > 0) return;
    clearTimeout(this.#timer);
    this.#due = Infinity;
  }

  #watch(end: number): void {
    if (end >= this.#due) return;
    clearTimeout(this.#timer);
    this.#due = end;
    this.#timer = setTimeout(() => this.#expire(), Math.max(1, end - performance.now()));
  }

  #expire(): void {
    this.#due = Infinity;
    const now = performance.now();
    let next = Infinity;
    for (const wait of this.#waits) {
      if (wait.deadline.end > now) next = Math.min(next, wait.deadline.end);
      else this.#onLate(wait);
    }
    if (next < Infinity) this.#watch(next);
  }
}
