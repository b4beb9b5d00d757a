/**
 * Clients: heartbeats, who is in a group, what a subscription may be.
 * Source: ClientManageProcessor, ConsumerManageProcessor, AdminBrokerProcessor.
 *
 * @module
 */

import type { Reply } from "../../transport/connection.ts";
import type { ConsumerConnection, SubscriptionData } from "../../wire/bodies.ts";
import { readClientConfig, readHeartbeat } from "../../wire/body_readers.ts";
import { ResponseCode, retryTopic } from "../../wire/codes.ts";
import {
  checkClientConfig,
  getConsumerConnections,
  getConsumerList,
  heartbeat,
  unregisterClient,
} from "../../wire/requests.ts";
import { isTagType, SQL92 } from "../filter.ts";
import type { Group, Member } from "../groups.ts";
import { isV5, type Parts } from "../parts.ts";
import { accept, type Call, jsonBody, refuse, type Route, route } from "../routes.ts";
import { SqlError } from "../sql/errors.ts";

/** The requests about clients and groups. */
export function clientRoutes(parts: Parts): Route[] {
  const { groups } = parts;
  return [
    route(heartbeat, (_header, call) => takeHeartbeat(parts, call)),
    route(unregisterClient, ({ consumerGroup }, { connection }) => {
      if (consumerGroup !== undefined) groups.unregister(consumerGroup, connection);
      return accept();
    }),
    route(getConsumerList, ({ consumerGroup }) => {
      const group = groups.get(consumerGroup);
      return group === undefined
        ? refuse(ResponseCode.SYSTEM_ERROR, `no consumer for this group, ${consumerGroup}`)
        : accept({}, jsonBody({ consumerIdList: [...group.members.values()].map((member) => member.clientId) }));
    }),
    route(getConsumerConnections, ({ consumerGroup }) => {
      const group = groups.get(consumerGroup);
      return group === undefined
        ? refuse(ResponseCode.CONSUMER_NOT_ONLINE, `the consumer group[${consumerGroup}] not online`)
        : accept({}, jsonBody(connectionsOf(group)));
    }),
    route(checkClientConfig, (_header, { command }) => {
      const { subscriptionData } = readClientConfig(command.body);
      return subscriptionData === undefined ? accept() : checkSubscription(parts, subscriptionData);
    }),
  ];
}

/** Whether a broker takes a subscription: what it does not understand it refuses with code 23, and says why. */
function checkSubscription(parts: Parts, { expressionType, subString }: Partial<SubscriptionData>): Reply {
  if (isTagType(expressionType)) return accept();
  if (!parts.options.propertyFilter) return refuseExpression(expressionType);
  if (expressionType !== SQL92 || typeof subString !== "string") {
    const missing = expressionType === SQL92 ? "expression" : `filter for the type "${expressionType}"`;
    return refuse(ResponseCode.SUBSCRIPTION_PARSE_FAILED, `There is no ${missing}`);
  }
  const read = parts.expressions.read(subString);
  return read instanceof SqlError ? refuse(ResponseCode.SUBSCRIPTION_PARSE_FAILED, read.remark) : accept();
}

/** The answer of a broker whose property filter is off. */
export function refuseExpression(expressionType: string | undefined): Reply {
  return refuse(
    ResponseCode.SYSTEM_ERROR,
    `The broker does not support consumer to filter message by ${expressionType}`,
  );
}

function takeHeartbeat(parts: Parts, { command, connection }: Call): Reply {
  const { groups } = parts;
  const { clientID, consumerDataSet, heartbeatFingerprint, withoutSub } = readHeartbeat(command.body);
  const { language, version } = command;
  let changed = heartbeatFingerprint === 0;
  for (const consumer of consumerDataSet) {
    const name = consumer.groupName;
    if (!groups.ensure(name)) continue;
    if (groups.fingerprintChanged(name, heartbeatFingerprint)) changed = true;
    parts.topics.ensure(retryTopic(name), 1);
    const member: Member = { clientId: clientID, connection, language, version, seenAt: Date.now() };
    groups.register(member, consumer, heartbeatFingerprint !== 0 && withoutSub);
    parts.groupFilters.register(name, consumer.subscriptionDataSet);
  }
  return accept(isV5(parts) ? { IS_SUPPORT_HEART_BEAT_V2: "true", IS_SUB_CHANGE: String(changed) } : {});
}

/** The body of a list of connections. Source: ConsumerConnection. */
function connectionsOf(group: Group): ConsumerConnection {
  const { consumeType, messageModel, consumeFromWhere } = group.consumer;
  return {
    connectionSet: [...group.members.values()].map(({ clientId, connection, language, version }) => ({
      clientId,
      clientAddr: connection.address,
      language,
      version,
    })),
    subscriptionTable: Object.fromEntries(group.subscriptions),
    consumeType,
    messageModel,
    consumeFromWhere,
  };
}
