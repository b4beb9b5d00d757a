/**
 * The JSON bodies of requests and answers, as RocketMQ's classes name their members.
 *
 * Members may be missing in any body: Java leaves out what is null.
 *
 * @module
 */

/** One subscription of a group. Source: SubscriptionData. */
export interface SubscriptionData {
  /** Always false: class filters are gone. */
  readonly classFilterMode: boolean;
  /** The topic. */
  readonly topic: string;
  /** The expression as text; `*` for everything. */
  readonly subString: string;
  /** The tags; empty for `*` and for SQL. */
  readonly tagsSet: readonly string[];
  /** Java hash codes of the tags. */
  readonly codeSet: readonly number[];
  /** Milliseconds since 1970: grows with every change. */
  readonly subVersion: number;
  /** `TAG` or `SQL92`. */
  readonly expressionType: string;
}

/** One consumer group in a heartbeat. Source: ConsumerData. */
export interface ConsumerData {
  /** The group. */
  readonly groupName: string;
  /** `CONSUME_PASSIVELY` for a group consumer, `CONSUME_ACTIVELY` for a reader. */
  readonly consumeType: string;
  /** `CLUSTERING` or `BROADCASTING`. */
  readonly messageModel: string;
  /** `CONSUME_FROM_LAST_OFFSET`, `CONSUME_FROM_FIRST_OFFSET` or `CONSUME_FROM_TIMESTAMP`. */
  readonly consumeFromWhere: string;
  /** The subscriptions, the retry topic's included. */
  readonly subscriptionDataSet: readonly SubscriptionData[];
  /** Always false. */
  readonly unitMode: boolean;
}

/** A heartbeat of a client. Source: HeartbeatData. */
export interface HeartbeatData {
  /** The client's id, unique per client. */
  readonly clientID: string;
  /** The producer groups. */
  readonly producerDataSet: readonly { readonly groupName: string }[];
  /** The consumer groups. */
  readonly consumerDataSet: readonly ConsumerData[];
  /** 0: the second heartbeat version is not used. */
  readonly heartbeatFingerprint: number;
  /** Whether subscriptions are left out; always false here. */
  readonly withoutSub: boolean;
}

/** The members of a group. Source: GetConsumerListByGroupResponseBody. */
export interface ConsumerListBody {
  /** Client ids in no order. */
  readonly consumerIdList?: readonly string[];
}

/** The queues that are locked for the client that asked. Source: LockBatchResponseBody. */
export interface LockedQueuesBody {
  /** Those of the queues asked for that it holds now. */
  readonly lockOKMQSet?: readonly QueueName[];
}

/** A topic's queues on one broker. Source: QueueData. */
export interface QueueData {
  /** The broker's name. */
  readonly brokerName: string;
  /** How many queues may be read: 0 up to this number. */
  readonly readQueueNums: number;
  /** How many queues may be written. */
  readonly writeQueueNums: number;
  /** Bits: 4 read, 2 write, 1 inherit. */
  readonly perm: number;
  /** Flags of the topic. */
  readonly topicSysFlag?: number;
}

/** One broker with its replicas. Source: BrokerData. */
export interface BrokerData {
  /** The cluster's name. */
  readonly cluster: string;
  /** The broker's name. */
  readonly brokerName: string;
  /** `host:port` by broker id; 0 is the master. */
  readonly brokerAddrs: Readonly<Record<string, string>>;
}

/** Where a topic lives. Source: TopicRouteData. */
export interface TopicRouteData {
  /** The order of queues of an ordered topic: `broker1:4;broker2:4`. */
  readonly orderTopicConf?: string;
  /** The queues of each broker. */
  readonly queueDatas?: readonly QueueData[];
  /** The addresses of each broker. */
  readonly brokerDatas?: readonly BrokerData[];
}

/** The brokers that a name server knows. Source: ClusterInfo. */
export interface ClusterInfo {
  /** Brokers by name. */
  readonly brokerAddrTable?: Readonly<Record<string, BrokerData>>;
  /** Broker names by cluster. */
  readonly clusterAddrTable?: Readonly<Record<string, readonly string[]>>;
}

/** A queue as bodies name it. Source: MessageQueue. */
export interface QueueName {
  /** The topic. */
  readonly topic: string;
  /** The broker's name. */
  readonly brokerName: string;
  /** The queue's number. */
  readonly queueId: number;
}

