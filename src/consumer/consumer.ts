/**
 * The door to a group consumer.
 *
 * @module
 */

import type { Message, MessageQueue } from "../message.ts";
import type { MessageBatch } from "./delivery/batch.ts";
import type { BatchesOptions, RunOptions } from "./delivery/loop_options.ts";
import type { Findings } from "./diagnosis/finding.ts";
import type { SubscriptionManager } from "./subscriptions/subscription_manager.ts";

/**
 * A place in a queue: an offset, an end of the queue, or the first message since a time.
 *
 * @category Consume
 */
export type SeekPosition = number | "earliest" | "latest" | Date;

/**
 * How far a consumer is behind in one queue.
 *
 * @category Consume
 */
export interface QueueLag {
  /** The queue. */
  readonly queue: MessageQueue;
  /** Whether it is pulled already; else `committable` is where it will begin. */
  readonly isOpen: boolean;
  /** The offset that the queue's next message will get; undefined if its broker did not answer. */
  readonly maxOffset: number | undefined;
  /** The smallest offset that is not settled; undefined if it could not be read. */
  readonly committable: number | undefined;
  /** The difference: messages that are still to be settled, filtered ones included; undefined if it is not known. */
  readonly lag: number | undefined;
  /** Why `lag` is not known. */
  readonly reason: string | undefined;
  /** When the broker stored the oldest message that is received and not settled; undefined without one. */
  readonly oldestStoredAt: Date | undefined;
}

/**
 * What a consumer did with a topic within the last minute, up to the last full 10 seconds.
 *
 * @category Consume
 */
export interface TopicStats {
  /** How long a pull that brought messages took, in milliseconds, the broker's hold included. */
  readonly pullTime: number;
  /** Messages pulled per second. */
  readonly pulledPerSecond: number;
  /** From delivery to settlement of a batch, in milliseconds. */
  readonly consumeTime: number;
  /** Messages acknowledged per second. */
  readonly consumedPerSecond: number;
  /** Messages per second that failed: sent back, requeued, or dead-lettered. */
  readonly failedPerSecond: number;
  /** How many failed within the last hour, up to the last full 10 minutes. */
  readonly failedLastHour: number;
}

/**
 * What a consumer holds and has done since its start.
 *
 * @category Consume
 */
export interface ConsumerStats {
  /** Queues that are assigned to it. */
  readonly queues: number;
  /** Messages received and not settled, those in flight included. */
  readonly buffered: number;
  /** Their sizes, in bytes. */
  readonly bufferedBytes: number;
  /** Messages delivered and not settled. */
  readonly inFlight: number;
  /** Messages settled. */
  readonly settled: number;
  /** Messages sent back for later or to the dead letter queue, or requeued after a failure. */
  readonly retried: number;
  /**
   * For how long the oldest message that is received and not settled has been stored, in milliseconds, as far as the
   * broker's clock and ours agree; undefined without one.
   */
  readonly oldestAge: number | undefined;
  /** Figures by topic; what comes back counts for the retry topic. */
  readonly topics: ReadonlyMap<string, TopicStats>;
}

/**
 * How long {@linkcode Consumer.seek} waits.
 *
 * @category Consume
 */
export interface SeekOptions {
  /**
   * Milliseconds for all of it.
   *
   * @default {10_000}
   */
  timeout?: number | undefined;
  /** Ends the wait when it aborts, with its reason. */
  signal?: AbortSignal | undefined;
}

/**
 * How long {@linkcode Consumer.drain} waits.
 *
 * @category Consume
 */
export interface DrainOptions {
  /**
   * Milliseconds for all of it.
   *
   * @default the consumer's `closeTimeout`
   */
  timeout?: number | undefined;
  /** Ends the wait when it aborts, with its reason. */
  signal?: AbortSignal | undefined;
}

