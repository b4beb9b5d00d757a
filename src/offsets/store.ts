/**
 * Where a group's offsets are kept.
 *
 * @module
 */

import type { MessageQueue } from "../message.ts";

/** Where {@linkcode OffsetStore.read} looks. */
export type OffsetSource = "memory" | "store" | "memoryThenStore";

/** Counters of an {@linkcode OffsetStore} since it was made. */
export interface OffsetStoreMetrics {
  /** Queues that are held in memory. */
  readonly queues: number;
  /** Queues whose offset in memory is not stored yet. */
  readonly dirty: number;
  /** Reads of the store. */
  readonly reads: number;
  /** Offsets written to the store. */
  readonly writes: number;
  /** Reads and writes that failed. */
  readonly failures: number;
}

/**
 * Reads and writes committed offsets. A store never decides a position: it keeps what it is told.
 *
 * `update` is memory only; `persist` writes what changed since the last write of each queue, in order, one write in
 * flight per queue.
 */
export interface OffsetStore {
  /**
   * Reads the offset of a queue; undefined if there is none.
   *
   * @throws {OffsetFetchError} if the store cannot be asked: that is no offset
   */
  read(queue: MessageQueue, source: OffsetSource): Promise<number | undefined>;
  /** Notes an offset in memory. Any value is taken, also a smaller one. */
  update(queue: MessageQueue, offset: number): void;
  /**
   * Writes what changed, of the queues given or of all; resolves when it is stored.
   *
   * @throws {OffsetError} if some queue could not be written; those stay to be written
   */
  persist(queues?: readonly MessageQueue[]): Promise<void>;
  /** Counts the queues of a broker as not stored: a killed broker forgets its last commits. */
  distrust(broker: string): void;
  /** Drops a queue from memory, so that nothing is written for it any more. */
  forget(queue: MessageQueue): void;
  /** Counters since the store was made. */
  metrics(): OffsetStoreMetrics;
}