/** The acks of one delivery. Source: BatchAck. */
export interface BatchAck {
  /** The group. */
  readonly c: string;
  /** The topic that the messages were sent to. */
  readonly t: string;
  /** Which topic they were popped from: `0`, `1` or `2`, as in receipts. */
  readonly r: string;
  /** The start offset of the delivery. */
  readonly so: number;
  /** The queue's number. */
  readonly q: number;
  /** The revive queue. */
  readonly rq: number;
  /** The pop time, in milliseconds since 1970. */
  readonly pt: number;
  /** The invisible time, in milliseconds. */
  readonly it: number;
  /** Which messages: bits in base64, counted from the start offset. */
  readonly b: string;
}

/** The acks of one group or of several on one broker. Source: BatchAckMessageRequestBody. */
export interface BatchAckBody {
  /** The broker's name. */
  readonly brokerName: string;
  /** The acks. */
  readonly acks: readonly BatchAck[];
}

/** How a group gets its messages. Source: MessageRequestMode. */
export type MessageRequestMode = "PULL" | "POP";

/** Asks which queues a member is to consume. Source: QueryAssignmentRequestBody. */
export interface QueryAssignmentBody {
  /** The topic. */
  readonly topic: string;
  /** The group. */
  readonly consumerGroup: string;
  /** The member's client id. */
  readonly clientId: string;
  /** The name of an allocation strategy: `AVG`, `AVG_BY_CIRCLE`. */
  readonly strategyName: string;
  /** `CLUSTERING` or `BROADCASTING`. */
  readonly messageModel: string;
}

/** One queue of a member. Source: MessageQueueAssignment. */
export interface QueueAssignment {
  /** The queue; its number is -1 for all queues of the broker. */
  readonly messageQueue: QueueName;
  /** How its messages are got. */
  readonly mode: MessageRequestMode;
  /** More about it. */
  readonly attachments?: Readonly<Record<string, string>>;
}

/** The queues of a member. Source: QueryAssignmentResponseBody. */
export interface AssignmentBody {
  /** The queues, in no order. */
  readonly messageQueueAssignments?: readonly QueueAssignment[];
}

/** How a group gets a topic's messages. Source: SetMessageRequestModeRequestBody. */
export interface MessageRequestModeBody {
  /** The topic. */
  readonly topic: string;
  /** The group. */
  readonly consumerGroup: string;
  /** How. */
  readonly mode: MessageRequestMode;
  /** With how many members behind it in the list each member shares its queues; 0: all members have all queues. */
  readonly popShareQueueNum: number;
}

/** One connection of a group. Source: Connection. */
export interface ConnectionBody {
  /** The client's id. */
  readonly clientId: string;
  /** Its `host:port`, as the broker sees it. */
  readonly clientAddr: string;
  /** Its language. */
  readonly language: string;
  /** Its version, an ordinal of MQVersion. */
  readonly version: number;
}

/** From when to when queues hold messages, and how far a group is. Source: QueryConsumeTimeSpanBody. */
export interface TimeSpanBody {
  /** One entry for each queue, in no order. */
  readonly consumeTimeSpanSet?: readonly TimeSpan[];
}

/** The times of one queue, in milliseconds. Source: QueueTimeSpan. */
export interface TimeSpan {
  /** The queue. */
  readonly messageQueue: QueueName;
  /** When its oldest message was stored. */
  readonly minTimeStamp: number;
  /** When its newest message was stored. */
  readonly maxTimeStamp: number;
  /** When the message was stored that the group consumed last. */
  readonly consumeTimeStamp: number;
  /** How old the group's next message is; of a group without an offset, the broker's time and 1 ms. */
  readonly delayTime: number;
}

/** Who is in a group. Source: ConsumerConnection. */
export interface ConsumerConnection {
  /** The connections, in no order. */
  readonly connectionSet?: readonly ConnectionBody[];
  /** The subscriptions by topic. */
  readonly subscriptionTable?: Readonly<Record<string, SubscriptionData>>;
  /** `CONSUME_PASSIVELY`, `CONSUME_ACTIVELY` or `CONSUME_POP`. */
  readonly consumeType?: string;
  /** `CLUSTERING` or `BROADCASTING`. */
  readonly messageModel?: string;
  /** Where its members begin. */
  readonly consumeFromWhere?: string;
}

/** The connections of a producer group. Source: ProducerConnection. */
export type ProducerConnection = Pick<ConsumerConnection, "connectionSet">;

