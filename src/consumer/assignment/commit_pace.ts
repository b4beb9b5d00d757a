/**
 * When offsets that move are stored.
 *
 * @module
 */

import type { OwnedQueue } from "../queue/owned_queue.ts";
import { inBackground, unheard } from "../../owned_work.ts";

/** How long an offset that has moved waits at most while few queues move, in milliseconds. */
const INTERVAL = 200;
/** How many offsets of one broker are stored in that time: 200 requests a second. */
const MOST_COMMITS = 40;

/** What a {@linkcode CommitPace} works with. */
export interface CommitPaceContext<T = unknown> {
  /** Stores the committable offsets of queues of one broker; does not reject. */
  readonly commit: (queues: readonly OwnedQueue<T>[]) => Promise<void>;
}

/**
 * Stores the first progress of an epoch at once, and further progress within 200 ms while a broker has fewer than 40
 * queues that move; of more, each has its turn. Costs nothing while nothing moves.
 *
 * A member that is killed every few seconds would else make no progress at all.
 */
export class CommitPace<T = unknown> {
  #context: CommitPaceContext<T>;
  /** By broker. */
  #turns = new Map<string, BrokerTurns<T>>();
  #isStopped = false;

  /** Makes it without anything to store. */
  constructor(context: CommitPaceContext<T>) {
    this.#context = context;
  }

  /** Called after messages of a queue were settled. */
  moved(owned: OwnedQueue<T>): void {
    if (owned.isCommitDue || this.#isStopped) return;
    owned.isCommitDue = true;
    const { broker } = owned.queue;
    let turns = this.#turns.get(broker);
    if (turns === undefined) this.#turns.set(broker, turns = new BrokerTurns(this.#context));
    turns.add(owned);
  }

  /** Stores nothing more. */
  stop(): void {
    this.#isStopped = true;
    for (const turns of this.#turns.values()) turns.stop();
    this.#turns.clear();
  }
}

/** The queues of one broker whose offsets have moved. */
class BrokerTurns<T> {
  #context: CommitPaceContext<T>;
  #due: OwnedQueue<T>[] = [];
  /** How many more may be stored before the timer fires. */
  #room = MOST_COMMITS;
  #isCommitting = false;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(context: CommitPaceContext<T>) {
    this.#context = context;
  }

  add(owned: OwnedQueue<T>): void {
    this.#due.push(owned);
    if (!owned.hasCommitted && this.#room > 0) queueMicrotask(() => this.#commitFirst(owned));
    this.#timer ??= setTimeout(() => this.#tick(), INTERVAL);
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#due = [];
  }

  /** In a microtask: the messages that are settled in the same go are stored with it. */
  #commitFirst(owned: OwnedQueue<T>): void {
    const at = this.#due.indexOf(owned);
    if (at < 0 || this.#room <= 0) return;
    this.#due.splice(at, 1);
    inBackground(this.#commit([owned]), unheard);
  }

  #tick(): void {
    this.#timer = undefined;
    this.#room = MOST_COMMITS;
    // A broker that does not answer gets no further requests: what has moved meanwhile goes together.
    if (!this.#isCommitting) inBackground(this.#commitDue(), unheard);
    if (this.#due.length > 0 || this.#isCommitting) this.#timer = setTimeout(() => this.#tick(), INTERVAL);
  }

  async #commitDue(): Promise<void> {
    if (this.#due.length === 0) return;
    this.#isCommitting = true;
    await this.#commit(this.#due.splice(0, this.#room));
    this.#isCommitting = false;
  }

  async #commit(queues: readonly OwnedQueue<T>[]): Promise<void> {
    this.#room -= queues.length;
    for (const owned of queues) {
      owned.isCommitDue = false;
      owned.hasCommitted = true;
    }
    await this.#context.commit(queues);
  }
}
