/**
 * Pulls that wait for messages. Source: PullRequestHoldService.
 *
 * @module
 */

import type { Connection, Reply } from "../transport/connection.ts";
import type { MessageFilter } from "./filter.ts";
import type { Queue } from "./queue.ts";
import type { Job, Scheduler } from "./scheduler.ts";

/** How often a broker looks at the pulls that it holds, in milliseconds. */
const SCAN_INTERVAL = 5_000;

/** The most pulls that wait: one more is answered at once. */
const MOST = 100_000;

/** A pull that waits. */
export interface HeldPull {
  /** The connection that it came on. */
  readonly connection: Connection;
  /** The queue that it waits for. */
  readonly queue: Queue;
  /** What it waits for. */
  readonly matches: MessageFilter;
  /** Does the pull again, and gives its answer. */
  readonly answer: () => Reply;
}

interface Held extends HeldPull {
  due: number;
  readonly resolve: (reply: Reply) => void;
}

/** The pulls that a broker holds. */
export class HeldPulls implements Job {
  #scheduler: Scheduler;
  #held = new Map<Queue, Set<Held>>();
  #count = 0;

  /** Makes an empty table. */
  constructor(scheduler: Scheduler) {
    this.#scheduler = scheduler;
  }

  /** How many pulls wait. */
  get length(): number {
    return this.#count;
  }

  /** Holds a pull until a message that it waits for comes, at most `timeout` milliseconds. */
  hold(pull: HeldPull, timeout: number): Promise<Reply> {
    if (this.#count >= MOST) return Promise.resolve(pull.answer());
    const due = Date.now() + timeout;
    return new Promise((resolve) => {
      let pulls = this.#held.get(pull.queue);
      if (pulls === undefined) this.#held.set(pull.queue, pulls = new Set());
      pulls.add({ ...pull, due, resolve });
      this.#count++;
      this.#scheduler.schedule(due);
    });
  }

  /**
   * Answers the pulls of a queue that wait for one of its messages from `from` on.
   *
   * Messages that a pull does not want end it at the broker's next look, with code 20 and the offset after them.
   */
  arrived(queue: Queue, from: number): void {
    const pulls = this.#held.get(queue);
    if (pulls === undefined) return;
    const scan = Date.now() + SCAN_INTERVAL;
    for (const pull of pulls) {
      if (queue.hasMatch(from, pull.matches)) this.#answer(pull);
      else if (scan < pull.due) this.#scheduler.schedule(pull.due = scan);
    }
  }

  /** Forgets the pulls of a lost connection. */
  dropConnection(connection: Connection): void {
    for (const pulls of [...this.#held.values()]) {
      for (const pull of pulls) if (pull.connection === connection) this.#remove(pull);
    }
  }

  /** When the next pull has waited long enough. */
  nextDue(): number {
    let due = Infinity;
    for (const pulls of this.#held.values()) for (const pull of pulls) due = Math.min(due, pull.due);
    return due;
  }

  /** Answers the pulls that have waited long enough. */
  run(now: number): void {
    for (const pulls of [...this.#held.values()]) {
      for (const pull of pulls) if (pull.due <= now) this.#answer(pull);
    }
  }

  #answer(pull: Held): void {
    this.#remove(pull);
    pull.resolve(pull.answer());
  }

  #remove(pull: Held): void {
    const pulls = this.#held.get(pull.queue);
    if (pulls?.delete(pull)) this.#count--;
    if (pulls?.size === 0) this.#held.delete(pull.queue);
  }
}
