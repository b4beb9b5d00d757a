/**
 * For whom records are read.
 *
 * @module
 */

/**
 * The group that reads a queue. The number of retries and the original topic in a record belong to the group that wrote
 * them: only in its own retry queue are they the reader's.
 */
export interface RetryReader {
  /** The topic of the reader's retries. */
  readonly retryTopic: string;
  /** The topic of a retried message, by the one that is written in it. */
  readonly topicOf: (written: string) => string;
}
