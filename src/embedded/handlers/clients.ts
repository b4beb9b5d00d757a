/**
 * Clients: heartbeats, members of groups, checks of subscriptions.
 * Source: ClientManageProcessor, ConsumerManageProcessor, AdminBrokerProcessor.
 *
 * @module
 */

import type { Reply } from "../../transport/connection.ts";
import type { ConsumerConnection, ProducerConnection, SubscriptionData } from "../../wire/bodies.ts";
import { readClientConfig, readHeartbeat } from "../../wire/body_readers.ts";
import { ResponseCode } from "../../wire/codes.ts";
import { retryTopic } from "../../wire/names.ts";
import {
  checkClientConfig,
  getConsumerConnections,
  getConsumerList,
  getProducerConnections,
  heartbeat,
  unregisterClient,
} from "../../wire/requests.ts";
import { isTagType, SQL92 } from "../filter.ts";
import { connectionsOf, type Member } from "../members.ts";
import type { ConsumerGroup } from "../consumer_groups.ts";
import { isV5, type Parts } from "../parts.ts";
import { accept, jsonBody, refuse } from "../replies.ts";
import { type Call, type Handler, handler } from "../router.ts";
import { SqlError } from "../sql/errors.ts";

/** The handlers of requests about clients and groups. */
export function clientHandlers(parts: Parts): Handler[] {
  const { consumerGroups, producerGroups } = parts;
  return [
    handler(heartbeat, (_header, call) => handleHeartbeat(parts, call)),
    handler(unregisterClient, ({ consumerGroup, producerGroup }, { connection }) => {
      if (consumerGroup !== undefined) consumerGroups.unregister(consumerGroup, connection);
      if (producerGroup !== undefined) producerGroups.unregister(producerGroup, connection);
      return accept();
    }),
    handler(getConsumerList, ({ consumerGroup }) => {
      const group = consumerGroups.get(consumerGroup);
      return group === undefined
        ? refuse(ResponseCode.SYSTEM_ERROR, `no consumer for this group, ${consumerGroup}`)
        : accept({}, jsonBody({ consumerIdList: [...group.members.values()].map((member) => member.clientId) }));
    }),
    handler(getConsumerConnections, ({ consumerGroup }) => {
      const group = consumerGroups.get(consumerGroup);
      return group === undefined
        ? refuse(ResponseCode.CONSUMER_NOT_ONLINE, `the consumer group[${consumerGroup}] not online`)
        : accept({}, jsonBody(consumerConnection(group)));
    }),
    handler(getProducerConnections, ({ producerGroup }) => {
      const members = producerGroups.get(producerGroup);
      if (members === undefined) {
        return refuse(ResponseCode.SYSTEM_ERROR, `the producer group[${producerGroup}] not exist`);
      }
      const body: ProducerConnection = { connectionSet: connectionsOf(members) };
      return accept({}, jsonBody(body));
    }),
    handler(checkClientConfig, (_header, { command }) => {
      const { subscriptionData } = readClientConfig(command.body);
      return subscriptionData === undefined ? accept() : checkSubscription(parts, subscriptionData);
    }),
  ];
}

/** Accepts a subscription, or refuses it with code 23 and the reason. */
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

function handleHeartbeat(parts: Parts, { command, connection }: Call): Reply {
  const { consumerGroups, producerGroups } = parts;
  const { clientID: clientId, producerDataSet, consumerDataSet, heartbeatFingerprint, withoutSub } = readHeartbeat(
    command.body,
  );
  const { language, version } = command;
  const member: Member = { clientId, connection, language, version, seenAt: Date.now() };
  let changed = heartbeatFingerprint === 0;
  for (const consumer of consumerDataSet) {
    const name = consumer.groupName;
    if (!consumerGroups.ensure(name)) continue;
    if (consumerGroups.fingerprintChanged(name, heartbeatFingerprint)) changed = true;
    parts.topics.ensure(retryTopic(name), 1);
    consumerGroups.register(member, consumer, heartbeatFingerprint !== 0 && withoutSub);
    parts.groupFilters.register(name, consumer.subscriptionDataSet);
  }
  for (const { groupName } of producerDataSet) producerGroups.register(groupName, member);
  return accept(isV5(parts) ? { IS_SUPPORT_HEART_BEAT_V2: "true", IS_SUB_CHANGE: String(changed) } : {});
}

/** The body of a list of connections. Source: ConsumerConnection. */
function consumerConnection({ consumer, members, subscriptions }: ConsumerGroup): ConsumerConnection {
  const { consumeType, messageModel, consumeFromWhere } = consumer;
  return {
    connectionSet: connectionsOf(members),
    subscriptionTable: Object.fromEntries(subscriptions),
    consumeType,
    messageModel,
    consumeFromWhere,
  };
}
