/**
 * Errors of consumers.
 *
 * @module
 */

import { reasonOf } from "../plain_text.ts";
import { RocketMQError } from "./base.ts";

/**
 * Something about a consumer failed.
 *
 * @category Errors
 */
export class ConsumerError extends RocketMQError {
  /** The class's name, also after bundling. */
  override name = "ConsumerError";
}

/**
 * A consumer could not be started; nothing of it is left behind.
 *
 * @category Errors
 */
export class ConsumerStartError extends ConsumerError {
  /** The class's name, also after bundling. */
  override name = "ConsumerStartError";
}

/**
 * The consumer's state does not allow the call: it is closed, or the queue is not its own.
 *
 * @category Errors
 */
export class ConsumerStateError extends ConsumerError {
  /** The class's name, also after bundling. */
  override name = "ConsumerStateError";
}

/**
 * A consumer could not be closed as it should: `cause` names what is redelivered, as the error of an event does.
 *
 * @category Errors
 */
export class ConsumerShutdownError extends ConsumerError {
  /** The class's name, also after bundling. */
  override name = "ConsumerShutdownError";
}

/**
 * A change of subscriptions could not be checked with the cluster; nothing was changed.
 *
 * @category Errors
 */
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

/**
 * A handler failed: what it threw is the `cause`. The error of `handlerFailed` events.
 *
 * @category Errors
 */
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

/**
 * A handler returned the name of a result of Java's listeners, which here means nothing: its messages count as failed.
 *
 * @category Errors
 */
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

/**
 * A queue could not be pulled or popped. The error of `stalled` and `throttled` events; it is tried again.
 *
 * @category Errors
 */
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

/**
 * It could not be found out which queues are ours; those that are stay ours for a while. It is tried again.
 *
 * @category Errors
 */
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

/**
 * An offset could not be stored.
 *
 * @category Errors
 */
export class OffsetError extends ConsumerError {
  /** The class's name, also after bundling. */
  override name = "OffsetError";
}

/**
 * An offset could not be read; no position was moved.
 *
 * @category Errors
 */
export class OffsetFetchError extends OffsetError {
  /** The class's name, also after bundling. */
  override name = "OffsetFetchError";
}
