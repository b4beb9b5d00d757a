/**
 * Where a queue begins that has no stored offset.
 *
 * @module
 */

import type { MessageQueue } from "../message.ts";

/**
 * Where a group begins that has no offset yet: at the end, at the beginning, or at the first message since a time.
 *
 * @category Consume
 */
export type ConsumeFrom = "last" | "first" | Date;

/**
 * Where positions of queues are read.
 *
 * @category Advanced
 */
export interface QueuePositions {
  /** The smallest offset that a queue still holds. */
  minOffset(queue: MessageQueue): Promise<number>;
  /** The offset that a queue's next message will get. */
  maxOffset(queue: MessageQueue): Promise<number>;
  /** The first offset that was stored at or after a time, in milliseconds since 1970. */
  offsetAt(queue: MessageQueue, timestamp: number): Promise<number>;
}

/**
 * What a start position is computed from.
 *
 * @category Advanced
 */
export interface StartOffsetContext {
  /** The consumer's option. */
  readonly consumeFrom: ConsumeFrom;
  /** Whether the queue holds this group's retries. */
  readonly isRetry: boolean;
  /** Whether the group had an offset for any other queue of the topic when this member joined: it is not new then. */
  readonly isKnownGroup: boolean;
  /**
   * For a queue that showed up after this member had joined: when it joined, in milliseconds since 1970 by the broker's
   * clock. Undefined for queues that were there at the join.
   */
  readonly joinedAt?: number | undefined;
}

/**
 * Computes the first offset of a queue for which none is stored.
 *
 * A retry queue starts at 0: it holds what this group has retried. `"first"` and a time mean the same for all queues.
 * `"last"` is the moment at which the group began: a group that has consumed the topic before lost nothing between its
 * end and its next start, so a queue without an offset is one that was added meanwhile, and starts at its beginning.
 * Source of the first two rules: RebalancePushImpl; in the others Java loses messages.
 *
 * @category Advanced
 */
export async function resolveStartOffset(
  brokers: QueuePositions,
  queue: MessageQueue,
  context: StartOffsetContext,
): Promise<number> {
  const { consumeFrom, isRetry, isKnownGroup, joinedAt } = context;
  if (isRetry) return 0;
  if (consumeFrom instanceof Date) return await brokers.offsetAt(queue, consumeFrom.getTime());
  if (consumeFrom === "first" || isKnownGroup) return await brokers.minOffset(queue);
  return joinedAt === undefined ? await brokers.maxOffset(queue) : await brokers.offsetAt(queue, joinedAt);
}
