import nodeAssert from "node:assert/strict";
import { inspect, isDeepStrictEqual } from "node:util";
import { AssertionError, suffix } from "./assertion_error.ts";

/**
 * Asserts that two values have the same structure.
 *
 * Three cases differ from the published package, so tests keep off them: 0 and -0, an object without a prototype and
 * a plain one (equal there, not here), two errors with one message (equal here, not there).
 */
export function assertEquals<T>(actual: T, expected: T, msg?: string): void {
  if (isDeepStrictEqual(actual, expected)) return;
  throw new AssertionError(`Values are not equal${suffix(msg)}\n${difference(actual, expected)}`);
}

/** Asserts that two values differ in structure. */
export function assertNotEquals<T>(actual: T, expected: T, msg?: string): void {
  if (!isDeepStrictEqual(actual, expected)) return;
  throw new AssertionError(`Expected actual: ${inspect(actual)} not to be: ${inspect(expected)}${suffix(msg)}`);
}

/** Asserts that two values are the same one, by `Object.is`. */
export function assertStrictEquals<T>(actual: unknown, expected: T, msg?: string): asserts actual is T {
  if (Object.is(actual, expected)) return;
  throw new AssertionError(`Values are not strictly equal${suffix(msg)}\n${inspect(actual)}\n${inspect(expected)}`);
}

/** An array, typed array or the like; not a string. */
export type ArrayLikeArg<T> = ArrayLike<T> & object;

/** Asserts that every element of `expected` is somewhere in `actual`. */
export function assertArrayIncludes<T>(actual: ArrayLikeArg<T>, expected: ArrayLikeArg<T>, msg?: string): void {
  const held = Array.from(actual);
  const missing = Array.from(expected).filter((item) => !held.some((other) => isDeepStrictEqual(item, other)));
  if (missing.length === 0) return;
  throw new AssertionError(
    `Expected actual: ${inspect(actual)} to include: ${inspect(expected)}${suffix(msg)}\nmissing: ${inspect(missing)}`,
  );
}

/** The line by line difference, which node:assert already knows how to draw. */
function difference(actual: unknown, expected: unknown): string {
  try {
    nodeAssert.deepStrictEqual(actual, expected);
  } catch (error) {
    if (error instanceof Error) return error.message;
  }
  return `${inspect(actual)}\n${inspect(expected)}`;
}
