/**
 * The door to a reader.
 *
 * @module
 */

import type { Message, MessageQueue } from "../../message.ts";
import type { QueueLag, SeekPosition } from "../consumer.ts";
import type { Findings } from "../diagnosis/finding.ts";
import type { BatchesOptions } from "../delivery/loop_options.ts";

/**
 * Messages of one queue, in offset order.
 *
 * @category Consume
 */
export interface ReaderBatch<T = unknown> extends Iterable<Message<T>> {
  /** The messages. */
  readonly messages: readonly Message<T>[];
  /** How many there are. */
  readonly length: number;
  /** The queue that they were read from. */
  readonly queue: MessageQueue;
  /** Their topic. */
  readonly topic: string;
  /** Aborts when the position of the queue is set, or the queue is gone: the messages are read again or never. */
  readonly signal: AbortSignal;
  /** Marks one message, or all of them, as read: `commit()` stores it, nothing else does. */
  ack(message?: Message<T>): Promise<void>;
}

/**
 * Reads queues of a topic without being in a group: nobody shares them, nothing is sent back, and no offset is stored
 * unless `commit()` is called.
 *
 * ```ts ignore
 * for await (const batch of reader) {
 *   for (const message of batch) console.log(message.queueOffset, message.text());
 * }
 * ```
 *
 * @category Consume
 */
export interface Reader<T = unknown> extends AsyncIterable<ReaderBatch<T>> {
  /** The topic. */
  readonly topic: string;
  /** The queues that are read. */
  readonly queues: readonly MessageQueue[];
  /** Aborts when the reader begins to close. */
  readonly closing: AbortSignal;
  /**
   * Iterates over batches as they come, without an end: at the end of a queue it waits for more.
   *
   * With `autoAck`, asking for the next batch marks the one before as read. A loop that is left has its last batch come
   * again.
   */
  batches(options?: BatchesOptions): AsyncIterableIterator<ReaderBatch<T>, undefined>;
  /** The batches as a stream; each has to be marked as read by its `ack()`. */
  readable(options?: BatchesOptions): ReadableStream<ReaderBatch<T>>;
  /**
   * Goes on from another position, in one queue or in all: what is buffered is dropped, what is in flight is void.
   *
   * @throws {ConsumerStateError} if the queue is not read
   */
  seek(position: SeekPosition, queue?: MessageQueue): Promise<void>;
  /** Stops reading, of some queues or of all. */
  pause(queues?: readonly MessageQueue[]): void;
  /** Ends a pause. */
  resume(queues?: readonly MessageQueue[]): void;
  /** Asks the brokers how much is left to read, for each queue; as `consumer.lag()`. */
  lag(): Promise<readonly QueueLag[]>;
  /** Explains why nothing is read, as `consumer.explain()`: what it finds, and what to do about it. */
  explain(): Promise<Findings>;
  /**
   * Stores at the brokers, for its group, up to where each queue is read: `from: "committed"` begins there.
   *
   * @throws {OffsetError} if some could not be stored
   */
  commit(): Promise<void>;
  /** Ends loops at their next ask. Nothing is stored. */
  close(): Promise<void>;
  /** Closes. */
  [Symbol.asyncDispose](): Promise<void>;
}
