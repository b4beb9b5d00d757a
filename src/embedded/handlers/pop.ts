/**
 * Pops. Source: PopMessageProcessor.
 *
 * @module
 */

import type { Reply } from "../../transport/connection.ts";
import { Permission, ResponseCode } from "../../wire/codes.ts";
import { encodeHeader, type HeaderOf, type HeaderText } from "../../wire/fields.ts";
import { join } from "../../wire/join.ts";
import { formatPopInfo } from "../../wire/pop.ts";
import { popMessage } from "../../wire/requests.ts";
import { isTagType, type MessageFilter, parseTags, SQL92, sqlFilter } from "../filter.ts";
import type { Parts } from "../parts.ts";
import { type Popped, Popper, type PopRequest } from "../pop/popper.ts";
import { refuse } from "../replies.ts";
import { type Call, type Handler, handler } from "../router.ts";
import { SqlError } from "../sql/errors.ts";

/** A pop without a time counts from its arrival. */
const spec = { ...popMessage, header: { ...popMessage.header, bornTime: "long?" } } as const;

type PopHeader = HeaderOf<typeof spec.header>;

/** The largest number of messages of one pop. */
const MAX_MESSAGES = 32;
/** How late a pop may arrive, in milliseconds. Source: PopMessageRequestHeader.isTimeoutTooMuch. */
const MAX_LATENESS = 500;
/** How long before its timeout a held pop is answered, in milliseconds. Source: PopRequest.isTimeout. */
const EARLY = 50;

/** The header of a refusal. */
const nothing: Readonly<HeaderText> = encodeHeader(popMessage.answer, {
  popTime: 0,
  invisibleTime: 0,
  reviveQid: 0,
  restNum: 0,
});

/** The handler of pops. */
export function popHandlers(parts: Parts): Handler[] {
  const popper = new Popper(parts);
  return [handler(spec, (header, call) => pop(parts, popper, header, call))];
}

function pop(parts: Parts, popper: Popper, header: PopHeader, { connection }: Call): Reply | Promise<Reply> {
  const now = Date.now();
  const bornTime = header.bornTime || now;
  const refused = check(parts, header, now - bornTime - header.pollTime);
  if (refused !== undefined) return { ...refused, fields: { ...nothing } };
  const matches = filterOf(parts, header);
  if (typeof matches === "object") return { ...matches, fields: { ...nothing } };
  const { consumerGroup: group, topic, queueId, maxMsgNums, invisibleTime, initMode, attemptId } = header;
  const order = header.order === true;
  const request: PopRequest = {
    group,
    topic,
    queueId,
    maxMessages: maxMsgNums,
    invisibleTime,
    initMode,
    order,
    attemptId,
    matches,
  };
  const attempt = () => replyOf(popper.pop(request), request);
  const reply = attempt();
  if (reply.code === ResponseCode.SUCCESS || header.pollTime <= 0) return reply;
  const held = { connection, group, topic, queueId, matches, attempt };
  if (parts.pop.held.isFull(held)) return { ...reply, code: ResponseCode.POLLING_FULL };
  const due = bornTime + header.pollTime - EARLY;
  return due <= now ? reply : parts.pop.held.hold(held, due);
}

function check(parts: Parts, header: PopHeader, late: number): Reply | undefined {
  const { topic, queueId, maxMsgNums, consumerGroup } = header;
  const { address } = parts.store;
  const host = address.slice(0, address.lastIndexOf(":"));
  if (late > MAX_LATENESS) {
    return refuse(ResponseCode.POLLING_TIMEOUT, `the broker[${host}] pop message is timeout too much`);
  }
  if (maxMsgNums > MAX_MESSAGES) {
    return refuse(ResponseCode.INVALID_PARAMETER, `the broker[${host}] pop message's num is greater than 32`);
  }
  const config = parts.topics.get(topic);
  if (config === undefined) {
    return refuse(ResponseCode.TOPIC_NOT_EXIST, `topic[${topic}] not exist, apply first please!`);
  }
  if ((config.permission & Permission.READ) === 0) {
    return refuse(ResponseCode.NO_PERMISSION, `the topic[${topic}] peeking message is forbidden`);
  }
  if (queueId >= config.readQueues) {
    const remark = `queueId[${queueId}] is illegal, topic:[${topic}] topicConfig.readQueueNums:[${config.readQueues}]`;
    return refuse(ResponseCode.INVALID_PARAMETER, remark);
  }
  if (!parts.consumerGroups.ensure(consumerGroup)) {
    return refuse(ResponseCode.SUBSCRIPTION_GROUP_NOT_EXIST, `subscription group [${consumerGroup}] does not exist, `);
  }
  if (maxMsgNums < 0) {
    return refuse(ResponseCode.SYSTEM_ERROR, `java.lang.IllegalArgumentException: Illegal Capacity: ${maxMsgNums}`);
  }
  return undefined;
}

/** The filter of a pop. Unlike that of a pull, an invalid one is refused. */
function filterOf(parts: Parts, { exp, expType }: PopHeader): MessageFilter | Reply {
  if (exp === undefined || exp === "" || isTagType(expType)) return parseTags(exp) ?? invalidFilter();
  const read = expType === SQL92 ? parts.expressions.read(exp) : undefined;
  return read === undefined || read instanceof SqlError ? invalidFilter() : sqlFilter(read);
}

function invalidFilter(): Reply {
  return refuse(ResponseCode.SUBSCRIPTION_PARSE_FAILED, "parse the consumer's subscription failed");
}

function replyOf(popped: Popped, { invisibleTime, order }: PopRequest): Reply {
  const { popTime, reviveQueueId: reviveQid, rest: restNum, records } = popped;
  const found = records.length > 0;
  return {
    code: found ? ResponseCode.SUCCESS : ResponseCode.POLLING_TIMEOUT,
    remark: found ? "FOUND" : "NO_MESSAGE_IN_QUEUE",
    fields: encodeHeader(popMessage.answer, {
      popTime,
      invisibleTime,
      reviveQid,
      restNum,
      startOffsetInfo: formatPopInfo(popped.starts),
      msgOffsetInfo: formatPopInfo(popped.offsets),
      orderCountInfo: order ? formatPopInfo(popped.counts) : undefined,
    }),
    body: found ? join(records) : undefined,
  };
}
