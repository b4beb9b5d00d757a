/**
 * Pulls. Source: PullMessageProcessor, DefaultPullMessageResultHandler.
 *
 * @module
 */

import type { Reply } from "../../transport/connection.ts";
import { Permission, PullSysFlag, ResponseCode } from "../../wire/codes.ts";
import { encodeHeader, type HeaderOf } from "../../wire/fields.ts";
import { join } from "../../wire/join.ts";
import { pullMessage } from "../../wire/requests.ts";
import { everything, filterOf, isTagType, type MessageFilter, parseTags, SQL92, sqlFilter } from "../filter.ts";
import { isV5, type Parts } from "../parts.ts";
import type { Queue, ReadResult, ReadStatus } from "../queue.ts";
import { refuse } from "../replies.ts";
import { type Call, type Handler, handler } from "../router.ts";
import { SqlError } from "../sql/errors.ts";
import { refuseExpression } from "./clients.ts";

type PullHeader = HeaderOf<typeof pullMessage.header>;

/** The pull of a consumer that is no member of its group; 5.x has a separate code for it. */
const litePull = { ...pullMessage, name: "LitePullMessage", code: 361 } as const;

/** The handlers of pulls. */
export function pullHandlers(parts: Parts): Handler[] {
  const serve = (header: PullHeader, call: Call) => pull(parts, header, call, true);
  return isV5(parts) ? [handler(pullMessage, serve), handler(litePull, serve)] : [handler(pullMessage, serve)];
}

/** Handles a pull. The second time, after it was held, it is always answered. */
function pull(parts: Parts, header: PullHeader, call: Call, isFirst: false): Reply;
function pull(parts: Parts, header: PullHeader, call: Call, isFirst: boolean): Reply | Promise<Reply>;
function pull(parts: Parts, header: PullHeader, call: Call, isFirst: boolean): Reply | Promise<Reply> {
  const refused = check(parts, header);
  if (refused !== undefined) return refused;
  const matches = subscriptionOf(parts, header);
  if (typeof matches === "object") return matches;
  const { consumerGroup, topic, queueId, sysFlag, queueOffset, suspendTimeoutMillis } = header;
  const queue = parts.store.queue(topic, queueId);
  const result = resetOf(parts, header) ?? queue.read(queueOffset, {
    messages: header.maxMsgNums,
    transferMessages: parts.options.maxPullMessages,
    transferBytes: parts.options.maxPullBytes,
  }, matches);
  if (isFirst && (sysFlag & PullSysFlag.COMMIT_OFFSET) !== 0) {
    parts.offsets.commit(consumerGroup, topic, queueId, header.commitOffset);
  }
  const code = codeOf(result.status, queueOffset);
  if (code === ResponseCode.PULL_NOT_FOUND && isFirst && (sysFlag & PullSysFlag.SUSPEND) !== 0) {
    const answer = () => pull(parts, header, call, false);
    return parts.heldPulls.hold({ connection: call.connection, queue, matches, answer }, suspendTimeoutMillis);
  }
  return replyOf(parts, queue, result, code);
}

/** The result of a pull after a reset of the offset. */
function resetOf(parts: Parts, { consumerGroup, topic, queueId }: PullHeader): ReadResult | undefined {
  const nextOffset = parts.offsets.takeReset(consumerGroup, topic, queueId);
  return nextOffset === undefined ? undefined : { status: "OFFSET_RESET", nextOffset, records: [], bytes: 0 };
}

/** Refuses a pull for reasons other than its subscription. */
function check(parts: Parts, { consumerGroup, topic, queueId }: PullHeader): Reply | undefined {
  if (!parts.consumerGroups.ensure(consumerGroup)) {
    const remark = `subscription group [${consumerGroup}] does not exist`;
    return refuse(ResponseCode.SUBSCRIPTION_GROUP_NOT_EXIST, remark);
  }
  const config = parts.topics.get(topic);
  if (config === undefined) {
    return refuse(ResponseCode.TOPIC_NOT_EXIST, `topic[${topic}] not exist, apply first please!`);
  }
  if ((config.permission & Permission.READ) === 0) {
    return refuse(ResponseCode.NO_PERMISSION, `the topic[${topic}] pulling message is forbidden`);
  }
  if (queueId >= 0 && queueId < config.readQueues) return undefined;
  const remark = `queueId[${queueId}] is illegal, topic:[${topic}] topicConfig.readQueueNums:[${config.readQueues}]`;
  return refuse(isV5(parts) ? ResponseCode.INVALID_PARAMETER : ResponseCode.SYSTEM_ERROR, remark);
}

