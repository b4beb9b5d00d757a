/**
 * Requests about routes, topics and brokers.
 *
 * @module
 */

import type { RequestSpec } from "./request_spec.ts";

/** Reads a topic's route from a name server. Source: GetRouteInfoRequestHeader. */
export const getRoute = {
  name: "GetRoute",
  code: 105,
  about: "Reads a topic's queues and brokers; 17 if the topic does not exist.",
  header: { topic: "text", acceptStandardJsonOnly: "bool?" },
  answer: {},
  bodies: ["none", "TopicRouteData"],
} as const satisfies RequestSpec;

/** Reads the brokers of a name server. Source: DefaultRequestProcessor. */
export const getClusterInfo = {
  name: "GetClusterInfo",
  code: 106,
  about: "Lists the brokers that are registered with a name server.",
  header: {},
  answer: {},
  bodies: ["none", "ClusterInfo"],
} as const satisfies RequestSpec;

/** Creates or changes a topic on one broker. Source: CreateTopicRequestHeader. */
export const createTopic = {
  name: "CreateTopic",
  code: 17,
  about: "Creates or changes a topic on one broker.",
  header: {
    topic: "text",
    defaultTopic: "text",
    readQueueNums: "int",
    writeQueueNums: "int",
    perm: "int",
    topicFilterType: "text",
    topicSysFlag: "int?",
    order: "bool",
    attributes: "text?",
  },
  answer: {},
} as const satisfies RequestSpec;

/** Reads all topics of a name server. Source: DefaultRequestProcessor. */
export const getTopicList = {
  name: "GetTopicList",
  code: 206,
  about: "Lists the topics that are registered with a name server.",
  header: {},
  answer: {},
  bodies: ["none", "TopicList"],
} as const satisfies RequestSpec;

/** Reads a setting of a name server. Source: GetKVConfigRequestHeader. */
export const getKvConfig = {
  name: "GetKvConfig",
  code: 101,
  about: "Reads a value that is kept on a name server; 22 if there is none.",
  header: { namespace: "text", key: "text" },
  answer: { value: "text?" },
} as const satisfies RequestSpec;
