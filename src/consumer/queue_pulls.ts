/**
 * The pulls of a queue that is ours.
 *
 * @module
 */

import { NetworkError } from "../errors.ts";
import type { BrokenRecord } from "../wire/record.ts";
import type { FlowLimits } from "./flow_limits.ts";
import type { OwnedQueue } from "./owned_queue.ts";
import type { ProcessQueue } from "./process_queue.ts";
import type { PullLoopContext } from "./pull_loop.ts";
import { PullSize } from "./pull_size.ts";
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
  /** Called with the first error after an answer. */
  readonly onError: (owned: OwnedQueue<T>, error: unknown) => void;
  /** Called with an answer that leaves the position where it was. */
  readonly onStandstill: (owned: OwnedQueue<T>, answer: PullAnswer<T>) => void;
}

/** After one message that is larger than a frame may be, in milliseconds: it stays so until somebody does something. */
const TOO_LARGE_DELAY = 5_000;

/** What the pull loop of one queue works with. A class, because thousands of queues share its methods. */
export class QueuePulls<T = unknown> implements PullLoopContext<T> {
  readonly process: ProcessQueue<T>;
  #shared: SharedPulls<T>;
  #owned: OwnedQueue<T>;
  #timesMoved = 0;
  #size: PullSize;
  #isTooLarge = false;

  constructor(shared: SharedPulls<T>, owned: OwnedQueue<T>, process: ProcessQueue<T>) {
    this.process = process;
    this.#shared = shared;
    this.#owned = owned;
    this.#size = new PullSize(shared.puller.batchSize);
  }

  get timeout(): number {
    return this.#shared.puller.timeout;
  }

  get interval(): number {
    return this.#shared.interval;
  }

  pull(offset: number, brokerId: number, now: number): Promise<PullAnswer<T>> {
    const { queue, ended } = this.#owned;
    return this.#shared.puller.pull(queue, this.#selector!, offset, brokerId, ended, now, this.#size.count);
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
    this.#isTooLarge = false;
    this.#size.arrived();
    this.#shared.arrived(this.#owned, receivedAt);
  }

  onBroken(broken: readonly BrokenRecord[]): void {
    for (const record of broken) this.#shared.onBroken(this.#owned, record);
  }

  onMoved(answer: PullAnswer<T>): number | undefined {
    return this.#shared.onMoved(this.#owned, answer, ++this.#timesMoved);
  }

  /** An answer that is larger than a frame may be is asked for in smaller parts. */
  onError(error: unknown, isFirst: boolean): number | undefined {
    const isTooLarge = error instanceof NetworkError && error.code === "ANSWER_TOO_LARGE";
    if (isTooLarge && this.#size.halve()) return 0;
    if (isFirst || (isTooLarge && !this.#isTooLarge)) this.#shared.onError(this.#owned, error);
    this.#isTooLarge ||= isTooLarge;
    return isTooLarge ? TOO_LARGE_DELAY : undefined;
  }

  onStandstill(answer: PullAnswer<T>): void {
    this.#shared.onStandstill(this.#owned, answer);
  }

  get #selector(): Selector | undefined {
    return this.#shared.selector(this.#owned.queue.topic);
  }
}
