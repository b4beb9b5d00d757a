/**
 * Notices pull loops that stand still.
 *
 * @module
 */

import type { EventHub } from "../../events.ts";
import type { OwnedQueue } from "./owned_queue.ts";

/** Between two rounds, in milliseconds. */
const INTERVAL = 5_000;
/** How much later than its timeout an answer may be, in milliseconds. */
const GRACE = 5_000;

/** What a {@linkcode Watchdog} looks at. */
export interface WatchdogContext {
  /** The group, for events. */
  readonly group: string;
  /** Called with loops that had to be restarted. */
  readonly events: EventHub;
  /** The queues that are assigned now. */
  readonly queues: () => Iterable<OwnedQueue>;
}

/**
 * Restarts pull loops whose answer is overdue, and those that wait for room though there is some. Every other wait has
 * a reason and an end of its own.
 *
 * Every pull has a timeout, so this never happens; should it, a queue must not stand still until somebody notices.
 */
export class Watchdog {
  #context: WatchdogContext;
  #timer: ReturnType<typeof setInterval> | undefined;

  /** Makes a watchdog that sleeps until {@linkcode Watchdog.start}. */
  constructor(context: WatchdogContext) {
    this.#context = context;
  }

  /** Looks at all queues regularly until {@linkcode Watchdog.stop}. */
  start(): void {
    this.#timer = setInterval(() => this.check(performance.now()), INTERVAL);
  }

  /** Ends the watch. */
  stop(): void {
    clearInterval(this.#timer);
  }

  /** Looks at all queues once, at the time `now` of the monotonic clock. */
  check(now: number): void {
    const { queues, events, group } = this.#context;
    for (const owned of queues()) {
      if (owned.state !== "open") continue;
      owned.loop.wake();
      if (!owned.loop.isOverdue(now, GRACE)) continue;
      const text =
        `the pulls of ${owned.queue.topic}/${owned.queue.broker}/${owned.queue.queueId} stood still: restarted`;
      events.emit("warning", "revived", text, { group, queue: owned.queue, broker: owned.queue.broker });
      owned.loop.start();
    }
  }
}
