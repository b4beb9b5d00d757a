/**
 * The requests of name servers: routes of topics. Source: ClientRequestProcessor, DefaultRequestProcessor.
 *
 * @module
 */

import type { BrokerData } from "../../wire/bodies.ts";
import { ResponseCode } from "../../wire/codes.ts";
import { getClusterInfo, getKvConfig, getRoute, getTopicList } from "../../wire/requests.ts";
import type { Registry } from "../registry.ts";
import { accept, acceptWith, jsonBody, refuse, textBody } from "../replies.ts";
import { type Handler, handler } from "../router.ts";

/** The first client version (4.9.4) that receives strict JSON by default. */
const STRICT_JSON_VERSION = 401;

/** The handlers of requests to name servers. */
export function nameServerHandlers(registry: Registry): Handler[] {
  return [
    handler(getRoute, ({ topic, acceptStandardJsonOnly }, { command }) => {
      const data = registry.route(topic);
      if (data === undefined) {
        return refuse(ResponseCode.TOPIC_NOT_EXIST, `No topic route info in name server for the topic: ${topic}`);
      }
      const strict = acceptStandardJsonOnly === true || command.version >= STRICT_JSON_VERSION;
      return accept({}, strict ? jsonBody(data) : looseBody(data));
    }),
    handler(getClusterInfo, () => accept({}, looseBody(clusterOf(registry.brokers())))),
    handler(getTopicList, () => accept({}, jsonBody({ topicList: registry.topics() }))),
    handler(getKvConfig, ({ namespace, key }) => {
      const value = registry.configured(namespace, key);
      if (value !== undefined) return acceptWith(getKvConfig.answer, { value });
      return refuse(ResponseCode.QUERY_NOT_FOUND, `No config item, Namespace: ${namespace} Key: ${key}`);
    }),
  ];
}

/** Brokers by name, and their names by cluster. Source: ClusterInfo. */
function clusterOf(brokers: readonly BrokerData[]): object {
  const clusters = new Map<string, string[]>();
  for (const { cluster, brokerName } of brokers) clusters.set(cluster, [...clusters.get(cluster) ?? [], brokerName]);
  return {
    brokerAddrTable: Object.fromEntries(brokers.map((broker) => [broker.brokerName, broker])),
    clusterAddrTable: Object.fromEntries(clusters),
  };
}

/** JSON as name servers write it for old clients: the broker ids are not quoted. */
function looseBody(value: unknown): Uint8Array {
  return textBody(JSON.stringify(value).replaceAll('"brokerAddrs":{"0":', '"brokerAddrs":{0:'));
}
