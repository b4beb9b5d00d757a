/**
 * Work that nobody waits for, and functions of users: what fails in them has an owner, and ends there.
 *
 * @module
 */

import { RocketMQError } from "./errors.ts";

/** Lets work go on that nobody waits for: if it fails, `failed` is called with the error, and nothing else happens. */
export function inBackground(work: Promise<unknown>, failed: (error: unknown) => void): void {
  work.then(undefined, (error) => {
    try {
      failed(error);
    } catch {
      // What was to report it has failed too, and nothing else is left.
    }
  });
}

/** Takes a failure that is reported elsewhere, or that changes nothing for anybody. */
export function unheard(): void {}

/**
 * Takes all steps of an ending, one after the other, whatever becomes of those before: `failed` is called with what
 * each throws, or rejects with. Up to the first step that takes time it is done at once.
 */
export async function inAnyCase(steps: readonly (() => unknown)[], failed: (error: unknown) => void): Promise<void> {
  for (const step of steps) {
    try {
      const result = step();
      if (isPromise(result)) await result;
    } catch (error) {
      failed(error);
    }
  }
}

/**
 * What a function of the user's has returned, where no promise is waited for.
 *
 * @throws {RocketMQError} `CALLBACK_FAILED` if it is a promise, whose own failure is heard then
 */
export function notAPromise<T>(result: T, name: string): T {
  if (!isPromise(result)) return result;
  inBackground(Promise.resolve(result), unheard);
  throw new RocketMQError(`Cannot use what ${name} has returned: it is a promise, which is not waited for here`, {
    code: "CALLBACK_FAILED",
  });
}

/** Whether a value can be waited for. */
export function isPromise(value: unknown): value is PromiseLike<unknown> {
  return typeof value === "object" && value !== null && "then" in value && typeof value.then === "function";
}
