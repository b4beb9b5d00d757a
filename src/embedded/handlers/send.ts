/**
 * Sends. Source: SendMessageProcessor, AbstractSendMessageProcessor.
 *
 * @module
 */

import { ValidationError } from "../../errors.ts";
import type { Connection, Reply } from "../../transport/connection.ts";
import { decodeBatch } from "../../wire/batch.ts";
import { MessageSysFlag, PropertyName, ResponseCode } from "../../wire/codes.ts";
import { deadLetterTopic, isRetryTopic, retryTopic } from "../../wire/names.ts";
import { encodeHeader, type HeaderOf, type HeaderText } from "../../wire/fields.ts";
import { parseHost } from "../../wire/host.ts";
import { encodeProperties, parseProperties } from "../../wire/properties.ts";
import { sendAnswer, sendBatch, type sendHeader, sendMessage, sendMessageV1 } from "../../wire/requests.ts";
import { isSendable, topicProblem } from "../names.ts";
import { isV5, type Parts } from "../parts.ts";
import { refuse } from "../replies.ts";
import { type Call, type Handler, handler } from "../router.ts";
import type { NewMessage } from "../store.ts";
import type { TopicConfig } from "../topics.ts";

type SendHeader = HeaderOf<typeof sendHeader>;
type Stored = { readonly message: NewMessage; readonly ids: readonly string[]; readonly queueOffset: number };

/** The prefix of retry topics, before the group. */
/** How often messages are retried if a request does not say. Source: SubscriptionGroupConfig. */
const DEFAULT_RETRY_TIMES = 16;

/** Fields of every answer to a send, refusals included. */
const region: Readonly<HeaderText> = { MSG_REGION: "DefaultRegion", TRACE_ON: "true" };

/** The handlers of sends. */
export function sendHandlers(parts: Parts): Handler[] {
  const serve = (header: SendHeader, call: Call): Reply => {
    const reply = send(parts, header, call);
    return { ...reply, fields: { ...reply.fields, ...region } };
  };
  return [handler(sendMessage, serve), handler(sendBatch, serve), handler(sendMessageV1, serve)];
}

function send(parts: Parts, header: SendHeader, call: Call): Reply {
  const topic = check(parts, header, call.command.body);
  if ("code" in topic) return topic;
  const queueId = header.queueId >= 0 ? header.queueId : Math.floor(Math.random() * topic.writeQueues);
  try {
    const stored = header.batch === true
      ? storeBatch(parts, header, call, queueId)
      : storeOne(parts, header, call, queueId);
    return "code" in stored ? stored : accepted(parts, stored, queueId);
  } catch (error) {
    if (error instanceof ValidationError) return illegal(parts);
    throw error;
  }
}

/** Refuses a send, or returns its topic, which is created if necessary and allowed. */
function check(parts: Parts, header: SendHeader, body: Uint8Array): TopicConfig | Reply {
  const { topic, defaultTopic, defaultTopicQueueNums, queueId } = header;
  const invalid = isV5(parts) ? ResponseCode.INVALID_PARAMETER : ResponseCode.SYSTEM_ERROR;
  if (body.length === 0 && isV5(parts)) {
    return refuse(ResponseCode.SYSTEM_ERROR, "java.lang.NullPointerException, the body is empty");
  }
  const problem = topicProblem(topic);
  if (problem !== undefined) return refuse(invalid, `The specified topic is illegal: allowed is ${problem}`);
  if (!isSendable(topic)) {
    return refuse(ResponseCode.NO_PERMISSION, `Sending message to topic[${topic}] is forbidden.`);
  }
  const config = parts.topics.get(topic) ?? parts.topics.createBySend(topic, defaultTopic, defaultTopicQueueNums) ??
    (isRetryTopic(topic) && !parts.topics.isFull ? parts.topics.ensure(topic, 1) : undefined);
  if (config === undefined) {
    return refuse(ResponseCode.TOPIC_NOT_EXIST, `topic[${topic}] not exist, apply first please!`);
  }
  if (queueId >= Math.max(config.readQueues, config.writeQueues)) {
    return refuse(invalid, `request queueId[${queueId}] is illegal, topic:[${topic}]`);
  }
  return config;
}

function storeOne(parts: Parts, header: SendHeader, call: Call, queueId: number): Stored | Reply {
  const { body } = call.command;
  if (body.length > parts.options.maxMessageSize) return illegal(parts);
  const properties = completed(parts, header);
  if (!isV5(parts)) properties.delete(PropertyName.WAIT);
  else if (!properties.has(PropertyName.UNIQUE_KEY)) {
    properties.set(PropertyName.UNIQUE_KEY, parts.uniqueKeys.next());
  }
  if (properties.get(PropertyName.TRANSACTION_PREPARED)?.toLowerCase() === "true") {
    return refuse(ResponseCode.NO_PERMISSION, "the broker sending transaction message is forbidden");
  }
  const target = retryTarget(parts, header, call.command.version);
  if (typeof target === "object") return target;
  if (target !== header.topic && isV5(parts)) properties.set(PropertyName.DELAY, "-1");
  const message = {
    ...common(header, call),
    topic: target,
    queueId: target === header.topic ? queueId : 0,
    body,
    properties,
  };
  return store(parts, message);
}

/**
 * Whether a broker refuses a message because it is marked as an inner batch: only batch queues may hold those, which no
 * embedded topic has. 4.9 does not check it. Source: HookUtils.checkInnerBatch.
 */
