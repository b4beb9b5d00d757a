/**
 * Offsets kept by the brokers, as groups in clustering do.
 *
 * @module
 */

import { OffsetError, OffsetFetchError, ResponseError } from "../errors.ts";
import { type MessageQueue, queueKey } from "../message.ts";
import { ResponseCode } from "../wire/codes.ts";
import type { OffsetSource, OffsetStore, OffsetStoreMetrics } from "./store.ts";

/** Brokers as keepers of offsets. */
export interface OffsetKeeper {
  /** A group's stored offset of a queue; undefined if the broker has none. */
  storedOffset(group: string, queue: MessageQueue): Promise<number | undefined>;
  /** Stores a group's offset of a queue. */
  storeOffset(group: string, queue: MessageQueue, offset: number): Promise<void>;
}

/** What a {@linkcode BrokerOffsetStore} is made from. */
export interface BrokerOffsetStoreOptions {
  /** Reaches the brokers. */
  readonly brokers: OffsetKeeper;
  /** The group. */
  readonly group: string;
  /** Makes the brokers know the group: 5.x refuses a commit of a group without a record, with code 26. */
  readonly introduce: () => Promise<unknown>;
}

interface Entry {
  readonly queue: MessageQueue;
  offset: number;
  /** What the broker has confirmed; undefined if nothing counts as stored. */
  stored: number | undefined;
  /** The write that is under way, and the one that follows it for all who asked meanwhile. */
  writing: Promise<void> | undefined;
  queued: Promise<void> | undefined;
}

/** The offset store of a group in clustering: every commit is answered, and commits of one queue never overtake. */
export class BrokerOffsetStore implements OffsetStore {
  #options: BrokerOffsetStoreOptions;
  #entries = new Map<string, Entry>();
  /** The tables that brokers have, and the first commits that are on their way to one. */
  #tables = new Set<string>();
  #firsts = new Map<string, Promise<void>>();
  #reads = 0;
  #writes = 0;
  #failures = 0;

  /** Makes a store without any offset in memory. */
  constructor(options: BrokerOffsetStoreOptions) {
    this.#options = options;
  }

  /** Nothing to do: brokers are asked when there is something to ask. */
  open(): Promise<void> {
    return Promise.resolve();
  }

  /** Reads from memory, from the broker, or from the broker if memory has none. */
  async read(queue: MessageQueue, source: OffsetSource): Promise<number | undefined> {
    const known = this.#entries.get(queueKey(queue))?.offset;
    if (source === "memory" || (source === "memoryThenStore" && known !== undefined)) return known;
    this.#reads++;
    try {
      return await this.#options.brokers.storedOffset(this.#options.group, queue);
    } catch (cause) {
      this.#failures++;
      throw new OffsetFetchError(`Cannot read the offset of ${queueKey(queue)}: broker "${queue.broker}" failed`, {
        code: "OFFSET_FETCH_FAILED",
        retriable: true,
        cause,
      });
    }
  }

  /** Notes progress in memory. */
  update(queue: MessageQueue, offset: number): void {
    const known = this.#entries.get(queueKey(queue))?.offset;
    if (known === undefined || offset > known) this.reset(queue, offset);
  }

  /** Notes a position in memory, also a smaller one. */
  reset(queue: MessageQueue, offset: number): void {
    const key = queueKey(queue);
    const entry = this.#entries.get(key);
    if (entry === undefined) {
      this.#entries.set(key, { queue, offset, stored: undefined, writing: undefined, queued: undefined });
    } else entry.offset = offset;
  }

