/**
 * The time that one send has, and the ways to wait within it.
 *
 * @module
 */

import { TimeoutError } from "../errors.ts";

/** An end in time, and a signal that may come before it. It has no timer of its own. */
export class Deadline {
  /** How long it was from the beginning, in milliseconds. */
  readonly timeout: number;
  /** Ends every wait early, with its reason. */
  readonly signal: AbortSignal | undefined;
  #end: number;

  /** Begins now. */
  constructor(timeout: number, signal?: AbortSignal) {
    this.timeout = timeout;
    this.signal = signal;
    this.#end = performance.now() + timeout;
  }

  /** How many milliseconds are left; 0 or less if none are. */
  get left(): number {
    return this.#end - performance.now();
  }

  /**
   * Waits for work that goes on whether or not it is waited for.
   *
   * @param action what is waited for, as errors name it: `"ask for a route"`
   * @throws {TimeoutError} when the time is over; the signal's reason when it aborts
   */
  async wait<T>(work: Promise<T>, action: string): Promise<T> {
    const alarm = setAlarm(this.left, this.signal);
    const late = alarm.done.then((): never => {
      throw new TimeoutError(action, this.timeout);
    });
    try {
      return await Promise.race([work, late]);
    } finally {
      alarm.clear();
    }
  }

  /** Lets some milliseconds pass, never more than are left; rejects with the signal's reason when it aborts. */
  async pause(milliseconds: number): Promise<void> {
    const alarm = setAlarm(Math.min(milliseconds, this.left), this.signal);
    try {
      await alarm.done;
    } finally {
      alarm.clear();
    }
  }
}

interface Alarm {
  /** Resolves when the time is over, rejects when the signal aborts. Never settles once cleared. */
  readonly done: Promise<void>;
  /** Takes timer and listener away. */
  clear(): void;
}

function setAlarm(milliseconds: number, signal: AbortSignal | undefined): Alarm {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let abort = (): void => {};
  const done = new Promise<void>((resolve, reject) => {
    abort = () => reject(signal?.reason);
    if (signal?.aborted) abort();
    else timer = setTimeout(resolve, Math.max(0, milliseconds));
  });
  signal?.addEventListener("abort", abort, { once: true });
  const clear = () => {
    clearTimeout(timer);
    signal?.removeEventListener("abort", abort);
  };
  return { done, clear };
}