/**
 * A member of a group: shares the queues of its topics with the other members, and delivers what they hold.
 *
 * ```ts ignore
 * for await (const batch of consumer) {
 *   for (const message of batch) await handle(message);
 * }
 * ```
 *
 * Delivery is at least once. Asking for the next batch acknowledges the one before; leaving the loop does not. Several
 * loops over one consumer share its queues.
 *
 * @category Consume
 */
export interface Consumer<T = unknown> extends AsyncIterable<MessageBatch<T>> {
  /** The group. */
  readonly group: string;
  /** What it is subscribed to: may be changed while it runs. */
  readonly subscriptions: SubscriptionManager;
  /** Aborts when the consumer begins to close. */
  readonly closing: AbortSignal;
  /**
   * Iterates over batches: one queue per batch, in offset order within a queue.
   *
   * With `autoAck`, asking for the next batch acknowledges the one before; leaving the loop by `break`, `return` or a
   * throw does not: that batch is redelivered.
   */
  batches(options?: BatchesOptions): AsyncIterableIterator<MessageBatch<T>, undefined>;
  /**
   * Calls `handler` with each batch, several at a time, until the consumer closes or `signal` aborts.
   *
   * When it returns, the batch is acknowledged; when it throws, what it has not settled is sent back for later, and an
   * event says why.
   */
  run(handler: (batch: MessageBatch<T>) => unknown, options?: RunOptions): Promise<void>;
  /** Calls `handler` with each message: like {@linkcode Consumer.run}, but one failure is one retry. */
  runEach(handler: (message: Message<T>) => unknown, options?: RunOptions): Promise<void>;
  /**
   * The batches as a stream, which requests ahead: every batch must be acknowledged by its `ack()`, whatever `autoAck`
   * is.
   */
  readable(options?: BatchesOptions): ReadableStream<MessageBatch<T>>;
  /** The queues that are assigned to this member now, those of its retry topic included. */
  assignment(): readonly MessageQueue[];
  /**
   * Stops pulls and delivery, of some queues or of all and those to come; batches in flight stay valid. A queue stays
   * paused until {@linkcode Consumer.resume}, also when another member has it in between.
   */
  pause(queues?: readonly MessageQueue[]): void;
  /** Ends a pause. */
  resume(queues?: readonly MessageQueue[]): void;
  /**
   * Goes on in a queue from another position: what is buffered is dropped, what is in flight is void.
   *
   * Resolves when the position is stored, also a smaller one.
   *
   * @throws {TimeoutError} if that takes longer than `timeout`: where queues are locked, another member may have it
   */
  seek(queue: MessageQueue, position: SeekPosition, options?: SeekOptions): Promise<void>;
  /** Stores the offsets now instead of within `persistInterval`. */
  commit(): Promise<void>;
  /**
   * Asks the brokers how far this member is behind, for each of its queues: also those that are not open yet. A broker
   * that does not answer costs the figures of its queues, not the call.
   */
  lag(): Promise<readonly QueueLag[]>;
  /**
   * Explains why nothing arrives: what it finds, and what to do about it. Printable:
   * `console.log(String(await consumer.explain()))`.
   *
   * Asks brokers for the ends of this member's queues, and for the tags of some messages where a filter lets none pass.
   */
  explain(): Promise<Findings>;
  /** What it holds and has done. */
  stats(): ConsumerStats;
  /**
   * Pauses, waits for what is in flight, and commits. Still a member: `resume()` goes on. Inside a loop it waits for
   * that very batch.
   *
   * @throws {TimeoutError} after `timeout`; then, and when `signal` aborts, the consumer goes on as before
   */
  drain(options?: DrainOptions): Promise<void>;
  /**
   * Ends loops at their next `next()`, waits for what is in flight, commits, and leaves the group; takes `timeout` and
   * a second at most, however many brokers are silent.
   *
   * What is in flight after `timeout` milliseconds is released. Inside a loop use `break`: this waits for that batch.
   */
  close(options?: { timeout?: number }): Promise<void>;
  /** Closes. */
  [Symbol.asyncDispose](): Promise<void>;
}
