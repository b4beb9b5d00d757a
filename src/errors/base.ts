/**
 * The root of all errors, and those of any part: bad values, timeouts, what is not supported.
 *
 * @module
 */

import { excerpt, plain, shown } from "../plain_text.ts";

/**
 * What every error of this package carries besides its message.
 *
 * @category Errors
 */
export interface RocketMQErrorOptions extends ErrorOptions {
  /** A stable, machine-readable name of the situation, in upper snake case. */
  code: string;
  /** Whether the same call may succeed later without a change by the caller. */
  retriable?: boolean;
}

/** How many problems one message names. */
const MOST_NAMED = 50;

/**
 * The root of all errors that this package throws on purpose.
 *
 * A message is one line of 8 000 characters at most; of a text that somebody else has written, such as a server's
 * remark or the value of an option, it has 200. Control characters and others that are not to be printed are escaped.
 *
 * @category Errors
 */
export class RocketMQError extends Error {
  /** The class's name, also after bundling. */
  override name = "RocketMQError";
  /** A stable, machine-readable name of the situation, in upper snake case: `"NO_NAME_SERVER"`. */
  readonly code: string;
  /** Whether the same call may succeed later without a change by the caller. */
  readonly retriable: boolean;

  /** Makes an error; `options.cause` keeps the error below it. */
  constructor(message: string, options: RocketMQErrorOptions) {
    super(plain(message), options);
    this.code = options.code;
    this.retriable = options.retriable ?? false;
  }
}

/**
 * One thing that is wrong with a value that the caller gave.
 *
 * @category Errors
 */
export interface Problem {
  /** Where the value stands: `"batchSize"`, `"topics.orders"`. */
  readonly field: string;
  /** The value as it was given. */
  readonly value: unknown;
  /** What is allowed there, in words. */
  readonly allowed: string;
  /** What is wrong, where "field is value, allowed is …" does not say it: a name that is unknown, a wrong argument. */
  readonly problem?: string;
}

/** Names the first problems; where there are too many, the last words say how many are left. */
export function describe(problems: readonly Problem[]): string {
  const named = problems.slice(0, MOST_NAMED).map(({ field, value, allowed, problem }) =>
    problem ?? `${excerpt(field)} is ${shown(value)}, allowed is ${allowed}`
  );
  const left = problems.length - named.length;
  return named.join("; ") + (left > 0 ? `; and ${left} more` : "");
}

/**
 * A value given by the caller is not allowed; all problems are named at once.
 *
 * @category Errors
 */
export class ValidationError extends RocketMQError {
  /** The class's name, also after bundling. */
  override name = "ValidationError";
  /** Every problem that was found. */
  readonly problems: readonly Problem[];

  /** Makes the error from its problems; `action` is what could not be done: `"create a consumer"`. */
  constructor(action: string, problems: readonly Problem[], code = "INVALID_VALUE") {
    super(`Cannot ${action}: ${describe(problems)}`, { code });
    this.problems = problems;
  }
}

/**
 * Options given to `connect()`, a consumer or a producer are not allowed.
 *
 * @category Errors
 */
export class ConfigError extends ValidationError {
  /** The class's name, also after bundling. */
  override name = "ConfigError";

  /** Makes the error from its problems. */
  constructor(action: string, problems: readonly Problem[]) {
    super(action, problems, "INVALID_OPTIONS");
  }
}

/**
 * There was no answer in time.
 *
 * @category Errors
 */
export class TimeoutError extends RocketMQError {
  /** The class's name, also after bundling. */
  override name = "TimeoutError";
  /** How long was waited, in milliseconds. */
  readonly timeout: number;

  /** Makes the error; `action` is what was waited for, `remedy` what to do about it. */
  constructor(action: string, timeout: number, options: ErrorOptions & { remedy?: string } = {}) {
    const remedy = options.remedy === undefined ? "" : `; ${options.remedy}`;
    super(`Cannot ${action}: no answer within ${Math.round(timeout)} ms${remedy}`, {
      ...options,
      code: "TIMEOUT",
      retriable: true,
    });
    this.timeout = timeout;
  }
}

/**
 * The server, the runtime or this version of the package cannot do what was asked.
 *
 * @category Errors
 */
export class UnsupportedError extends RocketMQError {
  /** The class's name, also after bundling. */
  override name = "UnsupportedError";

  /** Makes the error. */
  constructor(message: string, options: ErrorOptions = {}) {
    super(message, { ...options, code: "UNSUPPORTED" });
  }
}
