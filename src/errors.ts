/**
 * Every class a caller may catch, in one tree under {@linkcode RocketMQError}.
 *
 * @module
 */

import { excerpt, plain, reasonOf, shown } from "./plain_text.ts";

/** What every error of this package carries besides its message. */
export interface RocketMQErrorOptions extends ErrorOptions {
  /** A stable, machine-readable name of the situation, in upper snake case. */
  code: string;
  /** Whether the same call may succeed later without a change by the caller. */
  retriable?: boolean;
}

/** How many problems one message names. */
const MOST_NAMED = 50;

/**
 * The root of all errors that this package throws on purpose.
 *
 * A message is one line of 8 000 characters at most; of a text that somebody else has written, such as a server's remark
 * or the value of an option, it has 200. Control characters and others that are not to be printed are escaped.
 */
export class RocketMQError extends Error {
  /** The class's name, also after bundling. */
  override name = "RocketMQError";
  /** A stable, machine-readable name of the situation, in upper snake case: `"NO_NAME_SERVER"`. */
  readonly code: string;
  /** Whether the same call may succeed later without a change by the caller. */
  readonly retriable: boolean;

  /** Makes an error; `options.cause` keeps the error below it. */
  constructor(message: string, options: RocketMQErrorOptions) {
    super(plain(message), options);
    this.code = options.code;
    this.retriable = options.retriable ?? false;
  }
}

/** One thing that is wrong with a value that the caller gave. */
export interface Problem {
  /** Where the value stands: `"batchSize"`, `"topics.orders"`. */
  readonly field: string;
  /** The value as it was given. */
  readonly value: unknown;
  /** What is allowed there, in words. */
  readonly allowed: string;
}

/** Names the first problems; where there are too many, the last words say how many are left. */
function describe(problems: readonly Problem[]): string {
  const named = problems.slice(0, MOST_NAMED).map(({ field, value, allowed }) =>
    `${excerpt(field)} is ${shown(value)}, allowed is ${allowed}`
  );
  const left = problems.length - named.length;
  return named.join("; ") + (left > 0 ? `; and ${left} more` : "");
}

/** A value given by the caller is not allowed; all problems are named at once. */
export class ValidationError extends RocketMQError {
  /** The class's name, also after bundling. */
  override name = "ValidationError";
  /** Every problem that was found. */
  readonly problems: readonly Problem[];

  /** Makes the error from its problems; `action` is what could not be done: `"create a consumer"`. */
  constructor(action: string, problems: readonly Problem[], code = "INVALID_VALUE") {
    super(`Cannot ${action}: ${describe(problems)}`, { code });
    this.problems = problems;
  }
}

/** Options given to `connect()`, a consumer or a producer are not allowed. */
export class ConfigError extends ValidationError {
  /** The class's name, also after bundling. */
  override name = "ConfigError";

  /** Makes the error from its problems. */
  constructor(action: string, problems: readonly Problem[]) {
    super(action, problems, "INVALID_OPTIONS");
  }
}

/** A connection could not be made, broke, or carried bytes that are no remoting frame. */
export class NetworkError extends RocketMQError {
  /** The class's name, also after bundling. */
  override name = "NetworkError";
  /** The `host:port` of the other side; empty where there is none. */
  readonly address: string;

  /**
   * Makes the error; `code` is `"CONNECT_FAILED"`, `"CONNECTION_LOST"`, `"MALFORMED_FRAME"`, `"ANSWER_TOO_LARGE"` or
   * `"WRITE_BACKLOG"`.
   */
  constructor(message: string, address: string, code: string, options: ErrorOptions = {}) {
    super(message, { ...options, code, retriable: true });
    this.address = address;
  }
}

/** An answer is larger than a frame may be. The connection goes on, and so do the other calls on it. */
export class AnswerTooLargeError extends NetworkError {
  /** The class's name, also after bundling. */
  override name = "AnswerTooLargeError";
  /** The answer's size, in bytes. */
  readonly size: number;
  /** The most bytes that an answer may have. */
  readonly limit: number;

