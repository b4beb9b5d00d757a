/**
 * The bookkeeping of committed offsets, the same above every store.
 *
 * @module
 */

import { OffsetError, OffsetFetchError, RocketMQError } from "../errors.ts";
import { type MessageQueue, queueKey } from "../message.ts";
import { unheard } from "../owned_work.ts";
import { reasonOf, shown } from "../plain_text.ts";
import { SerialWriter } from "./serial_writer.ts";
import {
  type OffsetSource,
  type OffsetStore,
  type OffsetStoreMetrics,
  type QueueOffset,
  requireOffset,
} from "./store.ts";

/**
 * Options of {@linkcode OffsetTable}.
 * @category Advanced
 */
export interface OffsetTableOptions {
  /**
   * Whether each queue is written by a call of its own, while calls for other queues are under way: where one slow
   * place must not delay the others.
   *
   * @default {false}
   */
  perQueue?: boolean;
}

/** What is known about one queue. */
interface Entry {
  readonly queue: MessageQueue;
  readonly writer: SerialWriter<Entry>;
  /** What is recorded; undefined if the queue was forgotten during a write. */
  offset: number | undefined;
  /** Whether a position was set: progress alone never lowers what is stored. */
  isPosition: boolean;
  /** What the store has confirmed; undefined if that is unknown. */
  stored: number | undefined;
  isBeingWritten: boolean;
}

/**
 * The offsets of one consumer: what is recorded in memory, what of it is stored, and what is being written.
 *
 * `update` and `reset` change memory only; `persist` writes what has changed since the last write of each queue. Writes
 * of a queue never overlap. Progress never lowers what is stored; a position may. After a write without success nothing
 * counts as stored, because it may be stored all the same.
 *
 * A consumer makes a table for its `offsetStore`. Make one yourself to see its counters, or to use a store
 * without a consumer.
 *
 * ```ts
 * import { MemoryOffsetStore, OffsetTable } from "@denorocket/rocketmq/consumer";
 *
 * const queue = { topic: "orders", broker: "broker-a", queueId: 0 };
 * await using offsets = new OffsetTable(new MemoryOffsetStore()); // or a store of your own
 * await offsets.open();
 * offsets.update(queue, 12);
 * await offsets.persist();
 * console.log(await offsets.read(queue, "store"), offsets.metrics().writes); // 12 1
 * ```
 *
 * @category Advanced
 */
export class OffsetTable implements OffsetStore {
  #store: OffsetStore;
  /** Writes all queues; undefined where each has a writer of its own. */
  #writer: SerialWriter<Entry> | undefined;
  #entries = new Map<string, Entry>();
  #isOpen: boolean;
  #opening: Promise<void> | undefined;
  #closing: Promise<void> | undefined;
  #stop = new AbortController();
  #reads = 0;
  #writes = 0;
  #failures = 0;

  /** Makes a table without any offset; a store that has no `open` is open. */
  constructor(store: OffsetStore, options: OffsetTableOptions = {}) {
    this.#store = store;
    this.#writer = options.perQueue ? undefined : new SerialWriter<Entry>(this.#write);
    this.#isOpen = store.open === undefined;
  }

  /** The table of a store: the store itself if it is one. */
  static of(store: OffsetStore): OffsetTable {
    return store instanceof OffsetTable ? store : new OffsetTable(store);
  }

