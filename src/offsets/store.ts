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
 * `update` and `reset` are memory only; `persist` writes what changed since the last write of each queue, in order, one
 * write in flight per queue.
 */
export interface OffsetStore {
  /**
   * Makes the store ready, before its first use: once.
   *
   * @throws {OffsetError} if it cannot be had: `OFFSETS_IN_USE` if another live member keeps the same offsets there
   */
  open(): Promise<void>;
  /**
   * Reads the offset of a queue; undefined if there is none.
   *
   * @throws {OffsetFetchError} if the store cannot be asked: that is no offset
   */
  read(queue: MessageQueue, source: OffsetSource): Promise<number | undefined>;
  /** Notes in memory up to where a queue is settled. A smaller offset than the one known is ignored. */
  update(queue: MessageQueue, offset: number): void;
  /** Notes a queue's position in memory, also a smaller one: a start, a seek or an operator's reset. */
  reset(queue: MessageQueue, offset: number): void;
  /**
   * Writes what changed, of the queues given or of all; resolves when it is stored.
   *
   * @throws {OffsetError} if some queue could not be written; those stay to be written
   */
  persist(queues?: readonly MessageQueue[]): Promise<void>;
  /** Counts the queues of a broker as not stored: a killed broker forgets its last commits. */
  distrust(broker: string): void;
  /** Drops a queue from memory, so that nothing is written for it any more. What is stored stays. */
  forget(queue: MessageQueue): void;
  /** Counters since the store was made. */
  metrics(): OffsetStoreMetrics;
  /** Gives the store up; what was not persisted is not written. A second call does nothing. */
  close(): Promise<void>;
}
