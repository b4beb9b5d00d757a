/**
 * Options of calls that wait.
 *
 * @module
 */

import { OptionsCheck } from "../options.ts";

/** The longest wait that may be asked for: what a timer can take, in milliseconds. */
const LONGEST = 0x7fffffff;

/** How long a call waits. */
export interface WaitOptions {
  /** Milliseconds, 0 to 2 147 483 647. */
  timeout?: number | undefined;
  /** Ends the wait when it aborts, with its reason. */
  signal?: AbortSignal | undefined;
}

/**
 * Fills in the default.
 *
 * @throws {ConfigError} naming every problem
 */
export function checkWaitOptions(
  action: string,
  options: WaitOptions,
  fallback: number,
): { timeout: number; signal: AbortSignal | undefined } {
  const check = new OptionsCheck(action);
  check.known(options, ["timeout", "signal"]);
  const timeout = check.integer("timeout", options.timeout, fallback, 0, LONGEST, "ms");
  check.shape("signal", options.signal, "an AbortSignal", (value) => value instanceof AbortSignal);
  check.done();
  return { timeout, signal: options.signal };
}
