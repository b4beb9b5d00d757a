/**
 * What observers receive of the attempts of a send.
 *
 * @module
 */

import type { MessageQueue } from "../message.ts";

/**
 * One attempt to send, after its end. Times are milliseconds since 1970, with fractions.
 *
 * @category Advanced
 */
export interface SendAttempt {
  /** The queue, which names the broker. */
  readonly queue: MessageQueue;
  /** The `host:port` of the broker's master, as its route names it; undefined if no route names one. */
  readonly address: string | undefined;
  /** When it began. */
  readonly startTime: number;
  /** When it was answered, failed, or had no answer in its part of the time. */
  readonly endTime: number;
  /** Why it failed; undefined if it succeeded. After a `TimeoutError` its answer may still arrive and end the send. */
  readonly error: unknown;
}

/** Receives the attempts of one send. */
export interface AttemptObserver {
  /** An attempt has ended; must not throw. */
  attempted(attempt: SendAttempt): void;
}
