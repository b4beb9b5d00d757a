/**
 * The sole right to consume a queue in order, which its broker gives to one member at a time.
 *
 * @module
 */

import { ResponseError } from "../../errors.ts";
import { type MessageQueue, queueKey } from "../../message.ts";
import type { QueueLock } from "../queue/owned_queue.ts";
import { inBackground } from "../../owned_work.ts";

/** Locks are renewed after this part of their time. */
const RENEWAL = 2 / 3;
/** After a renewal that failed, in milliseconds. */
const RETRY_INTERVAL = 1_000;

/** What {@linkcode QueueLocks} works with. */
export interface QueueLocksContext {
  /** Locks queues of one broker, or renews their locks: returns those that are assigned now. */
  readonly lock: (broker: string, queues: readonly MessageQueue[]) => Promise<readonly MessageQueue[]>;
  /** Releases locks of queues of one broker. */
  readonly unlock: (broker: string, queues: readonly MessageQueue[]) => Promise<void>;
  /** How long a lock counts here after the last request that renewed it left, in milliseconds. */
  readonly lockTimeout: number;
  /** Called with a lock that another member has, or that could not be renewed in time. */
  readonly onLost: (queue: MessageQueue, reason: string) => void;
  /** Called with the first request after a good one that a broker did not answer, while locks depend on it. */
  readonly onFailed: (broker: string, error: unknown) => void;
  /** The monotonic clock, in milliseconds. @default {performance.now} */
  readonly now?: () => number;
}

/**
 * The locks of one consumer.
 *
 * Brokers keep a lock for 60 s; here it counts for less, from the moment before its request left, so that we stop
 * before another member can begin. One request to a broker at a time: a renewal that overtakes an unlock would lock the
 * queue for nobody. An unlock that was not answered may still be carried out, and would take a newer lock away: such a
 * queue is uncertain, and is not locked before another unlock of it was answered.
 * Source: ConsumeMessageOrderlyService, RebalanceLockManager.
 */
export class QueueLocks {
  #context: QueueLocksContext;
  #now: () => number;
  #held = new Map<string, HeldLock>();
  /** Queues whose lock is asked for or held: what a late answer grants besides is on its way to be given up. */
  #wanted = new Set<string>();
  #failing = new Set<string>();
  #brokers = new Map<string, BrokerLocks>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #closed = false;

  /** Makes the locks of a consumer that has none. */
  constructor(context: QueueLocksContext) {
    this.#context = context;
    this.#now = context.now ?? (() => performance.now());
  }

  /** Asks for a lock; undefined if another member has it, the queue is uncertain, or the broker does not answer. */
  async acquire(queue: MessageQueue): Promise<QueueLock | undefined> {
    const held = this.#held.get(queueKey(queue));
    if (held?.isHeld) return held;
    if (this.#closed) return undefined;
    this.#wanted.add(queueKey(queue));
    await this.#locksOf(queue.broker).lock(queue);
    return this.#held.get(queueKey(queue));
  }

  /** Releases a lock, which ends at once; resolves when the broker knows, or cannot be reached. */
  async release(queue: MessageQueue): Promise<void> {
    const key = queueKey(queue);
    const lock = this.#held.get(key);
    if (lock !== undefined) lock.validUntil = -Infinity;
    this.#wanted.delete(key);
    this.#held.delete(key);
    await this.#locksOf(queue.broker).unlock(queue);
  }

  /** Ends the renewals. */
  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
  }

  /** Drops what is over by now, and renews what is due. */
  check(): void {
    const now = this.#now();
    const due = new Set<string>();
    for (const [key, lock] of this.#held) {
      if (now >= lock.validUntil) {
        this.#lose(key, lock, `its lock was not renewed within ${this.#context.lockTimeout} ms`);
      } else if (now >= lock.renewAt) due.add(lock.queue.broker);
    }
    for (const broker of due) this.renew(broker);
    this.#schedule();
  }

  /** Renews the locks of one broker's queues now: a broker that was restarted has forgotten them. */
  renew(broker: string): void {
    for (const lock of this.#held.values()) {
      if (lock.queue.broker !== broker) continue;
      lock.renewAt = this.#now() + RETRY_INTERVAL;
      inBackground(this.#locksOf(broker).lock(lock.queue), (error) => this.#failed(broker, error));
    }
  }

  #locksOf(broker: string): BrokerLocks {
    let locks = this.#brokers.get(broker);
    if (locks === undefined) {
      locks = new BrokerLocks({
        lock: (queues) => this.#ask(broker, queues),
        unlock: (queues) => this.#giveUp(broker, queues),
      });
      this.#brokers.set(broker, locks);
    }
    return locks;
  }

