/**
 * The offsets of one member in memory: what it was told, and what of that is stored.
 *
 * @module
 */

import { ValidationError } from "../errors.ts";
import { type MessageQueue, queueKey } from "../message.ts";

/** An offset of a queue. */
export interface QueueOffset {
  /** The queue. */
  readonly queue: MessageQueue;
  /** The offset that is consumed next. */
  readonly offset: number;
}

/** What a store holds for a queue. */
export interface StoredOffset {
  /** The queue. */
  readonly queue: MessageQueue;
  /** Its offset; undefined if what is stored is none. */
  readonly offset: number | undefined;
  /** What is wrong with what is stored, in words. */
  readonly problem?: string;
}

/** What is to be written. */
export interface OffsetChanges {
  /** The queues whose offset is not stored yet. */
  readonly writable: readonly QueueOffset[];
  /** Those whose progress is unknown, because what is stored for them cannot be read: that may be higher. */
  readonly unknown: readonly StoredOffset[];
}

interface Row {
  readonly queue: MessageQueue;
  /** What was noted since the beginning, or since the queue was forgotten. */
  noted: number | undefined;
  /** Whether that began with a position, which may be lower than what is stored. */
  isPosition: boolean;
  stored: number | undefined;
  /** What a write that failed may have stored all the same. */
  perhaps: number;
  problem: string | undefined;
}

/** Whether a value can be an offset. */
export function isOffset(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

/** Offsets by queue. Progress never lowers what is stored; a position may. */
export class OffsetTable {
  #rows = new Map<string, Row>();

  /** Takes in what the store holds. */
  load(offsets: Iterable<StoredOffset>): void {
    for (const { queue, offset, problem } of offsets) {
      const row = this.#row(queue);
      row.stored = offset;
      row.problem = problem;
      if (!row.isPosition && row.noted !== undefined) row.noted = Math.max(row.noted, offset ?? 0);
    }
  }

  /** What was noted for a queue. */
  noted(queue: MessageQueue): number | undefined {
    return this.#rows.get(queueKey(queue))?.noted;
  }

  /** What the store holds for a queue; undefined if that is nothing. */
  stored(queue: MessageQueue): StoredOffset | undefined {
    const row = this.#rows.get(queueKey(queue));
    return row === undefined ? undefined : storedOf(row);
  }

  /** Everything that the store holds and that can be read. */
  *allStored(): Iterable<QueueOffset> {
    for (const { queue, stored } of this.#rows.values()) {
      if (stored !== undefined) yield { queue, offset: stored };
    }
  }

  /** Notes progress: what is smaller than the offset known is ignored. */
  update(queue: MessageQueue, offset: number): void {
    requireOffset(offset);
    const row = this.#row(queue);
    row.noted = Math.max(offset, row.noted ?? Math.max(row.stored ?? 0, row.perhaps));
  }

  /** Notes a position. */
  reset(queue: MessageQueue, offset: number): void {
    requireOffset(offset);
    const row = this.#row(queue);
    row.noted = offset;
    row.isPosition = true;
  }

  /** What is to be written, of the queues given or of all. */
  changes(queues?: readonly MessageQueue[]): OffsetChanges {
    const rows = queues === undefined
      ? [...this.#rows.values()]
      : [...new Set(queues.map((queue) => this.#rows.get(queueKey(queue))))].filter((row) => row !== undefined);
    const dirty = rows.filter(isDirty);
    const isUnknown = (row: Row) => row.problem !== undefined && !row.isPosition;
    return {
      writable: dirty.filter((row) => !isUnknown(row)).map(({ queue, noted }) => ({ queue, offset: noted! })),
      unknown: dirty.filter(isUnknown).map(storedOf).filter((each) => each !== undefined),
    };
  }

  /** Notes that an offset is stored. */
  written({ queue, offset }: QueueOffset): void {
    const row = this.#row(queue);
    row.stored = offset;
    row.perhaps = 0;
    row.problem = undefined;
  }

  /** Notes that a write failed: its offset is stored or not. */
  failed({ queue, offset }: QueueOffset): void {
    const row = this.#row(queue);
    if (row.stored !== offset) row.perhaps = Math.max(row.perhaps, offset);
  }

  /** Drops what was noted for a queue. */
  forget(queue: MessageQueue): void {
    const key = queueKey(queue);
    const row = this.#rows.get(key);
    if (row === undefined) return;
    row.noted = undefined;
    row.isPosition = false;
    if (row.stored === undefined && row.perhaps === 0 && row.problem === undefined) this.#rows.delete(key);
  }

  /** How many queues something was noted for, and for how many of them that is not stored. */
  count(): { queues: number; dirty: number } {
    let [queues, dirty] = [0, 0];
    for (const row of this.#rows.values()) {
      if (row.noted !== undefined) queues++;
      if (isDirty(row)) dirty++;
    }
    return { queues, dirty };
  }

  #row(queue: MessageQueue): Row {
    const key = queueKey(queue);
    let row = this.#rows.get(key);
    if (row === undefined) {
      row = { queue, noted: undefined, isPosition: false, stored: undefined, perhaps: 0, problem: undefined };
      this.#rows.set(key, row);
    }
    return row;
  }
}

function isDirty({ noted, stored }: Row): boolean {
  return noted !== undefined && noted !== stored;
}

function storedOf({ queue, stored, problem }: Row): StoredOffset | undefined {
  if (problem !== undefined) return { queue, offset: undefined, problem };
  return stored === undefined ? undefined : { queue, offset: stored };
}

/** What is no offset would be written, and could not be read again. */
function requireOffset(offset: number): void {
  if (isOffset(offset)) return;
  throw new ValidationError("note an offset", [{ field: "offset", value: offset, allowed: "an integer from 0" }]);
}
