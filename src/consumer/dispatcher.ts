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

/** With how many signals loops may wait before those that none waits with are forgotten. */
const MOST_SIGNALS = 64;

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

/** Hands batches to loops: queues take turns, loops are served in the order in which they asked. */
export class Dispatcher<T = unknown> {
  #batchSize: number;
  #settlement: Settlement<T>;
  /** Queues with something to hand out, in the order of their turns. */
  #round: OwnedQueue<T>[] = [];
  #waiters: Waiter<T>[] = [];
  /** Batches from beside the queues, which come first. */
  #direct: Batch<T>[] = [];
  #listening = new Map<AbortSignal, () => void>();
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

  /** Messages of a queue have arrived, in a turn of the event loop of their own. */
  arrived(owned: OwnedQueue<T>): void {
    this.#lastTurn = performance.now();
    this.offer(owned);
  }

  /** A queue has something to hand out, perhaps. */
  offer(owned: OwnedQueue<T>): void {
    if (!owned.handsOut) return;
    if (!owned.listed) {
      owned.listed = true;
      this.#round.push(owned);
    }
    this.#serve(); // a queue in the round may hold only what no loop has wanted so far
  }

  /** Hands a batch out that is of none of our queues, to whoever asks next. */
  offerDirect(batch: Batch<T>): void {
    this.#direct.push(batch);
    this.#serve();
  }

  /** Takes such a batch back; false if it is handed out. */
  withdraw(batch: Batch<T>): boolean {
    const at = this.#direct.indexOf(batch);
    if (at >= 0) this.#direct.splice(at, 1);
    return at >= 0;
  }

  /** The next batch; undefined once the dispatcher is closed or the signal has aborted. */
  async take(ask: TakeOptions): Promise<Batch<T> | undefined> {
    const { signal } = ask;
    if (signal?.aborted) return undefined;
    if (this.#closed) return this.#next(ask);
    this.#lastAsk = performance.now();
    if (this.#lastAsk - this.#lastTurn > LONGEST_RUN) {
      await turn();
      this.#lastTurn = performance.now();
      if (signal?.aborted) return undefined;
      if (this.#closed) return this.#next(ask);
    }
    // Those who asked before have been served, or want another topic.
    return this.#next(ask) ?? await this.#wait(ask);
  }

  /**
   * Ends all loops at their next ask, and those that wait now: all but for what queues that close hand out still.
   */
  close(): void {
    this.#closed = true;
    this.#serve();
    this.#end(() => true);
    this.#forgetSignals();
  }

  #next(ask: TakeOptions): Batch<T> | undefined {
    const direct = this.#direct.findIndex(({ topic }) => ask.topic === undefined || ask.topic === topic);
    if (direct >= 0 && !this.#closed) return this.#direct.splice(direct, 1)[0];
    for (let turns = this.#round.length; turns > 0; turns--) {
      const owned = this.#round.shift()!;
      owned.listed = false;
      if (!owned.handsOut) continue;
      const taken = owned.process.take(ask.max ?? this.#batchSize, ask.topic, owned.state === "closing");
      // What no loop can have now, because its key is in hand or rests, is offered again when that ends.
      const isBlocked = taken === undefined && ask.topic === undefined;
      if (!isBlocked && owned.handsOut) {
        owned.listed = true;
        this.#round.push(owned);
      }
      if (taken === undefined) continue;
      const batch = new Batch(owned, taken, this.#settlement);
      this.#settlement.handedOut(batch);
      return batch;
    }
    return undefined;
  }

  #wait(ask: TakeOptions): Promise<Batch<T> | undefined> {
    return new Promise((resolve) => {
      this.#waiters.push({ ask, resolve });
      if (ask.signal !== undefined) this.#listen(ask.signal);
    });
  }

  /** One listener for all loops that share a signal, kept while they come and go. */
  #listen(signal: AbortSignal): void {
    if (this.#listening.has(signal)) return;
    if (this.#listening.size >= MOST_SIGNALS) this.#forgetSignals();
    const end = () => {
      this.#listening.delete(signal);
      this.#end(({ ask }) => ask.signal === signal);
    };
    this.#listening.set(signal, end);
    signal.addEventListener("abort", end, { once: true });
  }

  /** Takes the listeners off the signals with which no loop waits now. */
  #forgetSignals(): void {
    const waiting = new Set(this.#waiters.map(({ ask }) => ask.signal));
    for (const [signal, end] of this.#listening) {
      if (waiting.has(signal)) continue;
      signal.removeEventListener("abort", end);
      this.#listening.delete(signal);
    }
  }

  #end(which: (waiter: Waiter<T>) => boolean): void {
    const ended = this.#waiters.filter(which);
    this.#waiters = this.#waiters.filter((waiter) => !which(waiter));
    for (const { resolve } of ended) resolve(undefined);
  }

  #serve(): void {
    for (let at = 0; at < this.#waiters.length && this.#round.length + this.#direct.length > 0;) {
      const waiter = this.#waiters[at]!;
      const batch = this.#next(waiter.ask);
      if (batch === undefined) {
        at++;
        continue;
      }
      this.#waiters.splice(at, 1);
      waiter.resolve(batch);
    }
  }
}

/** Lets the event loop turn once: sockets and timers that are due come first. */
function turn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}
