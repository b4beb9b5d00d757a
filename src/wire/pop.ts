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

import { isRetryTopic, retryTopic } from "./names.ts";
import { NetworkError } from "../errors.ts";
import type { HeaderOf } from "./fields.ts";
import type { changeInvisibleTime } from "./requests.ts";

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

/** The revive queue of receipts that were given in order. Source: KeyBuilder. */
export const POP_ORDER_REVIVE_QUEUE = 999;

const INTEGER = /^-?\d{1,16}$/;

/** The topic in which a topic's messages come back to a group that pops. Source: KeyBuilder. */
export function popRetryTopic(group: string, topic: string, retry: Exclude<PopRetry, 0> = 1): string {
  return `${retryTopic(group)}${retry === 1 ? "_" : "+"}${topic}`;
}

/** The topic that an ack must name: the one that the message was popped from. */
export function realPopTopic(group: string, topic: string, retry: PopRetry): string {
  return retry === 0 ? topic : popRetryTopic(group, topic, retry);
}

/** The retry field of receipts for messages of a topic. */
export function popRetryOf(storedTopic: string): PopRetry {
  if (!isRetryTopic(storedTopic)) return 0;
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
  if (fields.length !== 8) throw malformedPop("receipt", text);
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

function parseInfo<T>(what: string, text: string, valueOf: (value: string) => T): Map<string, T> {
  const info = new Map<string, T>();
  if (text === "") return info;
  for (const piece of text.split(";")) {
    const [retry, queue, value, ...more] = piece.split(" ");
    if (queue === undefined || value === undefined || more.length > 0) throw malformedPop(what, text);
    const key = `${retryOf(retry, what, text)}@${queue}`;
    if (info.has(key)) throw malformedPop(what, text);
    info.set(key, valueOf(value));
  }
  return info;
}

function integerOf(field: string | undefined, what: string, text: string): number {
  const number = field !== undefined && INTEGER.test(field) ? Number(field) : NaN;
  if (!Number.isSafeInteger(number)) throw malformedPop(what, text);
  return number;
}

function retryOf(field: string | undefined, what: string, text: string): PopRetry {
  if (field === "0") return 0;
  if (field === "1") return 1;
  if (field === "2") return 2;
  throw malformedPop(what, text);
}

/** The error for what is none of the strings of POP. */
export function malformedPop(what: string, text: string): NetworkError {
  return new NetworkError(`Cannot read a POP ${what}: "${text.slice(0, 200)}" is none`, "", "MALFORMED_FRAME");
}
