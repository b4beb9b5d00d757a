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
} from "./allocate.ts";
export { type ConsumeFrom, type QueuePositions, resolveStartOffset, type StartOffsetContext } from "./start_offset.ts";
export { type Selector, sql, type SqlSelector, tag, type TagSelector } from "./selector.ts";
export {
  MAX_SUBSCRIPTIONS,
  type Subscription,
  SubscriptionManager,
  type SubscriptionManagerOptions,
  type SubscriptionRecord,
} from "./subscription_manager.ts";
export {
  InvalidSelectorError,
  type Problem,
  RocketMQError,
  SubscriptionConflictError,
  SubscriptionDataError,
  SubscriptionError,
  SubscriptionLimitExceededError,
  TopicNotSubscribedError,
} from "../errors.ts";
export type { Message, MessageQueue } from "../message.ts";
export { BrokerOffsetStore, type BrokerOffsetStoreOptions, type OffsetKeeper } from "../offsets/broker.ts";
export type { OffsetSource, OffsetStore, OffsetStoreMetrics } from "../offsets/store.ts";
