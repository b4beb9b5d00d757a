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

/** What a client tells a broker. Source: HeartbeatData. */
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

/** One queue. Source: MessageQueue. */
export interface QueueBody {
  /** The broker's name. */
  readonly brokerName: string;
  /** The queue's number. */
  readonly queueId: number;
  /** The topic. */
  readonly topic: string;
}

/** The queues that are locked for the client that asked. Source: LockBatchResponseBody. */
export interface LockedQueuesBody {
  /** Those of the queues asked for that it holds now. */
  readonly lockOKMQSet?: readonly QueueBody[];
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
