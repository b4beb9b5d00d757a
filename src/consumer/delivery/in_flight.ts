/**
 * The batches that are in flight, and the watch over how long they are.
 *
 * @module
 */

import { PlacedList } from "../../placed_list.ts";

/** A batch in flight. */
export interface InFlightBatch {
  /** Where it stands in the list of {@linkcode InFlightBatches}; −1 if it is in none. Kept by the list. */
  place: number;
  /** When it was delivered, by the monotonic clock. */
  readonly deliveredAt: number;
  /** When its time is over, by the monotonic clock. */
  readonly deadline: number;
  /** Whether settlements count. */
  readonly counts: boolean;
}

/** Keeps batches from their delivery to their settlement, with one timer for all. */
export class InFlightBatches<B extends InFlightBatch> {
  #batches = new PlacedList<B>();
  #onOver: (batch: B) => void;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #timerDue = Infinity;

  /** Makes it without a batch; `onOver` is called with one that is over its time, or that no longer counts by then. */
  constructor(onOver: (batch: B) => void) {
    this.#onOver = onOver;
  }

  /** How many count, and when the oldest of them was delivered, by the monotonic clock. */
  summary(): { batches: number; oldest: number | undefined } {
    let [batches, oldest] = [0, Infinity];
    for (const batch of this.#batches) {
      if (!batch.counts) continue;
      batches++;
      oldest = Math.min(oldest, batch.deliveredAt);
    }
    return { batches, oldest: batches === 0 ? undefined : oldest };
  }

  /** Takes a batch in. */
  add(batch: B): void {
    this.#batches.add(batch);
    this.watch(batch.deadline);
  }

  /** All messages of a batch are settled, or it is void. */
  delete(batch: B): void {
    this.#batches.delete(batch);
  }

  /** Looks at all batches at a time by the monotonic clock, if nothing is due before. */
  watch(deadline: number): void {
    if (this.#timer !== undefined && deadline >= this.#timerDue) return;
    clearTimeout(this.#timer);
    this.#timerDue = deadline;
    this.#timer = setTimeout(() => this.#look(), Math.max(1, deadline - performance.now()));
  }

  /** Ends the watch; `onLeft` is called with each batch that is still in flight. */
  close(onLeft?: (batch: B) => void): void {
    clearTimeout(this.#timer);
    for (const batch of this.#batches) {
      onLeft?.(batch);
      this.#batches.delete(batch);
    }
  }

  #look(): void {
    this.#timer = undefined;
    const now = performance.now();
    let next = Infinity;
    for (const batch of this.#batches) {
      if (batch.counts && batch.deadline > now) {
        next = Math.min(next, batch.deadline);
        continue;
      }
      this.#onOver(batch);
      this.#batches.delete(batch);
    }
    if (next !== Infinity) this.watch(next);
  }
}
