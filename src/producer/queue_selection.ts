/**
 * Which queue of a topic takes a message.
 *
 * @module
 */

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

/** Gives the queues of each topic in turn, from a random one on, so that many producers do not begin at the same. */
export class QueueTurns {
  #random: () => number;
  #next = new Map<string, number>();

  /** Makes a set of turns; `random` gives numbers from 0 up to 1. */
  constructor(random: () => number = Math.random) {
    this.#random = random;
  }

  /**
   * The queue whose turn it is.
   *
   * @param queues the topic's queues, at least one
   * @param failed brokers on which this send has failed, the last one last: others are preferred to all of them, and
   *   if there are none, others than the last
   */
  take(topic: string, queues: readonly MessageQueue[], failed: readonly string[] = NONE): MessageQueue {
    const { length } = queues;
    const turn = this.#next.get(topic) ?? Math.floor(this.#random() * length);
    const steps = failed.length === 0 ? 0 : stepsTo(queues, turn, failed);
    this.#next.set(topic, (turn + steps + 1) % length);
    return queues[(turn + steps) % length]!;
  }
}

const NONE: readonly string[] = [];

/** How many queues are left out from a turn on. */
function stepsTo(queues: readonly MessageQueue[], turn: number, failed: readonly string[]): number {
  const last = failed.at(-1);
  let fallback: number | undefined;
  for (let steps = 0; steps < queues.length; steps++) {
    const { broker } = queues[(turn + steps) % queues.length]!;
    if (!failed.includes(broker)) return steps;
    if (broker !== last) fallback ??= steps;
  }
  return fallback ?? 0;
}