  /** Makes the error; `request` is what was asked, by its name in the request table. */
  constructor(request: string, address: string, size: number, limit: number) {
    super(
      `Cannot take the answer to ${request} from ${address}: it has ${size} bytes, allowed are ${limit}; ask for fewer ` +
        `messages at a time, or lower the broker's maxTransferBytesOnMessageInMemory and ` +
        `maxTransferBytesOnMessageInDisk`,
      address,
      "ANSWER_TOO_LARGE",
    );
    this.size = size;
    this.limit = limit;
  }
}

/** No answer came in time. */
export class TimeoutError extends RocketMQError {
  /** The class's name, also after bundling. */
  override name = "TimeoutError";
  /** How long was waited, in milliseconds. */
  readonly timeout: number;

  /** Makes the error; `action` is what was waited for. */
  constructor(action: string, timeout: number, options: ErrorOptions = {}) {
    super(`Cannot ${action}: no answer within ${timeout} ms`, { ...options, code: "TIMEOUT", retriable: true });
    this.timeout = timeout;
  }
}

/** No name server could be used, or what answered is not a name server. */
export class NameServerError extends RocketMQError {
  /** The class's name, also after bundling. */
  override name = "NameServerError";
}

/** The broker that a call needs is in no route, or cannot be reached. */
export class BrokerNotAvailableError extends RocketMQError {
  /** The class's name, also after bundling. */
  override name = "BrokerNotAvailableError";
  /** The broker's name. */
  readonly broker: string;

  /** Makes the error; `broker` is the broker's name. */
  constructor(message: string, broker: string, options: ErrorOptions = {}) {
    super(message, { ...options, code: "BROKER_NOT_AVAILABLE", retriable: true });
    this.broker = broker;
  }
}

/** A broker or name server answered with a code other than success. */
export class ResponseError extends RocketMQError {
  /** The class's name, also after bundling. */
  override name = "ResponseError";
  /** What was asked, by its name in the request table: `"QueryConsumerOffset"`. */
  readonly request: string;
  /** The answer's code, as in Java's `ResponseCode`: 22 is "no offset stored". */
  readonly responseCode: number;
  /** The `host:port` that answered. */
  readonly address: string;
  /** The server's own words, whole and unchanged, not fit to be printed as they are; empty if it sent none. */
  readonly remark: string;

  /** Makes the error from what was asked and what came back. */
  constructor(request: string, responseCode: number, address: string, remark: string, retriable = false) {
    super(`Cannot complete ${request} on ${excerpt(address)}: server answered ${responseCode} "${excerpt(remark)}"`, {
      code: `RESPONSE_${responseCode}`,
      retriable,
    });
    this.request = request;
    this.responseCode = responseCode;
    this.address = address;
    this.remark = remark;
  }
}

/** The server, the runtime or this version of the package cannot do what was asked. */
export class UnsupportedError extends RocketMQError {
  /** The class's name, also after bundling. */
  override name = "UnsupportedError";

  /** Makes the error. */
  constructor(message: string, options: ErrorOptions = {}) {
    super(message, { ...options, code: "UNSUPPORTED" });
  }
}

/** What a {@linkcode ProducerError} carries besides its message. */
export interface ProducerErrorOptions extends RocketMQErrorOptions {
  /** Whether the message may be stored all the same. @default {false} */
  maybeStored?: boolean;
}

/** A message could not be sent; `cause` holds the last broker's error. */
export class ProducerError extends RocketMQError {
  /** The class's name, also after bundling. */
  override name = "ProducerError";
  /**
   * Whether the message may be stored all the same, as a broker has received it and its answer is missing, or leaves
   * that open: sending it again may store it twice. `false` if it is certain that nothing was stored.
   */
  readonly maybeStored: boolean;

  /** Makes an error; `options.cause` keeps the error below it. */
  constructor(message: string, options: ProducerErrorOptions) {
    super(message, options);
    this.maybeStored = options.maybeStored ?? false;
  }
}

/** Something about a consumer failed. */
export class ConsumerError extends RocketMQError {
  /** The class's name, also after bundling. */
  override name = "ConsumerError";
}

