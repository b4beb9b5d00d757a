/**
 * The requests that this package sends, serves or answers: one row each, from which types, encoders, decoders, the
 * embedded broker's parsers and the reference page (`docs/protocol.md`) come.
 *
 * Numbers are RocketMQ's RequestCode; header fields are those of the classes under `remoting/protocol/header`, 5.3.
 * Older brokers ignore fields that they do not know.
 *
 * @module
 */

import type { Fields } from "./fields.ts";
import { MAX_QUEUE_LIST_SIZE } from "./json.ts";

/** One request of the protocol. */
export interface RequestSpec {
  /** Its name, as errors and the reference page show it. */
  readonly name: string;
  /** Its code on the wire. */
  readonly code: number;
  /** The request's header. */
  readonly header: Fields;
  /** The header of a successful answer. */
  readonly answer: Fields;
  /** What it is for, in one sentence. */
  readonly about: string;
  /** What the bodies hold, if there are any: request, then answer. */
  readonly bodies?: readonly [string, string];
  /** The most bytes that a body of JSON has. @default {MAX_JSON_SIZE} */
  readonly maxJsonSize?: number;
}

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
  about: "Puts a message that failed into the group's retry topic, or into its dead letter queue.",
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

/** Asks for a group's stored offset. Source: QueryConsumerOffsetRequestHeader. */
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

/** Asks for the end of a queue. Source: GetMaxOffsetRequestHeader. */
export const getMaxOffset = {
  name: "GetMaxOffset",
  code: 30,
  about: "Reads the offset that the next message of a queue will get.",
  header: { topic: "text", queueId: "int" },
  answer: { offset: "long" },
} as const satisfies RequestSpec;

/** Asks for the beginning of a queue. Source: GetMinOffsetRequestHeader. */
export const getMinOffset = {
  name: "GetMinOffset",
  code: 31,
  about: "Reads the smallest offset that a queue still holds.",
  header: { topic: "text", queueId: "int" },
  answer: { offset: "long" },
} as const satisfies RequestSpec;

/** Asks from when to when messages are stored, and how far a group is. Source: QueryConsumeTimeSpanRequestHeader. */
export const queryTimeSpan = {
  name: "QueryTimeSpan",
  code: 303,
  about: "Reads the times of a topic's oldest and newest messages; of a group without offsets, the broker's own time.",
  header: { topic: "text", group: "text" },
  answer: {},
  bodies: ["none", "TimeSpanBody"],
  maxJsonSize: MAX_QUEUE_LIST_SIZE,
} as const satisfies RequestSpec;

/** Tells a broker who we are and what we subscribe. Source: HeartbeatRequestHeader, HeartbeatData. */
export const heartbeat = {
  name: "Heartbeat",
  code: 34,
  about: "Registers a client's groups and subscriptions with a broker.",
  header: {},
  answer: {},
  bodies: ["HeartbeatData", "none"],
} as const satisfies RequestSpec;

/** Takes a group of this client out of a broker's list. Source: UnregisterClientRequestHeader. */
export const unregisterClient = {
  name: "UnregisterClient",
  code: 35,
  about: "Takes one group of a client out of a broker's list.",
  header: { clientID: "text", producerGroup: "text?", consumerGroup: "text?" },
  answer: {},
} as const satisfies RequestSpec;

/** Asks who is in a group. Source: GetConsumerListByGroupRequestHeader. */
export const getConsumerList = {
  name: "GetConsumerList",
  code: 38,
  about: "Lists the client ids that are in a group, as one broker knows them.",
  header: { consumerGroup: "text" },
  answer: {},
  bodies: ["none", "ConsumerListBody"],
} as const satisfies RequestSpec;

/** From a broker: a group's members changed. Source: NotifyConsumerIdsChangedRequestHeader. */
export const notifyConsumerIdsChanged = {
  name: "NotifyConsumerIdsChanged",
  code: 40,
  about: "A broker tells that a group has other members now (oneway, from broker to client).",
  header: { consumerGroup: "text" },
  answer: {},
} as const satisfies RequestSpec;

/** Asks a name server where a topic lives. Source: GetRouteInfoRequestHeader. */
export const getRoute = {
  name: "GetRoute",
  code: 105,
  about: "Reads a topic's queues and brokers; 17 if the topic is not known.",
  header: { topic: "text", acceptStandardJsonOnly: "bool?" },
  answer: {},
  bodies: ["none", "TopicRouteData"],
} as const satisfies RequestSpec;

/** Asks a name server for its brokers. Source: DefaultRequestProcessor. */
export const getClusterInfo = {
  name: "GetClusterInfo",
  code: 106,
  about: "Lists the brokers that a name server knows.",
  header: {},
  answer: {},
  bodies: ["none", "ClusterInfo"],
} as const satisfies RequestSpec;

/** Creates or changes a topic on one broker. Source: CreateTopicRequestHeader. */
export const createTopic = {
  name: "CreateTopic",
  code: 17,
  about: "Creates or changes a topic on one broker.",
  header: {
    topic: "text",
    defaultTopic: "text",
    readQueueNums: "int",
    writeQueueNums: "int",
    perm: "int",
    topicFilterType: "text",
    topicSysFlag: "int?",
    order: "bool",
    attributes: "text?",
  },
  answer: {},
} as const satisfies RequestSpec;

