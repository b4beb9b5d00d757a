/**
 * Numbers that both sides of the protocol agree on. Sources: ResponseCode, LanguageCode, MQVersion, PermName,
 * MessageSysFlag and PullSysFlag of RocketMQ 5.3.
 *
 * @module
 */

/** The codes of answers that this package acts on. Source: ResponseCode. */
export const ResponseCode = {
  SUCCESS: 0,
  SYSTEM_ERROR: 1,
  SYSTEM_BUSY: 2,
  REQUEST_CODE_NOT_SUPPORTED: 3,
  FLUSH_DISK_TIMEOUT: 10,
  SLAVE_NOT_AVAILABLE: 11,
  FLUSH_SLAVE_TIMEOUT: 12,
  MESSAGE_ILLEGAL: 13,
  SERVICE_NOT_AVAILABLE: 14,
  NO_PERMISSION: 16,
  TOPIC_NOT_EXIST: 17,
  PULL_NOT_FOUND: 19,
  PULL_RETRY_IMMEDIATELY: 20,
  PULL_OFFSET_MOVED: 21,
  QUERY_NOT_FOUND: 22,
  SUBSCRIPTION_PARSE_FAILED: 23,
  SUBSCRIPTION_NOT_EXIST: 24,
  SUBSCRIPTION_NOT_LATEST: 25,
  SUBSCRIPTION_GROUP_NOT_EXIST: 26,
  FILTER_DATA_NOT_EXIST: 27,
  FILTER_DATA_NOT_LATEST: 28,
  INVALID_PARAMETER: 29,
  NO_BUYER_ID: 204,
  NOT_IN_CURRENT_UNIT: 205,
  CONSUMER_NOT_ONLINE: 206,
  CONSUME_MSG_TIMEOUT: 207,
  NO_MESSAGE: 208,
  POLLING_FULL: 209,
  POLLING_TIMEOUT: 210,
  FLOW_CONTROL: 215,
  GO_AWAY: 1500,
} as const;

/** The bits of a frame's flag. Source: RemotingCommand. */
export const FrameFlag = { RESPONSE: 1, ONEWAY: 2 } as const;

/** The language codes by name, as the binary header counts them. Source: LanguageCode. */
export const LanguageCode = {
  JAVA: 0,
  CPP: 1,
  DOTNET: 2,
  PYTHON: 3,
  DELPHI: 4,
  ERLANG: 5,
  RUBY: 6,
  OTHER: 7,
  HTTP: 8,
  GO: 9,
  PHP: 10,
  OMS: 11,
  RUST: 12,
  NODE_JS: 13,
} as const;

/** What we say we are: RocketMQ 5.3.3 (from 401 on a name server answers strict JSON; above 475 GO_AWAY may come). */
export const PROTOCOL_VERSION = 479;
/** The same as RocketMQ's tools show it. Source: MQVersion. */
export const PROTOCOL_VERSION_NAME = "V5_3_3";

/** The ordinal of 5.0.0: a broker from here on speaks the 5.x dialect. Source: MQVersion. */
export const VERSION_5_0_0 = 413;

/** What a queue may be used for, and what a group may not. Source: PermName. */
export const Permission = { INHERIT: 1, WRITE: 2, READ: 4 } as const;

/** The bits of a stored message's system flag. Source: MessageSysFlag. */
export const MessageSysFlag = {
  COMPRESSED: 0x1,
  MULTI_TAGS: 0x2,
  TRANSACTION_PREPARED: 0x4,
  TRANSACTION_COMMIT: 0x8,
  TRANSACTION_ROLLBACK: 0xc,
  BORN_HOST_IPV6: 0x10,
  STORE_HOST_IPV6: 0x20,
  NEED_UNWRAP: 0x40,
  INNER_BATCH: 0x80,
  COMPRESSION_MASK: 0x700,
  COMPRESSION_LZ4: 0x100,
  COMPRESSION_ZSTD: 0x200,
  COMPRESSION_ZLIB: 0x300,
} as const;

/** The bits of a pull request's system flag. Source: PullSysFlag. */
export const PullSysFlag = { COMMIT_OFFSET: 1, SUSPEND: 2, SUBSCRIPTION: 4, CLASS_FILTER: 8, LITE_PULL: 16 } as const;

/** The names of message properties that this package reads or writes. Source: MessageConst. */
export const PropertyName = {
  KEYS: "KEYS",
  TAGS: "TAGS",
  WAIT: "WAIT",
  DELAY: "DELAY",
  RETRY_TOPIC: "RETRY_TOPIC",
  REAL_TOPIC: "REAL_TOPIC",
  REAL_QUEUE_ID: "REAL_QID",
  ORIGIN_MESSAGE_ID: "ORIGIN_MESSAGE_ID",
  RECONSUME_TIME: "RECONSUME_TIME",
  MAX_RECONSUME_TIMES: "MAX_RECONSUME_TIMES",
  UNIQUE_KEY: "UNIQ_KEY",
  TRANSACTION_PREPARED: "TRAN_MSG",
  INNER_NUM: "INNER_NUM",
  INNER_BASE: "INNER_BASE",
  SHARDING_KEY: "__SHARDINGKEY",
  MSG_REGION: "MSG_REGION",
  TRACE_SWITCH: "TRACE_ON",
  CLUSTER: "CLUSTER",
  POP_RECEIPT: "POP_CK",
  FIRST_POP_TIME: "1ST_POP_TIME",
} as const;

/** The topic that brokers copy when they create one by themselves. Source: TopicValidator. */
export const AUTO_CREATE_TOPIC = "TBW102";

/** The topic of message traces, by default. Source: TopicValidator. */
export const TRACE_TOPIC = "RMQ_SYS_TRACE_TOPIC";

/** Java's `String.hashCode`, by which brokers filter tags. */
export function javaHashCode(text: string): number {
  let hash = 0;
  for (let i = 0; i < text.length; i++) hash = (Math.imul(31, hash) + text.charCodeAt(i)) | 0;
  return hash;
}
