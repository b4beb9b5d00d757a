/**
 * The waits of one connection: for answers, and for what has to be written. One timer serves them all.
 *
 * @module
 */

import { TimeoutError } from "../errors.ts";
import type { Wait } from "./call.ts";
import { WaitTable } from "./wait_table.ts";

/** How long requests must have been in vain, at least, for silence to mean that the peer is gone, in milliseconds. */
const LEAST_SILENCE = 1_000;
/** The same where all that are overdue still wait: a late answer is worth more than a new connection. */
const LONG_SILENCE = 3_000;

/** What {@linkcode PendingWaits} reports. */
export interface PendingWaitsContext {
  /** The other side, for errors. */
  readonly address: string;
  /** Called when requests timed out and nothing was received for so many milliseconds, and again with further ones. */
  readonly onSilent: (silence: number) => void;
  /** Called when waits have ended by themselves. */
  readonly onEnded: () => void;
}

/** Waits by opaque, their deadlines, and whether the other side is silent. */
export class PendingWaits {
  #context: PendingWaitsContext;
  #waits = new WaitTable<Wait>();
  #lastReceived = performance.now();
  /** When the first request left that timed out, with nothing received since. */
  #silentSince = Infinity;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #timerDue = Infinity;

  /** Makes it without a wait. */
  constructor(context: PendingWaitsContext) {
    this.#context = context;
  }

  /** How many waits there are. */
  get size(): number {
    return this.#waits.size;
  }

  /** When something was received last, by the monotonic clock. */
  get lastReceived(): number {
    return this.#lastReceived;
  }

  /** Notes that something was received. */
  received(): void {
    this.#lastReceived = performance.now();
    this.#silentSince = Infinity;
  }

  /** An opaque that no wait has. */
  next(): number {
    return this.#waits.next();
  }

  /** Adds a wait. */
  add(opaque: number, wait: Wait): void {
    this.#waits.add(opaque, wait.signal === undefined ? wait : this.#abortable(opaque, wait, wait.signal));
    this.#watch(wait.deadline);
  }

  /** Takes a wait out, if it is still there. */
  take(opaque: number): Wait | undefined {
    return this.#waits.take(opaque);
  }

  /** Ends the timer and fails all waits. */
  fail(reason: unknown): void {
    clearTimeout(this.#timer);
    for (const wait of this.#waits.takeAll(() => true)) wait.failed(reason);
  }

  #abortable(opaque: number, wait: Wait, signal: AbortSignal): Wait {
    const abort = () => {
      if (this.#waits.take(opaque) === undefined) return;
      wait.failed(signal.reason);
      this.#context.onEnded();
    };
    const settled = () => signal.removeEventListener("abort", abort);
    signal.addEventListener("abort", abort, { once: true });
    return {
      name: wait.name,
      get timeout() {
        return wait.timeout;
      },
      get deadline() {
        return wait.deadline;
      },
      prolong: () => wait.prolong?.() ?? false,
      answered(answer) {
        settled();
        wait.answered(answer);
      },
      failed(reason) {
        settled();
        wait.failed(reason);
      },
    };
  }

  /** One timer serves all requests: it is set for the earliest deadline and looks at all when it fires. */
  #watch(deadline: number): void {
    if (deadline >= this.#timerDue) return;
    clearTimeout(this.#timer);
    this.#timerDue = deadline;
    this.#timer = setTimeout(() => this.#expire(), Math.max(1, deadline - performance.now()));
  }

  #expire(): void {
    const { address, onSilent, onEnded } = this.#context;
    this.#timerDue = Infinity;
    const now = performance.now();
    let next = Infinity;
    let enough = Infinity;
    const late = this.#waits.takeAll((wait) => {
      const { deadline, timeout } = wait;
      const isLate = deadline <= now && !wait.prolong?.();
      if (deadline <= now && this.#lastReceived < deadline - timeout) {
        this.#silentSince = Math.min(this.#silentSince, deadline - timeout);
        enough = Math.min(enough, isLate ? LEAST_SILENCE : LONG_SILENCE);
      }
      if (!isLate) next = Math.min(next, wait.deadline);
      return isLate;
    });
    for (const wait of late) wait.failed(new TimeoutError(`complete ${wait.name} on ${address}`, wait.timeout));
    if (now - this.#silentSince >= enough) onSilent(now - this.#lastReceived);
    onEnded();
    if (next < Infinity && this.#waits.size > 0) this.#watch(next); // none is left if the connection was closed
  }
}
