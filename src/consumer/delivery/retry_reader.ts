/**
 * Whose retry a message is: what the records of retry queues mean to one group.
 *
 * @module
 */

import { isDeadLetterTopic, retryTopic } from "../../wire/names.ts";
import type { RetryReader } from "../../wire/retry_reader.ts";

/** What a group subscribes to, as far as its retries are concerned. */
export interface SubscribedTopics {
  /** The topics that are in force. */
  topics(): readonly string[];
  /** What is wanted of a topic; undefined if it is not subscribed. */
  selector(topic: string): unknown;
}

/**
 * How one group reads its retry queues: by the topic that each record names.
 *
 * Brokers keep the topic that an earlier group has written. A retry of a message that a member of another client has
 * taken from `%DLQ%other` names the topic before that, which this group may not subscribe to: it goes to the one dead
 * letter queue that it does subscribe to. With several of them it stays with the topic that is written.
 */
export function retryReader(group: string, subscribed: SubscribedTopics): RetryReader {
  return {
    retryTopic: retryTopic(group),
    topicOf: (written) => {
      if (subscribed.selector(written) !== undefined) return written;
      const dead = subscribed.topics().filter(isDeadLetterTopic);
      return dead.length === 1 ? dead[0]! : written;
    },
  };
}
