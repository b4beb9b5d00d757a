/**
 * One write at a time.
 *
 * @module
 */

import { unheard } from "../owned_work.ts";

/** Runs one write at a time: items that arrive during a write are written together by the next one. */
export class SerialWriter<T> {
  #write: (items: readonly T[]) => Promise<void>;
  #current: Promise<void> | undefined;
  #next: Promise<void> | undefined;
  /** What the next write takes; made when needed, as most queues of a consumer are idle most of the time. */
  #waiting: Set<T> | undefined;

  /** Makes a writer that is idle. */
  constructor(write: (items: readonly T[]) => Promise<void>) {
    this.#write = write;
  }

  /** Writes items now, or by the next write; resolves or rejects as that one does. */
  write(items: readonly T[]): Promise<void> {
    const waiting = this.#waiting ??= new Set();
    for (const item of items) waiting.add(item);
    if (this.#next !== undefined) return this.#next;
    if (this.#current === undefined) return this.#start();
    const start = () => this.#start();
    return this.#next = this.#current.then(start, start);
  }

  /** Resolves when nothing is being written or waiting. */
  async whenIdle(): Promise<void> {
    for (let work = this.#next ?? this.#current; work !== undefined; work = this.#next ?? this.#current) {
      await work.catch(unheard); // its callers report it
    }
  }

  #start(): Promise<void> {
    const items = [...this.#waiting ?? []];
    this.#waiting = undefined;
    this.#next = undefined;
    return this.#current = this.#write(items).finally(() => this.#current = undefined);
  }
}
