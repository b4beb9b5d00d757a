/**
 * Requests over a connection, and the waits for their answers.
 *
 * @module
 */

import type { HeaderText } from "../wire/fields.ts";
import type { BodyWriter, Command } from "../wire/frame.ts";
import type { WireHeader } from "../wire/wire_header.ts";

/** A request before it has an opaque. */
export interface OutgoingRequest {
  /** The request's name, for errors. */
  readonly name: string;
  /** The request's code. */
  readonly code: number;
  /** The header fields. */
  readonly fields: WireHeader;
  /** The body. */
  readonly body?: Uint8Array | BodyWriter | undefined;
  /** The version that we say to have. @default {PROTOCOL_VERSION} */
  readonly version?: number | undefined;
}

/** How long an answer is waited for. */
export interface RequestWait {
  /** Milliseconds until the request fails with a `TimeoutError`. */
  readonly timeout: number;
  /** Ends the wait early, with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/** A wait for an answer; exactly one of `answered` and `failed` is called, once. */
export interface Wait {
  /** The request's name, for errors. */
  readonly name: string;
  /** Milliseconds until it fails with a `TimeoutError`. */
  readonly timeout: number;
  /** When that is, by the monotonic clock. */
  readonly deadline: number;
  /** Called with the answer, whatever its code. */
  answered(answer: Command): void;
  /** Called with the reason why there is none. */
  failed(reason: unknown): void;
  /** Ends the wait early, with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /**
   * Called when the deadline is over: a wait that still has a use for a late answer sets itself a later deadline, and
   * returns true. It must not begin or end other waits before it returns.
   */
  prolong?(): boolean;
}

/** A request and who waits for it: what a promise would be for, at a third of the cost. */
export interface Call extends OutgoingRequest, Wait {}

/** What a request from the other side is answered with. */
export interface Reply {
  /** The response code. */
  readonly code: number;
  /** Words for the other side. */
  readonly remark?: string | undefined;
  /** Header fields as text. */
  readonly fields?: HeaderText;
  /** The body. */
  readonly body?: Uint8Array | undefined;
}

/** The wait of those who wait as long as it takes. */
export const ENDLESS: RequestWait = { timeout: Infinity };

/** A call of functions. */
export function callOf(
  request: OutgoingRequest,
  { timeout, signal }: RequestWait,
  answered: Call["answered"],
  failed: Call["failed"],
): Call {
  return { ...request, timeout, deadline: performance.now() + timeout, signal, answered, failed };
}
