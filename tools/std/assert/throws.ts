import { AssertionError, suffix } from "./assertion_error.ts";

// deno-lint-ignore no-explicit-any
type ErrorClass<E extends Error> = abstract new (...args: any[]) => E;

/** Asserts that a function throws, and returns what it threw. */
export function assertThrows(fn: () => unknown, msg?: string): unknown;
/** Asserts that a function throws an error of a class, whose message may have to hold some words. */
export function assertThrows<E extends Error = Error>(
  fn: () => unknown,
  type: ErrorClass<E>,
  msgIncludes?: string,
  msg?: string,
): E;
export function assertThrows<E extends Error = Error>(
  fn: () => unknown,
  typeOrMsg?: ErrorClass<E> | string,
  msgIncludes?: string,
  msg?: string,
): unknown {
  try {
    fn();
  } catch (error) {
    return checked(error, typeOrMsg, msgIncludes, msg);
  }
  throw new AssertionError(`Expected function to throw${suffix(typeof typeOrMsg === "string" ? typeOrMsg : msg)}`);
}

/** Asserts that a function returns a promise that rejects, and resolves with the reason. */
export function assertRejects(fn: () => PromiseLike<unknown>, msg?: string): Promise<unknown>;
/** Asserts that a promise rejects with an error of a class, whose message may have to hold some words. */
export function assertRejects<E extends Error = Error>(
  fn: () => PromiseLike<unknown>,
  type: ErrorClass<E>,
  msgIncludes?: string,
  msg?: string,
): Promise<E>;
export async function assertRejects<E extends Error = Error>(
  fn: () => PromiseLike<unknown>,
  typeOrMsg?: ErrorClass<E> | string,
  msgIncludes?: string,
  msg?: string,
): Promise<unknown> {
  const words = suffix(typeof typeOrMsg === "string" ? typeOrMsg : msg);
  const promise = started(fn, words);
  try {
    await promise;
  } catch (error) {
    return checked(error, typeOrMsg, msgIncludes, msg);
  }
  throw new AssertionError(`Expected function to reject${words}`);
}

/** Throwing before there is a promise is not rejecting: callers that use `.catch()` would miss it. */
function started(fn: () => PromiseLike<unknown>, words: string): PromiseLike<unknown> {
  let promise: PromiseLike<unknown> | undefined;
  let cause: unknown;
  try {
    promise = fn();
  } catch (error) {
    cause = error;
  }
  if (typeof promise?.then === "function") return promise;
  throw new AssertionError(`Function throws when expected to reject${words}`, { cause });
}

function checked<E extends Error>(
  error: unknown,
  typeOrMsg: ErrorClass<E> | string | undefined,
  msgIncludes: string | undefined,
  msg: string | undefined,
): unknown {
  if (typeof typeOrMsg !== "function") return error;
  if (!(error instanceof Error)) throw new AssertionError(`A non-Error object was thrown${suffix(msg)}`);
  if (!(error instanceof typeOrMsg)) {
    const found = `Expected error to be instance of "${typeOrMsg.name}", but was "${error.constructor.name}"`;
    throw new AssertionError(`${found}${suffix(msg)}`, { cause: error });
  }
  if (msgIncludes !== undefined && !error.message.includes(msgIncludes)) {
    const found = `Expected error message to include ${JSON.stringify(msgIncludes)}, but got "${error.message}"`;
    throw new AssertionError(`${found}${suffix(msg)}`, { cause: error });
  }
  return error;
}
