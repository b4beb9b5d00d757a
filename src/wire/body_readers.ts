/**
 * Reads the bodies of JSON that the request table names: each is checked, and none is believed.
 *
 * @module
 */

import type {
  AssignmentBody,
  BatchAck,
  BatchAckBody,
  ConsumerConnection,
  ConsumerData,
  ConsumerListBody,
  HeartbeatData,
  LockedQueuesBody,
  MessageRequestModeBody,
  QueryAssignmentBody,
  QueueName,
  SubscriptionData,
  TimeSpanBody,
} from "./bodies.ts";
import { MAX_JSON_SIZE } from "./json.ts";
import {
  batchAckMessage,
  checkClientConfig,
  getConsumerConnections,
  getConsumerList,
  getConsumerStatus,
  heartbeat,
  lockQueues,
  queryAssignment,
  queryTimeSpan,
  resetConsumerOffset,
  setMessageRequestMode,
  unlockQueues,
} from "./requests.ts";
import {
  type BodyReader,
  bodyReader,
  either,
  flag,
  integer,
  list,
  map,
  MAX_INT,
  object,
  oneOf,
  optional,
  type Shape,
  table,
  text,
} from "./shapes.ts";

/** The most characters of a topic, a group, a client id or an address: more than any server takes. */
const LONGEST_NAME = 1_024;

/** The queues to lock or to unlock. Source: LockBatchRequestBody. */
export interface LockBody {
  /** The group. */
  readonly consumerGroup: string;
  /** The member's client id. */
  readonly clientId: string;
  /** The queues. */
  readonly mqSet: readonly QueueName[];
}

/** Offsets by queue. */
export type QueueOffsets = readonly (readonly [QueueName, number])[];

const name = text(LONGEST_NAME);
const expression = text(MAX_JSON_SIZE);
/** Clients of other makes send the number of a word instead. */
const word = either(name, (value) => String(integer()(value)));

const queue: Shape<QueueName> = object({ topic: name, brokerName: name, queueId: integer(-1, MAX_INT) });

const subscription: Shape<SubscriptionData> = object({
  classFilterMode: optional(flag, false),
  topic: name,
  subString: optional(expression, ""),
  tagsSet: optional(list(expression), []),
  codeSet: optional(list(integer()), []),
  subVersion: optional(integer(), 0),
  expressionType: optional(name, "TAG"),
});

const consumer: Shape<ConsumerData> = object({
  groupName: name,
  consumeType: optional(word, "CONSUME_PASSIVELY"),
  messageModel: optional(word, "CLUSTERING"),
  consumeFromWhere: optional(word, "CONSUME_FROM_LAST_OFFSET"),
  subscriptionDataSet: optional(list(subscription), []),
  unitMode: optional(flag, false),
});

const batchAck: Shape<BatchAck> = object({
  c: name,
  t: name,
  r: name,
  so: integer(0),
  q: integer(0, MAX_INT),
  rq: integer(-MAX_INT, MAX_INT),
  pt: integer(),
  it: integer(),
  b: text(MAX_JSON_SIZE),
});

const lock: Shape<LockBody> = object({
  consumerGroup: name,
  clientId: name,
  mqSet: optional(list(queue), []),
});

/** Reads what a client says of itself. */
export const readHeartbeat: BodyReader<HeartbeatData> = bodyReader(
  heartbeat,
  object({
    clientID: name,
    producerDataSet: optional(list(object({ groupName: name })), []),
    consumerDataSet: optional(list(consumer), []),
    heartbeatFingerprint: optional(integer(), 0),
    withoutSub: optional(flag, false),
  }),
);

/** Reads a subscription that a broker is to check. */
export const readClientConfig: BodyReader<{ readonly subscriptionData?: SubscriptionData }> = bodyReader(
  checkClientConfig,
  object({ subscriptionData: optional(subscription) }),
);

/** Reads the members of a group. */
export const readConsumerList: BodyReader<ConsumerListBody> = bodyReader(
  getConsumerList,
  object({ consumerIdList: optional(list(name)) }),
);

/** Reads who is in a group. */
export const readConnections: BodyReader<ConsumerConnection> = bodyReader(
  getConsumerConnections,
  object({
    connectionSet: optional(list(object({
      clientId: name,
      clientAddr: optional(name, ""),
      language: optional(word, "OTHER"),
      version: optional(integer(), 0),
    }))),
    subscriptionTable: optional(map(subscription)),
    consumeType: optional(word),
    messageModel: optional(word),
    consumeFromWhere: optional(word),
  }),
);

/** Reads which queues are to be locked. */
export const readLock: BodyReader<LockBody> = bodyReader(lockQueues, lock);

/** Reads which queues are to be unlocked. */
export const readUnlock: BodyReader<LockBody> = bodyReader(unlockQueues, lock);

/** Reads which queues are locked now. */
export const readLocked: BodyReader<LockedQueuesBody> = bodyReader(
  lockQueues,
  object({ lockOKMQSet: optional(list(queue)) }),
);

/** Reads the times of queues. */
export const readTimeSpans: BodyReader<TimeSpanBody> = bodyReader(
  queryTimeSpan,
  object({
    consumeTimeSpanSet: optional(list(object({
      messageQueue: queue,
      minTimeStamp: optional(integer(), -1),
      maxTimeStamp: optional(integer(), -1),
      consumeTimeStamp: optional(integer(), -1),
      delayTime: optional(integer(), -1),
    }))),
  }),
);

/** Reads the acks of many messages. */
export const readBatchAcks: BodyReader<Partial<BatchAckBody>> = bodyReader(
  batchAckMessage,
  object({ brokerName: optional(name), acks: optional(list(batchAck)) }),
);

/** Reads a question for a member's queues. */
export const readQueryAssignment: BodyReader<Partial<QueryAssignmentBody>> = bodyReader(
  queryAssignment,
  object({
    topic: optional(name),
    consumerGroup: optional(name),
    clientId: optional(name),
    strategyName: optional(name),
    messageModel: optional(name),
  }),
);

/** Reads a member's queues. */
export const readAssignment: BodyReader<AssignmentBody> = bodyReader(
  queryAssignment,
  object({
    messageQueueAssignments: optional(list(object({
      messageQueue: queue,
      mode: optional(oneOf("PULL", "POP"), "PULL"),
      attachments: optional(map(text(MAX_JSON_SIZE))),
    }))),
  }),
);

/** Reads how a group is to get a topic's messages. */
export const readRequestMode: BodyReader<Partial<MessageRequestModeBody>> = bodyReader(
  setMessageRequestMode,
  object({
    topic: optional(name),
    consumerGroup: optional(name),
    mode: optional(oneOf("PULL", "POP")),
    popShareQueueNum: optional(integer(-MAX_INT, MAX_INT)),
  }),
);

/** Reads the offsets that an operator has set; an odd entry costs that entry only. Source: ResetOffsetBody. */
export const readReset: BodyReader<{ readonly offsetTable: QueueOffsets }> = bodyReader(
  resetConsumerOffset,
  object({ offsetTable: optional(table(queue, integer(0)), []) }),
);

/** Reads how far a member is; an odd entry costs that entry only. Source: GetConsumerStatusBody. */
export const readConsumerStatus: BodyReader<{ readonly messageQueueTable: QueueOffsets }> = bodyReader(
  getConsumerStatus,
  object({ messageQueueTable: optional(table(queue, integer()), []) }),
);
