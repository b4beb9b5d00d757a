/**
 * What loops over batches may be given.
 *
 * @module
 */

/**
 * Options of `batches()`.
 *
 * @category Consume
 */
export interface BatchesOptions {
  /** Ends the loop without an error, at its next ask. */
  signal?: AbortSignal;
  /** Only batches of this topic, its retries included. */
  topic?: string;
}

/**
 * Options of `run()` and `runEach()`.
 *
 * @category Consume
 */
export interface RunOptions extends BatchesOptions {
  /**
   * How many handlers work at a time, 1 to 1 000.
   *
   * @default {20}
   */
  concurrency?: number;
}