/** A consumer could not be started; nothing of it is left behind. */
export class ConsumerStartError extends ConsumerError {
  /** The class's name, also after bundling. */
  override name = "ConsumerStartError";
}

/** The consumer's state does not allow the call: it is closed, or the queue is not its own. */
export class ConsumerStateError extends ConsumerError {
  /** The class's name, also after bundling. */
  override name = "ConsumerStateError";
}

/** A consumer could not be closed as it should: `cause` tells what comes again, as an event's error. */
export class ConsumerShutdownError extends ConsumerError {
  /** The class's name, also after bundling. */
  override name = "ConsumerShutdownError";
}

/** A change of subscriptions could not be checked with the cluster; nothing was changed. */
export class SubscribeError extends ConsumerError {
  /** The class's name, also after bundling. */
  override name = "SubscribeError";
  /** The topic. */
  readonly topic: string;

  /** Makes the error; `cause` is what the cluster, or the way to it, failed with. */
  constructor(topic: string, cause: unknown) {
    super(`Cannot subscribe to topic "${topic}": the cluster could not be asked about it`, {
      code: "SUBSCRIBE_FAILED",
      retriable: true,
      cause,
    });
    this.topic = topic;
  }
}

/** A handler failed: what it threw is the `cause`. The error of `handlerFailed` events. */
export class MessageConsumeError extends ConsumerError {
  /** The class's name, also after bundling. */
  override name = "MessageConsumeError";
  /** The topic of the messages that it was given. */
  readonly topic: string;
  /** The ids of those messages. */
  readonly messageIds: readonly string[];

  /** Makes the error; `cause` is what the handler threw. */
  constructor(topic: string, messageIds: readonly string[], cause: unknown) {
    const words = reasonOf(cause);
    super(`Cannot consume ${messageIds.length} messages of topic "${topic}": ${words}`, {
      code: "HANDLER_FAILED",
      retriable: true,
      cause,
    });
    this.topic = topic;
    this.messageIds = messageIds;
  }
}

/** A handler returned the name of a result of Java's listeners, which here means nothing: its messages count as failed. */
export class InvalidConsumeResultError extends ConsumerError {
  /** The class's name, also after bundling. */
  override name = "InvalidConsumeResultError";
  /** What the handler returned. */
  readonly result: string;

  /** Makes the error; `result` is what the handler returned. */
  constructor(result: string) {
    super(
      `Cannot take "${result}" as a handler's result: return to acknowledge, throw or call batch.retry() for later`,
      {
        code: "INVALID_CONSUME_RESULT",
      },
    );
    this.result = result;
  }
}

/** A queue could not be pulled or popped. The error of `stalled` and `throttled` events; it is tried again. */
export class MessagePullError extends ConsumerError {
  /** The class's name, also after bundling. */
  override name = "MessagePullError";
  /** The topic. */
  readonly topic: string;
  /** The broker's name. */
  readonly broker: string;
  /** The queue's number; -1 for all queues of the broker. */
  readonly queueId: number;

  /** Makes the error; `cause` is what the request failed with. */
  constructor(queue: { readonly topic: string; readonly broker: string; readonly queueId: number }, cause: unknown) {
    const words = reasonOf(cause);
    const place = `${queue.topic}@${queue.broker}${queue.queueId < 0 ? "" : `@${queue.queueId}`}`;
    super(`Cannot get messages of ${place}: ${words}`, { code: "PULL_FAILED", retriable: true, cause });
    this.topic = queue.topic;
    this.broker = queue.broker;
    this.queueId = queue.queueId;
  }
}

/** It could not be found out which queues are ours; those that are stay ours for a while. It is tried again. */
export class RebalanceError extends ConsumerError {
  /** The class's name, also after bundling. */
  override name = "RebalanceError";
  /** The group. */
  readonly group: string;
  /** The topic; empty if it is about all. */
  readonly topic: string;

  /** Makes the error; `cause` is what failed, if it was a call. */
  constructor(group: string, topic: string, reason: string, cause: unknown) {
    const what = topic === "" ? "all topics" : `topic "${topic}"`;
    super(`Cannot divide the queues of ${what} in group "${group}": ${reason}`, {
      code: "REBALANCE_FAILED",
      retriable: true,
      cause,
    });
    this.group = group;
    this.topic = topic;
  }
}

