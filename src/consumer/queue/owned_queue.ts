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

/** A batch that is in flight, as far as its epoch is concerned. */
export interface InFlightWork {
  /** When it was delivered, by the monotonic clock. */
  readonly deliveredAt: number;
  /** Settlements no longer count, and why. */
  abort(reason?: string): void;
}

/** The pulls of an epoch, as far as others use them. */
export type EpochLoop = Pick<PullLoop, "start" | "stop" | "wake" | "waitsFor" | "since" | "isOverdue">;

/** What an epoch has once its position is known. */
export interface OpenEpoch<T = unknown> {
  /** What it holds. */
  readonly process: ProcessQueue<T>;
  /** Its pulls. */
  readonly loop: EpochLoop;
  /** The room that its messages take; undefined where nobody counts. */
  readonly account?: BudgetAccount | undefined;
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
  /** Kept by the dispatcher: whether the queue is in its round. */
  listed = false;
  /** Kept by the commit pace: whether an offset has moved and waits for its turn, and whether one was stored. */
  isCommitDue = false;
  hasCommitted = false;
  #state: EpochState = "starting";
  #isPaused: boolean;
  #open: OpenEpoch<T> | undefined;
  #lock: QueueLock | undefined;
  #newestStoredAt = 0;
  #lastDeliveredAt: number | undefined;
  /** In no order: as few as loops work on one queue. */
  readonly #inFlight: InFlightWork[] = [];
  #rests = new Set<ReturnType<typeof setTimeout>>();
  #idle: (() => void)[] = [];
  #ended = new AbortController();
  #onProgress: ((owned: OwnedQueue<T>) => void) | undefined;

  /** Starts an epoch; `onProgress` is called after messages were settled. */
  constructor(
    queue: MessageQueue,
    isRetry: boolean,
    onProgress?: (owned: OwnedQueue<T>) => void,
    isPaused = false,
  ) {
    this.queue = queue;
    this.isRetry = isRetry;
    this.#onProgress = onProgress;
    this.#isPaused = isPaused;
  }

  /** How far the epoch is. */
  get state(): EpochState {
    return this.#state;
  }

  /** What it holds. Only an epoch that has opened has it. */
  get process(): ProcessQueue<T> {
    return this.#open!.process;
  }

  /** Its pulls. Only an epoch that has opened has them. */
  get loop(): EpochLoop {
    return this.#open!.loop;
  }

  /** Aborts when the epoch ends. */
  get ended(): AbortSignal {
    return this.#ended.signal;
  }

  /** Whether it may neither pull nor deliver for now. */
  get isPaused(): boolean {
    return this.#isPaused;
  }

  /**
   * The store time of the newest message received, by the broker's clock, in milliseconds since 1970; 0 if none was.
   */
  get newestStoredAt(): number {
    return this.#newestStoredAt;
  }

  /** When a batch of it was delivered last, by the monotonic clock; undefined if none was. */
  get lastDeliveredAt(): number | undefined {
    return this.#lastDeliveredAt;
  }

  /** The lock without which nothing counts; undefined where queues are not locked. */
  get lock(): QueueLock | undefined {
    return this.#lock;
  }

  /** The queue is locked for this member. */
  locked(lock: QueueLock | undefined): void {
    this.#lock = lock;
  }

  /** Opens the epoch at a known position. */
  open(opened: OpenEpoch<T>): void {
    this.#open = opened;
    this.#state = "open";
  }

  /** Pauses or resumes it; returns whether it may deliver and pull again that was paused before. */
  pause(isPaused: boolean): boolean {
    const wasPaused = this.#isPaused;
    this.#isPaused = isPaused;
    if (isPaused || !wasPaused || this.#state !== "open") return false;
    this.loop.wake();
    return true;
  }

  /** Messages were received, the newest of which was stored at this time, by the broker's clock. */
  received(newestStoredAt: number): void {
    this.#newestStoredAt = newestStoredAt;
  }

  /** A batch of it is delivered. */
  delivered(batch: InFlightWork): void {
    this.#inFlight.push(batch);
    this.#lastDeliveredAt = batch.deliveredAt;
  }

  /** Whether messages may be delivered; of a queue that closes only those that others wait for to be committed. */
  get canDeliver(): boolean {
    if (this.#isPaused || !this.holdsLock) return false;
    return this.#state === "closing" ? this.process.hasHoles : this.#state === "open" && this.process.readyCount > 0;
  }

  /** Whether settlements count. */
  get counts(): boolean {
    return (this.#state === "open" || this.#state === "closing") && this.holdsLock;
  }

  /** Whether the queue is locked for this member, if it has to be. */
  get holdsLock(): boolean {
    return this.#lock === undefined || this.#lock.isHeld;
  }

  /** Runs `then` after `ms`, unless the epoch ends before. */
  rest(ms: number, then: () => void): void {
    const timer = setTimeout(() => {
      this.#rests.delete(timer);
      then();
    }, ms);
    this.#rests.add(timer);
  }

  /** All messages of a batch are settled or requeued. */
  settled(batch: InFlightWork): void {
    const at = this.#inFlight.indexOf(batch);
    if (at < 0) return;
    const last = this.#inFlight.pop()!;
    if (last !== batch) this.#inFlight[at] = last;
  }

  /** After messages were settled or requeued: the loop may go on, and whoever waits for idleness may too. */
  progressed(): void {
    this.#open!.account?.hold(this.process.count, this.process.bytes);
    if (this.#state === "open") {
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
    while (this.counts && (this.process.inFlightCount > 0 || (this.process.hasHoles && !this.#isPaused))) {
      await new Promise<void>((resolve) => this.#idle.push(resolve));
    }
  }

  /** Stops delivering and pulling; settlements still count. */
  close(): void {
    if (this.#state === "void") return;
    if (this.#state === "open") this.loop.stop();
    this.#state = this.#state === "starting" ? "void" : "closing";
    if (this.#state === "void") this.#ended.abort();
  }

  /** Ends the epoch: the batches in flight are aborted, and nothing of it has an effect any more. */
  end(reason?: string): void {
    if (this.#state === "void") return;
    this.close();
    this.#state = "void";
    this.#open?.account?.hold(0, 0);
    this.#open?.account?.close();
    this.#ended.abort();
    for (const timer of this.#rests) clearTimeout(timer);
    for (const batch of this.#inFlight.splice(0)) batch.abort(reason);
    this.#wakeIdle();
  }

  #wakeIdle(): void {
    for (const wake of this.#idle.splice(0)) wake();
  }
}
