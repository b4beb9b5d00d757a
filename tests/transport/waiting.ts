/** Waiting for conditions in tests: never for a time. */

import { AssertionError } from "@std/assert";

/** The real ones: tests that fake the time wait for sockets all the same. */
const { setTimeout, clearTimeout } = globalThis;

/** How long anything may take that has to happen, in milliseconds: a test that waits longer has failed. */
const PATIENCE = 15_000;
/** Between two looks at a condition that nobody announces, in milliseconds. */
const POLL_INTERVAL = 5;

/** Something that changes, and waits until a condition holds. */
export class Changes {
  #waiting = new Set<() => void>();

  /** Tells that something has changed. */
  notify(): void {
    for (const look of [...this.#waiting]) look();
  }

  /** Resolves when the condition holds; it is looked at now and after every change. */
  until(condition: () => boolean, what: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const finish = (settle: () => void) => {
        clearTimeout(timer);
        this.#waiting.delete(look);
        settle();
      };
      const look = () => condition() && finish(resolve);
      const timer = setTimeout(() => finish(() => reject(new AssertionError(`${what}: waited in vain`))), PATIENCE);
      this.#waiting.add(look);
      look();
    });
  }
}

/** Resolves when a condition holds that nobody announces: it is looked at every few milliseconds. */
export async function eventually(condition: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const started = performance.now();
  while (!await condition()) {
    if (performance.now() - started > PATIENCE) throw new AssertionError(`${what}: waited in vain`);
    await new Promise((resolve) => setTimeout(resolve, POLL_INTERVAL));
  }
}

/** Lets the event loop turn a few times, so that whatever is ready has run. */
export async function turns(count = 5): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setTimeout(resolve, 0));
}

/** Whether a promise has settled by now. */
export async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  let settled = false;
  promise.then(() => settled = true, () => settled = true);
  await turns();
  return settled;
}

/** Gathers rejections and errors that are not handled, which would end a program. */
export class Unheard {
  readonly reasons: unknown[] = [];

  constructor() {
    globalThis.addEventListener("unhandledrejection", this.#onRejection);
    globalThis.addEventListener("error", this.#onError);
  }

  #onRejection = (event: PromiseRejectionEvent): void => {
    event.preventDefault();
    this.reasons.push(event.reason);
  };

  #onError = (event: ErrorEvent): void => {
    event.preventDefault();
    this.reasons.push(event.error);
  };

  /** Resolves with all of them when everything that was rejected before is reported: that is before the next timer. */
  async reported(): Promise<readonly unknown[]> {
    await new Promise((resolve) => setTimeout(resolve));
    return this.reasons;
  }

  [Symbol.dispose](): void {
    globalThis.removeEventListener("unhandledrejection", this.#onRejection);
    globalThis.removeEventListener("error", this.#onError);
  }
}
