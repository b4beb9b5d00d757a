/**
 * Why a send failed, and whether it may be retried.
 *
 * @module
 */

import { isRefusal } from "../cluster/credentials.ts";
import {
  BrokerNotAvailableError,
  NetworkError,
  ProducerError,
  ResponseError,
  RocketMQError,
  TimeoutError,
} from "../errors.ts";
import type { MessageQueue } from "../message.ts";
import { reasonOf } from "../plain_text.ts";
import { ResponseCode } from "../wire/codes.ts";

/** An attempt that failed, or is overdue. */
export interface FailedAttempt {
  /** The queue. */
  readonly queue: MessageQueue;
  /** What went wrong. */
  readonly error: unknown;
  /** Whether it may have stored the message nevertheless. */
  readonly maybeStored: boolean;
}

/** Answers of a broker that has refused a message before storing it. Source: SendMessageProcessor. */
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

/**
 * The prefixes of remarks of busy brokers that refuse a message, also by code 1. Source: BrokerFastFailure,
 * NettyRemotingAbstract, SendMessageProcessor.
 */
const BUSY = /^\[(TIMEOUT_CLEAN_QUEUE|PCBUSY_CLEAN_QUEUE|OVERLOAD|REJECTREQUEST|PC_SYNCHRONIZED)\]/;

/** Answers about a topic or a client, which are no sign of the broker's health. */
const NOT_OF_THE_BROKER: ReadonlySet<number> = new Set([
  ResponseCode.NO_PERMISSION,
  ResponseCode.TOPIC_NOT_EXIST,
  ResponseCode.NO_BUYER_ID,
  ResponseCode.NOT_IN_CURRENT_UNIT,
]);

/** What operators can do about answers that do not change by themselves. */
const ADVICE: ReadonlyMap<number, string> = new Map([
  [ResponseCode.MESSAGE_ILLEGAL, "see its maxMessageSize; properties may have 32767 bytes with those that it adds"],
  [ResponseCode.NO_PERMISSION, "grant the permission to write this topic"],
  [ResponseCode.TOPIC_NOT_EXIST, "create the topic first, or set autoCreateTopicEnable=true at the brokers"],
]);

/** How many attempts an error lists: in a long outage there are hundreds. */
const MAX_LISTED = 5;

/** Whether it is certain that an attempt with this error has stored nothing. */
export function isNotStored(error: unknown): boolean {
  if (error instanceof BrokerNotAvailableError || isRefusal(error)) return true;
  if (error instanceof NetworkError) return error.code === "CONNECT_FAILED" || isBusy(error);
  return error instanceof ResponseError && (REFUSALS.has(error.responseCode) || isBusy(error));
}

/** Whether a broker has refused a message because it is busy, or does not read what is written to it. */
export function isBusy(error: unknown): boolean {
  if (error instanceof NetworkError) return error.code === "WRITE_BACKLOG";
  if (!(error instanceof ResponseError)) return false;
  const { responseCode, remark } = error;
  return responseCode === ResponseCode.SYSTEM_BUSY || responseCode === ResponseCode.FLOW_CONTROL ||
    (responseCode === ResponseCode.SYSTEM_ERROR && BUSY.test(remark));
}

/**
 * Whether a broker has answered with an error, which `retries` counts: not if it could not be reached, did not answer,
 * or was busy.
 */
export function isAnswered(error: unknown): boolean {
  if (error instanceof NetworkError) return error.code === "MALFORMED_FRAME";
  return error instanceof ResponseError && !isBusy(error);
}

/** Whether other brokers are to be preferred after an error. */
export function isOfTheBroker(error: unknown): boolean {
  if (error instanceof ResponseError) return error.retriable && !NOT_OF_THE_BROKER.has(error.responseCode);
  return error instanceof NetworkError || error instanceof TimeoutError;
}

/**
 * Whether another attempt may follow.
 *
 * Where the queue is chosen, order counts: a message that may be stored, and is sent again, could appear behind one
 * that was sent after it. There it has to be certain that nothing was stored.
 */
export function mayRetry({ error, maybeStored }: FailedAttempt, onlyIfNotStored: boolean): boolean {
  return error instanceof RocketMQError && error.retriable && !(onlyIfNotStored && maybeStored);
}

/** The error of a send whose attempts have all failed; there is at least one. */
export function sendFailed(topic: string, attempts: readonly FailedAttempt[], timeout: number): ProducerError {
  const cause = causeOf(attempts);
  const tried = attempts.slice(-MAX_LISTED).map(({ queue, error }) =>
    `${queue.broker} queue ${queue.queueId}: ${codeOf(error)}`
  );
  if (attempts.length > MAX_LISTED) tried.unshift("…");
  const times = attempts.length === 1 ? "the only attempt" : `${attempts.length} attempts`;
  const words = reasonOf(cause);
  const advice = cause instanceof ResponseError ? ADVICE.get(cause.responseCode) : undefined;
  const maybeStored = attempts.some((attempt) => attempt.maybeStored);
  const notes = [
    ...(advice === undefined ? [] : [advice]),
    ...(maybeStored ? ["the message may be stored nevertheless"] : []),
  ];
  return new ProducerError(
    [`Cannot send to topic "${topic}" within ${timeout} ms: ${times} failed (${tried.join(", ")}): ${words}`, ...notes]
      .join("; "),
    { code: sendCode(cause), retriable: cause instanceof RocketMQError && cause.retriable, cause, maybeStored },
  );
}

/** The error of a call of a closed producer, with the attempts until then, if any. */
export function producerClosed(action: string, attempts: readonly FailedAttempt[] = []): ProducerError {
  return new ProducerError(`Cannot ${action}: the producer is closed`, {
    code: "PRODUCER_CLOSED",
    cause: attempts.at(-1)?.error,
    maybeStored: attempts.some((attempt) => attempt.maybeStored),
  });
}

/** The last error that states more than that connecting took too long. */
function causeOf(attempts: readonly FailedAttempt[]): unknown {
  const isSpecific = ({ error, maybeStored }: FailedAttempt) => maybeStored || !(error instanceof TimeoutError);
  return (attempts.findLast(isSpecific) ?? attempts.at(-1)!).error;
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
