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

/** Takes the queues of each topic in turn, from a random one on, so that many producers do not begin at the same. */
export class QueueTurns {
  #health: BrokerHealth;
  #random: () => number;
  #next = new Map<string, number>();

  /** Makes a set of turns; `health` names the brokers to avoid, `random` returns numbers from 0 up to 1. */
  constructor(health: BrokerHealth = new BrokerHealth(), random: () => number = Math.random) {
    this.#health = health;
    this.#random = random;
  }

  /**
   * The queue whose turn it is.
   *
   * @param queues the topic's queues, at least one
   * @param failed brokers on which this send has failed, the last one last: others are preferred to them
   */
  take(topic: string, queues: readonly MessageQueue[], failed: readonly string[] = NONE): MessageQueue {
    const { length } = queues;
    const turn = this.#next.get(topic) ?? Math.floor(this.#random() * length);
    const allGood = this.#health.isGood;
    const steps = allGood && failed.length === 0 ? 0 : this.#stepsTo(queues, turn, failed);
    this.#next.set(topic, (turn + steps + 1) % length);
    const queue = queues[(turn + steps) % length]!;
    if (!allGood) this.#health.chosen(queue.broker);
    return queue;
  }

  /** How many queues are left out from a turn on. */
  #stepsTo(queues: readonly MessageQueue[], turn: number, failed: readonly string[]): number {
    const now = performance.now();
    let [best, lowest] = [0, Infinity];
    for (let steps = 0; steps < queues.length; steps++) {
      const { broker } = queues[(turn + steps) % queues.length]!;
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
 * How much a send should mind a broker, 0 not at all: most if it was the last to fail. An avoided broker comes before
 * those that this send has tried, as it may have recovered.
 */
function rankOf(broker: string, failed: readonly string[], isAvoided: boolean): number {
  if (broker === failed.at(-1)) return 4;
  return (failed.includes(broker) ? 2 : 0) + (isAvoided ? 1 : 0);
}
