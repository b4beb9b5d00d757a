/**
 * What is stored in a place that one member alone writes.
 *
 * @module
 */

import { OffsetFetchError } from "../errors.ts";
import { type MessageQueue, queueKey } from "../message.ts";
import type { QueueOffset } from "./store.ts";

/** What a place holds for a queue. */
export interface StoredOffset {
  /** The queue. */
  readonly queue: MessageQueue;
  /** Its offset; undefined if what is stored is none. */
  readonly offset: number | undefined;
  /** What is wrong with what is stored, in words. */
  readonly problem?: string;
}

/** The offsets that a place held when it was opened, and those written since: reads are answered from here. */
export class StoredOffsets {
  #offsets = new Map<string, StoredOffset>();

  /** Takes in what the place holds, or what was written to it. */
  set(offsets: Iterable<StoredOffset>): void {
    for (const each of offsets) this.#offsets.set(queueKey(each.queue), each);
  }

  /**
   * The offset of a queue; undefined if there is none.
   *
   * @throws {OffsetFetchError} `OFFSETS_MALFORMED` if what is stored is not understood
   */
  read(queue: MessageQueue): number | undefined {
    const { offset, problem } = this.#offsets.get(queueKey(queue)) ?? {};
    if (problem === undefined) return offset;
    const message = `Cannot read the offset of ${queueKey(queue)}: ${problem}`;
    throw new OffsetFetchError(message, { code: "OFFSETS_MALFORMED" });
  }

  /** Every offset that is stored and understood. */
  *all(): Iterable<QueueOffset> {
    for (const { queue, offset } of this.#offsets.values()) if (offset !== undefined) yield { queue, offset };
  }
}
