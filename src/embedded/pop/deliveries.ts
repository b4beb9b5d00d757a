/**
 * Popped messages that are not acknowledged. Sources: PopCheckPoint, PopReviveService.
 *
 * @module
 */

import { Heap } from "../heap.ts";
import type { Job, Scheduler } from "../scheduler.ts";

/** The messages of one queue in one pop. */
export interface Delivery {
  /** The consumer group. */
  readonly group: string;
  /** The topic, which may be a retry topic. */
  readonly topic: string;
  /** The queue. */
  readonly queueId: number;
  /** The first offset of the pop. */
  readonly startOffset: number;
  /** When they were popped, in milliseconds since 1970. */
  readonly popTime: number;
}

/** A message that was not acknowledged in its invisible time. */
export interface Unacked {
  /** Its delivery. */
  readonly delivery: Delivery;
  /** Its offset. */
  readonly offset: number;
}

/** Makes messages visible again; returns those that could not be stored. */
export type Revive = (messages: readonly Unacked[]) => readonly Unacked[];

interface OpenDelivery extends Delivery {
  /** When the messages become visible again. */
  readonly due: number;
  /** The offsets that are not acknowledged. */
  readonly left: Set<number>;
}

/** When a message that could not be stored is tried again, in milliseconds. Source: ckRewriteIntervalsInSeconds. */
const RETRY_INTERVAL = 10_000;
/** How many completed deliveries may stay in the heap, besides as many as there are open ones. */
const SLACK = 1_000;

/**
 * The deliveries of all groups.
 *
 * A delivery is complete when its last message is acknowledged, or when its invisible time ends: then copies of the
 * other messages are stored in the group's retry topic. An ack of an unknown delivery has no effect and is no error.
 */
export class Deliveries implements Job {
  #scheduler: Scheduler;
  #revive: Revive;
  #deliveries = new Map<string, OpenDelivery>();
  /** All deliveries by their time, and some completed ones. */
  #byTime = newHeap();

  /** Makes an empty table. */
  constructor(scheduler: Scheduler, revive: Revive) {
    this.#scheduler = scheduler;
    this.#revive = revive;
  }

  /** The number of messages that are not acknowledged. */
  get length(): number {
    let count = 0;
    for (const { left } of this.#deliveries.values()) count += left.size;
    return count;
  }

  /** Adds a delivery whose messages become visible again at `due`. */
  add(delivery: Delivery, offsets: readonly number[], due: number): void {
    const key = keyOf(delivery);
    const known = this.#deliveries.get(key);
    const { group, topic, queueId, startOffset, popTime } = delivery;
    const open: OpenDelivery = {
      group,
      topic,
      queueId,
      startOffset,
      popTime,
      due,
      left: new Set([...known?.left ?? [], ...offsets]),
    };
    this.#deliveries.set(key, open);
    this.#byTime.push(open);
    this.#scheduler.schedule(due);
  }

  /** Acknowledges a message. */
  ack(delivery: Delivery, offset: number): void {
    const key = keyOf(delivery);
    const open = this.#deliveries.get(key);
    if (open === undefined || !open.left.delete(offset) || open.left.size > 0) return;
    this.#deliveries.delete(key);
    if (this.#byTime.length <= 2 * this.#deliveries.size + SLACK) return;
    this.#byTime = newHeap();
    for (const each of this.#deliveries.values()) this.#byTime.push(each);
  }

  /** When the first invisible time ends. */
  nextDue(): number {
    return this.#byTime.peek()?.due ?? Infinity;
  }

  /** Makes messages visible that are due. */
  run(now: number): void {
    const due: Unacked[] = [];
    while (this.nextDue() <= now) {
      const delivery = this.#byTime.pop()!;
      const key = keyOf(delivery);
      if (this.#deliveries.get(key) !== delivery) continue; // it is complete
      this.#deliveries.delete(key);
      for (const offset of delivery.left) due.push({ delivery, offset });
    }
    for (const { delivery, offset } of this.#revive(due)) this.add(delivery, [offset], now + RETRY_INTERVAL);
  }
}

function newHeap(): Heap<OpenDelivery> {
  return new Heap<OpenDelivery>((a, b) => a.due < b.due);
}

function keyOf({ group, topic, queueId, startOffset, popTime }: Delivery): string {
  return `${topic}@${group}@${queueId}@${startOffset}@${popTime}`;
}
