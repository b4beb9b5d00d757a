/**
 * What a row of the table of requests has.
 *
 * @module
 */

import type { Fields } from "../fields.ts";

/** One request of the protocol. */
export interface RequestSpec {
  /** Its name, as errors and the reference page show it. */
  readonly name: string;
  /** Its code on the wire. */
  readonly code: number;
  /** The request's header. */
  readonly header: Fields;
  /** The header of a successful answer. */
  readonly answer: Fields;
  /** What it is for, in one sentence. */
  readonly about: string;
  /** What the bodies hold, if there are any: request, then answer. */
  readonly bodies?: readonly [string, string];
  /** The most bytes that a body of JSON has. @default {MAX_JSON_SIZE} */
  readonly maxJsonSize?: number;
}
