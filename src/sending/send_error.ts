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
import { reasonOf } from "../plain_text.ts";
import { ResponseCode } from "../wire/codes.ts";

/** An attempt that failed, or is overdue. */
export interface FailedAttempt {
  /** The queue that was tried. */
  readonly queue: MessageQueue;
  /** What went wrong. */
  readonly error: unknown;
  /** Whether it may have stored the message all the same. */
  readonly maybeStored: boolean;
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

/**
 * How the remarks begin of brokers that refuse a message for want of room, also by code 1. Source: BrokerFastFailure,
 * NettyRemotingAbstract, SendMessageProcessor.
 */
const BUSY = /^\[(TIMEOUT_CLEAN_QUEUE|PCBUSY_CLEAN_QUEUE|OVERLOAD|REJECTREQUEST|PC_SYNCHRONIZED)\]/;

/** Answers that are about a topic or a client: they say nothing about how the broker is. */
const NOT_OF_THE_BROKER: ReadonlySet<number> = new Set([
  ResponseCode.NO_PERMISSION,
  ResponseCode.TOPIC_NOT_EXIST,
  ResponseCode.NO_BUYER_ID,
  ResponseCode.NOT_IN_CURRENT_UNIT,
]);

/** What to do about answers that are not for brokers to get over. */
const ADVICE: ReadonlyMap<number, string> = new Map([
  [ResponseCode.MESSAGE_ILLEGAL, "see its maxMessageSize; properties may have 32767 bytes with those that it adds"],
  [ResponseCode.NO_PERMISSION, "ask for the permission to write this topic"],
  [ResponseCode.TOPIC_NOT_EXIST, "create the topic first, or set autoCreateTopicEnable=true at the brokers"],
]);

/** How many attempts an error lists: a long outage sees hundreds. */
const MAX_LISTED = 5;

/** Whether it is certain that an attempt which failed like this has stored nothing. */
export function isNotStored(error: unknown): boolean {
  if (error instanceof BrokerNotAvailableError) return true;
  if (error instanceof NetworkError) return error.code === "CONNECT_FAILED" || isBusy(error);
  return error instanceof ResponseError && (REFUSALS.has(error.responseCode) || isBusy(error));
}

/** Whether a broker has refused a message because it has no room for it now, or does not read what waits for it. */
export function isBusy(error: unknown): boolean {
  if (error instanceof NetworkError) return error.code === "WRITE_BACKLOG";
  if (!(error instanceof ResponseError)) return false;
  const { responseCode, remark } = error;
  return responseCode === ResponseCode.SYSTEM_BUSY || responseCode === ResponseCode.FLOW_CONTROL ||
    (responseCode === ResponseCode.SYSTEM_ERROR && BUSY.test(remark));
}

/**
 * Whether a broker has answered with an error, which `retries` counts: not if there was no way to it, no answer, or no
 * room.
 */
export function isAnswered(error: unknown): boolean {
  if (error instanceof NetworkError) return error.code === "MALFORMED_FRAME";
  return error instanceof ResponseError && !isBusy(error);
}

/** Whether an error says that others of the brokers should be preferred. */
export function isOfTheBroker(error: unknown): boolean {
  if (error instanceof ResponseError) return error.retriable && !NOT_OF_THE_BROKER.has(error.responseCode);
  return error instanceof NetworkError || error instanceof TimeoutError;
}

/**
 * Whether a send may be tried again after an attempt.
 *
 * Where the queue is given, order is wanted: a message that may be stored, and is sent again, could appear behind one
 * that was sent after it. So there it has to be certain that nothing was stored.
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
    ...(maybeStored ? ["the message may be stored all the same"] : []),
  ];
  return new ProducerError(
    [`Cannot send to topic "${topic}" within ${timeout} ms: ${times} failed (${tried.join(", ")}): ${words}`, ...notes]
      .join("; "),
    { code: sendCode(cause), retriable: cause instanceof RocketMQError && cause.retriable, cause, maybeStored },
  );
}

/** The error of what is asked of a producer that is closed; what is known of the attempts until then, if any. */
export function producerClosed(action: string, attempts: readonly FailedAttempt[] = []): ProducerError {
  return new ProducerError(`Cannot ${action}: the producer is closed`, {
    code: "PRODUCER_CLOSED",
    cause: attempts.at(-1)?.error,
    maybeStored: attempts.some((attempt) => attempt.maybeStored),
  });
}

/** The last error that tells more than that the time was over on the way to a broker. */
function causeOf(attempts: readonly FailedAttempt[]): unknown {
  const tells = ({ error, maybeStored }: FailedAttempt) => maybeStored || !(error instanceof TimeoutError);
  return (attempts.findLast(tells) ?? attempts.at(-1)!).error;
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
