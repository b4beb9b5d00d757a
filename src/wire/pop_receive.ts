/**
 * The receipts of the messages that a pop has brought. Source: MQClientAPIImpl.processPopResponse.
 *
 * @module
 */

import { PropertyName } from "./codes.ts";
import type { HeaderOf } from "./fields.ts";
import {
  malformedPop,
  parseMsgOffsetInfo,
  parseOrderCountInfo,
  parsePopReceipt,
  parseStartOffsetInfo,
  popMessageKey,
  popQueueKey,
  type PopReceipt,
  type PopRetry,
  popRetryOf,
} from "./pop.ts";
import type { BrokenRecord } from "./record.ts";
import type { popMessage } from "./requests.ts";
import type { StoredMessage } from "./stored_message.ts";

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

const RETRIES = [0, 1, 2] as const satisfies readonly PopRetry[];
const INTEGER = /^-?\d{1,16}$/;

/** What an answer to a pop has brought. */
export interface ReceivedPop {
  /** The messages with their receipts. */
  readonly popped: PoppedMessage[];
  /** Records whose messages cannot be distinguished in an ack: settling one of them could lose another. */
  readonly strange: BrokenRecord[];
}

/** What an answer to a pop says about all of its messages. */
interface PopInfos {
  readonly answer: HeaderOf<typeof popMessage.answer>;
  readonly broker: string;
  readonly starts: Map<string, number>;
  readonly offsets: ReadonlyMap<string, NamedOffsets>;
}

/** The offsets that an answer names of one queue: in their order, and to look one up. */
interface NamedOffsets {
  readonly inOrder: readonly number[];
  readonly all: ReadonlySet<number>;
}

/**
 * Makes the receipts of an answer's messages.
 *
 * Messages from a retry topic bring theirs with them, which counts if it is of this very pop: anybody can send a
 * message with such a property. The other receipts are made of the answer's header, which names the offsets of each
 * queue. A message whose own offset is not among them has the one in its place, if no neighbour is missing: the n-th of
 * its queue.
 *
 * @param broker the name of the broker that answered
 * @throws {NetworkError} `MALFORMED_FRAME` if the infos of the answer cannot be read
 */
export function receivePopped(
  messages: readonly StoredMessage[],
  answer: HeaderOf<typeof popMessage.answer>,
  broker: string,
): ReceivedPop {
  const infos = infosOf(answer, broker);
  const neighbours = lazily(() => countBy(messages, keyOf));
  const counts = parseOrderCountInfo(answer.orderCountInfo ?? "");
  const firsts = lazily(() => new Map(messages.toReversed().map((each) => [each.commitLogOffset, each.queueOffset])));
  const firstOf = ({ commitLogOffset }: StoredMessage) => firsts().get(commitLogOffset)!;
  const seen = new Map<string, number>();
  const popped: PoppedMessage[] = [];
  const strange = new Map<number, BrokenRecord>();
  for (const message of messages) {
    const { storedQueueId: queueId, queueOffset, reconsumeTimes } = message;
    const firstPopTime = firstPopTimeOf(message, answer.popTime);
    const brought = receiptIn(message, infos);
    if (brought !== undefined) {
      popped.push({ message, receipt: brought, reconsumeTimes, firstPopTime });
      continue;
    }
    const retry = popRetryOf(message.storedTopic);
    const key = popQueueKey(retry, queueId);
    const position = seen.get(key) ?? 0;
    seen.set(key, position + 1);
    const offset = offsetOf(infos, neighbours, message, key, position);
    if (offset === undefined) {
      const { commitLogOffset } = message;
      if (!strange.has(commitLogOffset)) strange.set(commitLogOffset, strangeRecord(firstOf(message), message, answer));
      continue;
    }
    if (!infos.starts.has(key)) infos.starts.set(key, offset); // an old broker names no start: it is the first one's
    const count = counts.get(popMessageKey(retry, queueId, queueOffset)) ?? counts.get(key) ?? 0;
    const times = count > 0 ? count : reconsumeTimes;
    popped.push({ message, receipt: receiptOf(infos, retry, queueId, offset), reconsumeTimes: times, firstPopTime });
  }
  if (strange.size === 0) return { popped, strange: [] };
  // Messages of one record, an inner batch, are acked together or not at all.
  return {
    popped: popped.filter(({ message }) => !strange.has(message.commitLogOffset)),
    strange: [...strange.values()],
  };
}

