/**
 * The end of an epoch whose queue goes to another member, or stays with nobody.
 *
 * @module
 */

import type { EventHub } from "../../events.ts";
import { type MessageQueue, queueKey } from "../../message.ts";
import type { OffsetTable } from "../../offsets/offset_table.ts";
import { atMost } from "../../waiting.ts";
import type { CheckedConsumerOptions } from "../options_check.ts";
import type { OwnedQueue } from "../queue/owned_queue.ts";
import type { OffsetCommits } from "./offset_commits.ts";
import type { QueueLocks } from "./queue_locks.ts";

/** How long settlements of a revoked queue count, in milliseconds: less than the wait of the next owner. */
const HANDOVER_GRACE = 500;

/** What {@linkcode Revocations} work with. */
export interface RevocationsContext<T = unknown> {
  /** The consumer's options. */
  readonly options: Pick<CheckedConsumerOptions, "group" | "consumeTimeout" | "lockTimeout">;
  /** Emits events. */
  readonly events: EventHub;
  /** Keeps offsets. */
  readonly offsets: OffsetTable;
  /** Keeps offsets that could not be stored. */
  readonly commits: Pick<OffsetCommits<T>, "keep">;
  /** Locks of queues; undefined where nobody locks. */
  readonly locks?: Pick<QueueLocks, "release"> | undefined;
}

/** A revocation that is under way. */
interface UnderWay<T> {
  readonly owned: OwnedQueue<T>;
  readonly done: Promise<void>;
}

/** Revokes queues: what is in flight may be settled for a while, then the offset is committed and the lock released. */
export class Revocations<T = unknown> {
  #context: RevocationsContext<T>;
  #underWay = new Map<string, UnderWay<T>>();

  /** Makes it without a revocation. */
  constructor(context: RevocationsContext<T>) {
    this.#context = context;
  }

  /** The epochs that are being revoked. */
  get owned(): readonly OwnedQueue<T>[] {
    return [...this.#underWay.values()].map(({ owned }) => owned);
  }

  /** Whether a queue is being revoked. */
  has(queue: MessageQueue): boolean {
    return this.#underWay.has(queueKey(queue));
  }

  /** Begins with an epoch that is closing; resolves when its offset is stored, or could not be. */
  async begin(owned: OwnedQueue<T>, reason: string): Promise<void> {
    const key = queueKey(owned.queue);
    const done = this.#commitLast(owned, reason);
    this.#underWay.set(key, { owned, done });
    await done.finally(() => this.#underWay.delete(key));
  }

  /** Resolves when a queue is not being revoked. */
  async whenDone(queue: MessageQueue): Promise<void> {
    await this.#underWay.get(queueKey(queue))?.done;
  }

  /** Ends the epoch of a queue at once, whatever is in flight. */
  end(queue: MessageQueue, reason: string): void {
    this.#underWay.get(queueKey(queue))?.owned.end(reason);
  }

  /** Ends all epochs at once; resolves when all are done. */
  async endAll(reason: string): Promise<void> {
    const all = [...this.#underWay.values()];
    for (const { owned } of all) owned.end(reason);
    await Promise.all(all.map(({ done }) => done));
  }

  async #commitLast(owned: OwnedQueue<T>, reason: string): Promise<void> {
    const { offsets, commits, locks, events, options: { group, consumeTimeout, lockTimeout } } = this.#context;
    const { queue } = owned;
    await atMost(owned.whenIdle(), locks === undefined ? HANDOVER_GRACE : consumeTimeout);
    if (locks !== undefined) await atMost(owned.whenWhole(), lockTimeout); // perhaps no loop asks any more
    const { committable: offset } = owned.process;
    owned.end(reason);
    try {
      if (owned.holdsLock) {
        offsets.update(queue, offset);
        await offsets.persist([queue]);
      }
      offsets.forget(queue);
    } catch (error) {
      commits.keep(queue, offset);
      const text = `the last commit of ${queueKey(queue)} failed: messages since the one before may be redelivered`;
      events.emit("warning", "commitFailed", text, { group, queue, broker: queue.broker, offset, error });
    } finally {
      await locks?.release(queue);
    }
  }
}