export function refusesInnerBatch(
  parts: Parts,
  { sysFlag, properties }: Pick<NewMessage, "sysFlag" | "properties">,
): boolean {
  return isV5(parts) && ((sysFlag & MessageSysFlag.INNER_BATCH) !== 0 || properties.has(PropertyName.INNER_NUM));
}

/** Stores a message, or delays it. */
function store(parts: Parts, message: NewMessage): Stored | Reply {
  if (refusesInnerBatch(parts, message)) return illegal(parts);
  const waiting = parts.delays.take(message);
  if (waiting === "full") return refuse(ResponseCode.SERVICE_NOT_AVAILABLE, "service not available now: it is full");
  if (waiting === "illegal") {
    return refuse(
      ResponseCode.MESSAGE_ILLEGAL,
      "timer message illegal, the delay time should not be bigger than 3 days",
    );
  }
  if (waiting === "now") {
    const entry = parts.put([message])[0]!;
    return { message, ids: [parts.store.messageId(entry.commitLogOffset)], queueOffset: entry.queueOffset };
  }
  return { message, ids: [parts.store.messageId(parts.store.reserve(message.body.length))], queueOffset: waiting };
}

/** Splits a batch; the properties of its header come after each message's own. */
function storeBatch(parts: Parts, header: SendHeader, call: Call, queueId: number): Stored | Reply {
  const { body } = call.command;
  const isRetry = isRetryTopic(header.topic) && isV5(parts);
  if (body.length > parts.options.maxMessageSize || isRetry) return illegal(parts);
  const shared = completed(parts, header);
  if (refusesInnerBatch(parts, { sysFlag: header.sysFlag, properties: shared })) return illegal(parts);
  const messages = decodeBatch(body).map(({ flag, body, properties }): NewMessage => ({
    ...common(header, call),
    topic: header.topic,
    queueId,
    flag,
    body,
    properties: new Map([...parseProperties(properties), ...shared]),
  }));
  if (messages.length === 0) return illegal(parts);
  for (const { properties } of messages) encodeProperties(properties); // all of them are stored, or none
  const entries = parts.put(messages);
  const ids = entries.map((entry) => parts.store.messageId(entry.commitLogOffset));
  return { message: { ...messages[0]!, properties: shared }, ids, queueOffset: entries[0]!.queueOffset };
}

/** The topic of a send: of a retry topic the dead letter queue after too many retries, or if the group locks queues. */
function retryTarget(parts: Parts, header: SendHeader, version: number): string | Reply {
  if (!isRetryTopic(header.topic)) return header.topic;
  const group = header.topic.slice(retryTopic("").length);
  if (!parts.consumerGroups.ensure(group)) {
    return refuse(ResponseCode.SUBSCRIPTION_GROUP_NOT_EXIST, `subscription group not exist, ${group}`);
  }
  const times = header.reconsumeTimes ?? 0;
  const most = maxReconsumeTimes(header, version);
  const isDead = isV5(parts) ? times > most || parts.locks.isOrdered(group) : times >= most;
  return isDead ? parts.topics.ensure(deadLetterTopic(group), 1).name : header.topic;
}

/** The first client version (3.4.9) that can set how often messages are retried. */
const RETRY_TIMES_VERSION = 121;

/** How often a message is retried: as its request says, if the client's version can set it. */
export function maxReconsumeTimes(header: { maxReconsumeTimes?: number | undefined }, version: number): number {
  return (version >= RETRY_TIMES_VERSION ? header.maxReconsumeTimes : undefined) ?? DEFAULT_RETRY_TIMES;
}

/** The properties of a request with those that a broker adds. */
function completed(parts: Parts, header: SendHeader): Map<string, string> {
  const properties = parseProperties(header.properties ?? "");
  if (isV5(parts)) {
    properties.delete("POP_CK");
    properties.set(PropertyName.MSG_REGION, region.MSG_REGION!).set(PropertyName.TRACE_SWITCH, region.TRACE_ON!);
  }
  return properties.set(PropertyName.CLUSTER, parts.options.clusterName);
}

function common(
  header: SendHeader,
  { connection }: Call,
): Pick<NewMessage, "flag" | "sysFlag" | "bornAt" | "bornHost" | "reconsumeTimes"> {
  const { flag, sysFlag, bornTimestamp, reconsumeTimes = 0 } = header;
  return { flag, sysFlag, bornAt: bornTimestamp, bornHost: hostOf(connection), reconsumeTimes };
}

const hosts = new WeakMap<Connection, Uint8Array>();

/** The address of a client, as records hold it. */
function hostOf(connection: Connection): Uint8Array {
  let host = hosts.get(connection);
  if (host === undefined) hosts.set(connection, host = parseHost(connection.address));
  return host;
}

function accepted(parts: Parts, { message, ids, queueOffset }: Stored, queueId: number): Reply {
  const transactionId = isV5(parts) ? message.properties.get(PropertyName.UNIQUE_KEY) : undefined;
  const fields = encodeHeader(sendAnswer, { msgId: ids.join(","), queueId, queueOffset, transactionId });
  return { code: ResponseCode.SUCCESS, fields };
}

function illegal(parts: Parts): Reply {
  const limit = parts.options.maxMessageSize;
  return refuse(
    ResponseCode.MESSAGE_ILLEGAL,
    `the message is illegal, maybe msg body or properties length not matched. msg body length limit ${limit}B, msg ` +
      "properties length limit 32KB.",
  );
}
