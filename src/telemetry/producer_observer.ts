/**
 * Observing what producers send.
 *
 * @module
 */

import type { SendAttempt } from "../sending/attempt_observer.ts";
import type { SendReceipt } from "../sending/receipt.ts";

/**
 * Observes the sends of all producers of a client.
 *
 * Observers run in the order in which they are listed, synchronously, as part of the send: they should be fast. One
 * that throws, or whose promise rejects, is reported by the event `observerFailed`, and nothing else changes: the
 * message is sent without the properties that this call has added.
 *
 * @category Advanced
 */
export interface ProducerObserver {
  /**
   * Is called for each `send()`, `sendOneway()` and `sendBatch()` whose messages and options are valid, before anything
   * is sent. Until it returns, properties can be added to the messages.
   *
   * @returns what receives the attempts and the end of this send; must not be a promise
   */
  onSend?(send: ObservedSend): SendListener | undefined | void;
}

/**
 * A call of a producer that is about to send messages.
 *
 * @category Advanced
 */
export interface ObservedSend {
  /** The method that was called. */
  readonly method: "send" | "sendOneway" | "sendBatch";
  /** The producer group. */
  readonly group: string;
  /** When it began, in milliseconds since 1970, with fractions. */
  readonly startTime: number;
  /** The messages in their order: one, unless the method is `sendBatch`. */
  readonly messages: readonly ObservedMessage[];
  /** The key whose messages share a queue, if one is set. */
  readonly orderingKey: string | undefined;
  /** The delay level, if one is set. */
  readonly delayLevel: number | undefined;
}

/**
 * A message that is about to be sent.
 *
 * @category Advanced
 */
export interface ObservedMessage {
  /** The topic. */
  readonly topic: string;
  /** The unique key, which consumers see as `messageId`. */
  readonly messageId: string;
  /** The tag, if there is one. */
  readonly tags: string | undefined;
  /** The keys. */
  readonly keys: readonly string[];
  /** The size of the body before compression, in bytes. */
  readonly bodySize: number;
  /** The value of a property, also of one that an observer has added. */
  property(name: string): string | undefined;
  /**
   * Adds a property, while `onSend` runs.
   *
   * @returns false if the message has a property of this name, which is kept
   * @throws {ValidationError} if the name or the value is not allowed, or all properties together are too large
   * @throws {TypeError} after `onSend` has returned
   */
  addProperty(name: string, value: string): boolean;
}

/**
 * Receives what happens to one send.
 *
 * @category Advanced
 */
export interface SendListener {
  /**
   * Is called when an attempt has ended: each time a request with messages of this send was answered, failed, or had no
   * answer in its part of the time. With `linger` the request may hold messages of other sends as well. An attempt that
   * is still without an answer when the send ends is not reported.
   */
  onAttempt?(attempt: SendAttempt): void;
  /** Is called once, when the send has ended, before its promise settles. */
  onEnd?(end: SendEnd): void;
}

/**
 * The end of a send.
 *
 * @category Advanced
 */
export interface SendEnd {
  /** When it ended, in milliseconds since 1970, with fractions. */
  readonly endTime: number;
  /**
   * One for each message, in their order; undefined for what is not known to be stored, and for what is sent one-way.
   */
  readonly receipts: readonly (SendReceipt | undefined)[];
  /** The error of the send; undefined if it succeeded. */
  readonly error: unknown;
}
