/**
 * Who gets which messages: queues with something to hand out on one side, loops that wait on the other.
 *
 * @module
 */

import { Batch } from "./batch.ts";
import type { OwnedQueue } from "./owned_queue.ts";
import type { Settlement } from "./settlement.ts";

/** After this time without a wait, in milliseconds, a loop lets sockets and timers have a turn. */
const LONGEST_RUN = 8;

/** What a loop asks for. */
export interface TakeOptions {
  /** Only batches of this topic. */
  readonly topic?: string | undefined;
  /** Ends the wait. */
  readonly signal?: AbortSignal | undefined;
  /** The most messages. @default {the consumer's batchSize} */
  readonly max?: number | undefined;
}

/** A loop that waits for its next batch. */
interface Waiter<T> {
  readonly ask: TakeOptions;
  readonly resolve: (batch: Batch<T> | undefined) => void;
}

/** The loops that wait with one signal, and what its abort does. */
interface Watch<T> {
  readonly waiters: Set<Waiter<T>>;
  readonly end: () => void;
}

/** Hands batches to loops: queues take turns, loops are served in the order in which they asked. */
export class Dispatcher<T = unknown> {
  #batchSize: number;
  #settlement: Settlement<T>;
  /** Queues with something to hand out, in the order of their turns. */
  #round: OwnedQueue<T>[] = [];
  #waiters: Waiter<T>[] = [];
  #watches = new Map<AbortSignal, Watch<T>>();
  #closed = false;
  #lastTurn = performance.now();
  #lastAsk = performance.now();

  /** Makes a dispatcher of batches of at most `batchSize`. */
  constructor(batchSize: number, settlement: Settlement<T>) {
    this.#batchSize = batchSize;
    this.#settlement = settlement;
  }

  /** Whether loops end at their next ask. */
  get isClosed(): boolean {
    return this.#closed;
  }

  /** Since when no loop has asked, by the monotonic clock; undefined while one waits. */
  get idleSince(): number | undefined {
    return this.#waiters.length > 0 ? undefined : this.#lastAsk;
  }

  /** A queue has something to hand out, perhaps. */
  offer(owned: OwnedQueue<T>): void {
    this.#lastTurn = performance.now(); // messages arrive in a turn of the event loop of their own
    if (!owned.handsOut) return;
    if (!owned.listed) {
      owned.listed = true;
      this.#round.push(owned);
    }
    this.#serve(); // a queue in the round may hold only what no loop has wanted so far
  }

  /** The next batch; undefined once the dispatcher is closed or the signal has aborted. */
  async take(ask: TakeOptions): Promise<Batch<T> | undefined> {
    const { signal } = ask;
    if (this.#closed || signal?.aborted) return undefined;
    this.#lastAsk = performance.now();
    if (this.#lastAsk - this.#lastTurn > LONGEST_RUN) {
      await turn();
      this.#lastTurn = performance.now();
      if (this.#closed || signal?.aborted) return undefined;
    }
    // Those who asked before have been served, or want another topic.
    return this.#next(ask) ?? await this.#wait(ask);
  }

  /** Ends all loops at their next ask, and those that wait now. */
  close(): void {
    this.#closed = true;
    for (const waiter of this.#waiters.splice(0)) this.#settle(waiter, undefined);
  }

  #next(ask: TakeOptions): Batch<T> | undefined {
    for (let turns = this.#round.length; turns > 0; turns--) {
      const owned = this.#round.shift()!;
      owned.listed = false;
      if (!owned.handsOut) continue;
      const taken = owned.process.take(ask.max ?? this.#batchSize, ask.topic);
      if (owned.process.readyCount > 0) {
        owned.listed = true;
        this.#round.push(owned);
      }
      if (taken === undefined) continue;
      const batch = new Batch(owned, taken.first, taken.messages, this.#settlement);
      this.#settlement.handedOut(batch);
      return batch;
    }
    return undefined;
  }

  #wait(ask: TakeOptions): Promise<Batch<T> | undefined> {
    return new Promise((resolve) => {
      const waiter = { ask, resolve };
      this.#waiters.push(waiter);
      if (ask.signal !== undefined) this.#watch(ask.signal, waiter);
    });
  }

  /** One listener for all loops that share a signal: Node warns of more than ten. */
  #watch(signal: AbortSignal, waiter: Waiter<T>): void {
    let watch = this.#watches.get(signal);
    if (watch === undefined) {
      const waiters = new Set<Waiter<T>>();
      const end = () => {
        this.#waiters = this.#waiters.filter((each) => !waiters.has(each));
        for (const each of [...waiters]) this.#settle(each, undefined);
      };
      watch = { waiters, end };
      this.#watches.set(signal, watch);
      signal.addEventListener("abort", end, { once: true });
    }
    watch.waiters.add(waiter);
  }

  /** Ends a wait that is in the list no more. */
  #settle(waiter: Waiter<T>, batch: Batch<T> | undefined): void {
    const { signal } = waiter.ask;
    const watch = signal === undefined ? undefined : this.#watches.get(signal);
    watch?.waiters.delete(waiter);
    if (watch?.waiters.size === 0) {
      this.#watches.delete(signal!);
      signal!.removeEventListener("abort", watch.end);
    }
    waiter.resolve(batch);
  }

  #serve(): void {
    for (let at = 0; at < this.#waiters.length && this.#round.length > 0;) {
      const waiter = this.#waiters[at]!;
      const batch = this.#next(waiter.ask);
      if (batch === undefined) {
        at++;
        continue;
      }
      this.#waiters.splice(at, 1);
      this.#settle(waiter, batch);
    }
  }
}

/** Lets the event loop turn once: sockets and timers that are due come first. */
function turn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}
