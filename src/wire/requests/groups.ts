/**
 * Requests about groups: their members, locks, subscriptions.
 *
 * @module
 */

import { MAX_QUEUE_LIST_SIZE } from "../json.ts";
import type { RequestSpec } from "./request_spec.ts";

/** Registers this client and its subscriptions with a broker. Source: HeartbeatRequestHeader, HeartbeatData. */
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
  about: "Unregisters one group of a client from a broker.",
  header: { clientID: "text", producerGroup: "text?", consumerGroup: "text?" },
  answer: {},
} as const satisfies RequestSpec;

/** Reads the members of a group. Source: GetConsumerListByGroupRequestHeader. */
export const getConsumerList = {
  name: "GetConsumerList",
  code: 38,
  about: "Lists the client ids of a group's members that are connected to one broker.",
  header: { consumerGroup: "text" },
  answer: {},
  bodies: ["none", "ConsumerListBody"],
} as const satisfies RequestSpec;

/** From a broker: a group's members changed. Source: NotifyConsumerIdsChangedRequestHeader. */
export const notifyConsumerIdsChanged = {
  name: "NotifyConsumerIdsChanged",
  code: 40,
  about: "A broker reports that a group has other members now (oneway, from broker to client).",
  header: { consumerGroup: "text" },
  answer: {},
} as const satisfies RequestSpec;

/** Locks queues for one member of a group, or renews the locks. Source: LockBatchRequestBody. */
export const lockQueues = {
  name: "LockQueues",
  code: 41,
  about: "Locks queues for one member of a group; a lock expires 60 seconds after its last renewal.",
  header: {},
  answer: {},
  bodies: ["LockBatchRequestBody", "LockBatchResponseBody"],
  maxJsonSize: MAX_QUEUE_LIST_SIZE,
} as const satisfies RequestSpec;

/** Releases locks of queues. Source: UnlockBatchRequestBody. */
export const unlockQueues = {
  name: "UnlockQueues",
  code: 42,
  about: "Releases the locks of queues.",
  header: {},
  answer: {},
  bodies: ["UnlockBatchRequestBody", "none"],
  maxJsonSize: MAX_QUEUE_LIST_SIZE,
} as const satisfies RequestSpec;

/** Checks a subscription at a broker. Source: CheckClientRequestBody. */
export const checkClientConfig = {
  name: "CheckClientConfig",
  code: 46,
  about: "Checks that a broker accepts a subscription; 23 if its expression does not parse.",
  header: {},
  answer: {},
  bodies: ["CheckClientRequestBody", "none"],
} as const satisfies RequestSpec;

/** Reads the members of a group with their subscriptions. Source: GetConsumerConnectionListRequestHeader. */
export const getConsumerConnections = {
  name: "GetConsumerConnections",
  code: 203,
  about: "Lists a group's connections and subscriptions; 206 if it has no members.",
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
