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
  about: "Pops messages, which are invisible to others for a time; may be held until some arrive (5.x).",
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
  about: "Acknowledges a popped message; the topic is the one that it was popped from (5.x).",
  header: { consumerGroup: "text", topic: "text", queueId: "int", extraInfo: "text", offset: "long" },
  answer: {},
} as const satisfies RequestSpec;

/** Says that many popped messages are done. Source: BatchAckMessageRequestBody. */
export const batchAckMessage = {
  name: "BatchAckMessage",
  code: 200_151,
  about: "Acknowledges many popped messages; offsets that are not valid are skipped (5.x).",
  header: {},
  answer: {},
  bodies: ["BatchAckBody", "none"],
} as const satisfies RequestSpec;

/** Makes a popped message visible later or sooner. Source: ChangeInvisibleTimeRequestHeader. */
export const changeInvisibleTime = {
  name: "ChangeInvisibleTime",
  code: 200_053,
  about: "Changes when the invisible time of a popped message ends; returns a new receipt (5.x).",
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

/** Reads the queues that are assigned to this member. Source: QueryAssignmentRequestBody. */
export const queryAssignment = {
  name: "QueryAssignment",
  code: 400,
  about: "Reads which queues of a topic are assigned to a member, and whether it pulls or pops (5.x).",
  header: {},
  answer: {},
  bodies: ["QueryAssignmentBody", "AssignmentBody"],
  maxJsonSize: MAX_QUEUE_LIST_SIZE,
} as const satisfies RequestSpec;

/** Says how a group gets a topic's messages. Source: SetMessageRequestModeRequestBody. */
export const setMessageRequestMode = {
  name: "SetMessageRequestMode",
  code: 401,
  about: "Sets whether a group consumes a topic by pull or by pop (5.x).",
  header: {},
  answer: {},
  bodies: ["MessageRequestModeBody", "none"],
} as const satisfies RequestSpec;