/** The filter of a pull: its own, if it carries one, else its group's. */
function subscriptionOf(parts: Parts, header: PullHeader): MessageFilter | Reply {
  return (header.sysFlag & PullSysFlag.SUBSCRIPTION) !== 0 ? ownFilter(parts, header) : groupFilter(parts, header);
}

/**
 * The filter that a pull carries.
 *
 * An invalid expression matches all messages, as in a real broker: clients let it be checked before.
 */
function ownFilter(parts: Parts, { subscription, expressionType }: PullHeader): MessageFilter | Reply {
  const failed = () => refuse(ResponseCode.SUBSCRIPTION_PARSE_FAILED, "parse the consumer's subscription failed");
  if (isTagType(expressionType)) return parseTags(subscription) ?? failed();
  if (!subscription) return failed();
  if (!parts.options.propertyFilter) return refuseExpression(expressionType);
  const read = expressionType === SQL92 ? parts.expressions.read(subscription) : undefined;
  return read === undefined || read instanceof SqlError ? everything : sqlFilter(read);
}

/** The filter that a group's heartbeats have set for a topic. */
function groupFilter(parts: Parts, { consumerGroup, topic, subVersion }: PullHeader): MessageFilter | Reply {
  const group = parts.consumerGroups.get(consumerGroup);
  if (group === undefined) {
    return refuse(ResponseCode.SUBSCRIPTION_NOT_EXIST, "the consumer's group info not exist");
  }
  const subscription = group.subscriptions.get(topic);
  if (subscription === undefined) {
    return refuse(ResponseCode.SUBSCRIPTION_NOT_EXIST, "the consumer's subscription not exist");
  }
  if (subscription.subVersion < subVersion) {
    return refuse(ResponseCode.SUBSCRIPTION_NOT_LATEST, "the consumer's subscription not latest");
  }
  if (isTagType(subscription.expressionType)) return filterOf(subscription);
  const filter = parts.groupFilters.get(consumerGroup, topic);
  if (filter === undefined) {
    const remark = "The broker's consumer filter data is not exist!Your expression may be wrong!";
    return refuse(ResponseCode.FILTER_DATA_NOT_EXIST, remark);
  }
  if (filter.version < subVersion) {
    return refuse(ResponseCode.FILTER_DATA_NOT_LATEST, "the consumer's consumer filter data not latest");
  }
  return parts.options.propertyFilter ? filter.matches : refuseExpression(subscription.expressionType);
}

/** The response code of the result of a read. */
function codeOf(status: ReadStatus, queueOffset: number): number {
  switch (status) {
    case "FOUND":
      return ResponseCode.SUCCESS;
    case "NO_MATCHED_MESSAGE":
      return ResponseCode.PULL_RETRY_IMMEDIATELY;
    case "NO_MESSAGE_IN_QUEUE":
      return queueOffset === 0 ? ResponseCode.PULL_NOT_FOUND : ResponseCode.PULL_OFFSET_MOVED;
    case "OFFSET_OVERFLOW_ONE":
      return ResponseCode.PULL_NOT_FOUND;
    default:
      return ResponseCode.PULL_OFFSET_MOVED;
  }
}

function replyOf(parts: Parts, queue: Queue, result: ReadResult, code: number): Reply {
  const fields = encodeHeader(pullMessage.answer, {
    suggestWhichBrokerId: 0,
    nextBeginOffset: result.nextOffset,
    minOffset: queue.minOffset,
    maxOffset: queue.maxOffset,
  });
  if (isV5(parts)) Object.assign(fields, { topicSysFlag: "0", groupSysFlag: "0" });
  return {
    code,
    remark: result.status,
    fields,
    body: result.records.length === 0 ? undefined : join(result.records),
  };
}
