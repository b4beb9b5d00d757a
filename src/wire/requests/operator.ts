/**
 * Requests of operators to the consumers of a group.
 *
 * @module
 */

import { MAX_QUEUE_LIST_SIZE } from "../json.ts";
import type { RequestSpec } from "./request_spec.ts";

/** From a 4.9 broker: an operator has reset a group's offsets. Source: ResetOffsetRequestHeader, ResetOffsetBody. */
export const resetConsumerOffset = {
  name: "ResetConsumerOffset",
  code: 220,
  about: "A broker before 5.0 reports that an operator has reset a group's offsets (oneway, from broker to client).",
  header: { topic: "text", group: "text", timestamp: "long", isForce: "bool" },
  answer: {},
  bodies: ["ResetOffsetBody", "none"],
  maxJsonSize: MAX_QUEUE_LIST_SIZE,
} as const satisfies RequestSpec;

/** From a broker, for an operator: how far is this consumer? Source: GetConsumerStatusRequestHeader. */
export const getConsumerStatus = {
  name: "GetConsumerStatus",
  code: 221,
  about: "Reads up to where a consumer has settled a topic's queues (from broker to client).",
  header: { topic: "text", group: "text" },
  answer: {},
  bodies: ["none", "GetConsumerStatusBody"],
  maxJsonSize: MAX_QUEUE_LIST_SIZE,
} as const satisfies RequestSpec;

/** Sets a group's offsets, for an operator. Source: ResetOffsetRequestHeader, ResetOffsetBody. */
export const resetGroupOffset = {
  name: "ResetGroupOffset",
  code: 222,
  about: "Sets a group's offsets of a topic to a time or, since 5.0, one queue's to a number.",
  header: {
    topic: "text",
    group: "text",
    timestamp: "long",
    isForce: "bool",
    queueId: "int?",
    offset: "long?",
  },
  answer: {},
  bodies: ["none", "ResetOffsetBody"],
} as const satisfies RequestSpec;

/** Reads how far a group's members are, for an operator. Source: GetConsumerStatusRequestHeader. */
export const queryConsumerStatus = {
  name: "QueryConsumerStatus",
  code: 223,
  about: "Reads up to where a group's members, or one of them, have settled a topic's queues, through a broker.",
  header: { topic: "text", group: "text", clientAddr: "text?" },
  answer: {},
  bodies: ["none", "GetConsumerStatusBody"],
  maxJsonSize: MAX_QUEUE_LIST_SIZE,
} as const satisfies RequestSpec;

/** Reads a consumer's state through its broker. Source: GetConsumerRunningInfoRequestHeader. */
export const getConsumerRunningInfo = {
  name: "GetConsumerRunningInfo",
  code: 307,
  about: "Reads the state of one consumer, through its broker.",
  header: { consumerGroup: "text", clientId: "text", jstackEnable: "bool?" },
  answer: {},
  bodies: ["none", "ConsumerRunningInfo"],
} as const satisfies RequestSpec;

/** Lets a consumer handle one message, by way of its broker. Source: ConsumeMessageDirectlyResultRequestHeader. */
export const consumeMessageDirectly = {
  name: "ConsumeMessageDirectly",
  code: 309,
  about: "Lets one consumer handle one message now; its broker reads the message and passes it on.",
  header: {
    consumerGroup: "text",
    clientId: "text?",
    msgId: "text?",
    brokerName: "text?",
    topic: "text?",
    groupSysFlag: "int?",
  },
  answer: {},
  bodies: ["none to a broker, to a consumer one stored message", "ConsumeMessageDirectlyResult"],
} as const satisfies RequestSpec;
