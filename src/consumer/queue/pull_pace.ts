/**
 * How fast a broker is asked again: after errors, and where it does not hold requests.
 *
 * @module
 */

import { NetworkError, ResponseError } from "../../errors.ts";
import { ResponseCode } from "../../wire/codes.ts";

/** After an error, in milliseconds. Source: DefaultMQPushConsumerImpl. */
const ERROR_DELAY = 1_000;
/** After the broker asked for less, in milliseconds. Source: DefaultMQPushConsumerImpl. */
const FLOW_CONTROL_DELAY = 20;
/** After a connection failed: the endpoint has a back-off of its own. */
const NETWORK_DELAY = 20;
/** How many answers without news in a row are taken as they come that the broker has not held. */
const FREE_UNHELD = 3;
/**
 * The wait after more of them, and after any answer that leaves the position where it was, in milliseconds. What takes
 * longer than this to be answered was held by the broker, or is slow enough.
 */
export const IDLE_DELAY = 200;

/** How long to wait after a request that failed, in milliseconds. */
export function delayAfter(error: unknown): number {
  if (error instanceof NetworkError && error.code !== "MALFORMED_FRAME") return NETWORK_DELAY;
  const throttled = error instanceof ResponseError && error.responseCode === ResponseCode.FLOW_CONTROL;
  return throttled ? FLOW_CONTROL_DELAY : ERROR_DELAY;
}

/** Counts answers without news that the broker should have held, so that it is not asked in a tight loop. */
export class UnheldAnswers {
  #count = 0;

  /** Notes an answer with news. */
  reset(): void {
    this.#count = 0;
  }

  /** Notes an answer without news that took `ms` milliseconds; returns the pause before the next request. */
  pauseAfter(ms: number): number {
    this.#count = ms >= IDLE_DELAY ? 0 : this.#count + 1;
    return this.#count > FREE_UNHELD ? IDLE_DELAY : 0;
  }
}
