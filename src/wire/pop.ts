/**
 * The strings of POP: receipts, and what an answer says about the offsets that it took.
 *
 * A receipt (the property `POP_CK`, the field `extraInfo`) is eight fields with spaces between:
 *
 * | field | meaning |
 * |---|---|
 * | start offset | the smallest offset that was popped together with the message |
 * | pop time | when, by the broker's clock, in milliseconds since 1970 |
 * | invisible time | how long nobody else gets the message, in milliseconds |
 * | revive queue | where the broker keeps the record of it; 999 in order |
 * | retry | 0: from the topic itself; 1, 2: from the group's retry topic of that topic |
 * | broker | the broker's name |
 * | queue | the queue's number |
 * | offset | the message's offset in it |
 *
 * The infos of an answer are one piece per queue, with `;` between: `retry queue value`.
 *
 * Source: ExtraInfoUtil, KeyBuilder, MQClientAPIImpl.processPopResponse.
 *
 * @module
 */

import { NetworkError } from "../errors.ts";
import { PropertyName } from "./codes.ts";
import type { HeaderOf } from "./fields.ts";
import type { StoredMessage } from "./stored_message.ts";
import type { changeInvisibleTime, popMessage } from "./requests.ts";

/**
 * Which topic a message was popped from: 0 the topic itself, 1 `%RETRY%{group}_{topic}`, 2 `%RETRY%{group}+{topic}`
 * (where a broker's `enableRetryTopicV2` is on).
 */
export type PopRetry = 0 | 1 | 2;

/** By what a broker knows one delivery of a message. */
export interface PopReceipt {
  /** The smallest offset that was popped together with the message. */
  readonly startOffset: number;
  /** When it was popped, by the broker's clock, in milliseconds since 1970. */
  readonly popTime: number;
  /** How long nobody else gets it, in milliseconds. */
  readonly invisibleTime: number;
  /** The queue of the broker's records of deliveries; {@linkcode POP_ORDER_REVIVE_QUEUE} in order. */
  readonly reviveQueueId: number;
  /** Which topic it was popped from. */
  readonly retry: PopRetry;
  /** The broker's name. */
  readonly broker: string;
  /** The queue's number. */
  readonly queueId: number;
  /** The message's offset in that queue. */
  readonly queueOffset: number;
}

/** One message of an answer to a pop. */
export interface PoppedMessage {
  /** The message. */
  readonly message: StoredMessage;
  /** Its receipt. */
  readonly receipt: PopReceipt;
  /** How often it was delivered before. */
  readonly reconsumeTimes: number;
  /** When it was delivered first, by the broker's clock, in milliseconds since 1970. */
  readonly firstPopTime: number;
}

/** The revive queue of receipts that were given in order. Source: KeyBuilder. */
export const POP_ORDER_REVIVE_QUEUE = 999;

const RETRY_PREFIX = "%RETRY%";
const INTEGER = /^-?\d{1,16}$/;

/** The topic in which a topic's messages come back to a group that pops. Source: KeyBuilder. */
export function popRetryTopic(group: string, topic: string, retry: Exclude<PopRetry, 0> = 1): string {
  return `${RETRY_PREFIX}${group}${retry === 1 ? "_" : "+"}${topic}`;
}

/** The topic that an ack must name: the one that the message was popped from. */
export function realPopTopic(group: string, topic: string, retry: PopRetry): string {
  return retry === 0 ? topic : popRetryTopic(group, topic, retry);
}

/** The retry field of receipts for messages of a topic. */
export function popRetryOf(storedTopic: string): PopRetry {
  if (!storedTopic.startsWith(RETRY_PREFIX)) return 0;
  return storedTopic.includes("+") ? 2 : 1;
}

/**
 * Reads a retry field.
 *
 * @throws {NetworkError} `MALFORMED_FRAME` if it is none
 */
export function parsePopRetry(text: string): PopRetry {
  return retryOf(text, "retry field", text);
}

/**
 * The receipt of a message whose invisible time was changed. The broker then knows it as a delivery of one message.
 *
 * @param answer the header of the answer to that
 */
export function changedPopReceipt(
  receipt: PopReceipt,
  answer: HeaderOf<typeof changeInvisibleTime.answer>,
): PopReceipt {
  const { popTime, invisibleTime, reviveQid: reviveQueueId } = answer;
  return { ...receipt, startOffset: receipt.queueOffset, popTime, invisibleTime, reviveQueueId };
}

/** Writes a receipt. */
export function formatPopReceipt(receipt: PopReceipt): string {
  const { startOffset, popTime, invisibleTime, reviveQueueId, retry, broker, queueId, queueOffset } = receipt;
  return `${startOffset} ${popTime} ${invisibleTime} ${reviveQueueId} ${retry} ${broker} ${queueId} ${queueOffset}`;
}

/**
 * Reads a receipt.
 *
 * @throws {NetworkError} `MALFORMED_FRAME` if it has not eight fields of the right kinds
 */
export function parsePopReceipt(text: string): PopReceipt {
  const fields = text.split(" ");
  if (fields.length !== 8) throw malformed("receipt", text);
  const number = (at: number) => integerOf(fields[at], "receipt", text);
  return {
    startOffset: number(0),
    popTime: number(1),
    invisibleTime: number(2),
    reviveQueueId: number(3),
    retry: retryOf(fields[4], "receipt", text),
    broker: fields[5]!,
    queueId: number(6),
    queueOffset: number(7),
  };
}

/** The key of one queue in the parsed infos of an answer. */
export function popQueueKey(retry: PopRetry, queueId: number): string {
  return `${retry}@${queueId}`;
}