/** An offset could not be stored. */
export class OffsetError extends ConsumerError {
  /** The class's name, also after bundling. */
  override name = "OffsetError";
}

/** An offset could not be read; no position was moved. */
export class OffsetFetchError extends OffsetError {
  /** The class's name, also after bundling. */
  override name = "OffsetFetchError";
}

/** Something about a subscription is wrong. */
export class SubscriptionError extends RocketMQError {
  /** The class's name, also after bundling. */
  override name = "SubscriptionError";
}

/** No name server knows the topic. */
export class InvalidTopicError extends SubscriptionError {
  /** The class's name, also after bundling. */
  override name = "InvalidTopicError";
  /** The topic's name, as given. */
  readonly topic: string;

  /** Makes the error; `topic` is the topic's name. */
  constructor(message: string, topic: string, options: ErrorOptions = {}) {
    super(message, { ...options, code: "TOPIC_NOT_FOUND" });
    this.topic = topic;
  }
}

/** A tag expression, or an SQL92 expression, cannot be understood; with SQL92 the broker says why. */
export class InvalidSelectorError extends SubscriptionError {
  /** The class's name, also after bundling. */
  override name = "InvalidSelectorError";
  /** The expression as it was given. */
  readonly selector: string;

  /** Makes the error; `selector` is the expression as it was given. */
  constructor(message: string, selector: string, options: ErrorOptions = {}) {
    super(message, { ...options, code: "INVALID_SELECTOR" });
    this.selector = selector;
  }
}

/** The consumer is not subscribed to the topic. */
export class TopicNotSubscribedError extends SubscriptionError {
  /** The class's name, also after bundling. */
  override name = "TopicNotSubscribedError";
  /** The topic's name, as given. */
  readonly topic: string;

  /** Makes the error; `topic` is the topic's name. */
  constructor(topic: string) {
    super(`Cannot find a subscription of topic "${topic}": subscribe to it first`, { code: "TOPIC_NOT_SUBSCRIBED" });
    this.topic = topic;
  }
}

/** The consumer is subscribed to the topic already, with another selector. */
export class SubscriptionConflictError extends SubscriptionError {
  /** The class's name, also after bundling. */
  override name = "SubscriptionConflictError";
  /** The topic's name. */
  readonly topic: string;
  /** The selector that is in force. */
  readonly current: string;
  /** The selector that was asked for. */
  readonly wanted: string;

  /** Makes the error from both selectors. */
  constructor(topic: string, current: string, wanted: string) {
    super(
      `Cannot subscribe to topic "${topic}" with "${wanted}": it is subscribed with "${current}" already; ` +
        `updateSelector() changes that`,
      { code: "SUBSCRIPTION_CONFLICT" },
    );
    this.topic = topic;
    this.current = current;
    this.wanted = wanted;
  }
}

/** There are as many subscriptions as allowed. */
export class SubscriptionLimitExceededError extends SubscriptionError {
  /** The class's name, also after bundling. */
  override name = "SubscriptionLimitExceededError";
  /** How many are allowed. */
  readonly limit: number;

  /** Makes the error; `topic` is the one that is too many. */
  constructor(topic: string, limit: number) {
    super(
      `Cannot subscribe to topic "${topic}": ${limit} subscriptions are allowed; unsubscribe from one, or raise ` +
        `maxSubscriptions`,
      { code: "SUBSCRIPTION_LIMIT_EXCEEDED" },
    );
    this.limit = limit;
  }
}

/** Subscriptions that were to be imported cannot be understood; none of them was taken. */
export class SubscriptionDataError extends SubscriptionError {
  /** The class's name, also after bundling. */
  override name = "SubscriptionDataError";
  /** Everything that is wrong. */
  readonly problems: readonly Problem[];

  /** Makes the error from its problems. */
  constructor(problems: readonly Problem[]) {
    super(`Cannot import subscriptions: ${describe(problems)}`, { code: "SUBSCRIPTION_DATA" });
    this.problems = problems;
  }
}
