/**
 * The registry of a name server: brokers and their topics. Sources: RouteInfoManager, KVConfigManager.
 *
 * Brokers do not send their topics: a registry reads them when it answers, so all name servers know a change at once,
 * where real brokers report it up to 30 seconds later. Tests of name servers that disagree use `forget()`.
 *
 * @module
 */

import type { BrokerData, QueueData, TopicRouteData } from "../wire/bodies.ts";
import type { TopicConfig, Topics } from "./topics.ts";

/** How long a paused broker stays in routes, in milliseconds. Source: BrokerLiveInfo. */
const BROKER_LIFE = 120_000;

/** The namespace of `orderTopicConf` values. Source: NamesrvUtil.NAMESPACE_ORDER_TOPIC_CONFIG. */
const ORDER_TOPICS = "ORDER_TOPIC_CONFIG";

/** A registered broker. */
export interface RegisteredBroker {
  /** Its name. */
  readonly brokerName: string;
  /** The name of its cluster. */
  readonly clusterName: string;
  /** Its current `host:port`. */
  readonly address: string;
  /** Its current topics. */
  readonly topics: Topics;
  /** When it was active last, in milliseconds since 1970; undefined while it does not run. */
  readonly seenAt: number | undefined;
}

/**
 * What {@linkcode EmbeddedNameServer.forget} removes from answers.
 *
 * @category Test
 */
export interface Forgotten {
  /**
   * The name of a broker.
   *
   * @default every broker
   */
  broker?: string;
  /**
   * A topic.
   *
   * @default every topic
   */
  topic?: string;
}

/** A route as name servers write it, with an empty field that clients ignore. */
type Route = TopicRouteData & { readonly filterServerTable: object };

/** The brokers and topics of one name server. */
export class Registry {
  #brokers = new Map<string, RegisteredBroker>();
  #forgotten: Forgotten[] = [];
  #orders = new Map<string, string>();

  /** Registers a broker, and replaces one with the same name. */
  register(broker: RegisteredBroker): void {
    this.#brokers.set(broker.brokerName, broker);
  }

  /** Removes a broker, a topic, or one topic of one broker from answers. */
  forget(what: Forgotten): void {
    this.#forgotten.push(what);
  }

  /** Ends the effect of all calls of {@linkcode forget}. */
  remember(): void {
    this.#forgotten = [];
  }

  /** Sets the `orderTopicConf` of a topic, like `broker-a:4;broker-b:4`; undefined removes it. */
  setOrder(topic: string, order: string | undefined): void {
    if (order === undefined) this.#orders.delete(topic);
    else this.#orders.set(topic, order);
  }

  /** A configuration value. */
  configured(namespace: string, key: string): string | undefined {
    return namespace === ORDER_TOPICS ? this.#orders.get(key) : undefined;
  }

  /** The brokers that are alive. */
  brokers(): BrokerData[] {
    return this.#alive().filter(({ brokerName }) => !this.#isForgotten(brokerName, undefined)).map(dataOf);
  }

  /** The names of all topics. */
  topics(): string[] {
    const names = this.#alive().flatMap(({ brokerName, topics }) =>
      topics.names.filter((topic) => !this.#isForgotten(brokerName, topic))
    );
    return [...new Set(names)];
  }

  /** The route of a topic; undefined if no broker that is alive has it. */
  route(topic: string): Route | undefined {
    const brokerDatas: BrokerData[] = [];
    const queueDatas: QueueData[] = [];
    for (const broker of this.#alive()) {
      const config = broker.topics.get(topic);
      if (config === undefined || this.#isForgotten(broker.brokerName, topic)) continue;
      brokerDatas.push(dataOf(broker));
      queueDatas.push(queuesOf(broker.brokerName, config));
    }
    if (brokerDatas.length === 0) return undefined;
    const order = this.#orders.get(topic);
    return {
      brokerDatas,
      filterServerTable: {},
      ...(order === undefined ? {} : { orderTopicConf: order }),
      queueDatas,
    };
  }

  #alive(): RegisteredBroker[] {
    const expired = Date.now() - BROKER_LIFE;
    return [...this.#brokers.values()].filter(({ seenAt }) => seenAt !== undefined && seenAt > expired);
  }

  #isForgotten(broker: string, topic: string | undefined): boolean {
    return this.#forgotten.some((what) =>
      (what.broker ?? broker) === broker && (what.topic === undefined || what.topic === topic)
    );
  }
}

function dataOf({ brokerName, clusterName, address }: RegisteredBroker): BrokerData {
  return { brokerAddrs: { 0: address }, brokerName, cluster: clusterName };
}

function queuesOf(brokerName: string, { permission, readQueues, writeQueues }: TopicConfig): QueueData {
  return { brokerName, perm: permission, readQueueNums: readQueues, topicSysFlag: 0, writeQueueNums: writeQueues };
}
