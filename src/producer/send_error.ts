/**
 * Why a send failed, and whether it makes sense to try it again.
 *
 * @module
 */

import {
  BrokerNotAvailableError,
  NetworkError,
  ProducerError,
  ResponseError,
  RocketMQError,
  TimeoutError,
} from "../errors.ts";
import type { MessageQueue } from "../message.ts";
import { ResponseCode } from "../wire/codes.ts";

/** An attempt that failed. */
export interface FailedAttempt {
  /** The queue that was tried. */
  readonly queue: MessageQueue;
  /** What went wrong. */
  readonly error: unknown;
}

/** Answers by which a broker says that it has refused a message before storing it. Source: SendMessageProcessor. */
const REFUSALS: ReadonlySet<number> = new Set([
  ResponseCode.SYSTEM_BUSY,
  ResponseCode.MESSAGE_ILLEGAL,
  ResponseCode.SERVICE_NOT_AVAILABLE,
  ResponseCode.NO_PERMISSION,
  ResponseCode.TOPIC_NOT_EXIST,
  ResponseCode.INVALID_PARAMETER,
  ResponseCode.NO_BUYER_ID,
  ResponseCode.NOT_IN_CURRENT_UNIT,
  ResponseCode.FLOW_CONTROL,
  ResponseCode.GO_AWAY,
]);

/** What to do about answers that are not for brokers to get over. */
const ADVICE: ReadonlyMap<number, string> = new Map([
  [ResponseCode.MESSAGE_ILLEGAL, "see its maxMessageSize; properties may have 32767 bytes with those that it adds"],
  [ResponseCode.NO_PERMISSION, "ask for the permission to write this topic"],
  [ResponseCode.TOPIC_NOT_EXIST, "create the topic first, or set autoCreateTopicEnable=true at the brokers"],
]);

/** Whether it is certain that an attempt which failed like this has stored nothing. */
export function isNotStored(error: unknown): boolean {
  if (error instanceof BrokerNotAvailableError) return true;
  if (error instanceof NetworkError) return error.code === "CONNECT_FAILED";
  return error instanceof ResponseError && REFUSALS.has(error.responseCode);
}

/**
 * Whether a send may be tried again after an error.
 *
 * Where the queue is given, order is wanted: a message that may be stored, and is sent again, could appear behind one
 * that was sent after it. So there it has to be certain that nothing was stored.
 */
export function mayRetry(error: unknown, queueIsGiven: boolean): boolean {
  return error instanceof RocketMQError && error.retriable && (!queueIsGiven || isNotStored(error));
}

/** The error of a send whose attempts have all failed; there is at least one. */
export function sendFailed(topic: string, attempts: readonly FailedAttempt[], timeout: number): ProducerError {
  const cause = attempts.at(-1)!.error;
  const tried = attempts.map(({ queue, error }) => `${queue.broker} queue ${queue.queueId}: ${codeOf(error)}`);
  const times = attempts.length === 1 ? "the only attempt" : `${attempts.length} attempts`;
  const words = cause instanceof Error ? cause.message : String(cause);
  const advice = cause instanceof ResponseError ? ADVICE.get(cause.responseCode) : undefined;
  const notes = [
    ...(advice === undefined ? [] : [advice]),
    ...(attempts.every(({ error }) => isNotStored(error)) ? [] : ["the message may be stored all the same"]),
  ];
  return new ProducerError(
    [`Cannot send to topic "${topic}" within ${timeout} ms: ${times} failed (${tried.join(", ")}): ${words}`, ...notes]
      .join("; "),
    { code: sendCode(cause), retriable: cause instanceof RocketMQError && cause.retriable, cause },
  );
}

/** The error of what is asked of a producer that is closed. */
export function producerClosed(action: string): ProducerError {
  return new ProducerError(`Cannot ${action}: the producer is closed`, { code: "PRODUCER_CLOSED" });
}

function sendCode(cause: unknown): string {
  if (cause instanceof TimeoutError) return "SEND_TIMEOUT";
  const unknown = cause instanceof ResponseError && cause.responseCode === ResponseCode.TOPIC_NOT_EXIST;
  return unknown ? "TOPIC_NOT_FOUND" : "SEND_FAILED";
}

function codeOf(error: unknown): string {
  if (error instanceof RocketMQError) return error.code;
  return error instanceof Error ? error.name : String(error);
}
