/**
 * The door to a POP consumer.
 *
 * @module
 */

import type { Message } from "../../message.ts";
import type { BatchesOptions, RunOptions } from "../delivery/loop_options.ts";
import type { Findings } from "../diagnosis/finding.ts";
import type { SubscriptionManager } from "../subscriptions/subscription_manager.ts";
import type { PopBatch } from "./batch.ts";

/**
 * Options of {@linkcode PopConsumer.pop}.
 *
 * @category Consume
 */
export interface PopOptions {
  /**
   * The most messages, 1 to 32.
   *
   * @default {the consumer's batchSize}
   */
  max?: number;
  /**
   * How long to wait while there is nothing, 0 to 60 000 ms.
   *
   * @default {0}
   */
  wait?: number;
  /** Only messages of this topic. */
  topic?: string;
  /** Ends the wait, with the signal's reason. */
  signal?: AbortSignal;
}

/**
 * What a POP consumer holds and has done since its start.
 *
 * @category Consume
 */
export interface PopConsumerStats {
  /** Messages received that no loop has asked for. */
  readonly ready: number;
  /** Messages delivered and not settled. */
  readonly inFlight: number;
  /** Messages settled. */
  readonly settled: number;
  /** Messages retried, or moved to the dead letter queue. */
  readonly retried: number;
}

/**
 * A worker without a state: it takes messages for a time from whatever broker has some, and owns no queue.
 *
 * Brokers of 5.x keep the books: what is popped nobody else gets until its invisible time ends, and it is redelivered
 * unless it was acknowledged by then. Delivery is at least once, in no order.
 *
 * @category Consume
 */
export interface PopConsumer<T = unknown> extends AsyncIterable<PopBatch<T>> {
  /** The group. */
  readonly group: string;
  /** What it is subscribed to: may be changed while it runs. */
  readonly subscriptions: SubscriptionManager;
  /** Aborts when the consumer begins to close. */
  readonly closing: AbortSignal;
  /**
   * Iterates over batches. With `autoAck`, asking for the next batch acknowledges the one before, without waiting for
   * the broker; leaving the loop does not: that batch is redelivered when its invisible time ends.
   *
   * Brokers are asked from the first loop on, one answer ahead of need.
   */
  batches(options?: BatchesOptions): AsyncIterableIterator<PopBatch<T>, undefined>;
  /**
   * Calls `handler` with each batch, several at a time; what a handler that throws has not settled is redelivered
   * later.
   */
  run(handler: (batch: PopBatch<T>) => unknown, options?: RunOptions): Promise<void>;
  /** Calls `handler` with each message: like {@linkcode PopConsumer.run}, but one failure is one retry. */
  runEach(handler: (message: Message<T>) => unknown, options?: RunOptions): Promise<void>;
  /** The batches as a stream, which asks ahead: every batch must be acknowledged by its `ack()`. */
  readable(options?: BatchesOptions): ReadableStream<PopBatch<T>>;
  /**
   * One batch for one request: asks the brokers now, and waits no longer than `wait`. Its length may be 0.
   *
   * @throws {ConfigError} for options that are not allowed
   * @throws {MessagePullError} if no broker could be asked
   */
  pop(options?: PopOptions): Promise<PopBatch<T>>;
  /** Stops pops and delivery; batches in flight stay valid. */
  pause(): void;
  /** Ends a pause. */
  resume(): void;
  /** What it holds and has done. */
  stats(): PopConsumerStats;
  /** Explains why nothing arrives: what it finds, and what to do about it. No request is made; it prints as text. */
  explain(): Promise<Findings>;
  /**
   * Ends loops at their next ask, waits for what is in flight and for acks on their way, and leaves the group.
   *
   * What is in flight after `timeout` milliseconds is redelivered when its invisible time ends.
   */
  close(options?: { timeout?: number }): Promise<void>;
  /** Closes. */
  [Symbol.asyncDispose](): Promise<void>;
}