  /** Writes what changed, each queue after its own last write. */
  async persist(queues?: readonly MessageQueue[]): Promise<void> {
    const entries = queues === undefined
      ? [...this.#entries.values()]
      : queues.map((queue) => this.#entries.get(queueKey(queue))).filter((entry) => entry !== undefined);
    const results = await Promise.allSettled(entries.filter(isDirty).map((entry) => this.#write(entry)));
    const causes = results.filter((result) => result.status === "rejected").map((result) => result.reason);
    if (causes.length === 0) return;
    throw new OffsetError(`Cannot store the offsets of ${causes.length} queues of group "${this.#options.group}"`, {
      code: "OFFSET_STORE_FAILED",
      retriable: true,
      cause: causes[0],
    });
  }

  /** Counts a broker's queues as not stored. */
  distrust(broker: string): void {
    for (const entry of this.#entries.values()) {
      if (entry.queue.broker !== broker) continue;
      entry.stored = undefined;
      this.#tables.delete(tableOf(entry.queue));
    }
  }

  /** Drops a queue from memory. */
  forget(queue: MessageQueue): void {
    this.#entries.delete(queueKey(queue));
  }

  /** Counters since the store was made. */
  metrics(): OffsetStoreMetrics {
    const entries = [...this.#entries.values()];
    return {
      queues: entries.length,
      dirty: entries.filter(isDirty).length,
      reads: this.#reads,
      writes: this.#writes,
      failures: this.#failures,
    };
  }

  /** Nothing to do: brokers keep what they have. */
  close(): Promise<void> {
    return Promise.resolve();
  }

  /** Writes now, or behind the write under way: one more write is enough for everybody who asks during it. */
  #write(entry: Entry): Promise<void> {
    if (entry.writing === undefined) {
      entry.writing = this.#writeNow(entry).finally(() => entry.writing = undefined);
      return entry.writing;
    }
    entry.queued ??= entry.writing.catch(() => {}).then(() => {
      entry.queued = undefined;
      return isDirty(entry) ? this.#write(entry) : undefined;
    });
    return entry.queued;
  }

  async #writeNow(entry: Entry): Promise<void> {
    const offset = entry.offset;
    try {
      await this.#afterFirst(entry.queue, () => this.#store(entry.queue, offset), offset);
    } catch (error) {
      this.#failures++;
      entry.stored = undefined; // without an answer it may be stored all the same
      throw error;
    }
    entry.stored = offset;
    this.#writes++;
  }

  /**
   * Lets the first commit of a topic at a broker go alone, and looks whether it is there.
   *
   * Brokers make the group's table of a topic without a lock: of first commits that come at once, one table stays, and
   * what the others held is gone, though it was answered with success. Source: ConsumerOffsetManager.
   */
  async #afterFirst(queue: MessageQueue, write: () => Promise<void>, offset: number): Promise<void> {
    const table = tableOf(queue);
    while (this.#firsts.has(table)) await this.#firsts.get(table)!.catch(() => {});
    if (this.#tables.has(table)) return await write();
    const first = this.#writeFirst(queue, write, offset).finally(() => this.#firsts.delete(table));
    this.#firsts.set(table, first);
    await first;
    this.#tables.add(table);
  }

  async #writeFirst(queue: MessageQueue, write: () => Promise<void>, offset: number): Promise<void> {
    await write();
    const { brokers, group } = this.#options;
    if (await brokers.storedOffset(group, queue) !== offset) await write(); // another member's came at the same time
  }

  async #store(queue: MessageQueue, offset: number): Promise<void> {
    const { brokers, group, introduce } = this.#options;
    try {
      await brokers.storeOffset(group, queue, offset);
    } catch (error) {
      if (!isUnknownGroup(error)) throw error;
      await introduce();
      await brokers.storeOffset(group, queue, offset);
    }
  }
}

/** What names a group's table of offsets at the brokers, within one group. */
function tableOf({ broker, topic }: MessageQueue): string {
  return `${topic}@${broker}`;
}

function isDirty(entry: Entry): boolean {
  return entry.offset !== entry.stored || entry.writing !== undefined;
}

function isUnknownGroup(error: unknown): boolean {
  return error instanceof ResponseError && error.responseCode === ResponseCode.SUBSCRIPTION_GROUP_NOT_EXIST;
}
