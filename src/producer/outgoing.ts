/**
 * What users hand to a producer.
 *
 * @module
 */

import { ValidationError } from "../errors.ts";

/** A body that is sent as JSON. Made by {@linkcode json}. */
export class JsonBody {
  /** The JSON, as it was when the body was made. */
  readonly text: string;
  /** Keeps other objects with a `text` from passing as one. */
  #made = true;

  /**
   * Takes a value's JSON.
   *
   * @throws {ValidationError} if JSON cannot hold the value
   */
  constructor(value: unknown) {
    let text: string | undefined;
    try {
      text = JSON.stringify(value);
    } catch {
      // A circle or a bigint: named below, as are undefined, functions and symbols, for which there is no text.
    }
    if (text === undefined) {
      const allowed = "a value that JSON can hold: no circles, bigints, functions, symbols or undefined";
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
 */
export function json(value: unknown): JsonBody {
  return new JsonBody(value);
}

/** A message that is to be sent. Names that are not listed here are errors. */
export interface OutgoingMessage {
  /** The topic: 1 to 127 characters of `%|a-zA-Z0-9_-`. */
  readonly topic: string;
  /**
   * The body, at least one byte. A text is sent as UTF-8, {@linkcode json} sends a value as JSON. Bytes must not be
   * changed before the send is over.
   */
  readonly body: string | Uint8Array | JsonBody;
  /** The tag, by which consumers select: text without `|`, and without blanks at its ends. */
  readonly tags?: string | undefined;
  /** Keys by which operators find the message: one or several texts without blanks. */
  readonly keys?: string | readonly string[] | undefined;
  /** Properties of your own. Names that RocketMQ uses itself are refused. With everything else at most 32 767 bytes. */
  readonly properties?: Readonly<Record<string, string>> | undefined;
  /** A number of your own, −2³¹ to 2³¹−1, that brokers hand on. @default {0} */
  readonly flag?: number | undefined;
}
