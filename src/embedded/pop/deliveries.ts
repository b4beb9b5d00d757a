/**
 * Popped messages that are not acked yet. Sources: PopCheckPoint, PopReviveService.
 *
 * @module
 */

import { Heap } from "../heap.ts";
import type { Job, Scheduler } from "../scheduler.ts";

/** The messages of one queue that one pop took. */
export interface Delivery {
  /** The group that took them. */
  readonly group: string;
  /** The topic that they were taken from, which may be a retry topic. */
  readonly topic: string;
  /** The queue. */
  readonly queueId: number;
  /** The offset that the pop began at. */
  readonly startOffset: number;
  /** When, in milliseconds since 1970. */
  readonly popTime: number;
}

/** A message that is not acked in its time. */
export interface Unacked {
  /** The delivery that it was in. */
  readonly delivery: Delivery;
  /** Its offset. */
  readonly offset: number;
}

/** Makes messages visible again; gives those for which there is no room. */
export type Revive = (messages: readonly Unacked[]) => readonly Unacked[];

interface Waiting extends Delivery {
  /** When those that are left become visible again. */
  readonly due: number;
  /** The offsets that are not acked. */
  readonly left: Set<number>;
}

/** How long a message waits again for which there was no room, in milliseconds. Source: ckRewriteIntervalsInSeconds. */
const SECOND_TRY = 10_000;
/** How many deliveries that are done may stay in the heap, besides as many as are not. */
const SLACK = 1_000;

/**
 * The deliveries of all groups.
 *
 * A delivery is forgotten when its last message is acked, or when its invisible time ends: then those that are left are
 * put into the group's retry topic. An ack of a delivery that is not known does nothing, and says nothing.
 */
export class Deliveries implements Job {
  #scheduler: Scheduler;
  #revive: Revive;
  #deliveries = new Map<string, Waiting>();
  /** All deliveries by their time, and some that are done. */
  #byTime = newHeap();

  /** Makes an empty table. */
  constructor(scheduler: Scheduler, revive: Revive) {
    this.#scheduler = scheduler;
    this.#revive = revive;
  }

  /** How many messages are not acked. */
  get length(): number {
    let count = 0;
    for (const { left } of this.#deliveries.values()) count += left.size;
    return count;
  }

  /** Remembers a delivery, whose messages become visible again at a time. */
  add(delivery: Delivery, offsets: readonly number[], due: number): void {
    const key = keyOf(delivery);
    const known = this.#deliveries.get(key);
    const { group, topic, queueId, startOffset, popTime } = delivery;
    const waiting: Waiting = {
      group,
      topic,
      queueId,
      startOffset,
      popTime,
      due,
      left: new Set([...known?.left ?? [], ...offsets]),
    };
    this.#deliveries.set(key, waiting);
    this.#byTime.push(waiting);
    this.#scheduler.schedule(due);
  }

  /** Takes a message out of a delivery. */
  ack(delivery: Delivery, offset: number): void {
    const key = keyOf(delivery);
    const waiting = this.#deliveries.get(key);
    if (waiting === undefined || !waiting.left.delete(offset) || waiting.left.size > 0) return;
    this.#deliveries.delete(key);
    if (this.#byTime.length <= 2 * this.#deliveries.size + SLACK) return;
    this.#byTime = newHeap();
    for (const each of this.#deliveries.values()) this.#byTime.push(each);
  }

  /** When the first invisible time ends. */
  nextDue(): number {
    return this.#byTime.peek()?.due ?? Infinity;
  }

  /** Makes visible what is due. */
  run(now: number): void {
    const due: Unacked[] = [];
    while (this.nextDue() <= now) {
      const delivery = this.#byTime.pop()!;
      const key = keyOf(delivery);
      if (this.#deliveries.get(key) !== delivery) continue; // it is done
      this.#deliveries.delete(key);
      for (const offset of delivery.left) due.push({ delivery, offset });
    }
    for (const { delivery, offset } of this.#revive(due)) this.add(delivery, [offset], now + SECOND_TRY);
  }
}

function newHeap(): Heap<Waiting> {
  return new Heap<Waiting>((a, b) => a.due < b.due);
}

function keyOf({ group, topic, queueId, startOffset, popTime }: Delivery): string {
  return `${topic}@${group}@${queueId}@${startOffset}@${popTime}`;
}
