/**
 * The topics of a broker. Source: TopicConfigManager.
 *
 * @module
 */

import { AUTO_CREATE_TOPIC, Permission } from "../wire/codes.ts";
import { SCHEDULE_TOPIC } from "./names.ts";

/** A topic, as routes show it. Source: TopicConfig. */
export interface TopicConfig {
  /** Its name. */
  readonly name: string;
  /** The number of queues for reading. */
  readonly readQueues: number;
  /** The number of queues for writing. */
  readonly writeQueues: number;
  /** Bits of {@linkcode Permission}. */
  readonly permission: number;
}

/** Options that determine the system topics of a broker. */
export interface SystemTopicOptions {
  /** The broker's name, which is a topic. */
  readonly brokerName: string;
  /** The cluster's name, which is a topic. */
  readonly clusterName: string;
  /** Whether the topic exists from which others are copied. */
  readonly autoCreateTopics: boolean;
  /** The delay levels. */
  readonly delayLevels: readonly number[];
  /** The largest number of topics besides the system topics. */
  readonly maxTopics: number;
}

const READ_WRITE = Permission.READ | Permission.WRITE;

/** The topics of one broker. */
export class Topics {
  #topics = new Map<string, TopicConfig>();
  #system = new Set<string>();
  #most: number;

  /** Makes the system topics. */
  constructor(options: SystemTopicOptions) {
    const { clusterName, brokerName, maxTopics } = options;
    this.#most = maxTopics;
    if (options.autoCreateTopics) this.#putSystem(AUTO_CREATE_TOPIC, 8, READ_WRITE | Permission.INHERIT);
    this.#putSystem("SELF_TEST_TOPIC", 1);
    this.#putSystem("OFFSET_MOVED_EVENT", 1);
    this.#putSystem("BenchmarkTest", 1_024);
    this.#putSystem(SCHEDULE_TOPIC, options.delayLevels.length);
    this.#putSystem(clusterName, 16, READ_WRITE | Permission.INHERIT);
    this.#putSystem(brokerName, 1, READ_WRITE | Permission.INHERIT);
    this.#putSystem(`${clusterName}_REPLY_TOPIC`, 1);
  }

  /** The names of all topics. */
  get names(): string[] {
    return [...this.#topics.keys()];
  }

  /** A topic. */
  get(name: string): TopicConfig | undefined {
    return this.#topics.get(name);
  }

  /** Whether clients can create no further topic. */
  get isFull(): boolean {
    return this.#topics.size - this.#system.size >= this.#most;
  }

  /** Whether a topic is a system topic. */
  isSystem(name: string): boolean {
    return this.#system.has(name) || name.startsWith("rmq_sys_");
  }

  /** Creates a topic, or changes it. */
  put(name: string, readQueues: number, writeQueues: number, permission: number): TopicConfig {
    const topic = { name, readQueues, writeQueues, permission };
    this.#topics.set(name, topic);
    return topic;
  }

  /** Creates a topic with that many queues unless it exists; `maxTopics` does not apply. */
  ensure(name: string, queues: number): TopicConfig {
    return this.get(name) ?? this.put(name, queues, queues, READ_WRITE);
  }

  /** Creates the topic of a sent message as a copy of another topic, if that may be copied. */
  createBySend(name: string, copiedFrom: string, queues: number): TopicConfig | undefined {
    const model = this.get(copiedFrom);
    if (model === undefined || this.isFull || (model.permission & Permission.INHERIT) === 0) return undefined;
    const count = Math.max(0, Math.min(queues, model.writeQueues));
    return this.put(name, count, count, model.permission & ~Permission.INHERIT);
  }

  #putSystem(name: string, queues: number, permission: number = READ_WRITE): void {
    this.put(name, queues, queues, permission);
    this.#system.add(name);
  }
}
