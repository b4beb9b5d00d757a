/**
 * What a name server knows: which brokers there are, and which topics they have. Sources: RouteInfoManager,
 * KVConfigManager.
 *
 * Brokers do not send what they have: a name server looks it up when it is asked, so that all know a change at once,
 * where real brokers tell of it up to 30 seconds later. What one is to know less than the others it is made to forget.
 *
 * @module
 */

import type { BrokerData, QueueData, TopicRouteData } from "../wire/bodies.ts";
import type { TopicConfig, Topics } from "./topics.ts";

/** How long a broker stays listed that does nothing, in milliseconds. Source: BrokerLiveInfo. */
const BROKER_LIFE = 120_000;

/** The namespace of the orders of queues. Source: NamesrvUtil.NAMESPACE_ORDER_TOPIC_CONFIG. */
const ORDER_TOPICS = "ORDER_TOPIC_CONFIG";

/** A broker, as it registers. */
export interface RegisteredBroker {
  /** Its name. */
  readonly brokerName: string;
  /** The name of its cluster. */
  readonly clusterName: string;
  /** Its `host:port`, as it is now. */
  readonly address: string;
  /** Its topics, as they are now. */
  readonly topics: Topics;
  /** When it was seen last, in milliseconds since 1970; undefined while it does not run. */
  readonly seenAt: number | undefined;
}

/** What a name server forgets. */
export interface Forgotten {
  /**
   * The name of the broker that its answers lack.
   *
   * @default every broker
   */
  broker?: string;
  /**
   * The topic that its answers lack.
   *
   * @default every topic
   */
  topic?: string;
}

/** A route as name servers write it: with an empty field more. */
type Route = TopicRouteData & { readonly filterServerTable: object };

/** The brokers and topics of one name server. */
export class Registry {
  #brokers = new Map<string, RegisteredBroker>();
  #forgotten: Forgotten[] = [];
  #orders = new Map<string, string>();

  /** Takes a broker in, in the place of one with its name. */
  register(broker: RegisteredBroker): void {
    this.#brokers.set(broker.brokerName, broker);
  }

  /** Forgets a broker, a topic, or one topic of one broker, whatever they tell from now on. */
  forget(what: Forgotten): void {
    this.#forgotten.push(what);
  }

  /** Knows again what it forgot. */
  remember(): void {
    this.#forgotten = [];
  }

  /** Says which queues an ordered topic has, as `broker-a:4;broker-b:4`; undefined takes it back. */
  setOrder(topic: string, order: string | undefined): void {
    if (order === undefined) this.#orders.delete(topic);
    else this.#orders.set(topic, order);
  }

  /** A value that was set. */
  configured(namespace: string, key: string): string | undefined {
    return namespace === ORDER_TOPICS ? this.#orders.get(key) : undefined;
  }

  /** The brokers that run. */
  brokers(): BrokerData[] {
    return this.#running().filter(({ brokerName }) => !this.#isForgotten(brokerName, undefined)).map(dataOf);
  }

  /** The names of all topics. */
  topics(): string[] {
    const names = this.#running().flatMap(({ brokerName, topics }) =>
      topics.names.filter((topic) => !this.#isForgotten(brokerName, topic))
    );
    return [...new Set(names)];
  }

  /** Where a topic lives; undefined if no broker that runs has it. */
  route(topic: string): Route | undefined {
    const brokerDatas: BrokerData[] = [];
    const queueDatas: QueueData[] = [];
    for (const broker of this.#running()) {
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

  #running(): RegisteredBroker[] {
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
