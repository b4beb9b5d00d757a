/**
 * What a consumer is subscribed to, while it runs.
 *
 * @module
 */

import {
  InvalidSelectorError,
  type Problem,
  SubscriptionConflictError,
  SubscriptionDataError,
  SubscriptionLimitExceededError,
  TopicNotSubscribedError,
  ValidationError,
} from "../../errors.ts";
import { isName, MAX_TOPIC_LENGTH, nameRule } from "../../options.ts";
import { parseSelector, type Selector, sql } from "./selector.ts";

/**
 * How many topics one consumer may subscribe to by default.
 *
 * @category Advanced
 */
export const MAX_SUBSCRIPTIONS = 1_000;

/**
 * One subscription.
 *
 * @category Filter
 */
export interface Subscription {
  /** The topic. */
  readonly topic: string;
  /** Which of its messages are wanted. */
  readonly selector: Selector;
  /** Whether it is in force: an inactive one is kept, but its queues are revoked. */
  readonly active: boolean;
}

/**
 * One subscription as plain data, for JSON.
 *
 * @category Advanced
 */
export interface SubscriptionRecord {
  /** The topic. */
  readonly topic: string;
  /** `TAG` or `SQL92`. */
  readonly type: "TAG" | "SQL92";
  /** The expression. */
  readonly expression: string;
  /** Whether it is in force. @default {true} */
  readonly active?: boolean;
}

/**
 * Options of a {@linkcode SubscriptionManager}.
 *
 * @category Advanced
 */
export interface SubscriptionManagerOptions {
  /** How many subscriptions are allowed, from 1 on. @default {1_000} */
  readonly maxSubscriptions?: number;
  /** Refuses a subscription by rejecting, before anything changes: a consumer asks the cluster here. */
  readonly check?: (topic: string, selector: Selector) => Promise<unknown>;
  /** Called with the topics whose subscription has changed; what it returns is waited for. */
  readonly onChanged?: (topics: readonly string[]) => unknown;
}

/**
 * The subscriptions of a consumer: at most one per topic.
 *
 * As `consumer.subscriptions` it is live: a change is checked with the cluster first, then the brokers are notified and
 * queues are taken or revoked. Offsets of topics that are revoked stay stored.
 *
 * @category Advanced
 */
export class SubscriptionManager {
  #limit: number;
  #check: (topic: string, selector: Selector) => Promise<unknown>;
  #onChanged: (topics: readonly string[]) => unknown;
  #subscriptions = new Map<string, Subscription>();

  /** Makes a manager without subscriptions. */
  constructor(options: SubscriptionManagerOptions = {}) {
    this.#limit = options.maxSubscriptions ?? MAX_SUBSCRIPTIONS;
    this.#check = options.check ?? (() => Promise.resolve());
    this.#onChanged = options.onChanged ?? (() => {});
  }

  /** How many subscriptions there are, inactive ones included. */
  get count(): number {
    return this.#subscriptions.size;
  }

