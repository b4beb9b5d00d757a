/**
 * Locks of queues that are consumed in order. Source: RebalanceLockManager.
 *
 * @module
 */

import type { QueueName } from "../wire/bodies.ts";

/** How long a lock lives after its last renewal, in milliseconds. */
const LOCK_LIFE = 60_000;

interface Lock {
  readonly clientId: string;
  renewedAt: number;
}

/** The locks of all groups. */
export class QueueLocks {
  #groups = new Map<string, Map<string, Lock>>();
  #count = 0;
  #most: number;

  /** Makes an empty table of at most `most` locks. */
  constructor(most: number) {
    this.#most = most;
  }

  /** Locks queues, or renews the locks; returns those that the client holds. */
  lock(group: string, clientId: string, queues: readonly QueueName[]): QueueName[] {
    if (this.#count + queues.length > this.#most) this.#dropExpired();
    const locks = this.#groups.get(group) ?? new Map<string, Lock>();
    const locked = queues.filter((queue) => {
      const key = keyOf(queue);
      const lock = locks.get(key);
      if (lock === undefined ? this.#count >= this.#most : lock.clientId !== clientId && isLive(lock)) return false;
      if (lock === undefined) this.#count++;
      locks.set(key, { clientId, renewedAt: Date.now() });
      return true;
    });
    if (locks.size > 0) this.#groups.set(group, locks);
    return locked;
  }

  /** Releases the locks of those queues that the client holds. */
  unlock(group: string, clientId: string, queues: readonly QueueName[]): void {
    const locks = this.#groups.get(group);
    if (locks === undefined) return;
    for (const key of queues.map(keyOf)) {
      if (locks.get(key)?.clientId === clientId && locks.delete(key)) this.#count--;
    }
    if (locks.size === 0) this.#groups.delete(group);
  }

  /** Whether any lock of a group is live: then it consumes in order. */
  isOrdered(group: string): boolean {
    return [...this.#groups.get(group)?.values() ?? []].some(isLive);
  }

  /** Releases all locks. */
  clear(): void {
    this.#groups.clear();
    this.#count = 0;
  }

  #dropExpired(): void {
    for (const [group, locks] of this.#groups) {
      for (const [key, lock] of locks) if (!isLive(lock) && locks.delete(key)) this.#count--;
      if (locks.size === 0) this.#groups.delete(group);
    }
  }
}

function keyOf(queue: QueueName): string {
  return `${queue.topic}@${queue.brokerName}@${queue.queueId}`;
}

function isLive(lock: Lock): boolean {
  return Date.now() - lock.renewedAt <= LOCK_LIFE;
}
