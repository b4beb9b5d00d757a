/**
 * Errors of subscriptions.
 *
 * @module
 */

import { describe, type Problem, RocketMQError } from "./base.ts";

/**
 * Something about a subscription is wrong.
 *
 * @category Errors
 */
export class SubscriptionError extends RocketMQError {
  /** The class's name, also after bundling. */
  override name = "SubscriptionError";
}

/**
 * No name server knows the topic.
 *
 * @category Errors
 */
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

/**
 * A tag expression, or an SQL92 expression, cannot be understood; with SQL92 the broker says why.
 *
 * @category Errors
 */
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

/**
 * The consumer is not subscribed to the topic.
 *
 * @category Errors
 */
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

/**
 * The consumer is subscribed to the topic already, with another selector.
 *
 * @category Errors
 */
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

/**
 * There are as many subscriptions as allowed.
 *
 * @category Errors
 */
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

/**
 * Subscriptions that were to be imported cannot be understood; none of them was taken.
 *
 * @category Errors
 */
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