  /**
   * Opens the store. May be called again if it failed.
   *
   * @throws {OffsetError} `OFFSETS_UNAVAILABLE` if it cannot be used, or what the store throws by itself: our local
   * stores `OFFSETS_IN_USE` if another live member uses the same offsets, after waiting for the lease of one that was
   * killed, and `OFFSETS_MALFORMED` if what is stored is not understood; `OFFSETS_NOT_OPEN` after `close()`
   */
  open(): Promise<void> {
    if (this.#closing !== undefined) return Promise.reject(this.#stop.signal.reason);
    this.#opening ??= this.#open().catch((error) => {
      this.#opening = undefined;
      throw error;
    });
    return this.#opening;
  }

  /**
   * Reads an offset from memory, from the store, or from the store if memory has none; undefined if there is none.
   *
   * @throws {OffsetFetchError} if the store could not be read: that is no offset
   */
  async read(queue: MessageQueue, source: OffsetSource = "store"): Promise<number | undefined> {
    const recorded = this.#entries.get(queueKey(queue))?.offset;
    if (source === "memory" || (source === "memoryThenStore" && recorded !== undefined)) return recorded;
    this.#reads++;
    if (this.#isOpen) return await this.#read(queue);
    this.#failures++;
    const { message, code } = notOpen(`read the offset of ${queueKey(queue)}`);
    throw new OffsetFetchError(message, { code });
  }

  /** Stores offsets as positions, and resolves when they are stored. */
  async write(offsets: readonly QueueOffset[]): Promise<void> {
    for (const { queue, offset } of offsets) this.reset(queue, offset);
    await this.persist(offsets.map(({ queue }) => queue));
  }

  /** Records in memory up to where a queue is settled. A smaller offset than the known one is ignored. */
  update(queue: MessageQueue, offset: number): void {
    const entry = this.#entryOf(queue, requireOffset(offset));
    entry.offset = Math.max(offset, entry.offset ?? entry.stored ?? 0);
  }

  /** Records the position of a queue in memory, also a smaller one: a start, a seek or an operator's reset. */
  reset(queue: MessageQueue, offset: number): void {
    const entry = this.#entryOf(queue, requireOffset(offset));
    entry.offset = offset;
    entry.isPosition = true;
  }

  /**
   * Writes what has changed, of some queues or of all; resolves when it is stored.
   *
   * @throws {OffsetError} `OFFSET_STORE_FAILED` if some queue could not be written: those stay to be written;
   * `OFFSETS_TAKEN` if another member has the offsets of a local store by now, which is final; `OFFSETS_NOT_OPEN`
   * before `open()` and after `close()`
   */
  async persist(queues?: readonly MessageQueue[]): Promise<void> {
    if (!this.#isOpen) throw notOpen("store offsets");
    const groups = new Map<SerialWriter<Entry>, Entry[]>();
    for (const entry of queues === undefined ? this.#entries.values() : this.#entriesOf(queues)) {
      if (!isDirty(entry) && !entry.isBeingWritten) continue;
      const group = groups.get(entry.writer);
      if (group === undefined) groups.set(entry.writer, [entry]);
      else group.push(entry);
    }
    const writes = [...groups].map(([writer, entries]) => writer.write(entries));
    const results = await Promise.allSettled(writes);
    const failed = [...groups.values()].filter((_, i) => results[i]!.status === "rejected").flat();
    const first = results.find((result) => result.status === "rejected");
    if (first !== undefined) throw storeFailed(failed, first.reason);
  }

  /** Counts the offsets of a broker's queues as not stored: a killed broker forgets its last commits. */
  invalidate(broker: string): void {
    for (const entry of this.#entries.values()) {
      if (entry.queue.broker === broker) entry.stored = undefined;
    }
  }

  /** Drops a queue from memory, so that nothing more is written for it. What is stored stays. */
  forget(queue: MessageQueue): void {
    const key = queueKey(queue);
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    entry.offset = undefined;
    entry.isPosition = false;
    if (!entry.isBeingWritten) this.#entries.delete(key); // else it stays, so that its next write follows this one
  }

  /** Counters since the table was made. */
  metrics(): OffsetStoreMetrics {
    const entries = [...this.#entries.values()].filter(({ offset }) => offset !== undefined);
    const dirty = entries.filter(isDirty).length;
    return { queues: entries.length, dirty, reads: this.#reads, writes: this.#writes, failures: this.#failures };
  }

  /** Waits for the writes under way, then closes the store; what was not persisted is not written. */
  close(): Promise<void> {
    return this.#closing ??= this.#close();
  }

  /** The same as {@linkcode OffsetTable.close}, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #read(queue: MessageQueue): Promise<number | undefined> {
    try {
      return checkRead(queue, await this.#store.read(queue));
    } catch (cause) {
      this.#failures++;
      throw fetchFailed(queue, cause);
    }
  }

  async #open(): Promise<void> {
    const { signal } = this.#stop;
    try {
      await this.#store.open?.(signal);
    } catch (cause) {
      this.#failures++;
      if (cause instanceof RocketMQError) throw cause;
      throw new OffsetError(`Cannot open the offsets: ${reasonOf(cause)}`, {
        code: "OFFSETS_UNAVAILABLE",
        retriable: true,
        cause,
      });
    }
    signal.throwIfAborted();
    this.#isOpen = true;
  }

  async #close(): Promise<void> {
    this.#isOpen = false;
    this.#stop.abort(notOpen("open the offsets"));
    await this.#opening?.catch(unheard); // its caller has received the error
    for (const writer of new Set([...this.#entries.values()].map(({ writer }) => writer))) await writer.whenIdle();
    await this.#store.close();
  }

  /** Writes what is not stored of some entries by one call of the store. */
  #write = async (entries: readonly Entry[]): Promise<void> => {
    for (const entry of entries) entry.isBeingWritten = true;
    try {
      const unknown = entries.filter((entry) => isDirty(entry) && !entry.isPosition && entry.stored === undefined);
      const unreadable = unknown.length === 0 ? new Map<Entry, unknown>() : await this.#compare(unknown);
      await this.#writeAll(entries.filter((entry) => isDirty(entry) && !unreadable.has(entry)));
      for (const [{ queue }, cause] of unreadable) throw unknownProgress(queue, unreadable.size, cause);
    } finally {
      for (const entry of entries) this.#release(entry);
    }
  };

  async #writeAll(entries: readonly Entry[]): Promise<void> {
    const offsets = entries.map(({ queue, offset = 0 }): QueueOffset => ({ queue, offset }));
    if (offsets.length === 0) return;
    try {
      await this.#store.write(offsets);
    } catch (error) {
      this.#failures++;
      for (const entry of entries) entry.stored = undefined;
      throw error;
    }
    for (const [i, entry] of entries.entries()) confirm(entry, offsets[i]!.offset);
    this.#writes += offsets.length;
  }

  /** Reads what is stored for queues of which progress alone is known; returns those that could not be read. */
  async #compare(entries: readonly Entry[]): Promise<Map<Entry, unknown>> {
    const unreadable = new Map<Entry, unknown>();
    await Promise.all(entries.map(async (entry) => {
      try {
        const stored = await this.#read(entry.queue);
        if (stored !== undefined) confirm(entry, stored);
      } catch (error) {
        unreadable.set(entry, error);
      }
    }));
    return unreadable;
  }

  #release(entry: Entry): void {
    entry.isBeingWritten = false;
    const key = queueKey(entry.queue);
    if (entry.offset === undefined && this.#entries.get(key) === entry) this.#entries.delete(key);
  }

  #entryOf(queue: MessageQueue, offset: number): Entry {
    const key = queueKey(queue);
    let entry = this.#entries.get(key);
    if (entry === undefined) {
      const writer = this.#writer ?? new SerialWriter<Entry>(this.#write);
      entry = { queue, writer, offset, isPosition: false, stored: undefined, isBeingWritten: false };
      this.#entries.set(key, entry);
    }
    return entry;
  }

  #entriesOf(queues: readonly MessageQueue[]): Set<Entry> {
    return new Set(queues.map((queue) => this.#entries.get(queueKey(queue))).filter((entry) => entry !== undefined));
  }
}

