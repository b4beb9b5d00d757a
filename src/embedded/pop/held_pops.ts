/**
 * Pops that wait for messages. Source: PopLongPollingService.
 *
 * @module
 */

import type { Connection, Reply } from "../../transport/connection.ts";
import { ResponseCode } from "../../wire/codes.ts";
import { popRetryTopic } from "../../wire/pop.ts";
import type { MessageFilter } from "../filter.ts";
import type { Queue } from "../queue.ts";
import type { Job, Scheduler } from "../scheduler.ts";

/** How many pops of one group may wait for one topic and queue. Source: BrokerConfig.popPollingSize. */
const MOST_OF_ONE_KIND = 1_025;
/** How many pops may wait. Source: BrokerConfig.maxPopPollingSize. */
const MOST = 100_000;

/** A pop that waits. */
export interface HeldPop {
  /** The connection that it came on. */
  readonly connection: Connection;
  /** The group. */
  readonly group: string;
  /** The topic. */
  readonly topic: string;
  /** The queue; a negative number for all of them. */
  readonly queueId: number;
  /** What it waits for. */
  readonly matches: MessageFilter;
  /** Does the pop again, and gives its answer: `POLLING_TIMEOUT` if there is still nothing. */
  readonly attempt: () => Reply;
}

interface Held extends HeldPop {
  readonly due: number;
  readonly resolve: (reply: Reply) => void;
}

/**
 * The pops that a broker holds.
 *
 * A message that arrives ends the first pop that wants it, and so does one that becomes visible again. A real 5.3.3
 * gives the latter only to a pop that has waited long enough, or that another message of its topic ends.
 */
export class HeldPops implements Job {
  #scheduler: Scheduler;
  #held = new Set<Held>();
  /** The pops that wait for a topic, by its name and by that of the group's retry topic of it. */
  #byTopic = new Map<string, Set<Held>>();
  #counts = new Map<string, number>();

  /** Makes an empty table. */
  constructor(scheduler: Scheduler) {
    this.#scheduler = scheduler;
  }

  /** How many pops wait. */
  get length(): number {
    return this.#held.size;
  }

  /** Whether there is no room for another one like this. */
  isFull(pop: HeldPop): boolean {
    return this.#held.size >= MOST || (this.#counts.get(kindOf(pop)) ?? 0) >= MOST_OF_ONE_KIND;
  }

  /** Holds a pop until a message that it wants comes, at most until `due`. */
  hold(pop: HeldPop, due: number): Promise<Reply> {
    return new Promise((resolve) => {
      const held = { ...pop, due, resolve };
      this.#held.add(held);
      for (const topic of topicsOf(held)) {
        const pops = this.#byTopic.get(topic);
        if (pops === undefined) this.#byTopic.set(topic, new Set([held]));
        else pops.add(held);
      }
      this.#counts.set(kindOf(held), (this.#counts.get(kindOf(held)) ?? 0) + 1);
      this.#scheduler.schedule(due);
    });
  }

  /** Answers the pops that want one of a queue's messages from `from` on, as long as there are any. */
  arrived(queue: Queue, from: number): void {
    for (const pop of [...this.#byTopic.get(queue.topic) ?? []]) {
      const isOurs = pop.topic !== queue.topic || pop.queueId < 0 || pop.queueId === queue.queueId;
      if (isOurs && queue.hasMatch(from, pop.matches)) this.#try(pop);
    }
  }

  /** Tries the pops of a group again that wait for a topic. */
  wake(group: string, topic: string): void {
    for (const pop of [...this.#byTopic.get(topic) ?? []]) if (pop.group === group) this.#try(pop);
  }

  /** Forgets the pops of a lost connection. */
  dropConnection(connection: Connection): void {
    for (const pop of [...this.#held]) if (pop.connection === connection) this.#remove(pop);
  }

  /** When the next pop has waited long enough. */
  nextDue(): number {
    let first = Infinity;
    for (const { due } of this.#held) first = Math.min(first, due);
    return first;
  }

  /** Answers the pops that have waited long enough. */
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
    const left = this.#counts.get(kindOf(pop))! - 1;
    if (left > 0) this.#counts.set(kindOf(pop), left);
    else this.#counts.delete(kindOf(pop));
  }
}

function topicsOf({ group, topic }: HeldPop): string[] {
  return [topic, popRetryTopic(group, topic)];
}

function kindOf({ group, topic, queueId }: HeldPop): string {
  return `${topic}@${group}@${queueId}`;
}
