/**
 * Delivering: batches of queues on their way to loops.
 *
 * @module
 */

import type { OwnedQueue } from "../queue/owned_queue.ts";
import { Batch } from "./batch.ts";
import type { Settlement } from "./settlement.ts";

/** Makes batches of the messages that queues hold. */
export class QueueDelivery<T = unknown> {
  #settlement: Settlement<T>;
  #consumeTimeout: number;

  /** Makes it for one consumer; `consumeTimeout` is how long a batch may be in flight, in milliseconds. */
  constructor(settlement: Settlement<T>, consumeTimeout: number) {
    this.#settlement = settlement;
    this.#consumeTimeout = consumeTimeout;
  }

  /** Delivers a batch of a queue, if it has one now; of one that closes only what others wait for to be committed. */
  deliver(owner: OwnedQueue<T>, max: number, topic: string | undefined): Batch<T> | undefined {
    const taken = owner.process.take(max, topic, owner.state === "closing");
    if (taken === undefined) return undefined;
    const batch = new Batch(owner, taken, this.#settlement, this.#consumeTimeout);
    owner.delivered(batch);
    this.#settlement.delivered(batch);
    return batch;
  }
}
