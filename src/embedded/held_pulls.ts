/**
 * Pulls that are held open until there is a message (long polling). Source: PullRequestHoldService.
 *
 * @module
 */

import type { Connection, Reply } from "../transport/connection.ts";
import type { MessageFilter } from "./filter.ts";
import type { Queue } from "./queue.ts";
import type { Job, Scheduler } from "./scheduler.ts";

/** How often a broker checks the pulls that it holds, in milliseconds. */
const SCAN_INTERVAL = 5_000;

/** The largest number of held pulls; a further one is answered at once. */
const MAX_HELD = 100_000;

/** A pull to be held. */
export interface HeldPull {
  /** Its connection. */
  readonly connection: Connection;
  /** Its queue. */
  readonly queue: Queue;
  /** The filter of the messages that it waits for. */
  readonly matches: MessageFilter;
  /** Repeats the pull and returns its answer. */
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

  /** The number of held pulls. */
  get length(): number {
    return this.#count;
  }

  /** Holds a pull until there is a matching message, at most `timeout` milliseconds. */
  hold(pull: HeldPull, timeout: number): Promise<Reply> {
    if (this.#count >= MAX_HELD) return Promise.resolve(pull.answer());
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
   * Answers the held pulls of a queue that match one of its messages from `from` on.
   *
   * Messages that do not match end a pull at the broker's next check, with code 20 and the offset after them.
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

  /** Removes the pulls of a lost connection. */
  dropConnection(connection: Connection): void {
    for (const pulls of [...this.#held.values()]) {
      for (const pull of pulls) if (pull.connection === connection) this.#remove(pull);
    }
  }

  /** When the first timeout ends. */
  nextDue(): number {
    let due = Infinity;
    for (const pulls of this.#held.values()) for (const pull of pulls) due = Math.min(due, pull.due);
    return due;
  }

  /** Answers the pulls whose timeout has ended. */
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
