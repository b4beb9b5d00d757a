/**
 * Commits that fail, as events.
 *
 * @module
 */

import { OffsetError } from "../../errors.ts";
import type { EventHub } from "../../events.ts";

/** Emits the events of commits that fail. */
export class CommitReports {
  #events: EventHub;
  #group: string;
  #taken: string | undefined;

  /** Makes the reports of one group. */
  constructor(events: EventHub, group: string) {
    this.#events = events;
    this.#group = group;
  }

  /** Why nothing is stored any more: another member has taken the offsets over; undefined while that is not so. */
  get taken(): string | undefined {
    return this.#taken;
  }

  /** A commit has failed, to one broker or to the store. That the offsets are another member's is reported once. */
  failed(error: unknown, broker?: string): void {
    if (this.#taken !== undefined) return;
    const about = { group: this.#group, ...(broker === undefined ? {} : { broker }), error };
    if (error instanceof OffsetError && error.code === "OFFSETS_TAKEN") {
      this.#taken = error.message;
      const text = `${error.message}. Messages are still delivered, but nothing is stored any more`;
      this.#events.emit("error", "commitFailed", text, about);
      return;
    }
    const where = broker === undefined ? "" : ` at broker "${broker}"`;
    const text = `cannot store offsets of group "${this.#group}"${where}, trying again with the next ones`;
    this.#events.emit("warning", "commitFailed", text, about);
  }
}
