/**
 * Which member of a group may consume a queue in order. Source: RebalanceLockManager.
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

  /** Locks queues, or renews the locks; gives those that the client holds now. */
  lock(group: string, clientId: string, queues: readonly QueueName[]): QueueName[] {
    let locks = this.#groups.get(group);
    if (locks === undefined) this.#groups.set(group, locks = new Map());
    return queues.filter((queue) => {
      const key = keyOf(queue);
      const lock = locks.get(key);
      if (lock !== undefined && lock.clientId !== clientId && isLive(lock)) return false;
      locks.set(key, { clientId, renewedAt: Date.now() });
      return true;
    });
  }

  /** Gives up those of the queues that the client holds. */
  unlock(group: string, clientId: string, queues: readonly QueueName[]): void {
    const locks = this.#groups.get(group);
    for (const key of queues.map(keyOf)) if (locks?.get(key)?.clientId === clientId) locks.delete(key);
  }

  /** Whether any lock of a group is live: then it consumes in order. */
  isOrdered(group: string): boolean {
    return [...this.#groups.get(group)?.values() ?? []].some(isLive);
  }

  /** Forgets all locks. */
  clear(): void {
    this.#groups.clear();
  }
}

function keyOf(queue: QueueName): string {
  return `${queue.topic}@${queue.brokerName}@${queue.queueId}`;
}

function isLive(lock: Lock): boolean {
  return Date.now() - lock.renewedAt <= LOCK_LIFE;
}
