/**
 * Requests of POP, and of the way in which a group divides queues.
 *
 * @module
 */

import { MAX_QUEUE_LIST_SIZE } from "../json.ts";
import type { RequestSpec } from "./request_spec.ts";

/** Takes messages of a topic for a while. Source: PopMessageRequestHeader, PopMessageResponseHeader. */
export const popMessage = {
  name: "PopMessage",
  code: 200_050,
  about: "Takes messages, which nobody else gets until their invisible time ends; may be held until some come (5.x).",
  header: {
    consumerGroup: "text",
    topic: "text",
    queueId: "int",
    maxMsgNums: "int",
    invisibleTime: "long",
    pollTime: "long",
    bornTime: "long",
    initMode: "int",
    expType: "text?",
    exp: "text?",
    order: "bool?",
    attemptId: "text?",
  },
  answer: {
    popTime: "long",
    invisibleTime: "long",
    reviveQid: "int",
    restNum: "long",
    startOffsetInfo: "text?",
    msgOffsetInfo: "text?",
    orderCountInfo: "text?",
  },
  bodies: ["none", "stored messages, one after the other"],
} as const satisfies RequestSpec;

/** Says that a popped message is done. Source: AckMessageRequestHeader. */
export const ackMessage = {
  name: "AckMessage",
  code: 200_051,
  about: "Says that a popped message is done; the topic is the one that it was popped from (5.x).",
  header: { consumerGroup: "text", topic: "text", queueId: "int", extraInfo: "text", offset: "long" },
  answer: {},
} as const satisfies RequestSpec;

/** Says that many popped messages are done. Source: BatchAckMessageRequestBody. */
export const batchAckMessage = {
  name: "BatchAckMessage",
  code: 200_151,
  about: "Says that many popped messages are done; offsets that make no sense are skipped (5.x).",
  header: {},
  answer: {},
  bodies: ["BatchAckBody", "none"],
} as const satisfies RequestSpec;

/** Makes a popped message visible later or sooner. Source: ChangeInvisibleTimeRequestHeader. */
export const changeInvisibleTime = {
  name: "ChangeInvisibleTime",
  code: 200_053,
  about: "Lets the invisible time of a popped message end at another time, under a new receipt (5.x).",
  header: {
    consumerGroup: "text",
    topic: "text",
    queueId: "int",
    extraInfo: "text",
    offset: "long",
    invisibleTime: "long",
  },
  answer: { popTime: "long", invisibleTime: "long", reviveQid: "int" },
} as const satisfies RequestSpec;

/** Asks a broker which queues are ours. Source: QueryAssignmentRequestBody. */
export const queryAssignment = {
  name: "QueryAssignment",
  code: 400,
  about: "Asks which queues of a topic a member is to consume, and whether by pull or by pop (5.x).",
  header: {},
  answer: {},
  bodies: ["QueryAssignmentBody", "AssignmentBody"],
  maxJsonSize: MAX_QUEUE_LIST_SIZE,
} as const satisfies RequestSpec;

/** Says how a group gets a topic's messages. Source: SetMessageRequestModeRequestBody. */
export const setMessageRequestMode = {
  name: "SetMessageRequestMode",
  code: 401,
  about: "Says whether a group gets a topic's messages by pull or by pop (5.x).",
  header: {},
  answer: {},
  bodies: ["MessageRequestModeBody", "none"],
} as const satisfies RequestSpec;