  /**
   * Subscribes to a topic; does nothing if the subscription exists already.
   *
   * @throws {SubscriptionConflictError} if there is one with another selector
   * @throws {SubscriptionLimitExceededError} if there are too many
   * @throws {InvalidSelectorError} for an expression that cannot be understood, here or by the brokers
   * @throws {InvalidTopicError} for a topic that no name server knows, on a running consumer
   * @throws {SubscribeError} if the cluster cannot be asked about it, on a running consumer
   * @throws {ValidationError} for a name that no topic can have
   */
  async subscribe(topic: string, selector: string | Selector = "*"): Promise<void> {
    const wanted = parseSelector(selector);
    requireTopic(topic);
    if (!this.#mayAdd(topic, wanted)) return;
    await this.#check(topic, wanted);
    if (!this.#mayAdd(topic, wanted)) return; // somebody else may have subscribed meanwhile
    await this.#put({ topic, selector: wanted, active: true });
  }

  /**
   * Ends a subscription.
   *
   * @throws {TopicNotSubscribedError} if there is none
   */
  async unsubscribe(topic: string): Promise<void> {
    this.#existing(topic);
    this.#subscriptions.delete(topic);
    await this.#onChanged([topic]);
  }

  /**
   * Changes what is wanted of a topic; it counts from the next pull on.
   *
   * @throws {TopicNotSubscribedError} if there is no subscription
   * @throws {InvalidSelectorError} for an expression that cannot be understood, here or by the brokers
   * @throws {SubscribeError} if the cluster cannot be asked about it, on a running consumer
   */
  async updateSelector(topic: string, selector: string | Selector): Promise<void> {
    const wanted = parseSelector(selector);
    if (sameSelector(this.#existing(topic).selector, wanted)) return;
    await this.#check(topic, wanted);
    await this.#put({ ...this.#existing(topic), selector: wanted });
  }

  /** Puts a subscription into force again. Throws {@linkcode TopicNotSubscribedError} if there is none. */
  async activate(topic: string): Promise<void> {
    if (!this.#existing(topic).active) await this.#put({ ...this.#existing(topic), active: true });
  }

  /** Keeps a subscription without using it. Throws {@linkcode TopicNotSubscribedError} if there is none. */
  async deactivate(topic: string): Promise<void> {
    if (this.#existing(topic).active) await this.#put({ ...this.#existing(topic), active: false });
  }

  /** The subscription of a topic. */
  get(topic: string): Subscription | undefined {
    return this.#subscriptions.get(topic);
  }

  /** All subscriptions, in the order in which they were made. */
  getAll(): readonly Subscription[] {
    return [...this.#subscriptions.values()];
  }

  /** Whether a topic is subscribed, and in force. */
  isSubscribed(topic: string): boolean {
    return this.#subscriptions.get(topic)?.active ?? false;
  }

  /** All subscriptions as plain data, for `import()`. */
  export(): SubscriptionRecord[] {
    return this.getAll().map(({ topic, selector: { type, expression }, active }) => ({
      topic,
      type,
      expression,
      active,
    }));
  }

  /**
   * Takes subscriptions that were exported, all or none; those of the same topics are replaced.
   *
   * @throws {SubscriptionDataError} naming everything that is wrong with the data
   * @throws {SubscriptionLimitExceededError} if there would be too many
   * @throws {SubscribeError} if the cluster cannot be asked about them, on a running consumer
   */
  async import(records: readonly SubscriptionRecord[]): Promise<void> {
    const read = readRecords(records);
    const topics = new Set([...this.#subscriptions.keys(), ...read.map(({ topic }) => topic)]);
    if (topics.size > this.#limit) throw new SubscriptionLimitExceededError([...topics][this.#limit]!, this.#limit);
    await Promise.all(read.map(({ topic, selector }) => this.#check(topic, selector)));
    for (const subscription of read) this.#subscriptions.set(subscription.topic, subscription);
    await this.#onChanged(read.map(({ topic }) => topic));
  }

  /**
   * Asks the cluster about every subscription again.
   *
   * @throws {SubscriptionError} what the first bad one is refused with
   * @throws {SubscribeError} if the cluster cannot be asked
   */
  async validate(): Promise<void> {
    await Promise.all(this.getAll().map(({ topic, selector }) => this.#check(topic, selector)));
  }

  /** Whether a new subscription is to be added; throws if it may not. */
  #mayAdd(topic: string, wanted: Selector): boolean {
    const current = this.#subscriptions.get(topic);
    if (current === undefined) {
      if (this.#subscriptions.size < this.#limit) return true;
      throw new SubscriptionLimitExceededError(topic, this.#limit);
    }
    if (sameSelector(current.selector, wanted)) return false;
    throw new SubscriptionConflictError(topic, current.selector.expression, wanted.expression);
  }

  #existing(topic: string): Subscription {
    const subscription = this.#subscriptions.get(topic);
    if (subscription === undefined) throw new TopicNotSubscribedError(topic);
    return subscription;
  }

  async #put(subscription: Subscription): Promise<void> {
    this.#subscriptions.set(subscription.topic, subscription);
    await this.#onChanged([subscription.topic]);
  }
}

function sameSelector(a: Selector, b: Selector): boolean {
  if (a.type === "SQL92" || b.type === "SQL92") return a.type === b.type && a.expression === b.expression;
  return a.tags.size === b.tags.size && [...a.tags].every((tag) => b.tags.has(tag));
}

function requireTopic(topic: string): void {
  if (isName(topic, MAX_TOPIC_LENGTH)) return;
  throw new ValidationError("subscribe", [{ field: "topic", value: topic, allowed: nameRule(MAX_TOPIC_LENGTH) }]);
}

function readRecords(records: readonly SubscriptionRecord[]): Subscription[] {
  const problems: Problem[] = [];
  const read: Subscription[] = [];
  if (!Array.isArray(records)) {
    throw new SubscriptionDataError([{ field: "subscriptions", value: records, allowed: "an array of subscriptions" }]);
  }
  for (const [i, record] of records.entries()) {
    const { topic, type, expression, active = true } = (record ?? {}) as Partial<SubscriptionRecord>;
    const add = (name: string, value: unknown, allowed: string) =>
      problems.push({ field: `${i}.${name}`, value, allowed });
    if (!isName(topic, MAX_TOPIC_LENGTH)) add("topic", topic, nameRule(MAX_TOPIC_LENGTH));
    if (typeof active !== "boolean") add("active", active, "true or false");
    const selector = readSelector(type, expression);
    if (selector === undefined) add("expression", expression, `text, with the type "TAG" or "SQL92"`);
    else read.push({ topic: topic as string, selector, active });
  }
  if (problems.length > 0) throw new SubscriptionDataError(problems);
  return read;
}

function readSelector(type: unknown, expression: unknown): Selector | undefined {
  if (typeof expression !== "string") return undefined;
  try {
    if (type === "SQL92") return sql(expression);
    return type === "TAG" ? parseSelector(expression) : undefined;
  } catch (error) {
    if (error instanceof InvalidSelectorError) return undefined;
    throw error;
  }
}
