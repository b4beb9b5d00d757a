/**
 * Waiting: for a time, or for something no longer than a time.
 *
 * Ours, though `@std/async` has the like: the package depends on nothing, so that it runs from a checkout on every
 * runtime.
 *
 * @module
 */

import { setImmediate } from "node:timers";
import { inBackground, unheard } from "./owned_work.ts";

/** Lets the event loop turn once: sockets and timers that are due come first. A timer of 0 ms takes 1 ms or 2. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Resolves after `ms` milliseconds; rejects with the signal's reason when it aborts before. */
export function delay(ms: number, options: { signal?: AbortSignal | undefined } = {}): Promise<void> {
  const { signal } = options;
  if (signal?.aborted) return Promise.reject(signal.reason);
  return new Promise((resolve, reject) => {
    const abort = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", abort);
      resolve();
    }, ms);
    signal?.addEventListener("abort", abort, { once: true });
  });
}

/** Lets some do their work at a time, in the order in which they came. */
export class Semaphore {
  #free: number;
  #line: (() => void)[] = [];

  /** Makes a gate for `width` at a time. */
  constructor(width: number) {
    this.#free = width;
  }

  /** Does work when it is its turn. */
  async pass<T>(work: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free--;
    else await new Promise<void>((resolve) => this.#line.push(resolve));
    try {
      return await work();
    } finally {
      const next = this.#line.shift();
      if (next === undefined) this.#free++;
      else next();
    }
  }
}

/** Waits for work that goes on whether or not it is waited for, at most `ms` milliseconds; rejects as it does. */
export async function atMost(work: Promise<unknown>, ms: number): Promise<void> {
  const enough = new AbortController();
  try {
    await Promise.race([work, delay(ms, { signal: enough.signal }).catch(() => {})]);
  } finally {
    enough.abort();
  }
}

/** How {@linkcode waitFor} ends early. */
export interface WaitForOptions {
  /** After so many milliseconds. @default {never} */
  readonly ms?: number;
  /** What it rejects with then. */
  readonly late?: () => unknown;
  /** When it aborts, with its reason. */
  readonly signal?: AbortSignal | undefined;
}

/** Gives what work gives that belongs to others: giving up does not end it. */
export async function waitFor<T>(work: Promise<T>, options: WaitForOptions): Promise<T> {
  const { ms, late, signal } = options;
  if (signal?.aborted) {
    inBackground(work, unheard); // nobody waits for it
    throw signal.reason;
  }
  let giveUp!: (reason: unknown) => void;
  const gaveUp = new Promise<never>((_, reject) => giveUp = reject);
  const timer = ms === undefined ? undefined : setTimeout(() => giveUp(late?.()), Math.max(0, ms));
  const abort = () => giveUp(signal?.reason);
  signal?.addEventListener("abort", abort, { once: true });
  try {
    return await Promise.race([work, gaveUp]);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", abort);
  }
}
