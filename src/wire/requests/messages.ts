/**
 * Requests that send, return and pull messages.
 *
 * @module
 */

import type { Fields } from "../fields.ts";
import type { RequestSpec } from "./request_spec.ts";

/** The header of a send, with the short names that keep it small. Source: SendMessageRequestHeaderV2. */
export const sendHeader = {
  producerGroup: "text=a",
  topic: "text=b",
  defaultTopic: "text=c",
  defaultTopicQueueNums: "int=d",
  queueId: "int=e",
  sysFlag: "int=f",
  bornTimestamp: "long=g",
  flag: "int=h",
  properties: "text?=i",
  reconsumeTimes: "int?=j",
  unitMode: "bool?=k",
  maxReconsumeTimes: "int?=l",
  batch: "bool?=m",
  brokerName: "text?=n",
} as const satisfies Fields;

/** What a broker answers to a send. Source: SendMessageResponseHeader. */
export const sendAnswer = {
  msgId: "text",
  queueId: "int",
  queueOffset: "long",
  transactionId: "text?",
  batchUniqId: "text?",
} as const satisfies Fields;

/** Sends one message. Source: SendMessageRequestHeaderV2. */
export const sendMessage = {
  name: "SendMessage",
  code: 310,
  about: "Stores one message in a queue.",
  header: sendHeader,
  answer: sendAnswer,
  bodies: ["the message's body", "none"],
} as const satisfies RequestSpec;

/** Sends several messages to one queue. Source: SendMessageRequestHeaderV2. */
export const sendBatch = {
  name: "SendBatch",
  code: 320,
  about: "Stores several messages in one queue.",
  header: sendHeader,
  answer: sendAnswer,
  bodies: ["the messages in batch form", "none"],
} as const satisfies RequestSpec;

/** The older form of {@linkcode sendMessage}, which other clients may send. Source: SendMessageRequestHeader. */
export const sendMessageV1 = {
  name: "SendMessageV1",
  code: 10,
  about: "Stores one message in a queue: the older form with long field names.",
  header: {
    producerGroup: "text",
    topic: "text",
    defaultTopic: "text",
    defaultTopicQueueNums: "int",
    queueId: "int",
    sysFlag: "int",
    bornTimestamp: "long",
    flag: "int",
    properties: "text?",
    reconsumeTimes: "int?",
    unitMode: "bool?",
    maxReconsumeTimes: "int?",
    batch: "bool?",
  },
  answer: sendAnswer,
  bodies: ["the message's body", "none"],
} as const satisfies RequestSpec;

/** Sends a message back for later, or to the dead letter queue. Source: ConsumerSendMsgBackRequestHeader. */
export const sendBack = {
  name: "SendBack",
  code: 36,
  about: "Stores a message that failed in the group's retry topic, or in its dead letter queue.",
  header: {
    offset: "long",
    group: "text",
    delayLevel: "int",
    originMsgId: "text?",
    originTopic: "text?",
    unitMode: "bool?",
    maxReconsumeTimes: "int?",
  },
  answer: {},
} as const satisfies RequestSpec;

/** Pulls messages of one queue. Source: PullMessageRequestHeader, PullMessageResponseHeader. */
export const pullMessage = {
  name: "PullMessage",
  code: 11,
  about: "Reads messages of one queue from an offset on; may be held until some arrive.",
  header: {
    consumerGroup: "text",
    topic: "text",
    queueId: "int",
    queueOffset: "long",
    maxMsgNums: "int",
    sysFlag: "int",
    commitOffset: "long",
    suspendTimeoutMillis: "long",
    subscription: "text?",
    subVersion: "long",
    expressionType: "text?",
    maxMsgBytes: "int?",
  },
  answer: { suggestWhichBrokerId: "long", nextBeginOffset: "long", minOffset: "long", maxOffset: "long" },
  bodies: ["none", "stored messages, one after the other"],
} as const satisfies RequestSpec;
