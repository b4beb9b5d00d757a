/**
 * Which queues are paused: by the user, queue by queue, whoever has them in between; and all while a drain is under
 * way.
 *
 * @module
 */

import { type MessageQueue, queueKey } from "../../message.ts";

/** What is paused. */
export class Pauses {
  #all = false;
  /** Queues of which the opposite of `#all` holds. */
  #exceptions = new Set<string>();
  /** Drains under way. */
  #drains = 0;

  /** Whether a queue may neither pull nor deliver. */
  includes(queue: MessageQueue): boolean {
    return this.#drains > 0 || this.#all !== this.#exceptions.has(queueKey(queue));
  }

  /** Whether something was said of this queue that is not true of all. */
  isException(queue: MessageQueue): boolean {
    return this.#exceptions.has(queueKey(queue));
  }

  /** Pauses or resumes some queues, or all and those to come. */
  set(paused: boolean, queues?: readonly MessageQueue[]): void {
    if (queues === undefined) {
      this.#all = paused;
      this.#exceptions.clear();
      return;
    }
    for (const queue of queues) {
      if (paused === this.#all) this.#exceptions.delete(queueKey(queue));
      else this.#exceptions.add(queueKey(queue));
    }
  }

  /** Pauses everything until {@linkcode Pauses.endDrain}. */
  beginDrain(): void {
    this.#drains++;
  }

  /** Ends a drain: what it has paused stays so only if it is complete. */
  endDrain(isComplete: boolean): void {
    this.#drains--;
    if (isComplete) this.set(true);
  }
}
