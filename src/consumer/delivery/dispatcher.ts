/**
 * Who gets which messages: queues with something to deliver on one side, loops that wait on the other.
 *
 * @module
 */

import { turn } from "../../waiting.ts";
import { inBackground, unheard } from "../../owned_work.ts";

/** How long loops work in one turn of the event loop before sockets and timers have theirs, in milliseconds. */
const LONGEST_RUN = 4;

/** How many microtasks it takes, at the most, until a loop that may go on works on its batch. */
const STEPS_TO_WORK = 12;

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

/** A queue as far as turns are concerned. */
export interface DeliverableQueue {
  /** Whether messages may be delivered. */
  readonly canDeliver: boolean;
  /** Whether the dispatcher has it in its round. */
  listed: boolean;
}

/** Where a batch is delivered that is of no queue. */
export interface DirectDelivery<B> {
  /** Hands a batch out that is of none of our queues, to whoever asks next. */
  offerDirect(batch: B): void;
  /** Takes such a batch back; false if it is delivered. */
  withdraw(batch: B): boolean;
}

/** A batch as far as its way to a loop is concerned. */
export interface Dispatchable {
  /** The topic of its messages. */
  readonly topic: string;
  /** Releases it. */
  release(): void;
}

/** A loop that waits for its next batch. */
interface Waiter<B> {
  readonly ask: TakeOptions;
  readonly resolve: (batch: B | undefined) => void;
}

/** Hands batches to loops: queues take turns, loops are served in the order in which they asked. */
export class Dispatcher<Q extends DeliverableQueue, B extends Dispatchable> implements DirectDelivery<B> {
  #batchSize: number;
  #cut: (from: Q, max: number, topic: string | undefined) => B | undefined;
  /** Queues with something to deliver, in the order of their turns. */
  #round: Q[] = [];
  #waiters: Waiter<B>[] = [];
  /** Batches from beside the queues, which come first. */
  #direct: B[] = [];
  #turn: () => Promise<void>;
  #listening = new Map<AbortSignal, () => void>();
  #closed = false;
  /** When this turn of the event loop began, as far as we know. */
  #turnStart = performance.now();
  /** Loops that may go on, one after the other. */
  #line: (() => void)[] = [];
  #isLineMoving = false;

  /**
   * Makes a dispatcher of batches of at most `batchSize`. `cut` takes a batch from a queue; undefined if it has none
   * now.
   *
   * @param nextTurn resolves in the next turn of the event loop
   */
  constructor(
    batchSize: number,
    cut: (from: Q, max: number, topic: string | undefined) => B | undefined,
    nextTurn: () => Promise<void> = turn,
  ) {
    this.#batchSize = batchSize;
    this.#cut = cut;
    this.#turn = nextTurn;
  }

  /** Whether loops end at their next ask. */
  get isClosed(): boolean {
    return this.#closed;
  }

  /** Whether a loop waits for a batch. */
  get isAsked(): boolean {
    return this.#waiters.length > 0;
  }

  /** Messages of a queue have arrived, received in a turn of the event loop that began then. */
  arrived(queue: Q, receivedAt: number): void {
    this.#turnStart = Math.max(this.#turnStart, receivedAt);
    this.offer(queue);
  }

  /** A queue has something to deliver, perhaps. */
  offer(queue: Q): void {
    if (!queue.canDeliver) return;
    if (!queue.listed) {
      queue.listed = true;
      this.#round.push(queue);
    }
    this.#serve(); // a queue in the round may hold only what no loop has wanted so far
  }

  /** Hands a batch out that is of none of our queues, to whoever asks next; after the end it is given up. */
  offerDirect(batch: B): void {
    if (this.#closed) {
      batch.release();
      return;
    }
    this.#direct.push(batch);
    this.#serve();
  }

  /** Takes such a batch back; false if it is delivered. */
  withdraw(batch: B): boolean {
    const at = this.#direct.indexOf(batch);
    if (at >= 0) this.#direct.splice(at, 1);
    return at >= 0;
  }

  /** The next batch; undefined once the dispatcher is closed or the signal has aborted. */
  async take(ask: TakeOptions): Promise<B | undefined> {
    const { signal } = ask;
    if (signal?.aborted) return undefined;
    if (this.#closed) return this.#next(ask);
    if (this.#isLong()) {
      await new Promise<void>((resolve) => this.#lineUp(resolve));
      if (signal?.aborted) return undefined;
      if (this.#closed) return this.#next(ask);
    }
    // Those who asked before have been served, or want another topic.
    const ready = this.#next(ask);
    if (ready !== undefined) return ready;
    return await this.#wait(ask);
  }

  /**
   * Ends all loops at their next ask, and those that wait now: all but for what queues that close deliver still.
   */
  close(): void {
    this.#closed = true;
    for (const batch of this.#direct.splice(0)) batch.release();
    this.#serve();
    this.#end(() => true);
    this.#forgetSignals();
  }

  #isLong(now = performance.now()): boolean {
    return now - this.#turnStart > LONGEST_RUN;
  }

  /** Has a loop go on when it is its turn. */
  #lineUp(goOn: () => void): void {
    this.#line.push(goOn);
    if (!this.#isLineMoving) inBackground(this.#moveLine(), unheard);
  }

  /**
   * Lets loops go on one by one: only when one has worked can be seen whether the next has to wait for a turn of the
   * event loop, in which sockets and timers that are due come first.
   */
  async #moveLine(): Promise<void> {
    this.#isLineMoving = true;
    for (let next = this.#line.shift(); next !== undefined; next = this.#line.shift()) {
      if (this.#isLong()) {
        await this.#turn();
        this.#turnStart = performance.now();
      }
      next();
      for (let step = 0; step < STEPS_TO_WORK; step++) await undefined;
    }
    this.#isLineMoving = false;
  }

  #next(ask: TakeOptions): B | undefined {
    const direct = this.#direct.findIndex(({ topic }) => ask.topic === undefined || ask.topic === topic);
    if (direct >= 0) return this.#direct.splice(direct, 1)[0];
    for (let turns = this.#round.length; turns > 0; turns--) {
      const queue = this.#round.shift()!;
      queue.listed = false;
      if (!queue.canDeliver) continue;
      const batch = this.#cut(queue, ask.max ?? this.#batchSize, ask.topic);
      // What no loop can have now, because its key is in flight or rests, is offered again when that ends.
      const isBlocked = batch === undefined && ask.topic === undefined;
      if (!isBlocked && queue.canDeliver) {
        queue.listed = true;
        this.#round.push(queue);
      }
      if (batch !== undefined) return batch;
    }
    return undefined;
  }

  #wait(ask: TakeOptions): Promise<B | undefined> {
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

  #end(which: (waiter: Waiter<B>) => boolean): void {
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
      // Many may have waited: those before this one are to work first.
      if (this.#waiters.length > 0 || this.#isLineMoving) this.#lineUp(() => waiter.resolve(batch));
      else waiter.resolve(batch);
    }
  }
}
