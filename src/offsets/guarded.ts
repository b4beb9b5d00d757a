/**
 * An offset store of the user's, whatever it does.
 *
 * @module
 */

import { OffsetFetchError } from "../errors.ts";
import { type MessageQueue, queueKey } from "../message.ts";
import { inBackground, isPromise } from "../owned_work.ts";
import { shown } from "../plain_text.ts";
import type { OffsetSource, OffsetStore, OffsetStoreMetrics } from "./store.ts";

/**
 * What throws where a promise is due, is a rejection; what fails where nothing is returned, is reported; what is read and
 * is no offset, is a failed read. A position that could not be noted is an error of the call that sets it.
 */
export class GuardedOffsetStore implements OffsetStore {
  #store: OffsetStore;
  #failed: (error: unknown) => void;

  /** Makes a guard of a store; `failed` is called with what nobody waits for. */
  constructor(store: OffsetStore, failed: (error: unknown) => void) {
    this.#store = store;
    this.#failed = failed;
  }

  /** Makes the store ready. */
  async open(): Promise<void> {
    await this.#store.open();
  }

  /**
   * Reads the offset of a queue; a negative one is none.
   *
   * @throws {OffsetFetchError} `OFFSETS_MALFORMED` if it is no offset
   */
  async read(queue: MessageQueue, source: OffsetSource): Promise<number | undefined> {
    const offset: unknown = await this.#store.read(queue, source);
    if (offset === undefined || offset === null) return undefined;
    if (typeof offset === "number" && Number.isSafeInteger(offset)) return offset < 0 ? undefined : offset;
    const text = `Cannot use the offset of ${queueKey(queue)}: the store has returned ${shown(offset)}`;
    throw new OffsetFetchError(text, { code: "OFFSETS_MALFORMED" });
  }

  /** Notes progress: what fails leaves the offset where it was, and messages are redelivered. */
  update(queue: MessageQueue, offset: number): void {
    this.#try(() => this.#store.update(queue, offset));
  }

  /** Notes a position. */
  reset(queue: MessageQueue, offset: number): void {
    this.#own(this.#store.reset(queue, offset));
  }

  /** Writes what changed. */
  async persist(queues?: readonly MessageQueue[]): Promise<void> {
    await this.#store.persist(queues);
  }

  /** Counts a broker's queues as not stored. */
  distrust(broker: string): void {
    this.#try(() => this.#store.distrust(broker));
  }

  /** Drops a queue from memory. */
  forget(queue: MessageQueue): void {
    this.#try(() => this.#store.forget(queue));
  }

  /** Counters since the store was made. */
  metrics(): OffsetStoreMetrics {
    return this.#store.metrics();
  }

  /** Gives the store up. */
  async close(): Promise<void> {
    await this.#store.close();
  }

  #try(work: () => unknown): void {
    try {
      this.#own(work());
    } catch (error) {
      this.#failed(error);
    }
  }

  #own(result: unknown): void {
    if (isPromise(result)) inBackground(Promise.resolve(result), this.#failed);
  }
}