/** How one queue is at a consumer. Source: ProcessQueueInfo. */
export interface ProcessQueueInfo {
  /** The offset that is committed. */
  readonly commitOffset: number;
  /** The smallest offset that the consumer holds. */
  readonly cachedMsgMinOffset: number;
  /** The largest offset that it holds. */
  readonly cachedMsgMaxOffset: number;
  /** How many messages it holds. */
  readonly cachedMsgCount: number;
  /** How large they are together, in MiB. */
  readonly cachedMsgSizeInMiB: number;
  /** The smallest offset in the hands of a handler, in order. */
  readonly transactionMsgMinOffset: number;
  /** The largest offset in the hands of a handler, in order. */
  readonly transactionMsgMaxOffset: number;
  /** How many messages a handler has, in order. */
  readonly transactionMsgCount: number;
  /** Whether the queue is locked for this member. */
  readonly locked: boolean;
  /** How often an unlock was tried. */
  readonly tryUnlockTimes: number;
  /** When the lock was renewed last, in milliseconds since 1970. */
  readonly lastLockTimestamp: number;
  /** Whether the queue is given up. */
  readonly droped: boolean;
  /** When it was pulled last, in milliseconds since 1970. */
  readonly lastPullTimestamp: number;
  /** When a message of it was handled last, in milliseconds since 1970. */
  readonly lastConsumeTimestamp: number;
}

/** How one queue is at a consumer that pops. Source: PopProcessQueueInfo. */
export interface PopProcessQueueInfo {
  /** How many messages are not acked yet. */
  readonly waitAckCount: number;
  /** Whether the queue is given up. */
  readonly droped: boolean;
  /** When it was popped last, in milliseconds since 1970. */
  readonly lastPopTimestamp: number;
}

/** What a consumer did with a topic of late. Source: ConsumeStatus. */
export interface ConsumeStatus {
  /** How long a pull that brought messages took, in milliseconds. */
  readonly pullRT: number;
  /** Messages pulled per second. */
  readonly pullTPS: number;
  /** How long a batch took to be consumed, in milliseconds; of the hour if the minute has none. */
  readonly consumeRT: number;
  /** Messages consumed per second. */
  readonly consumeOKTPS: number;
  /** Messages per second that failed. */
  readonly consumeFailedTPS: number;
  /** How many messages failed within the hour. */
  readonly consumeFailedMsgs: number;
}

/**
 * How a consumer is. Source: ConsumerRunningInfo.
 *
 * In Java's JSON the keys of the tables of queues are objects; brokers also read objects as text, in quotes:
 * `JSON.stringify` of a {@linkcode QueueName}.
 */
export interface ConsumerRunningInfo {
  /** Settings by name, such as `PROP_NAMESERVER_ADDR`, `PROP_CONSUME_TYPE`, `PROP_CONSUMEORDERLY`. */
  readonly properties: Readonly<Record<string, string>>;
  /** Its subscriptions. */
  readonly subscriptionSet: readonly SubscriptionData[];
  /** Its queues by their names as JSON text. */
  readonly mqTable: Readonly<Record<string, ProcessQueueInfo>>;
  /** The queues that it pops, by their names as JSON text. */
  readonly mqPopTable?: Readonly<Record<string, PopProcessQueueInfo>>;
  /** What it did of late, by topic. */
  readonly statusTable: Readonly<Record<string, ConsumeStatus>>;
  /** What its program adds. */
  readonly userConsumerInfo?: Readonly<Record<string, string>>;
  /** Its threads, if they were asked for. */
  readonly jstack?: string;
}

/** What came of a message that an operator let a consumer handle. Source: CMResult. */
export type DirectConsumeResult =
  | "CR_SUCCESS"
  | "CR_LATER"
  | "CR_ROLLBACK"
  | "CR_COMMIT"
  | "CR_THROW_EXCEPTION"
  | "CR_RETURN_NULL";

/** What a consumer answers to that. Source: ConsumeMessageDirectlyResult. */
export interface ConsumeMessageDirectlyResult {
  /** Whether it consumes in order. */
  readonly order: boolean;
  /** Whether it commits by itself; true. */
  readonly autoCommit: boolean;
  /** What came of it. */
  readonly consumeResult: DirectConsumeResult;
  /** More words, of an exception for instance. */
  readonly remark?: string;
  /** How long it took, in milliseconds. */
  readonly spentTimeMills: number;
}
