/**
 * What is held of one queue: received, delivered, settled, and up to where that may be committed.
 *
 * @module
 */

import type { Message } from "../../message.ts";

/** A message waits to be delivered. */
const READY = 0;
/** A message is in a batch that somebody works on, or on its way back to the broker. */
const IN_FLIGHT = 1;
/** A message is done with; it stays until all before it are. */
const SETTLED = 2;
/** A message was requeued and is not delivered before its rest is over. */
const RESTING = 3;

/** There may be thousands of queues, most of them with nothing in them. */
const FIRST_CAPACITY = 8;

/** So many that keys hardly ever share one. */
const BUCKETS_PER_SLOT = 4;

const NO_KEYS = new Int32Array(0);
const NO_COUNTS = new Uint32Array(0);

/** A message while this member holds it. */
export interface HeldMessage<T = unknown> extends Message<T> {
  /** How often it was requeued here after a failure, which no broker counts: part of `reconsumeTimes`. */
  retriedHere: number;
  /** The number of retries in the record itself, of whatever group. */
  readonly storedReconsumeTimes: number;
  /** The body as it is stored, packed or not. */
  readonly storedBody: Uint8Array;
  /** How much it holds in memory, in bytes. */
  readonly heldSize: number;
}

/** What a message is ordered by: messages of one key are never in two batches at a time. */
export type KeyOf<T = unknown> = (message: Message<T>) => string;

/** Messages that were delivered together. */
export interface Taken<T = unknown> {
  /** The number of the first one in its process queue. */
  readonly first: number;
  /** The numbers of them all; undefined if they follow each other. */
  readonly numbers?: readonly number[] | undefined;
  /** The messages, in offset order, all of one topic. */
  readonly messages: readonly HeldMessage<T>[];
}

/**
 * The messages of one queue that are received and not settled, in offset order.
 *
 * Pure state: no time, no I/O. Every message has a number that grows by one with each message received; a ring holds
 * those from the oldest unsettled one on. One process queue lives for one epoch of its queue.
 *
 * With keys it keeps the order of each: nothing of a key is delivered while another message of it is in flight or
 * rests.
 */
export class ProcessQueue<T = unknown> {
  #messages: (HeldMessage<T> | undefined)[] = new Array(FIRST_CAPACITY);
  #states = new Uint8Array(FIRST_CAPACITY);
  #keyOf: KeyOf<T> | undefined;
  /** The hash codes of the messages' keys, by slot: two keys that share one are ordered as if they were one. */
  #keys = NO_KEYS;
  /** How many messages are in flight or rest, by the last bits of their keys: nearly always what one key has. */
  #held = NO_COUNTS;
  /** Nothing from this number on was ever delivered. */
  #frontier = 0;
  #mask = FIRST_CAPACITY - 1;
  /** The number of the oldest unsettled message, and the one that the next message received will get. */
  #head = 0;
  #tail = 0;
  /** No message before this number is ready. */
  #firstReady = 0;
  #position: number;
  #readyCount = 0;
  #inFlightCount = 0;
  #count = 0;
  #bytes = 0;
  /** Places of what is no message and not settled either, in rising order. */
  #places: number[] = [];

  /** Makes an empty queue; `start` is the offset of the first pull, `keyOf` what its messages are ordered by. */
  constructor(start: number, keyOf?: KeyOf<T>) {
    this.#position = start;
    this.#keyOf = keyOf;
    if (keyOf === undefined) return;
    this.#keys = new Int32Array(FIRST_CAPACITY);
    this.#held = new Uint32Array(FIRST_CAPACITY * BUCKETS_PER_SLOT);
  }

  /** The offset of the next pull: everything below was received, or is not for this group. */
  get position(): number {
    return this.#position;
  }

  /** The smallest offset that is not settled: what may be committed. */
  get committable(): number {
    const oldest = this.oldest?.queueOffset ?? this.#position;
    return this.#places.length === 0 ? oldest : Math.min(oldest, this.#places[0]!);
  }

  /** The oldest message that is not settled. */
  get oldest(): HeldMessage<T> | undefined {
    return this.#messages[this.#head & this.#mask];
  }

  /** Messages received and not settled, those in flight included, and places that are held. */
  get count(): number {
    return this.#count + this.#places.length;
  }

  /** How much those messages hold in memory, in bytes. */
  get bytes(): number {
    return this.#bytes;
  }

