/**
 * Finding a message by its store time where brokers answer with the nearest one.
 *
 * @module
 */

/** How many messages are looked at by one request. */
const STEP = 32;
/** After so many requests in one direction the search ends, at a place that is too early rather than too late. */
const MOST_STEPS = 1_000;

/** What a queue holds from an offset on. */
export interface StoredAt {
  /** Some messages, in offset order, and when they were stored, in milliseconds since 1970 by the broker's clock. */
  readonly messages: readonly { readonly offset: number; readonly time: number }[];
  /** The smallest offset of the queue. */
  readonly minOffset: number;
  /** Where to go on; where nothing is behind, the same as what was asked for. */
  readonly next: number;
}

/**
 * The first offset that was stored at or after a time, or the end of the queue, from an offset near to it.
 *
 * @param read reads at most `count` messages from an offset on
 */
export async function firstSince(
  time: number,
  near: number,
  read: (from: number, count: number) => Promise<StoredAt>,
): Promise<number> {
  let from = near;
  let isOlder = false;
  for (let step = 0; step < MOST_STEPS && !isOlder && from > 0; step++) { // back to one that is older, or to the beginning
    const to = from;
    from = Math.max(0, from - STEP);
    const { messages, minOffset } = await read(from, to - from);
    isOlder = messages.some((message) => message.offset < to && message.time < time);
    if (!isOlder && from <= minOffset) break;
  }
  for (let step = 0; step < MOST_STEPS; step++) {
    const { messages, next } = await read(from, STEP);
    const found = messages.find((message) => message.time >= time);
    if (found !== undefined) return found.offset;
    if (next <= from) break;
    from = next;
  }
  return from;
}
