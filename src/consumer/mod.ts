/**
 * The parts of a consumer that a power user composes.
 *
 * @module
 */

export {
  type AllocationContext,
  type AllocationStrategy,
  average,
  averageByCircle,
  byConfig,
  consistentHash,
  type ConsistentHashOptions,
  machineRoom,
  machineRoomNearby,
  type MachineRoomNearbyOptions,
  type RoomResolver,
} from "./allocation/allocate.ts";
export { type ConsumeFrom, type QueuePositions, resolveStartOffset, type StartOffsetContext } from "./start_offset.ts";
export { type Selector, sql, type SqlSelector, tag, type TagSelector } from "./subscriptions/selector.ts";
export {
  MAX_SUBSCRIPTIONS,
  type Subscription,
  SubscriptionManager,
  type SubscriptionManagerOptions,
  type SubscriptionRecord,
} from "./subscriptions/subscription_manager.ts";
export {
  ConfigError,
  ConsumerError,
  InvalidSelectorError,
  OffsetError,
  OffsetFetchError,
  type Problem,
  RocketMQError,
  SubscriptionConflictError,
  SubscriptionDataError,
  SubscriptionError,
  SubscriptionLimitExceededError,
  TopicNotSubscribedError,
  ValidationError,
} from "../errors.ts";
export type { Message, MessageQueue } from "../message.ts";
export { BrokerOffsetStore, type BrokerOffsetStoreOptions, type OffsetKeeper } from "../offsets/broker.ts";
export { createOffsetStore, type OffsetStoreOptions, validateOffsetStoreOptions } from "../offsets/create.ts";
export { FileOffsetStore, type FileOffsetStoreOptions } from "../offsets/file.ts";
export { KvOffsetStore, type KvOffsetStoreOptions } from "../offsets/kv.ts";
export type { KvAtomicLike, KvEntryLike, KvKeyLike, KvLike } from "../offsets/kv_like.ts";
export { LocalOffsetStore, type OffsetStoreKind } from "../offsets/local.ts";
export { MemoryOffsetStore } from "../offsets/memory.ts";
export type { LocalStoreOptions } from "../offsets/options.ts";
export { OffsetTable, type OffsetTableOptions } from "../offsets/offset_table.ts";
export type { OffsetSource, OffsetStore, OffsetStoreMetrics, QueueOffset } from "../offsets/store.ts";
