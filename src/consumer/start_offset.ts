/**
 * Where a queue begins that has no stored offset.
 *
 * @module
 */

import type { MessageQueue } from "../message.ts";

/** Where a group begins that has no offset yet: at the end, at the beginning, or at the first message since a time. */
export type ConsumeFrom = "last" | "first" | Date;

/** Where positions of queues can be asked for. */
export interface QueuePositions {
  /** The smallest offset that a queue still holds. */
  minOffset(queue: MessageQueue): Promise<number>;
  /** The offset that a queue's next message will get. */
  maxOffset(queue: MessageQueue): Promise<number>;
  /** The first offset that was stored at or after a time, in milliseconds since 1970. */
  offsetAt(queue: MessageQueue, timestamp: number): Promise<number>;
}

/** What a start position is computed from. */
export interface StartOffsetContext {
  /** What the consumer was told. */
  readonly consumeFrom: ConsumeFrom;
  /** Whether the queue appeared while the consumer was running. */
  readonly isNew: boolean;
  /** Whether the queue holds this group's retries. */
  readonly isRetry: boolean;
}

/**
 * Computes the first offset of a queue for which none is stored.
 *
 * A retry queue starts at 0: it holds what this group sent back. A queue that appeared while we run starts at its
 * beginning: nobody can have read it. Everything else starts where `consumeFrom` says. Source: RebalancePushImpl, but
 * for retry queues with a time, where Java would skip what waits there.
 */
export async function resolveStartOffset(
  brokers: QueuePositions,
  queue: MessageQueue,
  context: StartOffsetContext,
): Promise<number> {
  if (context.isRetry) return 0;
  if (context.isNew || context.consumeFrom === "first") return await brokers.minOffset(queue);
  if (context.consumeFrom === "last") return await brokers.maxOffset(queue);
  return await brokers.offsetAt(queue, context.consumeFrom.getTime());
}
