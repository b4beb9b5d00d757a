/**
 * The client of Apache RocketMQ for TypeScript: group consumers as `for await`, and a producer.
 *
 * @example
 * ```ts
 * import { connect } from "@denorocket/rocketmq";
 * import { EmbeddedBroker } from "@denorocket/rocketmq/embedded";
 *
 * const broker = await EmbeddedBroker.start({ topics: { orders: { queues: 4 } } });
 * const mq = await connect(broker.nameServer);
 *
 * const producer = await mq.producer();
 * await producer.send({ topic: "orders", tags: "paid", keys: ["42"], body: "an order" });
 *
 * const consumer = await mq.consumer({ group: "billing", topics: { orders: "paid" }, consumeFrom: "first" });
 * for await (const batch of consumer) {
 *   for (const message of batch) console.log(message.keys[0], message.text());
 *   break;
 * }
 *
 * await mq.close();
 * await broker.close();
 * ```
 *
 * @module
 */

export { type Client, connect } from "./src/client.ts";
export type { Credentials, CredentialsProvider } from "./src/cluster/credentials.ts";
export type { ConnectOptions } from "./src/connect_options.ts";
export type {
  Consumer,
  ConsumerStats,
  DrainOptions,
  QueueLag,
  SeekOptions,
  SeekPosition,
  TopicStats,
} from "./src/consumer/consumer.ts";
export type { BatchesOptions, RunOptions } from "./src/consumer/delivery/loop_options.ts";
export type { MessageBatch } from "./src/consumer/delivery/batch.ts";
export type { RetryOptions } from "./src/consumer/delivery/delivered_batch.ts";
export type { ConsumerOptions, TopicsOption, TraceOptions } from "./src/consumer/options.ts";
export type { PopBatch } from "./src/consumer/pop/batch.ts";
export type { PopConsumer, PopConsumerStats, PopOptions } from "./src/consumer/pop/consumer.ts";
export type { PopConsumerOptions } from "./src/consumer/pop/options.ts";
export { DEFAULT_READER_GROUP, type ReaderOptions, type ReadFrom } from "./src/consumer/reader/options.ts";
export type { Reader, ReaderBatch } from "./src/consumer/reader/reader.ts";
export { type AllocationContext, type AllocationStrategy, average } from "./src/consumer/allocation/allocate.ts";
export type { ConsumeFrom } from "./src/consumer/start_offset.ts";
export { type Selector, sql, type SqlSelector, tag, type TagSelector } from "./src/consumer/subscriptions/selector.ts";
export type {
  Subscription,
  SubscriptionManager,
  SubscriptionManagerOptions,
  SubscriptionRecord,
} from "./src/consumer/subscriptions/subscription_manager.ts";
export * from "./src/errors.ts";
export type { Findings } from "./src/consumer/diagnosis/finding.ts";
export type { ClientHealth, ConsumerHealth, Finding, FindingCode, ProducerHealth, ServerHealth } from "./src/health.ts";
export type {
  Logger,
  StatusEvent,
  StatusEventBase,
  StatusEventFields,
  StatusEventPlace,
  StatusEventType,
  StatusEventWith,
  StatusLevel,
} from "./src/status_event.ts";
export { type Message, type MessageQueue, queueKey } from "./src/message.ts";
export type { OffsetStore, QueueOffset } from "./src/offsets/store.ts";
export {
  DEFAULT_PRODUCER_GROUP,
  json,
  type JsonBody,
  type OutgoingMessage,
  type Producer,
  type ProducerOptions,
  SendBatchError,
  type SendBatchOptions,
  type SendOptions,
  type SendReceipt,
  type SendStatus,
} from "./src/producer/mod.ts";
export type { SendAttempt } from "./src/sending/attempt_observer.ts";
export type {
  ConsumerObserver,
  DeliveryListener,
  DeliveryOutcome,
  ObservedDelivery,
  ObservedSettlement,
} from "./src/telemetry/consumer_observer.ts";
export type { Observer } from "./src/telemetry/observer.ts";
export type {
  ObservedMessage,
  ObservedSend,
  ProducerObserver,
  SendEnd,
  SendListener,
} from "./src/telemetry/producer_observer.ts";
export type { TlsOptions } from "./src/transport/transport.ts";
