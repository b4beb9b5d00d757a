/**
 * Queues that are popped in order: no message is delivered while one before it is in flight.
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

/** The messages of one ordered pop of a queue. */
export interface OrderedBatch {
  /** The id of the attempt: the same attempt receives the same messages again. */
  readonly attemptId: string | undefined;
  /** When they were popped, in milliseconds since 1970. */
  readonly popTime: number;
  /** How long the queue stays blocked, in milliseconds. */
  readonly invisibleTime: number;
  /** Their offsets, ascending. */
  readonly offsets: readonly number[];
}

interface InFlight extends OrderedBatch {
  /** When single messages become visible, if not with the others. */
  readonly visibleAt: Map<number, number>;
  /** How often messages were popped before; without those that never were. */
  readonly counts: ReadonlyMap<number, number>;
  readonly acked: Set<number>;
}

/** The result of an ack: the offset to commit, or why there is none: not of this batch, or of an earlier pop. */
export type OrderAck = number | "illegal" | "stale";

/** What is in flight of the queues that are popped in order: one batch per queue and group. */
export class OrderedPops implements Job {
  #scheduler: Scheduler;
  #onUnblocked: (queue: QueueOfGroup) => void;
  #inFlight = new Map<string, InFlight>();
  /** The blocked queues by key, and when each is unblocked without an ack. */
  #blocked = new Map<string, { readonly queue: QueueOfGroup; readonly due: number }>();

  /** Makes an empty table; `onUnblocked` is called with each queue that is unblocked without an ack. */
  constructor(scheduler: Scheduler, onUnblocked: (queue: QueueOfGroup) => void) {
    this.#scheduler = scheduler;
    this.#onUnblocked = onUnblocked;
  }

  /** Whether no message of a queue may be delivered now. */
  isBlocked(queue: QueueOfGroup, attemptId: string | undefined): boolean {
    const batch = this.#inFlight.get(keyOf(queue));
    if (batch === undefined || (attemptId !== undefined && attemptId === batch.attemptId)) return false;
    return freeAt(batch) > Date.now();
  }

  /** Stores a batch; returns how often its messages were popped before, in the form of the answer. */
  add(queue: QueueOfGroup, batch: OrderedBatch): Map<string, number> {
    const key = keyOf(queue);
    const counts = countsOf(batch, this.#inFlight.get(key));
    this.#inFlight.set(key, { ...batch, visibleAt: new Map(), counts, acked: new Set() });
    this.#watch(queue);
    const retry = popRetryOf(queue.topic);
    const info = new Map([...counts].map(([offset, count]) => [popMessageKey(retry, queue.queueId, offset), count]));
    const isNew = counts.size < batch.offsets.length;
    return info.set(popQueueKey(retry, queue.queueId), isNew ? 0 : Math.min(...counts.values()));
  }

  /** Acknowledges a message. */
  ack(queue: QueueOfGroup, offset: number, popTime: number): OrderAck {
    const batch = this.#inFlight.get(keyOf(queue));
    if (batch === undefined) return offset + 1;
    if (batch.popTime !== popTime) return "stale";
    if (!batch.offsets.includes(offset)) return "illegal";
    batch.acked.add(offset);
    this.#watch(queue);
    return batch.offsets.find((each) => !batch.acked.has(each)) ?? batch.offsets.at(-1)! + 1;
  }

  /** Sets when a message in flight becomes visible. */
  setVisible(queue: QueueOfGroup, offset: number, popTime: number, at: number): void {
    const batch = this.#inFlight.get(keyOf(queue));
    if (batch?.popTime !== popTime) return;
    batch.visibleAt.set(offset, at);
    this.#watch(queue);
  }

  /** Removes what is in flight: the offset of the group was reset. */
  clear(queue: QueueOfGroup): void {
    this.#inFlight.delete(keyOf(queue));
    this.#blocked.delete(keyOf(queue));
  }

  /** When the first queue is unblocked. */
  nextDue(): number {
    let first = Infinity;
    for (const { due } of this.#blocked.values()) first = Math.min(first, due);
    return first;
  }

  /** Reports the queues that are unblocked. */
  run(now: number): void {
    for (const [key, { queue, due }] of [...this.#blocked]) {
      if (due > now) continue;
      this.#blocked.delete(key);
      this.#onUnblocked(queue);
    }
  }

  #watch(queue: QueueOfGroup): void {
    const due = freeAt(this.#inFlight.get(keyOf(queue))!);
    this.#blocked.set(keyOf(queue), { queue, due });
    this.#scheduler.schedule(due);
  }
}

/** When all messages that are not acknowledged are visible; 0 if all are acknowledged. */
function freeAt({ offsets, acked, visibleAt, popTime, invisibleTime }: InFlight): number {
  const waiting = offsets.filter((offset) => !acked.has(offset));
  return waiting.reduce((last, offset) => Math.max(last, visibleAt.get(offset) ?? popTime + invisibleTime), 0);
}

/** How often each message of a batch was popped before. The same attempt counts once. */
function countsOf({ attemptId, offsets }: OrderedBatch, last: InFlight | undefined): ReadonlyMap<number, number> {
  if (last === undefined) return new Map();
  if (last.attemptId !== undefined && last.attemptId === attemptId) return last.counts;
  const again = offsets.filter((offset) => last.offsets.includes(offset));
  return new Map(again.map((offset) => [offset, (last.counts.get(offset) ?? 0) + 1]));
}

function keyOf({ group, topic, queueId }: QueueOfGroup): string {
  return `${topic}@${group}@${queueId}`;
}
