/**
 * What a name server answers: where topics live. Source: ClientRequestProcessor, DefaultRequestProcessor.
 *
 * @module
 */

import type { TopicRouteData } from "../../wire/bodies.ts";
import { ResponseCode } from "../../wire/codes.ts";
import { getClusterInfo, getKvConfig, getRoute, getTopicList } from "../../wire/requests.ts";
import type { Parts } from "../parts.ts";
import { accept, jsonBody, refuse, type Route, route, textBody } from "../routes.ts";

/** The first client version (4.9.4) that gets strict JSON unasked. */
const STRICT_JSON_VERSION = 401;

/** The requests of the name server half. */
export function nameServerRoutes(parts: Parts): Route[] {
  const { brokerName, clusterName } = parts.options;
  const broker = { brokerAddrs: { 0: parts.address }, brokerName, cluster: clusterName };
  return [
    route(getRoute, ({ topic, acceptStandardJsonOnly }, { command }) => {
      const data = routeOf(parts, topic);
      if (data === undefined) {
        return refuse(ResponseCode.TOPIC_NOT_EXIST, `No topic route info in name server for the topic: ${topic}`);
      }
      const strict = acceptStandardJsonOnly === true || command.version >= STRICT_JSON_VERSION;
      return accept({}, strict ? jsonBody(data) : looseBody(data));
    }),
    route(getClusterInfo, () =>
      accept(
        {},
        looseBody({ brokerAddrTable: { [brokerName]: broker }, clusterAddrTable: { [clusterName]: [brokerName] } }),
      )),
    route(getTopicList, () => accept({}, jsonBody({ topicList: parts.topics.names }))),
    route(
      getKvConfig,
      ({ namespace, key }) =>
        refuse(ResponseCode.QUERY_NOT_FOUND, `No config item, Namespace: ${namespace} Key: ${key}`),
    ),
  ];
}

function routeOf(parts: Parts, name: string): (TopicRouteData & { filterServerTable: object }) | undefined {
  const topic = parts.topics.get(name);
  if (topic === undefined) return undefined;
  const { brokerName, clusterName } = parts.options;
  return {
    brokerDatas: [{ brokerAddrs: { 0: parts.address }, brokerName, cluster: clusterName }],
    filterServerTable: {},
    queueDatas: [{
      brokerName,
      perm: topic.permission,
      readQueueNums: topic.readQueues,
      topicSysFlag: 0,
      writeQueueNums: topic.writeQueues,
    }],
  };
}

/** JSON as name servers write it for old clients: the broker ids are not quoted. */
function looseBody(value: unknown): Uint8Array {
  return textBody(JSON.stringify(value).replaceAll('"brokerAddrs":{"0":', '"brokerAddrs":{0:'));
}