/** The key of one message in a parsed `orderCountInfo`. */
export function popMessageKey(retry: PopRetry, queueId: number, queueOffset: number): string {
  return `${retry}@qo${queueId}%${queueOffset}`;
}

/**
 * Reads a `startOffsetInfo`: the start offsets by {@linkcode popQueueKey}.
 *
 * @throws {NetworkError} `MALFORMED_FRAME` if it is none, or has a queue twice
 */
export function parseStartOffsetInfo(text: string): Map<string, number> {
  return parseInfo("startOffsetInfo", text, (value) => integerOf(value, "startOffsetInfo", text));
}

/**
 * Reads a `msgOffsetInfo`: the offsets of the messages by {@linkcode popQueueKey}, in their order.
 *
 * @throws {NetworkError} `MALFORMED_FRAME` if it is none, or has a queue twice
 */
export function parseMsgOffsetInfo(text: string): Map<string, number[]> {
  return parseInfo(
    "msgOffsetInfo",
    text,
    (value) => value.split(",").map((offset) => integerOf(offset, "msgOffsetInfo", text)),
  );
}

/**
 * Reads an `orderCountInfo`: how often messages were delivered before, by {@linkcode popQueueKey} for a whole queue and
 * by {@linkcode popMessageKey} for a message.
 *
 * @throws {NetworkError} `MALFORMED_FRAME` if it is none, or has a key twice
 */
export function parseOrderCountInfo(text: string): Map<string, number> {
  return parseInfo("orderCountInfo", text, (value) => integerOf(value, "orderCountInfo", text));
}

/** Writes any of the infos: the values by key, in their order. */
export function formatPopInfo(info: ReadonlyMap<string, number | readonly number[]>): string {
  return [...info].map(([key, value]) => `${key.replace("@", " ")} ${value}`).join(";");
}

/**
 * Gives each message of an answer its receipt.
 *
 * Messages from a retry topic bring theirs with them. For the others it is made of the answer's header: the n-th
 * message of a queue has the n-th offset of that queue there.
 *
 * @param broker the name of the broker that answered
 * @throws {NetworkError} `MALFORMED_FRAME` if the infos of the answer cannot be read
 */
export function receivePopped(
  messages: readonly StoredMessage[],
  answer: HeaderOf<typeof popMessage.answer>,
  broker: string,
): PoppedMessage[] {
  const { popTime, invisibleTime, reviveQid: reviveQueueId } = answer;
  const starts = parseStartOffsetInfo(answer.startOffsetInfo ?? "");
  const offsets = parseMsgOffsetInfo(answer.msgOffsetInfo ?? "");
  const counts = parseOrderCountInfo(answer.orderCountInfo ?? "");
  const seen = new Map<string, number>();
  return messages.map((message) => {
    const { storedQueueId: queueId, queueOffset, reconsumeTimes } = message;
    const brought = receiptIn(message);
    const retry = brought?.retry ?? popRetryOf(message.storedTopic);
    const key = popQueueKey(retry, queueId);
    const position = seen.get(key) ?? 0;
    seen.set(key, position + 1);
    const firstPopTime = firstPopTimeOf(message, popTime);
    if (brought !== undefined) return { message, receipt: brought, reconsumeTimes, firstPopTime };
    if (!starts.has(key)) starts.set(key, queueOffset); // an old broker names no start: it is the first one's offset
    const receipt: PopReceipt = {
      startOffset: starts.get(key)!,
      popTime,
      invisibleTime,
      reviveQueueId,
      retry,
      broker,
      queueId,
      queueOffset: offsets.get(key)?.[position] ?? queueOffset,
    };
    const count = counts.get(popMessageKey(retry, queueId, queueOffset)) ?? counts.get(key) ?? 0;
    return { message, receipt, reconsumeTimes: count > 0 ? count : reconsumeTimes, firstPopTime };
  });
}

/** The receipt that a broker has put into a message's properties; undefined if there is none, or nonsense. */
function receiptIn(message: StoredMessage): PopReceipt | undefined {
  const text = message.property(PropertyName.POP_RECEIPT);
  try {
    return text === undefined ? undefined : parsePopReceipt(text);
  } catch {
    return undefined;
  }
}

/** When the message was popped first, as its properties tell; `popTime` if they do not. */
function firstPopTimeOf(message: StoredMessage, popTime: number): number {
  const text = message.property(PropertyName.FIRST_POP_TIME);
  return text !== undefined && INTEGER.test(text) ? Number(text) : popTime;
}

function parseInfo<T>(what: string, text: string, valueOf: (value: string) => T): Map<string, T> {
  const info = new Map<string, T>();
  if (text === "") return info;
  for (const piece of text.split(";")) {
    const [retry, queue, value, ...more] = piece.split(" ");
    if (queue === undefined || value === undefined || more.length > 0) throw malformed(what, text);
    const key = `${retryOf(retry, what, text)}@${queue}`;
    if (info.has(key)) throw malformed(what, text);
    info.set(key, valueOf(value));
  }
  return info;
}

function integerOf(field: string | undefined, what: string, text: string): number {
  const number = field !== undefined && INTEGER.test(field) ? Number(field) : NaN;
  if (!Number.isSafeInteger(number)) throw malformed(what, text);
  return number;
}

function retryOf(field: string | undefined, what: string, text: string): PopRetry {
  if (field === "0") return 0;
  if (field === "1") return 1;
  if (field === "2") return 2;
  throw malformed(what, text);
}

function malformed(what: string, text: string): NetworkError {
  return new NetworkError(`Cannot read a POP ${what}: "${text.slice(0, 200)}" is none`, "", "MALFORMED_FRAME");
}
