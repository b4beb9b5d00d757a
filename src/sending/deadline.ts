/**
 * The time that one send has, and the ways to wait within it.
 *
 * @module
 */

import { TimeoutError } from "../errors.ts";
import { delay, waitFor } from "../waiting.ts";

/** An end in time, and a signal that may come before it. It has no timer of its own. */
export class Deadline {
  /** The whole time, in milliseconds. */
  readonly timeout: number;
  /** Ends every wait early, with its reason. */
  readonly signal: AbortSignal | undefined;
  /** When the time is over, by the monotonic clock. */
  readonly end: number;

  /** Begins now, unless `end` is set. */
  constructor(timeout: number, signal?: AbortSignal, end: number = performance.now() + timeout) {
    this.timeout = timeout;
    this.signal = signal;
    this.end = end;
  }

  /** How many milliseconds are left; 0 or less if none are. */
  get left(): number {
    return this.end - performance.now();
  }

  /**
   * Waits for work, which continues after the deadline.
   *
   * @param action what the work does, for errors: `"request a route"`
   * @throws {TimeoutError} when the time is over; the signal's reason when it aborts
   */
  wait<T>(work: Promise<T>, action: string): Promise<T> {
    const late = () => new TimeoutError(action, this.timeout);
    return waitFor(work, { ms: this.left, late, signal: this.signal });
  }

  /** Waits some milliseconds, never more than are left; rejects with the signal's reason when it aborts. */
  pause(milliseconds: number): Promise<void> {
    return delay(Math.max(0, Math.min(milliseconds, this.left)), { signal: this.signal });
  }
}
