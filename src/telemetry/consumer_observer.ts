/**
 * Observing what consumers, POP consumers and readers deliver.
 *
 * @module
 */

import type { Message } from "../message.ts";

/**
 * How messages that were delivered ended.
 *
 * `acknowledged`: consumed. `retried`, `deadLettered`, `released`: as the program said by these methods. `failed`: their
 * handler threw. `timedOut`: `consumeTimeout`, or the invisible time, was over. `revoked`: their queue is another
 * member's, or the consumer has closed. All but `acknowledged` and `deadLettered` are redelivered.
 *
 * @category Advanced
 */
export type DeliveryOutcome =
  | "acknowledged"
  | "retried"
  | "deadLettered"
  | "released"
  | "failed"
  | "timedOut"
  | "revoked";

/**
 * Observes the deliveries of all consumers of a client.
 *
 * Observers run in the order in which they are listed, synchronously, as part of the delivery: they should be fast. One
 * that throws, or whose promise rejects, is reported by the event `observerFailed`, and nothing else changes.
 *
 * @category Advanced
 */
export interface ConsumerObserver {
  /**
   * Is called with each batch before a loop, handler, stream or `pop()` receives it.
   *
   * @returns what receives the settlements of this batch; must not be a promise
   */
  onDeliver?(delivery: ObservedDelivery): DeliveryListener | undefined | void;
}

/**
 * Messages that are about to be delivered together.
 *
 * @category Advanced
 */
export interface ObservedDelivery {
  /** What delivers them. */
  readonly consumer: "consumer" | "popConsumer" | "reader";
  /** The group; a reader's is that under which it commits. */
  readonly group: string;
  /** Their topic; for retried messages the one that they were sent to first. */
  readonly topic: string;
  /** The messages. */
  readonly messages: readonly Message[];
  /** When they are delivered, in milliseconds since 1970, with fractions. */
  readonly startTime: number;
}

/**
 * Receives what becomes of one delivery.
 *
 * @category Advanced
 */
export interface DeliveryListener {
  /** Is called when some messages of the batch have ended, or all: once for each message. */
  onSettle?(settlement: ObservedSettlement): void;
}

/**
 * The end of messages that were delivered together.
 *
 * @category Advanced
 */
export interface ObservedSettlement {
  /** How they ended. */
  readonly outcome: DeliveryOutcome;
  /** The messages. */
  readonly messages: readonly Message[];
  /** What their handler threw; undefined if it did not. */
  readonly error: unknown;
  /** When, in milliseconds since 1970, with fractions. */
  readonly endTime: number;
}
