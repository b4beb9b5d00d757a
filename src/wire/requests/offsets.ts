/**
 * Requests about offsets and times of queues.
 *
 * @module
 */

import { MAX_QUEUE_LIST_SIZE } from "../json.ts";
import type { RequestSpec } from "./request_spec.ts";

/** Reads a group's stored offset. Source: QueryConsumerOffsetRequestHeader. */
export const queryConsumerOffset = {
  name: "QueryConsumerOffset",
  code: 14,
  about: "Reads the offset that a group has stored for a queue; 22 if there is none.",
  header: { consumerGroup: "text", topic: "text", queueId: "int", setZeroIfNotFound: "bool?" },
  answer: { offset: "long" },
} as const satisfies RequestSpec;

/** Stores a group's offset. Source: UpdateConsumerOffsetRequestHeader. */
export const updateConsumerOffset = {
  name: "UpdateConsumerOffset",
  code: 15,
  about: "Stores a group's offset of a queue: any value, also a smaller one.",
  header: { consumerGroup: "text", topic: "text", queueId: "int", commitOffset: "long" },
  answer: {},
} as const satisfies RequestSpec;

/** Finds the offset at a time. Source: SearchOffsetRequestHeader. */
export const searchOffsetByTimestamp = {
  name: "SearchOffsetByTimestamp",
  code: 29,
  about: "Finds the first offset of a queue that was stored at or after a time.",
  header: { topic: "text", queueId: "int", timestamp: "long" },
  answer: { offset: "long" },
} as const satisfies RequestSpec;

/** Reads the end of a queue. Source: GetMaxOffsetRequestHeader. */
export const getMaxOffset = {
  name: "GetMaxOffset",
  code: 30,
  about: "Reads the offset of the next message of a queue.",
  header: { topic: "text", queueId: "int" },
  answer: { offset: "long" },
} as const satisfies RequestSpec;

/** Reads the beginning of a queue. Source: GetMinOffsetRequestHeader. */
export const getMinOffset = {
  name: "GetMinOffset",
  code: 31,
  about: "Reads the smallest offset that a queue still holds.",
  header: { topic: "text", queueId: "int" },
  answer: { offset: "long" },
} as const satisfies RequestSpec;

/** Reads from when to when messages are stored, and how far a group is. Source: QueryConsumeTimeSpanRequestHeader. */
export const queryTimeSpan = {
  name: "QueryTimeSpan",
  code: 303,
  about: "Reads the times of a topic's oldest and newest messages; of a group without offsets, the broker's own time.",
  header: { topic: "text", group: "text" },
  answer: {},
  bodies: ["none", "TimeSpanBody"],
  maxJsonSize: MAX_QUEUE_LIST_SIZE,
} as const satisfies RequestSpec;
