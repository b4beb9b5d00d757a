/**
 * One queue while it is ours: an epoch.
 *
 * @module
 */

import type { MessageQueue } from "../../message.ts";
import type { BudgetAccount } from "./buffer_budget.ts";
import type { ProcessQueue } from "./process_queue.ts";
import type { PullLoop } from "./pull_loop.ts";

/**
 * How far an epoch is.
 *
 * `starting`: its position is not known yet. `open`: it pulls and delivers. `closing`: nothing is delivered, but
 * settlements count. `void`: nothing has an effect any more.
 */
export type EpochState = "starting" | "open" | "closing" | "void";

/** The sole right to a queue, for a time. */
export interface QueueLock {
  /** Whether the right is ours at this moment. */
  readonly isHeld: boolean;
}

/** Work on messages of an epoch, which is told when the epoch ends. */
export interface InFlightWork {
  /** Tells that settlements no longer count, and why. */
  abort(reason?: string): void;
}

/**
 * A queue from the moment it is assigned, or its position is set, until it is revoked or set again.
 *
 * Every answer, settlement and timer holds the epoch that it belongs to, and has no effect once that is void.
 */
export class OwnedQueue<T = unknown> {
  /** The queue. */
  readonly queue: MessageQueue;
  /** Whether it holds this group's retries. */
  readonly isRetry: boolean;
  /** How far the epoch is. */
  state: EpochState = "starting";
  /** Whether it may neither pull nor deliver for now. */
  paused = false;
  /** Whether an offset of this epoch was stored, and whether one has moved and waits for its turn. */
  hasCommitted = false;
  isCommitDue = false;
  /** What it holds; set when it opens. */
  process!: ProcessQueue<T>;
  /** Its pulls; set when it opens. */
  loop!: PullLoop<T>;
  /** The lock without which nothing counts; undefined where queues are not locked. */
  lock: QueueLock | undefined;
  /** Whether the dispatcher has it in its round. */
  listed = false;
  /** The store time of the newest message seen, by the broker's clock; 0 if none was. */
  newestStoredAt = 0;
  /** When a batch of it was delivered last, by the monotonic clock. */
  lastDeliveredAt: number | undefined;
  /** What is delivered of it, in no order: as few as loops work on one queue. */
  readonly inFlight: InFlightWork[] = [];
  #account: BudgetAccount | undefined;
  #rests = new Set<ReturnType<typeof setTimeout>>();
  #idle: (() => void)[] = [];
  #ended = new AbortController();
  #onProgress: ((owned: OwnedQueue<T>) => void) | undefined;

  /** Starts an epoch; `onProgress` is called after messages were settled. */
  constructor(queue: MessageQueue, isRetry: boolean, onProgress?: (owned: OwnedQueue<T>) => void) {
    this.queue = queue;
    this.isRetry = isRetry;
    this.#onProgress = onProgress;
  }

  /** Aborts when the epoch ends. */
  get ended(): AbortSignal {
    return this.#ended.signal;
  }

  /** Opens the epoch at a known position; `account` keeps the room that its messages take. */
  open(process: ProcessQueue<T>, loop: PullLoop<T>, account?: BudgetAccount): void {
    this.process = process;
    this.loop = loop;
    this.#account = account;
    this.state = "open";
  }

  /** Whether messages may be delivered; of a queue that closes only those that others wait for to be committed. */
  get canDeliver(): boolean {
    if (this.paused || !this.holdsLock) return false;
    return this.state === "closing" ? this.process.hasHoles : this.state === "open" && this.process.readyCount > 0;
  }

  /** Whether settlements count. */
  get counts(): boolean {
    return (this.state === "open" || this.state === "closing") && this.holdsLock;
  }

  /** Whether the queue is locked for us, if it has to be. */
  get holdsLock(): boolean {
    return this.lock === undefined || this.lock.isHeld;
  }

  /** Runs `then` after `ms`, unless the epoch ends before. */
  rest(ms: number, then: () => void): void {
    const timer = setTimeout(() => {
      this.#rests.delete(timer);
      then();
    }, ms);
    this.#rests.add(timer);
  }

  /** All messages of a batch are settled, or were requeued. */
  settled(batch: InFlightWork): void {
    const at = this.inFlight.indexOf(batch);
    if (at < 0) return;
    const last = this.inFlight.pop()!;
    if (last !== batch) this.inFlight[at] = last;
  }

  /** After messages were settled or requeued: the loop may go on, and whoever waits for idleness may too. */
  progressed(): void {
    this.#account?.hold(this.process.count, this.process.bytes);
    if (this.state === "open") {
      this.loop.wake();
      this.#onProgress?.(this);
    }
    if (this.process.inFlightCount === 0) this.#wakeIdle();
  }

  /** Resolves when nothing is in flight, or the epoch has ended. */
  async whenIdle(): Promise<void> {
    if (!this.counts || this.process.inFlightCount === 0) return;
    await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  /** Resolves when nothing is in flight, and nothing that could be is older than what was; or the epoch has ended. */
  async whenWhole(): Promise<void> {
    while (this.counts && (this.process.inFlightCount > 0 || (this.process.hasHoles && !this.paused))) {
      await new Promise<void>((resolve) => this.#idle.push(resolve));
    }
  }

  /** Stops delivering and pulling; settlements still count. */
  close(): void {
    if (this.state === "void") return;
    if (this.state === "open") this.loop.stop();
    this.state = this.state === "starting" ? "void" : "closing";
    if (this.state === "void") this.#ended.abort();
  }

  /** Ends the epoch: batches in flight are told, and nothing of it has an effect any more. */
  end(reason?: string): void {
    if (this.state === "void") return;
    this.close();
    this.state = "void";
    this.#account?.hold(0, 0);
    this.#account?.close();
    this.#ended.abort();
    for (const timer of this.#rests) clearTimeout(timer);
    for (const batch of this.inFlight.splice(0)) batch.abort(reason);
    this.#wakeIdle();
  }

  #wakeIdle(): void {
    for (const wake of this.#idle.splice(0)) wake();
  }
}