/** Locks queues for one member of a group, or renews the locks. Source: LockBatchRequestBody. */
export const lockQueues = {
  name: "LockQueues",
  code: 41,
  about: "Locks queues for one member of a group; the broker forgets a lock 60 seconds after its last renewal.",
  header: {},
  answer: {},
  bodies: ["LockBatchRequestBody", "LockBatchResponseBody"],
  maxJsonSize: MAX_QUEUE_LIST_SIZE,
} as const satisfies RequestSpec;

/** Gives locks of queues up. Source: UnlockBatchRequestBody. */
export const unlockQueues = {
  name: "UnlockQueues",
  code: 42,
  about: "Gives the locks of queues up.",
  header: {},
  answer: {},
  bodies: ["UnlockBatchRequestBody", "none"],
  maxJsonSize: MAX_QUEUE_LIST_SIZE,
} as const satisfies RequestSpec;

/** Asks whether a broker takes a subscription. Source: CheckClientRequestBody. */
export const checkClientConfig = {
  name: "CheckClientConfig",
  code: 46,
  about: "Asks whether a broker takes a subscription; 23 if its expression does not parse.",
  header: {},
  answer: {},
  bodies: ["CheckClientRequestBody", "none"],
} as const satisfies RequestSpec;

/** Asks who is in a group, with subscriptions. Source: GetConsumerConnectionListRequestHeader. */
export const getConsumerConnections = {
  name: "GetConsumerConnections",
  code: 203,
  about: "Lists a group's connections and subscriptions; 206 if nobody is in it.",
  header: { consumerGroup: "text" },
  answer: {},
  bodies: ["none", "ConsumerConnection"],
} as const satisfies RequestSpec;

/** Requests the connections of a producer group. Source: GetProducerConnectionListRequestHeader. */
export const getProducerConnections = {
  name: "GetProducerConnections",
  code: 204,
  about: "Lists a producer group's connections; 1 if there are none.",
  header: { producerGroup: "text" },
  answer: {},
  bodies: ["none", "ProducerConnection"],
} as const satisfies RequestSpec;

/** Asks a name server for all topics. Source: DefaultRequestProcessor. */
export const getTopicList = {
  name: "GetTopicList",
  code: 206,
  about: "Lists the topics that a name server knows.",
  header: {},
  answer: {},
  bodies: ["none", "TopicList"],
} as const satisfies RequestSpec;

/** Asks a name server for one of its own settings. Source: GetKVConfigRequestHeader. */
export const getKvConfig = {
  name: "GetKvConfig",
  code: 101,
  about: "Reads a value that is kept on a name server; 22 if there is none.",
  header: { namespace: "text", key: "text" },
  answer: { value: "text?" },
} as const satisfies RequestSpec;

/** From a 4.9 broker: an operator has reset a group's offsets. Source: ResetOffsetRequestHeader, ResetOffsetBody. */
export const resetConsumerOffset = {
  name: "ResetConsumerOffset",
  code: 220,
  about: "A broker before 5.0 tells that an operator has reset a group's offsets (oneway, from broker to client).",
  header: { topic: "text", group: "text", timestamp: "long", isForce: "bool" },
  answer: {},
  bodies: ["ResetOffsetBody", "none"],
  maxJsonSize: MAX_QUEUE_LIST_SIZE,
} as const satisfies RequestSpec;

/** From a broker, for an operator: how far is this consumer? Source: GetConsumerStatusRequestHeader. */
export const getConsumerStatus = {
  name: "GetConsumerStatus",
  code: 221,
  about: "A broker asks up to where a consumer has settled a topic's queues (from broker to client).",
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

/** Asks a group's members how far they are, for an operator. Source: GetConsumerStatusRequestHeader. */
export const queryConsumerStatus = {
  name: "QueryConsumerStatus",
  code: 223,
  about: "Asks a broker to ask a group's members, or one of them, up to where they have settled a topic's queues.",
  header: { topic: "text", group: "text", clientAddr: "text?" },
  answer: {},
  bodies: ["none", "GetConsumerStatusBody"],
  maxJsonSize: MAX_QUEUE_LIST_SIZE,
} as const satisfies RequestSpec;

/** Asks a consumer about itself, by way of its broker. Source: GetConsumerRunningInfoRequestHeader. */
export const getConsumerRunningInfo = {
  name: "GetConsumerRunningInfo",
  code: 307,
  about: "Asks one consumer how it is; its broker passes the question on.",
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

/** Every row, in the order of the reference page. */
export const requests: readonly RequestSpec[] = [
  sendMessage,
  sendBatch,
  sendMessageV1,
  sendBack,
  pullMessage,
  popMessage,
  ackMessage,
  batchAckMessage,
  changeInvisibleTime,
  queryAssignment,
  setMessageRequestMode,
  queryConsumerOffset,
  updateConsumerOffset,
  searchOffsetByTimestamp,
  getMaxOffset,
  getMinOffset,
  queryTimeSpan,
  heartbeat,
  unregisterClient,
  getConsumerList,
  notifyConsumerIdsChanged,
  getRoute,
  getClusterInfo,
  createTopic,
  lockQueues,
  unlockQueues,
  checkClientConfig,
  getConsumerConnections,
  getProducerConnections,
  getTopicList,
  getKvConfig,
  resetConsumerOffset,
  getConsumerStatus,
  resetGroupOffset,
  queryConsumerStatus,
  getConsumerRunningInfo,
  consumeMessageDirectly,
];