/**
 * The receipts of records of an answer that cannot be read, by their queues and offsets; undefined where that
 * is not certain.
 *
 * @param broker the name of the broker that answered
 */
export function receiveBroken(
  records: readonly BrokenRecord[],
  answer: HeaderOf<typeof popMessage.answer>,
  broker: string,
): (PopReceipt | undefined)[] {
  if (records.length === 0) return [];
  const infos = infosOf(answer, broker);
  return records.map(({ queueId, queueOffset }) => {
    if (queueOffset === undefined) return undefined;
    const isNamed = (retry: PopRetry) => infos.offsets.get(popQueueKey(retry, queueId))?.all.has(queueOffset);
    const [retry, ...others] = RETRIES.filter(isNamed);
    return retry === undefined || others.length > 0 ? undefined : receiptOf(infos, retry, queueId, queueOffset);
  });
}

function infosOf(answer: HeaderOf<typeof popMessage.answer>, broker: string): PopInfos {
  const starts = parseStartOffsetInfo(answer.startOffsetInfo ?? "");
  const offsets = new Map<string, NamedOffsets>();
  for (const [key, inOrder] of parseMsgOffsetInfo(answer.msgOffsetInfo ?? "")) {
    offsets.set(key, { inOrder, all: new Set(inOrder) });
  }
  return { answer, broker, starts, offsets };
}

function keyOf({ storedTopic, storedQueueId }: StoredMessage): string {
  return popQueueKey(popRetryOf(storedTopic), storedQueueId);
}

function countBy<T>(values: readonly T[], keyOf: (value: T) => string): Map<string, number> {
  const counts = new Map<string, number>();
  for (const value of values) counts.set(keyOf(value), (counts.get(keyOf(value)) ?? 0) + 1);
  return counts;
}

/** The result of a function, computed when it is first read: an answer that is right needs none. */
function lazily<T>(compute: () => T): () => T {
  let value: { readonly of: T } | undefined;
  return () => (value ??= { of: compute() }).of;
}

function receiptOf({ answer, broker, starts }: PopInfos, retry: PopRetry, queueId: number, offset: number): PopReceipt {
  const { popTime, invisibleTime, reviveQid: reviveQueueId } = answer;
  return {
    startOffset: starts.get(popQueueKey(retry, queueId)) ?? offset,
    popTime,
    invisibleTime,
    reviveQueueId,
    retry,
    broker,
    queueId,
    queueOffset: offset,
  };
}

/** The offset that an ack of a message has to name; undefined if that is not certain. */
function offsetOf(
  { offsets }: PopInfos,
  neighbours: () => ReadonlyMap<string, number>,
  { queueOffset }: StoredMessage,
  key: string,
  position: number,
): number | undefined {
  const named = offsets.get(key);
  if (named?.all.has(queueOffset) || offsets.size === 0) return queueOffset;
  return named?.inOrder.length === neighbours().get(key) ? named?.inOrder[position] : undefined;
}

function strangeRecord(
  queueOffset: number,
  { storedQueueId: queueId, commitLogOffset, record: bytes }: StoredMessage,
  { msgOffsetInfo = "" }: HeaderOf<typeof popMessage.answer>,
): BrokenRecord {
  const error = malformedPop(`msgOffsetInfo for offset ${queueOffset} of queue ${queueId}`, msgOffsetInfo);
  return { queueId, queueOffset, commitLogOffset, storeHost: undefined, bytes, error };
}

/** The receipt of this pop that a broker has put into a message's properties; undefined if there is none. */
function receiptIn(message: StoredMessage, { answer, offsets }: PopInfos): PopReceipt | undefined {
  const text = message.property(PropertyName.POP_RECEIPT);
  if (text === undefined) return undefined;
  let receipt: PopReceipt;
  try {
    receipt = parsePopReceipt(text);
  } catch {
    return undefined;
  }
  const named = offsets.get(popQueueKey(receipt.retry, receipt.queueId));
  const isOfThisPop = receipt.popTime === answer.popTime &&
    (named?.all.has(receipt.queueOffset) ?? offsets.size === 0);
  return isOfThisPop ? receipt : undefined;
}

/** When the message was popped first, by its properties; `popTime` if they do not have it. */
function firstPopTimeOf(message: StoredMessage, popTime: number): number {
  const text = message.property(PropertyName.FIRST_POP_TIME);
  return text !== undefined && INTEGER.test(text) ? Number(text) : popTime;
}
