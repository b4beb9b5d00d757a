/**
 * Which topics a broker has. Source: TopicConfigManager.
 *
 * @module
 */

import { AUTO_CREATE_TOPIC, Permission } from "../wire/codes.ts";
import { SCHEDULE_TOPIC } from "./names.ts";

/** A topic, as routes show it. Source: TopicConfig. */
export interface TopicConfig {
  /** Its name. */
  readonly name: string;
  /** How many queues can be read. */
  readonly readQueues: number;
  /** How many queues can be written. */
  readonly writeQueues: number;
  /** Bits of {@linkcode Permission}. */
  readonly permission: number;
}

/** What the topics of a broker itself depend on. */
export interface SystemTopicOptions {
  /** The broker's name, which is a topic. */
  readonly brokerName: string;
  /** The cluster's name, which is a topic. */
  readonly clusterName: string;
  /** Whether there is the topic from which others are copied. */
  readonly autoCreateTopics: boolean;
  /** How many delay levels there are. */
  readonly delayLevels: readonly number[];
  /** The most topics besides those of the broker itself. */
  readonly maxTopics: number;
}

const READ_WRITE = Permission.READ | Permission.WRITE;

/** The topics of one broker. */
export class Topics {
  #topics = new Map<string, TopicConfig>();
  #system = new Set<string>();
  #most: number;

  /** Makes the topics that every broker has. */
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

  /** Whether clients may make no more topics. */
  get isFull(): boolean {
    return this.#topics.size - this.#system.size >= this.#most;
  }

  /** Whether a topic is one of the broker itself. */
  isSystem(name: string): boolean {
    return this.#system.has(name) || name.startsWith("rmq_sys_");
  }

  /** Makes a topic, or changes it. */
  put(name: string, readQueues: number, writeQueues: number, permission: number): TopicConfig {
    const topic = { name, readQueues, writeQueues, permission };
    this.#topics.set(name, topic);
    return topic;
  }

  /** Makes a topic with that many queues, to be read and written, unless it exists; also where there are enough. */
  ensure(name: string, queues: number): TopicConfig {
    return this.get(name) ?? this.put(name, queues, queues, READ_WRITE);
  }

  /** Makes a topic for a message that was sent to it, by copying another, if that may be copied. */
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
