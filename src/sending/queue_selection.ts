/**
 * Which queue of a topic takes a message.
 *
 * @module
 */

import { BrokerHealth } from "../cluster/broker_health.ts";
import type { MessageQueue } from "../message.ts";
import { javaHashCode } from "../wire/codes.ts";

/**
 * The queue that messages with an ordering key go to, the same that Java's clients choose for it.
 *
 * `queues` must not be empty, and stand in the order that all producers share. Source: SelectMessageQueueByHash.
 */
export function queueOfKey(queues: readonly MessageQueue[], key: string): MessageQueue {
  // The remainder first: the smallest int32 has no absolute value in Java, while every remainder has one.
  return queues[Math.abs(javaHashCode(key) % queues.length)]!;
}

/** Chooses the queues of each topic in turn, from a random one on, so that producers do not all begin at the same. */
export class RoundRobin {
  #health: BrokerHealth;
  #random: () => number;
  #next = new Map<string, number>();

  /** `health` names the brokers to avoid, `random` returns numbers from 0 up to 1. */
  constructor(health: BrokerHealth = new BrokerHealth(), random: () => number = Math.random) {
    this.#health = health;
    this.#random = random;
  }

  /**
   * The next queue.
   *
   * @param queues the topic's queues, at least one
   * @param failed brokers on which this send has failed, the last one last: others are preferred
   */
  next(topic: string, queues: readonly MessageQueue[], failed: readonly string[] = NONE): MessageQueue {
    const { length } = queues;
    const first = this.#next.get(topic) ?? Math.floor(this.#random() * length);
    const allGood = this.#health.isGood;
    const steps = allGood && failed.length === 0 ? 0 : this.#stepsTo(queues, first, failed);
    this.#next.set(topic, (first + steps + 1) % length);
    const queue = queues[(first + steps) % length]!;
    if (!allGood) this.#health.chosen(queue.broker);
    return queue;
  }

  /** How many queues are skipped. */
  #stepsTo(queues: readonly MessageQueue[], first: number, failed: readonly string[]): number {
    const now = performance.now();
    let [best, lowest] = [0, Infinity];
    for (let steps = 0; steps < queues.length; steps++) {
      const { broker } = queues[(first + steps) % queues.length]!;
      const rank = rankOf(broker, failed, this.#health.isAvoided(broker, now));
      if (rank === 0) return steps;
      if (rank >= lowest) continue;
      lowest = rank;
      best = steps;
    }
    return best;
  }
}

const NONE: readonly string[] = [];

/**
 * How bad a choice a broker is, 0 is good: the worst is the last that failed. A broker that is to be avoided ranks
 * before those that this send has tried, as it may have recovered.
 */
function rankOf(broker: string, failed: readonly string[], isAvoided: boolean): number {
  if (broker === failed.at(-1)) return 4;
  return (failed.includes(broker) ? 2 : 0) + (isAvoided ? 1 : 0);
}
