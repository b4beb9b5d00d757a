/**
 * Signals between parts of a consumer that know each other both ways.
 *
 * @module
 */

import type { MessageQueue } from "../message.ts";
import type { OwnedQueue } from "./queue/owned_queue.ts";
import type { QueueSink } from "./queue/queue_flow.ts";

/** The parts that signals go to. */
export interface SignalTargets<T = unknown> {
  /** Delivers messages of queues: settled or received ones let it go on. */
  readonly dispatcher: QueueSink<T>;
  /** Has the queues: a lost lock ends their epochs. */
  readonly assignment: { lockLost(queue: MessageQueue, reason: string): void };
  /** Computes the queues: a topic that is missing is looked for. */
  readonly rebalancer: { expect(topic: string): void };
}

/**
 * Three pairs of parts need each other: the settlement and the dispatcher, the locks and the assignment, the
 * subscriptions and the rebalancer. The first of each is built with this object, which is connected to the second
 * later.
 */
export class ConsumerSignals<T = unknown> implements QueueSink<T> {
  #targets: SignalTargets<T> | undefined;

  /** Signals arrive from now on. */
  connect(targets: SignalTargets<T>): void {
    this.#targets = targets;
  }

  offer(owned: OwnedQueue<T>): void {
    this.#targets?.dispatcher.offer(owned);
  }

  arrived(owned: OwnedQueue<T>, receivedAt: number): void {
    this.#targets?.dispatcher.arrived(owned, receivedAt);
  }

  /** The right to a queue is lost. */
  lockLost(queue: MessageQueue, reason: string): void {
    this.#targets?.assignment.lockLost(queue, reason);
  }

  /** No name server knows a topic that is subscribed. */
  topicMissing(topic: string): void {
    this.#targets?.rebalancer.expect(topic);
  }
}
