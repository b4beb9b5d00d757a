/**
 * Pops that are held open until there is a message (long polling). Source: PopLongPollingService.
 *
 * @module
 */

import type { Connection, Reply } from "../../transport/connection.ts";
import { ResponseCode } from "../../wire/codes.ts";
import { popRetryTopic } from "../../wire/pop.ts";
import type { MessageFilter } from "../filter.ts";
import type { Queue } from "../queue.ts";
import type { Job, Scheduler } from "../scheduler.ts";

/** How many pops of a group may be held for one topic and queue. Source: BrokerConfig.popPollingSize. */
const MAX_OF_QUEUE = 1_025;
/** How many pops may be held. Source: BrokerConfig.maxPopPollingSize. */
const MAX_HELD = 100_000;

/** A pop to be held. */
export interface HeldPop {
  /** Its connection. */
  readonly connection: Connection;
  /** Its group. */
  readonly group: string;
  /** Its topic. */
  readonly topic: string;
  /** Its queue; a negative number for all queues. */
  readonly queueId: number;
  /** The filter of the messages that it waits for. */
  readonly matches: MessageFilter;
  /** Repeats the pop and returns its answer: `POLLING_TIMEOUT` if there is still no message. */
  readonly attempt: () => Reply;
}

interface Held extends HeldPop {
  readonly due: number;
  readonly resolve: (reply: Reply) => void;
}

/**
 * The pops that a broker holds.
 *
 * A message that arrives is delivered to the first pop that matches it, and so is one that becomes visible again. A
 * real 5.3.3 delivers the latter only when the timeout of a pop ends, or with another message of the topic.
 */
export class HeldPops implements Job {
  #scheduler: Scheduler;
  #held = new Set<Held>();
  /** The held pops by topic and by the group's retry topic of it. */
  #byTopic = new Map<string, Set<Held>>();
  #counts = new Map<string, number>();

  /** Makes an empty table. */
  constructor(scheduler: Scheduler) {
    this.#scheduler = scheduler;
  }

  /** The number of held pops. */
  get length(): number {
    return this.#held.size;
  }

  /** Whether no further pop like this may be held. */
  isFull(pop: HeldPop): boolean {
    return this.#held.size >= MAX_HELD || (this.#counts.get(keyOf(pop)) ?? 0) >= MAX_OF_QUEUE;
  }

  /** Holds a pop until there is a matching message, at most until `due`. */
  hold(pop: HeldPop, due: number): Promise<Reply> {
    return new Promise((resolve) => {
      const held = { ...pop, due, resolve };
      this.#held.add(held);
      for (const topic of topicsOf(held)) {
        const pops = this.#byTopic.get(topic);
        if (pops === undefined) this.#byTopic.set(topic, new Set([held]));
        else pops.add(held);
      }
      this.#counts.set(keyOf(held), (this.#counts.get(keyOf(held)) ?? 0) + 1);
      this.#scheduler.schedule(due);
    });
  }

  /** Answers the held pops that match one of a queue's messages from `from` on, as long as there are messages. */
  arrived(queue: Queue, from: number): void {
    for (const pop of [...this.#byTopic.get(queue.topic) ?? []]) {
      const isOurs = pop.topic !== queue.topic || pop.queueId < 0 || pop.queueId === queue.queueId;
      if (isOurs && queue.hasMatch(from, pop.matches)) this.#try(pop);
    }
  }

  /** Repeats the held pops of a group for a topic. */
  wake(group: string, topic: string): void {
    for (const pop of [...this.#byTopic.get(topic) ?? []]) if (pop.group === group) this.#try(pop);
  }

  /** Removes the pops of a lost connection. */
  dropConnection(connection: Connection): void {
    for (const pop of [...this.#held]) if (pop.connection === connection) this.#remove(pop);
  }

  /** When the first timeout ends. */
  nextDue(): number {
    let first = Infinity;
    for (const { due } of this.#held) first = Math.min(first, due);
    return first;
  }

  /** Answers the pops whose timeout has ended. */
  run(now: number): void {
    for (const pop of [...this.#held]) {
      if (pop.due > now) continue;
      this.#remove(pop);
      pop.resolve(pop.attempt());
    }
  }

  #try(pop: Held): void {
    const reply = pop.attempt();
    if (reply.code === ResponseCode.POLLING_TIMEOUT) return;
    this.#remove(pop);
    pop.resolve(reply);
  }

  #remove(pop: Held): void {
    this.#held.delete(pop);
    for (const topic of topicsOf(pop)) {
      const pops = this.#byTopic.get(topic);
      pops?.delete(pop);
      if (pops?.size === 0) this.#byTopic.delete(topic);
    }
    const left = this.#counts.get(keyOf(pop))! - 1;
    if (left > 0) this.#counts.set(keyOf(pop), left);
    else this.#counts.delete(keyOf(pop));
  }
}

function topicsOf({ group, topic }: HeldPop): string[] {
  return [topic, popRetryTopic(group, topic)];
}

function keyOf({ group, topic, queueId }: HeldPop): string {
  return `${topic}@${group}@${queueId}`;
}