/** Whether something is recorded that is not stored. */
function isDirty({ offset, stored }: Entry): boolean {
  return offset !== undefined && offset !== stored;
}

/** Takes in what is stored: progress that was recorded meanwhile does not lower it. */
function confirm(entry: Entry, stored: number): void {
  entry.stored = stored;
  if (entry.offset !== undefined && !entry.isPosition) entry.offset = Math.max(entry.offset, stored);
}

/** What a store has returned, which may be anything; a negative offset is none. */
function checkRead(queue: MessageQueue, offset: unknown): number | undefined {
  if (offset === undefined || offset === null) return undefined;
  if (typeof offset === "number" && Number.isSafeInteger(offset)) return offset < 0 ? undefined : offset;
  const text = `Cannot use the offset of ${queueKey(queue)}: the store returned ${shown(offset)}`;
  throw new OffsetFetchError(text, { code: "OFFSETS_MALFORMED" });
}

function fetchFailed(queue: MessageQueue, cause: unknown): OffsetFetchError {
  if (cause instanceof OffsetFetchError) return cause;
  return new OffsetFetchError(`Cannot read the offset of ${queueKey(queue)}: ${reasonOf(cause)}`, {
    code: "OFFSET_FETCH_FAILED",
    retriable: true,
    cause,
  });
}

function storeFailed(entries: readonly Entry[], cause: unknown): OffsetError {
  if (cause instanceof OffsetError) return cause;
  const [first] = entries;
  const what = entries.length === 1 ? `offset of ${queueKey(first!.queue)}` : `offsets of ${entries.length} queues`;
  return new OffsetError(`Cannot store the ${what}: ${reasonOf(cause)}`, {
    code: "OFFSET_STORE_FAILED",
    retriable: true,
    cause,
  });
}

/** What is stored may be higher than the progress that is recorded: it must not be overwritten. */
function unknownProgress(queue: MessageQueue, count: number, cause: unknown): OffsetError {
  const what = count === 1 ? `offset of ${queueKey(queue)}` : `offsets of ${count} queues`;
  return new OffsetError(`Cannot store the ${what}, as what is stored is unknown: ${reasonOf(cause)}`, {
    code: "OFFSET_STORE_FAILED",
    retriable: cause instanceof RocketMQError && cause.retriable,
    cause,
  });
}

function notOpen(action: string): OffsetError {
  return new OffsetError(`Cannot ${action}: the store is not open`, { code: "OFFSETS_NOT_OPEN" });
}
