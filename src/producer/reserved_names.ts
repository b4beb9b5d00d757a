/**
 * Names that users may not set: topics of the brokers themselves, and properties of the protocol.
 *
 * @module
 */

/** Topics of brokers themselves, to which no client may send. Source: TopicValidator. */
const NOT_SENDABLE: ReadonlySet<string> = new Set([
  "SCHEDULE_TOPIC_XXXX",
  "RMQ_SYS_TRANS_HALF_TOPIC",
  "RMQ_SYS_TRANS_OP_HALF_TOPIC",
  "TRANS_CHECK_MAX_TIME_TOPIC",
  "SELF_TEST_TOPIC",
  "OFFSET_MOVED_EVENT",
]);

/** Reserved names that users set by other means, with these. */
const ALTERNATIVES: ReadonlyMap<string, string> = new Map([
  ["TAGS", "set the message's tags"],
  ["KEYS", "set the message's keys"],
  ["DELAY", "set the option delayLevel"],
  ["__SHARDINGKEY", "set the option orderingKey"],
]);

/** Properties that clients and brokers write themselves. Source: MessageConst. */
const RESERVED: ReadonlySet<string> = new Set([
  ...ALTERNATIVES.keys(),
  ...["WAIT", "UNIQ_KEY", "EXTEND_UNIQ_INFO", "DUP_INFO", "MSG_REGION", "TRACE_ON", "CLUSTER", "INSTANCE_ID"],
  ...["RETRY_TOPIC", "REAL_TOPIC", "REAL_QID", "ORIGIN_MESSAGE_ID", "RECONSUME_TIME", "MAX_RECONSUME_TIMES"],
  ...["MIN_OFFSET", "MAX_OFFSET", "CONSUME_START_TIME", "DLQ_ORIGIN_TOPIC", "DLQ_ORIGIN_MESSAGE_ID"],
  ...["TRAN_MSG", "PGROUP", "TRAN_PREPARED_QUEUE_OFFSET", "TRANSACTION_CHECK_TIMES", "__transactionId__"],
  ...["BUYER_ID", "TRANSFER_FLAG", "CORRECTION_FLAG", "MQ2_FLAG", "PROPERTY_FORWARD_QUEUE_ID", "REDIRECT"],
  ...["CORRELATION_ID", "REPLY_TO_CLIENT", "TTL", "ARRIVE_TIME", "PUSH_REPLY_TIME", "MSG_TYPE"],
  ...["POP_CK", "POP_CK_OFFSET", "1ST_POP_TIME", "INNER_NUM", "INNER_BASE", "INNER_MULTI_QUEUE_OFFSET"],
  ...["TIMER_DELAY_SEC", "TIMER_DELAY_MS", "TIMER_DELIVER_MS", "TIMER_OUT_MS", "TIMER_ENQUEUE_MS"],
  ...["TIMER_DEQUEUE_MS", "TIMER_ROLL_TIMES", "TIMER_DEL_UNIQKEY", "TIMER_DELAY_LEVEL"],
  ...["__BORNHOST", "BORN_TIMESTAMP", "__CRC32#"],
]);

/** The prefix of properties that brokers never store. Source: MessageConst. */
const TRANSIENT_PREFIX = "__RMQ.TRANSIENT.";

/** Whether clients may send to a topic. */
export function isSendable(topic: string): boolean {
  return !NOT_SENDABLE.has(topic);
}

/** What users do instead of setting a property of this name; undefined if they may set it. */
export function reservedName(name: string): string | undefined {
  if (!RESERVED.has(name) && !name.startsWith(TRANSIENT_PREFIX)) return undefined;
  return `no property of this name, which RocketMQ uses itself: ${ALTERNATIVES.get(name) ?? "take another name"}`;
}
