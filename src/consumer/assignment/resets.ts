/**
 * Positions that operators set, of which 4.9 brokers notify all members.
 *
 * @module
 */

import type { EventHub } from "../../events.ts";
import { type MessageQueue, queueKey } from "../../message.ts";
import { delay } from "../../waiting.ts";
import type { OwnedQueue } from "../queue/owned_queue.ts";

/** Between two positions of one queue, in milliseconds: of a storm of them the last counts. */
const INTERVAL = 200;

/** What {@linkcode Resets} work with. */
export interface ResetsContext<T = unknown> {
  /** The group, for events. */
  readonly group: string;
  /** Emits events. */
  readonly events: EventHub;
  /** The epoch of a queue that is assigned to this member now. */
  readonly owned: (queue: MessageQueue) => OwnedQueue<T> | undefined;
  /** Sets a queue's position, which begins another epoch. */
  readonly seek: (queue: MessageQueue, offset: number, reason: string) => Promise<void>;
}

/** Follows resets: the first at once, and the last of those that come in the time after it. */
export class Resets<T = unknown> {
  #context: ResetsContext<T>;
  /** The positions to go to, of queues that were set lately. */
  #wanted = new Map<string, { offset: number | undefined; readonly done: Promise<void> }>();

  /** Makes it without a reset. */
  constructor(context: ResetsContext<T>) {
    this.#context = context;
  }

  /** Sets a position; nothing happens if the queue is not ours. Rejects if the last one could not be stored. */
  follow(queue: MessageQueue, offset: number): Promise<void> {
    const key = queueKey(queue);
    const wanted = this.#wanted.get(key);
    if (wanted !== undefined) {
      wanted.offset = offset;
      return wanted.done;
    }
    const done = Promise.resolve().then(() => this.#follow(queue)).finally(() => this.#wanted.delete(key));
    this.#wanted.set(key, { offset, done });
    return done;
  }

  async #follow(queue: MessageQueue): Promise<void> {
    const { owned: epochOf, seek } = this.#context;
    const wanted = this.#wanted.get(queueKey(queue))!;
    let failure: { readonly error: unknown } | undefined;
    for (;;) {
      const owned = epochOf(queue);
      const { offset } = wanted;
      wanted.offset = undefined;
      if (owned === undefined || offset === undefined) break;
      this.#report(owned, offset);
      const seeking = seek(queue, offset, `the queue's position was set to ${offset}`);
      failure = await seeking.then(() => undefined, (error) => ({ error }));
      const signal = epochOf(queue)?.ended;
      if (signal !== undefined) await delay(INTERVAL, { signal }).catch(() => {});
    }
    if (failure !== undefined) throw failure.error;
  }

  #report(owned: OwnedQueue<T>, offset: number): void {
    const { events, group } = this.#context;
    const { queue } = owned;
    const from = owned.counts ? owned.process.position : -1;
    const text = `the position of ${queueKey(queue)} went from ${from} to ${offset}`;
    events.emit("warning", "offsetReset", text, { group, queue, broker: queue.broker, offset });
  }
}
