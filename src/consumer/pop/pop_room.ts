/**
 * Room for what single calls pop.
 *
 * @module
 */

import { waitFor } from "../../waiting.ts";
import type { BudgetAccount, BufferBudget } from "../queue/buffer_budget.ts";
import type { PopHolder } from "./batch.ts";

/** Ends a wait for room. */
const TOO_LATE = Symbol("too late");

/** A call that waits for room. */
interface Caller {
  readonly max: number;
  readonly give: (count: number) => void;
}

/** Takes room of a consumer's budget for `pop()`: all calls are one asker, and are served in their order. */
export class PopRoom implements PopHolder {
  #budget: BufferBudget;
  #account: BudgetAccount | undefined;
  #held = 0;
  #line: Caller[] = [];

  /** Makes it; it is no asker before the first call. */
  constructor(budget: BufferBudget) {
    this.#budget = budget;
  }

  /**
   * Takes room for at most `max` messages; 0 if there was none within `wait` milliseconds.
   *
   * @throws the reason of `signal` when it aborts
   */
  async take(max: number, wait: number, signal: AbortSignal): Promise<number> {
    const account = this.#account ??= this.#budget.open(() => this.#serve());
    signal.throwIfAborted();
    const count = this.#line.length === 0 ? account.ask(max) || this.#askOwn(account, max) : 0;
    return count > 0 || wait === 0 ? count : await this.#wait(max, wait, signal);
  }

  /** A pop for which there was room for `asked` messages is over; `count` of them came. */
  answered(asked: number, count: number): void {
    this.#account?.answered(asked);
    this.settled(-count);
  }

  /** Messages are settled, or given back. */
  settled(count: number): void {
    this.#held -= count;
    this.#account?.hold(this.#held, 0);
  }

  /** What is kept for calls is there at once. */
  #askOwn(account: BudgetAccount, max: number): number {
    const { own } = this.#budget;
    return own === 0 ? 0 : account.ask(Math.min(max, own));
  }

  async #wait(max: number, ms: number, signal: AbortSignal): Promise<number> {
    let given = 0;
    const room = new Promise<void>((resolve) => {
      this.#line.push({
        max,
        give: (count) => {
          given = count;
          resolve();
        },
      });
    });
    const [caller] = this.#line.slice(-1);
    try {
      await waitFor(room, { ms, late: () => TOO_LATE, signal });
    } catch (error) {
      const at = this.#line.indexOf(caller!);
      if (at >= 0) this.#line.splice(at, 1);
      if (error === TOO_LATE) return given;
      this.answered(given, 0);
      throw error;
    }
    return given;
  }

  #serve(): void {
    for (let caller = this.#line[0]; caller !== undefined; caller = this.#line[0]) {
      const count = this.#account!.ask(caller.max);
      if (count === 0) return; // it is in line again
      this.#line.shift();
      caller.give(count);
    }
  }
}
