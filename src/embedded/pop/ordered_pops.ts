/**
 * Queues that are popped in order: no message is given while one before it is in hand.
 * Source: ConsumerOrderInfoManager.
 *
 * @module
 */

import { popMessageKey, popQueueKey, popRetryOf } from "../../wire/pop.ts";
import type { Job, Scheduler } from "../scheduler.ts";

/** One queue of one group. */
export interface QueueOfGroup {
  /** The group. */
  readonly group: string;
  /** The topic. */
  readonly topic: string;
  /** The queue. */
  readonly queueId: number;
}

/** What is taken from a queue in order. */
export interface Taking {
  /** The attempt that it belongs to: the same one gets the same messages again. */
  readonly attemptId: string | undefined;
  /** When, in milliseconds since 1970. */
  readonly popTime: number;
  /** How long the queue is blocked, in milliseconds. */
  readonly invisibleTime: number;
  /** The offsets, ascending. */
  readonly offsets: readonly number[];
}

interface Order extends Taking {
  /** When a message becomes visible, if not with the others. */
  readonly visibleAt: Map<number, number>;
  /** How often messages were taken before; those that never were are missing. */
  readonly counts: ReadonlyMap<number, number>;
  readonly acked: Set<number>;
}

/** What came of an ack: the offset to commit, that it makes no sense, or that it is of an earlier taking. */
export type OrderAck = number | "illegal" | "stale";

/** What is in hand in each queue that is popped in order: one taking per queue and group. */
export class OrderedPops implements Job {
  #scheduler: Scheduler;
  #onFree: (queue: QueueOfGroup) => void;
  #orders = new Map<string, Order>();
  /** The queues whose blocks will end by themselves, by their keys. */
  #blocked = new Map<string, { readonly queue: QueueOfGroup; readonly due: number }>();

  /** Makes an empty table; `onFree` is told of each queue whose block has ended. */
  constructor(scheduler: Scheduler, onFree: (queue: QueueOfGroup) => void) {
    this.#scheduler = scheduler;
    this.#onFree = onFree;
  }

  /** Whether a queue gives nothing now. */
  isBlocked(queue: QueueOfGroup, attemptId: string | undefined): boolean {
    const order = this.#orders.get(keyOf(queue));
    if (order === undefined || (attemptId !== undefined && attemptId === order.attemptId)) return false;
    return freeAt(order) > Date.now();
  }

  /** Remembers what is taken; gives how often it was taken before, as an answer tells it. */
  take(queue: QueueOfGroup, taking: Taking): Map<string, number> {
    const key = keyOf(queue);
    const counts = countsOf(taking, this.#orders.get(key));
    this.#orders.set(key, { ...taking, visibleAt: new Map(), counts, acked: new Set() });
    this.#watch(queue);
    const retry = popRetryOf(queue.topic);
    const info = new Map([...counts].map(([offset, count]) => [popMessageKey(retry, queue.queueId, offset), count]));
    const isNew = counts.size < taking.offsets.length;
    return info.set(popQueueKey(retry, queue.queueId), isNew ? 0 : Math.min(...counts.values()));
  }

  /** Takes an ack. */
  ack(queue: QueueOfGroup, offset: number, popTime: number): OrderAck {
    const order = this.#orders.get(keyOf(queue));
    if (order === undefined) return offset + 1;
    if (order.popTime !== popTime) return "stale";
    if (!order.offsets.includes(offset)) return "illegal";
    order.acked.add(offset);
    this.#watch(queue);
    return order.offsets.find((each) => !order.acked.has(each)) ?? order.offsets.at(-1)! + 1;
  }

  /** Says when a message that is in hand becomes visible. */
  setVisible(queue: QueueOfGroup, offset: number, popTime: number, at: number): void {
    const order = this.#orders.get(keyOf(queue));
    if (order?.popTime !== popTime) return;
    order.visibleAt.set(offset, at);
    this.#watch(queue);
  }

  /** Forgets what is in hand: the group begins elsewhere in the queue. */
  clear(queue: QueueOfGroup): void {
    this.#orders.delete(keyOf(queue));
    this.#blocked.delete(keyOf(queue));
  }

  /** When the first block ends. */
  nextDue(): number {
    let first = Infinity;
    for (const { due } of this.#blocked.values()) first = Math.min(first, due);
    return first;
  }

  /** Tells of the blocks that have ended. */
  run(now: number): void {
    for (const [key, { queue, due }] of [...this.#blocked]) {
      if (due > now) continue;
      this.#blocked.delete(key);
      this.#onFree(queue);
    }
  }

  #watch(queue: QueueOfGroup): void {
    const due = freeAt(this.#orders.get(keyOf(queue))!);
    this.#blocked.set(keyOf(queue), { queue, due });
    this.#scheduler.schedule(due);
  }
}

/** When no message that is not acked is in hand any more; 0 if all are acked. */
function freeAt({ offsets, acked, visibleAt, popTime, invisibleTime }: Order): number {
  const waiting = offsets.filter((offset) => !acked.has(offset));
  return waiting.reduce((last, offset) => Math.max(last, visibleAt.get(offset) ?? popTime + invisibleTime), 0);
}

/** How often each message of a taking was taken before. The same attempt does not count twice. */
function countsOf({ attemptId, offsets }: Taking, last: Order | undefined): ReadonlyMap<number, number> {
  if (last === undefined) return new Map();
  if (last.attemptId !== undefined && last.attemptId === attemptId) return last.counts;
  const again = offsets.filter((offset) => last.offsets.includes(offset));
  return new Map(again.map((offset) => [offset, (last.counts.get(offset) ?? 0) + 1]));
}

function keyOf({ group, topic, queueId }: QueueOfGroup): string {
  return `${topic}@${group}@${queueId}`;
}
