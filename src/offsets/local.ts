/**
 * What the stores have in common that keep offsets beside the program, as groups in broadcasting do.
 *
 * @module
 */

import { OffsetError, OffsetFetchError, RocketMQError } from "../errors.ts";
import { type MessageQueue, queueKey } from "../message.ts";
import type { OffsetSource, OffsetStore, OffsetStoreMetrics } from "./store.ts";
import { OffsetTable, type QueueOffset, type StoredOffset } from "./table.ts";

/** Where offsets are kept: in Deno KV, in a file, or in memory only. */
export type OffsetStoreKind = "kv" | "file" | "memory";

/** What a {@linkcode LocalOffsetStore} writes to. */
export interface OffsetBackend {
  /** What it is. */
  readonly kind: OffsetStoreKind;
  /**
   * Takes the offsets for this member alone, and gives all that are stored. If it rejects, it holds nothing.
   *
   * @param signal ends the wait for another member, with its reason
   */
  open(signal: AbortSignal): Promise<Iterable<StoredOffset>>;
  /**
   * Writes offsets, and gives those that are written as soon as they are. One call at a time.
   *
   * @param changes at least one, one for each queue
   * @param stored everything that is stored so far
   */
  write(changes: readonly QueueOffset[], stored: () => Iterable<QueueOffset>): AsyncIterable<readonly QueueOffset[]>;
  /** Gives the offsets up. */
  close(): Promise<void>;
}

/**
 * An offset store of one member: what it is told is in memory, what is persisted is kept by a backend.
 *
 * The store is the only one that writes, as long as it is open. So reads are answered from what was there when it was
 * opened and from what it has written since.
 */
export class LocalOffsetStore implements OffsetStore {
  /** Where the offsets are kept; `"memory"` is gone with the program. */
  readonly kind: OffsetStoreKind;
  #backend: OffsetBackend;
  #table = new OffsetTable();
  #isOpen = false;
  #stop = new AbortController();
  #opening: Promise<void> | undefined;
  #closing: Promise<void> | undefined;
  /** The last write that was asked for, which the next one waits for; never rejects. */
  #writing: Promise<void> = Promise.resolve();
  #reads = 0;
  #writes = 0;
  #failures = 0;

  /** Makes a store that writes to a backend of its own. */
  constructor(backend: OffsetBackend) {
    this.#backend = backend;
    this.kind = backend.kind;
  }

  /**
   * Takes the offsets for this member, and reads them. May be called again if it has failed.
   *
   * Where a member was killed, its offsets can be had when its lease has run out: that is waited for.
   *
   * @throws {OffsetError} `OFFSETS_IN_USE` if another live member has them; `OFFSETS_UNAVAILABLE` if the place cannot
   * be used; `OFFSETS_MALFORMED` if what is there cannot be understood
   */
  open(): Promise<void> {
    if (this.#closing !== undefined) return Promise.reject(this.#stop.signal.reason);
    this.#opening ??= this.#open().catch((error) => {
      this.#opening = undefined;
      throw error;
    });
    return this.#opening;
  }

  /** Reads from memory, from what is stored, or from what is stored if memory has none. */
  read(queue: MessageQueue, source: OffsetSource): Promise<number | undefined> {
    const noted = this.#table.noted(queue);
    if (source === "memory" || (source === "memoryThenStore" && noted !== undefined)) return Promise.resolve(noted);
    this.#reads++;
    const stored = this.#table.stored(queue);
    if (this.#isOpen && stored?.problem === undefined) return Promise.resolve(stored?.offset);
    this.#failures++;
    if (this.#isOpen) return Promise.reject(malformed(stored));
    const { message, code } = notOpen(`read the offset of ${queueKey(queue)}`);
    return Promise.reject(new OffsetFetchError(message, { code }));
  }

  /** Notes progress in memory: it lowers neither what was noted nor what is stored. */
  update(queue: MessageQueue, offset: number): void {
    this.#table.update(queue, offset);
  }

  /** Notes a position in memory, also a smaller one than what is stored. */
  reset(queue: MessageQueue, offset: number): void {
    this.#table.reset(queue, offset);
  }

  /**
   * Writes what changed, after the writes that were asked for before.
   *
   * @throws {OffsetError} `OFFSETS_TAKEN` if another member has the offsets by now, which is final;
   * `OFFSET_STORE_FAILED` if some queue could not be written; `OFFSETS_NOT_OPEN` before `open()` and after `close()`
   */
  persist(queues?: readonly MessageQueue[]): Promise<void> {
    if (!this.#isOpen) return Promise.reject(notOpen("store offsets"));
    const write = this.#writing.then(() => this.#write(queues));
    this.#writing = write.catch(() => {});
    return write;
  }

  /** Nothing to do: no broker that is killed forgets what is stored here. */
  distrust(_broker: string): void {}

  /** Drops a queue from memory. */
  forget(queue: MessageQueue): void {
    this.#table.forget(queue);
  }

  /** Counters since the store was made. */
  metrics(): OffsetStoreMetrics {
    return { ...this.#table.count(), reads: this.#reads, writes: this.#writes, failures: this.#failures };
  }

  /** Ends writes that are under way, and gives the offsets up, so that another member has them at once. */
  close(): Promise<void> {
    return this.#closing ??= this.#close();
  }

  /** The same as {@linkcode LocalOffsetStore.close}, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #open(): Promise<void> {
    const { signal } = this.#stop;
    try {
      this.#table.load(await this.#backend.open(signal));
    } catch (cause) {
      this.#failures++;
      if (cause instanceof RocketMQError) throw cause;
      throw new OffsetError(`Cannot open the offsets: ${this.#backend.kind} failed`, {
        code: "OFFSETS_UNAVAILABLE",
        retriable: true,
        cause,
      });
    }
    if (signal.aborted) throw signal.reason;
    this.#isOpen = true;
  }

  async #close(): Promise<void> {
    this.#isOpen = false;
    this.#stop.abort(notOpen("open the offsets"));
    await this.#opening?.catch(() => {});
    await this.#writing;
    await this.#backend.close();
  }

  async #write(queues: readonly MessageQueue[] | undefined): Promise<void> {
    const { writable, unknown } = this.#table.changes(queues);
    try {
      if (writable.length > 0) await this.#writeAll(writable);
    } catch (cause) {
      this.#failures++;
      for (const change of writable) this.#table.failed(change);
      if (cause instanceof OffsetError) throw cause;
      throw storeFailed("the write failed", true, cause);
    }
    if (unknown.length === 0) return;
    this.#failures += unknown.length;
    throw storeFailed(`what is stored of ${unknown.length} queues cannot be read`, false, malformed(unknown[0]));
  }

  async #writeAll(changes: readonly QueueOffset[]): Promise<void> {
    for await (const written of this.#backend.write(changes, () => this.#table.allStored())) {
      for (const each of written) this.#table.written(each);
      this.#writes += written.length;
    }
  }
}

function malformed(stored: StoredOffset | undefined): OffsetFetchError {
  const queue = stored === undefined ? "a queue" : queueKey(stored.queue);
  return new OffsetFetchError(`Cannot read the offset of ${queue}: ${stored?.problem}`, { code: "OFFSETS_MALFORMED" });
}

function notOpen(action: string): OffsetError {
  return new OffsetError(`Cannot ${action}: the store is not open`, { code: "OFFSETS_NOT_OPEN" });
}

function storeFailed(why: string, retriable: boolean, cause: unknown): OffsetError {
  return new OffsetError(`Cannot store the offsets: ${why}`, { code: "OFFSET_STORE_FAILED", retriable, cause });
}
