/**
 * Messages that a consumer sends back. Source: AbstractSendMessageProcessor.consumerSendMsgBack.
 *
 * @module
 */

import type { Reply } from "../../transport/connection.ts";
import { PropertyName, ResponseCode } from "../../wire/codes.ts";
import { deadLetterTopic, retryTopic } from "../../wire/names.ts";
import type { HeaderOf } from "../../wire/fields.ts";
import { decodeStored } from "../../wire/record.ts";
import { sendBack } from "../../wire/requests.ts";
import { isV5, type Parts } from "../parts.ts";
import { accept, refuse } from "../replies.ts";
import { type Handler, handler } from "../router.ts";
import type { Entry } from "../queue.ts";
import type { NewMessage } from "../store.ts";
import { maxReconsumeTimes, refusesInnerBatch } from "./send.ts";

/** The delay level of the first retry, if the request leaves it to the broker. */
const FIRST_RETRY_LEVEL = 3;

/** The handler of send-backs. */
export function sendBackHandlers(parts: Parts): Handler[] {
  return [handler(sendBack, (header, { command }) => handleSendBack(parts, header, command.version))];
}

function handleSendBack(parts: Parts, header: HeaderOf<typeof sendBack.header>, version: number): Reply {
  const { group, offset } = header;
  if (!parts.consumerGroups.ensure(group)) {
    return refuse(ResponseCode.SUBSCRIPTION_GROUP_NOT_EXIST, `subscription group not exist, ${group}`);
  }
  parts.topics.ensure(retryTopic(group), 1);
  const entry = parts.store.lookUp(offset);
  if (entry === undefined) return refuse(ResponseCode.SYSTEM_ERROR, `look message by offset failed, ${offset}`);
  const message = retryOf(parts, entry, header, maxReconsumeTimes(header, version));
  if (isV5(parts) && header.originTopic === undefined && message.topic !== retryTopic(group)) {
    return refuse(ResponseCode.SYSTEM_ERROR, "java.lang.NullPointerException, a dead letter needs its origin topic");
  }
  const isTooLong = message.topic.length > longestTopic(parts, message.topic);
  if (isTooLong || refusesInnerBatch(parts, message)) return refuse(ResponseCode.SYSTEM_ERROR, "MESSAGE_ILLEGAL");
  const waiting = parts.delays.take(message);
  if (waiting === "full") return refuse(ResponseCode.SYSTEM_ERROR, "SERVICE_NOT_AVAILABLE");
  if (waiting === "illegal") return refuse(ResponseCode.SYSTEM_ERROR, "WHEEL_TIMER_MSG_ILLEGAL");
  if (waiting === "now") parts.put([message]);
  return accept();
}

/** The longest topic; 5.x allows longer ones for retry topics, and not for dead letter queues. Source: HookUtils. */
function longestTopic(parts: Parts, topic: string): number {
  return isV5(parts) && topic.startsWith(retryTopic("")) ? 255 : 127;
}

/** The message to be stored: a copy for the group's retry topic or its dead letter queue. */
function retryOf(
  parts: Parts,
  { record, queue }: Entry,
  { group, delayLevel }: HeaderOf<typeof sendBack.header>,
  most: number,
): NewMessage {
  const { topic, queueId } = queue;
  const old = decodeStored(record, { topic, queueId, broker: parts.options.brokerName });
  const isDead = old.reconsumeTimes >= most || delayLevel < 0;
  const level = delayLevel === 0 ? FIRST_RETRY_LEVEL + old.reconsumeTimes : delayLevel;
  const properties = new Map(old.properties);
  if (!properties.has(PropertyName.RETRY_TOPIC)) properties.set(PropertyName.RETRY_TOPIC, topic);
  if (!properties.has(PropertyName.ORIGIN_MESSAGE_ID)) {
    properties.set(PropertyName.ORIGIN_MESSAGE_ID, old.offsetMessageId);
  }
  properties.set(PropertyName.WAIT, "false").set(PropertyName.DELAY, isDead ? "0" : String(level));
  return {
    topic: isDead ? parts.topics.ensure(deadLetterTopic(group), 1).name : retryTopic(group),
    queueId: 0,
    flag: old.flag,
    sysFlag: old.sysFlag,
    bornAt: old.bornAt.getTime(),
    bornHost: old.bornHost,
    reconsumeTimes: old.reconsumeTimes + 1,
    body: old.storedBody,
    properties,
  };
}