  /**
   * How many offsets lie between the oldest unsettled message and the next pull; a place that is held stops no pull.
   */
  get span(): number {
    return this.#position - (this.oldest?.queueOffset ?? this.#position);
  }

  /** Messages that could be delivered now. */
  get readyCount(): number {
    return this.#readyCount;
  }

  /**
   * Whether a message is ready that is older than one settled or in flight, which only keys make happen: until it is
   * settled as well, what was settled behind it cannot be committed.
   */
  get hasHoles(): boolean {
    if (this.#keyOf === undefined || this.#readyCount === 0) return false;
    let isReady = false;
    for (let at = this.#firstReady; at < this.#frontier; at++) {
      const state = this.#states[at & this.#mask];
      if (state === READY) isReady = true;
      else if (isReady && state !== RESTING) return true;
    }
    return false;
  }

  /** Messages that are delivered and not settled. */
  get inFlightCount(): number {
    return this.#inFlightCount;
  }

  /**
   * Takes the messages of one answer, in offset order, and the offset of the next pull. Known ones are skipped, and so
   * is what does not rise: the oldest unsettled message has the smallest offset, whatever arrives. The next pull is
   * never from an offset that has arrived.
   */
  put(messages: readonly HeldMessage<T>[], position: number): void {
    for (const message of messages) {
      const { queueOffset } = message;
      if (!(queueOffset >= this.#position)) continue;
      this.#position = queueOffset + 1;
      if (this.#tail - this.#head > this.#mask) this.#grow();
      const slot = this.#tail++ & this.#mask;
      this.#messages[slot] = message;
      this.#states[slot] = READY;
      if (this.#keyOf !== undefined) this.#keys[slot] = hashOf(this.#keyOf(message));
      this.#readyCount++;
      this.#count++;
      this.#bytes += message.heldSize;
    }
    if (position > this.#position && Number.isSafeInteger(position)) this.#position = position;
  }

  /**
   * Delivers the oldest ready messages that share a topic, at most `max`: without keys those that stand together, with
   * keys those whose key is free.
   *
   * @param topic takes messages of this topic only: those of others stay where they are
   * @param holesOnly takes nothing newer than what was delivered already
   */
  take(max: number, topic?: string, holesOnly = false): Taken<T> | undefined {
    if (this.#readyCount === 0) return undefined;
    while (this.#states[this.#firstReady & this.#mask] !== READY) this.#firstReady++;
    if (this.#keyOf !== undefined) return this.#takeFree(max, topic, holesOnly ? this.#frontier : this.#tail);
    let first = this.#firstReady;
    if (topic !== undefined) {
      while (first < this.#tail && !this.#isReady(first, topic)) first++;
      if (first === this.#tail) return undefined;
    }
    const wanted = this.#messages[first & this.#mask]!.topic;
    const messages: HeldMessage<T>[] = [];
    for (let at = first; at < this.#tail && messages.length < max && this.#isReady(at, wanted); at++) {
      messages.push(this.#messages[at & this.#mask]!);
      this.#states[at & this.#mask] = IN_FLIGHT;
    }
    if (first === this.#firstReady) this.#firstReady += messages.length;
    this.#readyCount -= messages.length;
    this.#inFlightCount += messages.length;
    return { first, messages };
  }

  /** Settles a message that is in flight. */
  settle(number: number): void {
    this.#mark(number);
    this.#dropSettled();
  }

  /** Settles messages that are all in flight. */
  settleRange(first: number, count: number): void {
    for (let number = first; number < first + count; number++) this.#mark(number);
    this.#dropSettled();
  }

  /**
   * Holds the place of a record that cannot be read, before the messages of its answer are put: up to
   * {@linkcode ProcessQueue.release} nothing from the position on may be committed, whatever is settled. The record's
   * own offset is not asked, as it may be what is wrong with it. Returns what to release.
   */
  hold(): number {
    this.#places.push(this.#position);
    return this.#position;
  }

  /** Ends a hold. */
  release(place: number): void {
    const at = this.#places.indexOf(place);
    if (at >= 0) this.#places.splice(at, 1);
  }

  /** What a message is ordered by, as a hash code; undefined without keys. */
  keyAt(number: number): number | undefined {
    return this.#keyOf === undefined ? undefined : this.#keys[number & this.#mask];
  }

  /** Puts a message that is in flight back: it stays unsettled and rests until {@linkcode ProcessQueue.endRest}. */
  requeue(number: number): void {
    this.#states[number & this.#mask] = RESTING;
    this.#inFlightCount--;
  }

  /** Ends the rest of a message that was requeued: it is the next to be delivered. */
  endRest(number: number): void {
    this.#states[number & this.#mask] = READY;
    this.#countHeld(number & this.#mask, -1);
    this.#readyCount++;
    this.#firstReady = Math.min(this.#firstReady, number);
  }

  #takeFree(max: number, topic: string | undefined, end: number): Taken<T> | undefined {
    const numbers: number[] = [];
    const messages: HeldMessage<T>[] = [];
    let wanted = topic;
    let ours: Set<number> | undefined;
    for (let at = this.#firstReady; at < end && messages.length < max; at++) {
      const slot = at & this.#mask;
      if (this.#states[slot] !== READY) continue;
      const key = this.#keys[slot]!;
      if (this.#isHeld(key)) {
        // Held by whom? Where all keys are different, nobody has to ask.
        ours ??= new Set(numbers.map((number) => this.#keys[number & this.#mask]!));
        if (!ours.has(key)) continue;
      }
      const message = this.#messages[slot]!;
      if (message.topic !== (wanted ??= message.topic)) {
        if (messages.length > 0) break;
        continue;
      }
      this.#states[slot] = IN_FLIGHT;
      this.#countHeld(slot, 1);
      ours?.add(key);
      numbers.push(at);
      messages.push(message);
    }
    if (messages.length === 0) return undefined;
    this.#readyCount -= messages.length;
    this.#inFlightCount += messages.length;
    const first = numbers[0]!;
    this.#frontier = Math.max(this.#frontier, numbers.at(-1)! + 1);
    return { first, numbers: numbers.at(-1)! - first < numbers.length ? undefined : numbers, messages };
  }

  /** Whether a message of a key is in flight or rests. */
  #isHeld(key: number): boolean {
    if (this.#held[key & (this.#held.length - 1)] === 0) return false;
    for (let at = this.#head; at < this.#tail; at++) {
      const slot = at & this.#mask;
      const state = this.#states[slot];
      if ((state === IN_FLIGHT || state === RESTING) && this.#keys[slot] === key) return true;
    }
    return false;
  }

  /** Counts a message that is in flight or rests from now on, or not any more. */
  #countHeld(slot: number, change: 1 | -1): void {
    if (this.#keyOf !== undefined) this.#held[this.#keys[slot]! & (this.#held.length - 1)]! += change;
  }

  #isReady(number: number, topic: string): boolean {
    return this.#states[number & this.#mask] === READY && this.#messages[number & this.#mask]!.topic === topic;
  }

  #mark(number: number): void {
    const slot = number & this.#mask;
    this.#states[slot] = SETTLED;
    this.#countHeld(slot, -1);
    this.#inFlightCount--;
    this.#count--;
    this.#bytes -= this.#messages[slot]!.heldSize;
    this.#messages[slot] = undefined;
  }

  #dropSettled(): void {
    while (this.#head < this.#tail && this.#states[this.#head & this.#mask] === SETTLED) this.#head++;
    this.#firstReady = Math.max(this.#firstReady, this.#head);
  }

  #grow(): void {
    const capacity = (this.#mask + 1) * 2;
    const messages = new Array<HeldMessage<T> | undefined>(capacity);
    const states = new Uint8Array(capacity);
    const keys = this.#keyOf === undefined ? NO_KEYS : new Int32Array(capacity);
    for (let number = this.#head; number < this.#tail; number++) {
      const [from, to] = [number & this.#mask, number & (capacity - 1)];
      messages[to] = this.#messages[from];
      states[to] = this.#states[from]!;
      if (this.#keyOf !== undefined) keys[to] = this.#keys[from]!;
    }
    this.#messages = messages;
    this.#states = states;
    this.#keys = keys;
    this.#mask = capacity - 1;
    if (this.#keyOf === undefined) return;
    this.#held = new Uint32Array(capacity * BUCKETS_PER_SLOT);
    for (let number = this.#head; number < this.#tail; number++) {
      const slot = number & this.#mask;
      if (states[slot] === IN_FLIGHT || states[slot] === RESTING) this.#countHeld(slot, 1);
    }
  }
}

/** The hash code of a key, in 30 bits: small integers are what engines keep without an object. Source: FNV-1a. */
function hashOf(key: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < key.length; i++) hash = Math.imul(hash ^ key.charCodeAt(i), 0x01000193);
  return (hash ^ (hash >>> 30)) & 0x3fffffff;
}
