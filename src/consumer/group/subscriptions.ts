/**
 * The subscriptions of a member, for its own parts and for heartbeats.
 *
 * @module
 */

import type { BrokerClient } from "../../brokers/broker_client.ts";
import type { Cluster } from "../../cluster/cluster.ts";
import { SubscribeError } from "../../errors.ts";
import type { ConsumerData } from "../../wire/bodies.ts";
import { retryTopic } from "../../wire/names.ts";
import type { CheckedConsumerOptions } from "../options_check.ts";
import { parseSelector, type Selector, subscriptionData } from "../subscriptions/selector.ts";
import { checkSubscription, isUnanswered } from "../subscriptions/subscription_check.ts";
import { SubscriptionManager } from "../subscriptions/subscription_manager.ts";

const everything = parseSelector("*");

/** What {@linkcode GroupSubscriptions} works with. */
export interface GroupSubscriptionsContext {
  /** Knows the routes. */
  readonly cluster: Cluster;
  /** Asks brokers. */
  readonly brokers: BrokerClient;
  /** The consumer's options. */
  readonly options: Pick<
    CheckedConsumerOptions,
    "group" | "model" | "topics" | "maxSubscriptions" | "missingTopic" | "consumeFrom"
  >;
  /** How messages are taken, for brokers: `CONSUME_PASSIVELY` or `CONSUME_POP`. */
  readonly consumeType: string;
  /** The topic of the group's retries, if the consumer takes them itself. */
  readonly retryTopic: string | undefined;
  /** Called with a topic that does not exist, and is waited for. */
  readonly onMissing: (topic: string) => void;
  /** Called with the topics whose subscription has changed; what it returns is waited for. */
  readonly onChanged: (topics: readonly string[]) => unknown;
}

/** The subscriptions of a member of a group, its retry topic included. */
export class GroupSubscriptions {
  /** What users change. */
  readonly manager: SubscriptionManager;
  #context: GroupSubscriptionsContext;
  #version = Date.now();
  #releaseRoutes: () => void = () => {};
  #isStopped = false;

  /** Makes it without any subscription. */
  constructor(context: GroupSubscriptionsContext) {
    this.#context = context;
    const { cluster, brokers, options, onMissing } = context;
    const waits = options.missingTopic === "wait";
    this.manager = new SubscriptionManager({
      maxSubscriptions: options.maxSubscriptions,
      check: (topic, selector) =>
        checkSubscription({ cluster, brokers, group: options.group, waits, onMissing }, topic, selector)
          .catch((error) => Promise.reject(isUnanswered(error) ? new SubscribeError(topic, error) : error)),
      onChanged: (topics) => {
        this.#version = Math.max(Date.now(), this.#version + 1);
        this.#holdRoutes();
        return context.onChanged(topics);
      },
    });
  }

  /** Subscribes to what the options name. */
  async start(): Promise<void> {
    const topics = [...this.#context.options.topics];
    await Promise.all(topics.map(([topic, selector]) => this.manager.subscribe(topic, selector)));
  }

  /** Ends it: the routes of its topics need not be kept any more. */
  stop(): void {
    this.#isStopped = true;
    this.#holdRoutes();
  }

  #holdRoutes(): void {
    const before = this.#releaseRoutes;
    this.#releaseRoutes = this.#context.cluster.routes.hold(this.#isStopped ? [] : this.topics());
    before();
  }

  /** The topics that are in force. */
  topics(): string[] {
    const topics = this.manager.getAll().filter(({ active }) => active).map(({ topic }) => topic);
    if (this.#context.retryTopic !== undefined) topics.push(this.#context.retryTopic);
    return topics;
  }

  /** What is wanted of a topic; undefined if it is not subscribed. */
  selector(topic: string): Selector | undefined {
    if (topic === this.#context.retryTopic) return everything;
    const subscription = this.manager.get(topic);
    return subscription?.active ? subscription.selector : undefined;
  }

  /** The member as heartbeats describe it. Brokers create the group's retry topic with the first one. */
  describe(): ConsumerData {
    const { options: { group, model, consumeFrom }, consumeType } = this.#context;
    const topics = this.topics();
    if (model === "clustering" && !topics.includes(retryTopic(group))) topics.push(retryTopic(group));
    return {
      groupName: group,
      consumeType,
      messageModel: model.toUpperCase(),
      consumeFromWhere: `CONSUME_FROM_${
        consumeFrom instanceof Date ? "TIMESTAMP" : `${consumeFrom.toUpperCase()}_OFFSET`
      }`,
      subscriptionDataSet: topics.map((topic) =>
        subscriptionData(topic, this.selector(topic) ?? everything, this.#version)
      ),
      unitMode: false,
    };
  }
}
