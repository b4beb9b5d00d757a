/**
 * The pulls of a queue that is ours.
 *
 * @module
 */

import type { BrokenRecord } from "../wire/record.ts";
import type { FlowLimits } from "./flow_limits.ts";
import type { OwnedQueue } from "./owned_queue.ts";
import type { ProcessQueue } from "./process_queue.ts";
import type { PullLoopContext } from "./pull_loop.ts";
import type { PullAnswer, Puller } from "./puller.ts";
import type { Selector } from "./selector.ts";

/** What the pulls of all queues of a consumer share. */
export interface SharedPulls<T = unknown> {
  /** Pulls. */
  readonly puller: Puller<T>;
  /** How much a queue may hold. */
  readonly limits: FlowLimits;
  /** Milliseconds between two pulls of a queue. */
  readonly interval: number;
  /** What is wanted of a topic; undefined once it is not subscribed any more. */
  readonly selector: (topic: string) => Selector | undefined;
  /** Hears of queues that have got messages, and when, by the monotonic clock. */
  readonly arrived: (owned: OwnedQueue<T>, receivedAt: number) => void;
  /** Hears of a record that cannot be read, before the messages of its answer are in the process queue. */
  readonly onBroken: (owned: OwnedQueue<T>, record: BrokenRecord) => void;
  /** The broker does not have the position, for so many times in a row: as {@linkcode PullLoopContext.onMoved}. */
  readonly onMoved: (owned: OwnedQueue<T>, answer: PullAnswer<T>, times: number) => number | undefined;
  /** Hears of the first error after an answer. */
  readonly onError: (owned: OwnedQueue<T>, error: unknown) => void;
}

/** What the pull loop of one queue works with. A class, because thousands of queues share its methods. */
export class QueuePulls<T = unknown> implements PullLoopContext<T> {
  readonly process: ProcessQueue<T>;
  #shared: SharedPulls<T>;
  #owned: OwnedQueue<T>;
  #timesMoved = 0;

  constructor(shared: SharedPulls<T>, owned: OwnedQueue<T>, process: ProcessQueue<T>) {
    this.process = process;
    this.#shared = shared;
    this.#owned = owned;
  }

  get interval(): number {
    return this.#shared.interval;
  }

  pull(offset: number, brokerId: number, now: number): Promise<PullAnswer<T>> {
    const { queue, ended } = this.#owned;
    return this.#shared.puller.pull(queue, this.#selector!, offset, brokerId, ended, now);
  }

  /** A topic that is not subscribed any more stands still until its queues are let go. */
  mayPull(): boolean {
    return !this.#owned.paused && this.#shared.limits.allow(this.process) && this.#selector !== undefined;
  }

  mayPullAhead(): boolean {
    return this.#shared.interval === 0 && this.#shared.limits.allowAhead(this.process);
  }

  onMessages(newestStoredAt: number, receivedAt: number): void {
    this.#owned.newestStoredAt = newestStoredAt;
    this.#timesMoved = 0;
    this.#shared.arrived(this.#owned, receivedAt);
  }

  onBroken(broken: readonly BrokenRecord[]): void {
    for (const record of broken) this.#shared.onBroken(this.#owned, record);
  }

  onMoved(answer: PullAnswer<T>): number | undefined {
    return this.#shared.onMoved(this.#owned, answer, ++this.#timesMoved);
  }

  onError(error: unknown): void {
    this.#shared.onError(this.#owned, error);
  }

  get #selector(): Selector | undefined {
    return this.#shared.selector(this.#owned.queue.topic);
  }
}
