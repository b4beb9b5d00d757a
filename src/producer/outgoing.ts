/**
 * The messages that users pass to a producer.
 *
 * @module
 */

import { ValidationError } from "../errors.ts";

/**
 * A body that is sent as JSON, made by {@linkcode json}.
 *
 * @category Produce
 */
export class JsonBody {
  /** The JSON text of the value at the time of the call. */
  readonly text: string;
  /** Distinguishes it from other objects with a `text`. */
  #made = true;

  /**
   * Makes a body of a value.
   *
   * @throws {ValidationError} if JSON cannot hold the value
   */
  constructor(value: unknown) {
    let text: string | undefined;
    try {
      text = JSON.stringify(value);
    } catch {
      // A cycle or a bigint: reported below, as are undefined, functions and symbols, which have no JSON.
    }
    if (text === undefined) {
      const allowed = "a value that JSON can hold: no cycles, bigints, functions, symbols or undefined";
      throw new ValidationError("make a JSON body", [{ field: "value", value, allowed }]);
    }
    this.text = text;
  }

  /** Whether a value is a body made by {@linkcode json}. */
  static is(value: unknown): value is JsonBody {
    return typeof value === "object" && value !== null && #made in value;
  }
}

/**
 * A body that is sent as JSON; consumers read it with `message.json()`.
 *
 * @example
 * ```ts
 * import { json } from "@denorocket/rocketmq";
 *
 * const body = json({ order: 42, state: "paid" });
 * body.text; // {"order":42,"state":"paid"}
 * ```
 *
 * @throws {ValidationError} if JSON cannot hold the value
 * @category Produce
 */
export function json(value: unknown): JsonBody {
  return new JsonBody(value);
}

/**
 * A message to send. Unknown names are errors.
 *
 * @category Produce
 */
export interface OutgoingMessage {
  /** The topic: 1 to 127 characters of `%|a-zA-Z0-9_-`. */
  readonly topic: string;
  /**
   * The body, at least one byte. A string is sent as UTF-8, {@linkcode json} sends a value as JSON. Bytes must not be
   * changed before the send has ended.
   */
  readonly body: string | Uint8Array | JsonBody;
  /** The tag, by which consumers filter: text without `|`, and without whitespace at its ends. */
  readonly tags?: string | undefined;
  /** Keys by which operators find the message: one or several strings without whitespace. */
  readonly keys?: string | readonly string[] | undefined;
  /** User properties. Names that RocketMQ reserves are errors. All properties may have at most 32 767 bytes. */
  readonly properties?: Readonly<Record<string, string>> | undefined;
  /** A user-defined number, −2³¹ to 2³¹−1, that brokers store and return. @default {0} */
  readonly flag?: number | undefined;
}
