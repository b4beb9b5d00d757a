/**
 * The names that brokers allow for topics and groups. Source: TopicValidator, SubscriptionGroupManager.
 *
 * @module
 */

/** The topic of delayed messages, with one queue per level. */
export const SCHEDULE_TOPIC = "SCHEDULE_TOPIC_XXXX";

const LEGAL = /^[%|a-zA-Z0-9_-]+$/;

/** System topics to which clients cannot send. */
const notSendable: ReadonlySet<string> = new Set([
  SCHEDULE_TOPIC,
  "RMQ_SYS_TRANS_HALF_TOPIC",
  "RMQ_SYS_TRANS_OP_HALF_TOPIC",
  "TRANS_CHECK_MAX_TIME_TOPIC",
  "SELF_TEST_TOPIC",
  "OFFSET_MOVED_EVENT",
]);

/** The allowed names, if a broker refuses this one for a topic; else undefined. */
export function topicProblem(topic: string): string | undefined {
  if (topic.trim() === "") return "a topic name that is not blank";
  if (!LEGAL.test(topic)) return "a topic name of the characters ^[%|a-zA-Z0-9_-]+$";
  return topic.length > 127 ? "a topic name of at most 127 characters" : undefined;
}

/** Whether clients can send to a topic. */
export function isSendable(topic: string): boolean {
  return !notSendable.has(topic);
}

/** Whether a broker allows this name for a group. */
export function isLegalGroup(group: string): boolean {
  return group.length <= 255 && LEGAL.test(group);
}
