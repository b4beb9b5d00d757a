/**
 * The requests that this package sends, serves or answers: one row each, from which types, encoders, decoders, the
 * embedded broker's parsers and the reference page (`docs/protocol.md`) come.
 *
 * Numbers are RocketMQ's RequestCode; header fields are those of the classes under `remoting/protocol/header`, 5.3.
 * Older brokers ignore unknown fields.
 *
 * @module
 */

import { createTopic, getClusterInfo, getKvConfig, getRoute, getTopicList } from "./requests/cluster.ts";
import {
  checkClientConfig,
  getConsumerConnections,
  getConsumerList,
  getProducerConnections,
  heartbeat,
  lockQueues,
  notifyConsumerIdsChanged,
  unlockQueues,
  unregisterClient,
} from "./requests/groups.ts";
import { pullMessage, sendBack, sendBatch, sendMessage, sendMessageV1 } from "./requests/messages.ts";
import {
  getMaxOffset,
  getMinOffset,
  queryConsumerOffset,
  queryTimeSpan,
  searchOffsetByTimestamp,
  updateConsumerOffset,
} from "./requests/offsets.ts";
import {
  consumeMessageDirectly,
  getConsumerRunningInfo,
  getConsumerStatus,
  queryConsumerStatus,
  resetConsumerOffset,
  resetGroupOffset,
} from "./requests/operator.ts";
import {
  ackMessage,
  batchAckMessage,
  changeInvisibleTime,
  popMessage,
  queryAssignment,
  setMessageRequestMode,
} from "./requests/pop.ts";
import type { RequestSpec } from "./requests/request_spec.ts";

export * from "./requests/cluster.ts";
export * from "./requests/groups.ts";
export * from "./requests/messages.ts";
export * from "./requests/offsets.ts";
export * from "./requests/operator.ts";
export * from "./requests/pop.ts";
export * from "./requests/request_spec.ts";

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
