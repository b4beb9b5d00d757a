/**
 * The names that brokers make of a group's: where its retries and dead letters are kept.
 *
 * @module
 */

const RETRY_PREFIX = "%RETRY%";
const DEAD_LETTER_PREFIX = "%DLQ%";

/** The topic where brokers keep messages that a group retries. Source: MixAll.getRetryTopic. */
export function retryTopic(group: string): string {
  return RETRY_PREFIX + group;
}

/** The topic where brokers keep messages that a group has given up. Source: MixAll.getDLQTopic. */
export function deadLetterTopic(group: string): string {
  return DEAD_LETTER_PREFIX + group;
}

/** Whether a topic holds the retries of some group. */
export function isRetryTopic(topic: string): boolean {
  return topic.startsWith(RETRY_PREFIX);
}

/** Whether a topic holds the dead letters of some group. */
export function isDeadLetterTopic(topic: string): boolean {
  return topic.startsWith(DEAD_LETTER_PREFIX);
}

/** The group whose dead letters a topic holds; undefined if it holds none. */
export function deadLetterOwner(topic: string): string | undefined {
  return isDeadLetterTopic(topic) ? topic.slice(DEAD_LETTER_PREFIX.length) : undefined;
}

/** Whether a topic holds retries or dead letters of a group; with POP there is a retry topic for each topic. */
export function isTopicOf(group: string, topic: string): boolean {
  const retries = retryTopic(group);
  return topic === retries || topic === deadLetterTopic(group) ||
    ["+", "_"].some((separator) => topic.startsWith(retries + separator));
}