  async #ask(broker: string, queues: readonly MessageQueue[]): Promise<void> {
    const sentAt = this.#now();
    let granted: ReadonlySet<string>;
    try {
      granted = new Set((await this.#context.lock(broker, queues)).map(queueKey));
    } catch (error) {
      this.#failed(broker, error);
      return; // what is held stays held until it is over
    }
    this.#failing.delete(broker);
    for (const queue of queues) {
      const key = queueKey(queue);
      const held = this.#held.get(key);
      if (!this.#wanted.has(key)) continue;
      if (granted.has(key)) this.#grant(queue, held, sentAt);
      else if (held !== undefined) this.#lose(key, held, "another member has its lock");
    }
    this.#schedule();
  }

  /** Whether the broker has answered: if not, it may still do what it was asked. */
  async #giveUp(broker: string, queues: readonly MessageQueue[]): Promise<boolean> {
    try {
      await this.#context.unlock(broker, queues);
      return true;
    } catch (error) { // the locks end by themselves, later
      if (queues.some((queue) => this.#wanted.has(queueKey(queue)))) this.#failed(broker, error);
      return error instanceof ResponseError;
    }
  }

  #failed(broker: string, error: unknown): void {
    if (!this.#failing.has(broker)) this.#context.onFailed(broker, error);
    this.#failing.add(broker);
  }

  #grant(queue: MessageQueue, held: HeldLock | undefined, sentAt: number): void {
    const { lockTimeout } = this.#context;
    // An answer that comes too late does not bring back what has ended meanwhile.
    if (held !== undefined && !held.isHeld) {
      this.#lose(queueKey(queue), held, `its lock was not renewed within ${lockTimeout} ms`);
      held = undefined;
    }
    if (this.#now() >= sentAt + lockTimeout) return;
    const lock = held ?? new HeldLock(queue, this.#now);
    lock.validUntil = sentAt + lockTimeout;
    lock.renewAt = sentAt + lockTimeout * RENEWAL;
    this.#held.set(queueKey(queue), lock);
  }

  #lose(key: string, lock: HeldLock, reason: string): void {
    lock.validUntil = -Infinity;
    this.#held.delete(key);
    this.#context.onLost(lock.queue, reason);
  }

  #schedule(): void {
    clearTimeout(this.#timer);
    if (this.#closed || this.#held.size === 0) return;
    let next = Infinity;
    for (const { renewAt, validUntil } of this.#held.values()) next = Math.min(next, renewAt, validUntil);
    this.#timer = setTimeout(() => this.check(), Math.max(1, next - this.#now()));
  }
}

/** A lock, and until when it counts. */
class HeldLock implements QueueLock {
  readonly queue: MessageQueue;
  validUntil = -Infinity;
  renewAt = Infinity;
  #now: () => number;

  constructor(queue: MessageQueue, now: () => number) {
    this.queue = queue;
    this.#now = now;
  }

  get isHeld(): boolean {
    return this.#now() < this.validUntil;
  }
}

/** The two requests about locks. */
interface BrokerLockRequests {
  readonly lock: (queues: readonly MessageQueue[]) => Promise<void>;
  /** Returns whether the broker has answered. */
  readonly unlock: (queues: readonly MessageQueue[]) => Promise<boolean>;
}

/** The requests to one broker, one after the other: what is asked for meanwhile goes together with the next. */
class BrokerLocks {
  #requests: BrokerLockRequests;
  #toLock = new Map<string, MessageQueue>();
  #toUnlock = new Map<string, MessageQueue>();
  /** Queues whose last unlock was not answered. */
  #inDoubt = new Set<string>();
  #running: Promise<void> | undefined;
  #next: Promise<void> | undefined;

  constructor(requests: BrokerLockRequests) {
    this.#requests = requests;
  }

  /** Resolves when a request that asks for this lock was answered, or could not be made yet. */
  lock(queue: MessageQueue): Promise<void> {
    this.#toUnlock.delete(queueKey(queue));
    this.#toLock.set(queueKey(queue), queue);
    return this.#run();
  }

  /** Resolves when a request that gives this lock up was answered. */
  unlock(queue: MessageQueue): Promise<void> {
    this.#toLock.delete(queueKey(queue));
    this.#toUnlock.set(queueKey(queue), queue);
    return this.#run();
  }

  #run(): Promise<void> {
    return this.#next ??= (this.#running ?? Promise.resolve()).then(this.#go, this.#go);
  }

  /** Whatever became of the requests before. */
  #go = (): Promise<void> => {
    this.#running = this.#next;
    this.#next = undefined;
    return this.#send();
  };

  async #send(): Promise<void> {
    const isInDoubt = (queue: MessageQueue) => this.#inDoubt.has(queueKey(queue));
    const locks = [...this.#toLock.values()];
    const unlocks = [...this.#toUnlock.values(), ...locks.filter(isInDoubt)];
    this.#toLock.clear();
    this.#toUnlock.clear();
    if (unlocks.length > 0) await this.#unlock(unlocks);
    const sure = locks.filter((queue) => !isInDoubt(queue));
    if (sure.length > 0) await this.#requests.lock(sure);
  }

  async #unlock(queues: readonly MessageQueue[]): Promise<void> {
    const isAnswered = await this.#requests.unlock(queues);
    for (const queue of queues) {
      if (isAnswered) this.#inDoubt.delete(queueKey(queue));
      else this.#inDoubt.add(queueKey(queue));
    }
  }
}
