/**
 * The keys that messages of a queue are ordered by.
 *
 * @module
 */

import type { Message } from "../../message.ts";

/** What a message is ordered by: messages of one key are never in two batches at a time. */
export type KeyOf<T = unknown> = (message: Message<T>) => string;

/** So many that keys hardly ever share one. */
const BUCKETS_PER_SLOT = 4;

/** The hash codes of the keys of messages, by their slots in a ring: two keys that share one count as one. */
export class KeyOrder<T = unknown> {
  /** Nothing from this number on was ever delivered. */
  frontier = 0;
  #keyOf: KeyOf<T>;
  #keys: Int32Array;
  /** How many messages are in flight or rest, by the last bits of their keys: nearly always what one key has. */
  #held: Uint32Array;

  /** Makes it for a ring of so many slots. */
  constructor(keyOf: KeyOf<T>, capacity: number) {
    this.#keyOf = keyOf;
    this.#keys = new Int32Array(capacity);
    this.#held = new Uint32Array(capacity * BUCKETS_PER_SLOT);
  }

  /** Notes the key of a message. */
  put(slot: number, message: Message<T>): void {
    this.#keys[slot] = hashOf(this.#keyOf(message));
  }

  /** The key in a slot. */
  at(slot: number): number {
    return this.#keys[slot]!;
  }

  /** The message in a slot is in flight or rests from now on, or not any more. */
  count(slot: number, change: 1 | -1): void {
    this.#held[this.#keys[slot]! & (this.#held.length - 1)]! += change;
  }

  /** Whether a message of a key, or of another that shares its bucket, may be in flight or rest. */
  mayBeHeld(key: number): boolean {
    return this.#held[key & (this.#held.length - 1)] !== 0;
  }

  /** The same keys in a ring of another capacity, and a function that copies a slot. */
  resized(capacity: number): { readonly order: KeyOrder<T>; readonly copy: (from: number, to: number) => void } {
    const order = new KeyOrder<T>(this.#keyOf, capacity);
    order.frontier = this.frontier;
    return { order, copy: (from, to) => void (order.#keys[to] = this.#keys[from]!) };
  }
}

/** The hash code of a key, in 30 bits: small integers are what engines keep without an object. Source: FNV-1a. */
function hashOf(key: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < key.length; i++) hash = Math.imul(hash ^ key.charCodeAt(i), 0x01000193);
  return (hash ^ (hash >>> 30)) & 0x3fffffff;
}
