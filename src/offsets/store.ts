/**
 * Where a group's offsets are kept: what a store has to do, and what an offset is.
 *
 * @module
 */

import { ValidationError } from "../errors.ts";
import type { MessageQueue } from "../message.ts";

/**
 * An offset of a queue.
 *
 * @category Advanced
 */
export interface QueueOffset {
  /** The queue. */
  readonly queue: MessageQueue;
  /** The offset that is consumed next. */
  readonly offset: number;
}

/**
 * Stores committed offsets: implement it to keep them in a database of your own.
 *
 * A consumer puts an {@linkcode OffsetTable} above it, which decides what is written and when. So a store has no state
 * but its connection: it needs no memory, no comparison with former offsets, and no retries. An offset may be lower
 * than the one stored before, after a seek for instance: write it all the same.
 *
 * A promise that a method returns is awaited. What it throws, or rejects with, is the cause of an `OffsetError`.
 *
 * ```ts
 * import type { OffsetStore } from "@denorocket/rocketmq/consumer";
 *
 * const stored = new Map<string, number>(); // a table of your database
 * const store: OffsetStore = {
 *   read: ({ topic, broker, queueId }) => stored.get(`${topic} ${broker} ${queueId}`),
 *   write: (offsets) => {
 *     for (const { queue: { topic, broker, queueId }, offset } of offsets) {
 *       stored.set(`${topic} ${broker} ${queueId}`, offset);
 *     }
 *   },
 *   close: () => {},
 * };
 * console.log(store.read({ topic: "orders", broker: "broker-a", queueId: 0 }));
 * ```
 *
 * @category Advanced
 */
export interface OffsetStore {
  /**
   * Called once before the first read, and again if it failed: the consumer starts when it succeeds, and not at all if
   * it fails. A store that needs no preparation leaves it out.
   *
   * @param signal aborts when the consumer is closed meanwhile
   */
  open?(signal: AbortSignal): unknown;
  /** Reads the stored offset of a queue; undefined if there is none. A failure is no offset: throw then. */
  read(queue: MessageQueue): number | undefined | Promise<number | undefined>;
  /**
   * Stores offsets, one for each queue; done when they survive a crash. The next call follows when this one has ended.
   * If it fails, all of its offsets are written again.
   */
  write(offsets: readonly QueueOffset[]): unknown;
  /** Releases what the store holds. Called once, after all other calls, also if `open` failed or was never called. */
  close(): unknown;
}

/**
 * Where {@linkcode OffsetTable.read} looks.
 *
 * @category Advanced
 */
export type OffsetSource = "memory" | "store" | "memoryThenStore";

/**
 * Counters of an {@linkcode OffsetTable} since it was made.
 *
 * @category Advanced
 */
export interface OffsetStoreMetrics {
  /** Queues that are held in memory. */
  readonly queues: number;
  /** Queues whose offset in memory is not stored yet. */
  readonly dirty: number;
  /** Reads of the store, without those that a write needs. */
  readonly reads: number;
  /** Offsets written to the store. */
  readonly writes: number;
  /** Calls of the store that failed. */
  readonly failures: number;
}

/** Whether a value can be an offset. */
export function isOffset(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

/**
 * Returns an offset that can be stored.
 *
 * @throws {ValidationError} for any other value: it could not be read again
 */
export function requireOffset(offset: number): number {
  if (isOffset(offset)) return offset;
  throw new ValidationError("record an offset", [{ field: "offset", value: offset, allowed: "an integer from 0" }]);
}
