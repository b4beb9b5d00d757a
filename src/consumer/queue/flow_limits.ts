/**
 * How much one queue may hold before its pulls stop.
 *
 * @module
 */

import { BufferBudget } from "./buffer_budget.ts";
import type { CheckedConsumerOptions } from "../options_check.ts";
import type { ProcessQueue } from "./process_queue.ts";

type Held = Pick<ProcessQueue, "count" | "bytes" | "span">;

type LimitOptions = Pick<
  CheckedConsumerOptions,
  | "pullBatchSize"
  | "pullBatchBytes"
  | "maxBufferedPerQueue"
  | "maxBufferedBytesPerQueue"
  | "maxBufferedMessages"
  | "maxBufferedBytes"
  | "maxSpan"
  | "ordering"
>;

/** From this number of queues on, so many pulls are on their way that another for each makes nothing faster. */
const MANY_QUEUES = 16;

/**
 * The limits of each queue: its own, or its even share of the totals, whichever is smaller; and the budget that keeps
 * the totals.
 *
 * No count limit of a queue falls below two answers and no byte limit below one, so that pulls overlap. A pull leaves
 * only if what it may bring still fits.
 */
export class FlowLimits {
  /** What all queues may hold together. */
  readonly budget: BufferBudget;
  #options: LimitOptions;
  #maxCount = 0;
  #maxBytes = 0;
  #maxSpan: number;
  #queues = 1;

  /** Makes the limits of a consumer without queues. */
  constructor(options: LimitOptions) {
    this.#options = options;
    this.budget = new BufferBudget({
      messages: options.maxBufferedMessages,
      bytes: options.maxBufferedBytes,
      batch: options.pullBatchSize,
      batchBytes: options.pullBatchBytes,
    });
    // In orderly consumption nothing is settled ahead of others, so that a span means nothing.
    this.#maxSpan = options.ordering === "orderly" ? Infinity : Math.max(options.maxSpan, 4 * options.pullBatchSize);
    this.share(1);
  }

  /** Divides the totals by the number of queues. */
  share(queues: number): void {
    const { pullBatchSize, pullBatchBytes, maxBufferedPerQueue, maxBufferedBytesPerQueue } = this.#options;
    const { maxBufferedMessages, maxBufferedBytes } = this.#options;
    const parts = this.#queues = Math.max(1, queues);
    this.budget.expect(parts);
    this.#maxCount = Math.max(
      2 * pullBatchSize,
      Math.min(maxBufferedPerQueue, Math.floor(maxBufferedMessages / parts)),
    );
    this.#maxBytes = Math.max(pullBatchBytes, Math.min(maxBufferedBytesPerQueue, Math.floor(maxBufferedBytes / parts)));
  }

  /** Whether one more answer fits. */
  allow(held: Held): boolean {
    return this.#fit(held, 1);
  }

  /** Whether two more answers fit, and it pays to have two pulls of a queue on their way. */
  allowAhead(held: Held): boolean {
    return this.#queues < MANY_QUEUES && this.#fit(held, 2);
  }

  #fit(held: Held, answers: number): boolean {
    const { pullBatchSize, pullBatchBytes } = this.#options;
    return held.count + answers * pullBatchSize <= this.#maxCount &&
      held.bytes + answers * pullBatchBytes <= this.#maxBytes && held.span < this.#maxSpan;
  }
}
