/** A broker that locks queues, as far as locks go. */

import { type MessageQueue, queueKey } from "../../../src/message.ts";

/** How long brokers keep a lock that nobody renews, in milliseconds. Source: RebalanceLockManager. */
const LOCK_LIFETIME = 60_000;

/** The locks of a broker. Source: RebalanceLockManager. */
export class LockTable {
  #locks = new Map<string, { member: string; at: number }>();

  /** Locks queues for a member, or renews: returns those that it has now. */
  lock(member: string, queues: readonly MessageQueue[]): MessageQueue[] {
    return queues.filter((queue) => {
      const owner = this.owner(queue);
      if (owner !== undefined && owner !== member) return false;
      this.#locks.set(queueKey(queue), { member, at: Date.now() });
      return true;
    });
  }

  /** Releases those that are the member's. */
  unlock(member: string, queues: readonly MessageQueue[]): void {
    for (const queue of queues) if (this.owner(queue) === member) this.#locks.delete(queueKey(queue));
  }

  /** Who has a queue's lock. */
  owner(queue: MessageQueue): string | undefined {
    const lock = this.#locks.get(queueKey(queue));
    return lock === undefined || Date.now() - lock.at > LOCK_LIFETIME ? undefined : lock.member;
  }
}
