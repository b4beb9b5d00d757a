/**
 * What is held of one queue: received, delivered, settled, and up to where that may be committed.
 *
 * @module
 */

import type { Message } from "../../message.ts";
import { type KeyOf, KeyOrder } from "./key_order.ts";

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
  /** The keys of the messages, by slot; undefined where nothing is ordered. */
  #order: KeyOrder<T> | undefined;
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
    if (keyOf !== undefined) this.#order = new KeyOrder(keyOf, FIRST_CAPACITY);
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
    return this.#messages[this.#slot(this.#head)];
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
    if (this.#order === undefined || this.#readyCount === 0) return false;
    let isReady = false;
    for (let at = this.#firstReady; at < this.#order.frontier; at++) {
      const state = this.#states[this.#slot(at)];
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
      if (this.#tail - this.#head === this.#states.length) this.#grow();
      const slot = this.#slot(this.#tail++);
      this.#messages[slot] = message;
      this.#states[slot] = READY;
      this.#order?.put(slot, message);
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
    while (this.#states[this.#slot(this.#firstReady)] !== READY) this.#firstReady++;
    if (this.#order !== undefined) {
      return this.#takeFree(this.#order, max, topic, holesOnly ? this.#order.frontier : this.#tail);
    }
    let first = this.#firstReady;
    if (topic !== undefined) {
      while (first < this.#tail && !this.#isReady(first, topic)) first++;
      if (first === this.#tail) return undefined;
    }
    const wanted = this.#messages[this.#slot(first)]!.topic;
    const messages: HeldMessage<T>[] = [];
    for (let at = first; at < this.#tail && messages.length < max && this.#isReady(at, wanted); at++) {
      messages.push(this.#messages[this.#slot(at)]!);
      this.#states[this.#slot(at)] = IN_FLIGHT;
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
    return this.#order?.at(this.#slot(number));
  }

  /** Puts a message that is in flight back: it stays unsettled and rests until {@linkcode ProcessQueue.endRest}. */
  requeue(number: number): void {
    this.#states[this.#slot(number)] = RESTING;
    this.#inFlightCount--;
  }

  /** Ends the rest of a message that was requeued: it is the next to be delivered. */
  endRest(number: number): void {
    this.#states[this.#slot(number)] = READY;
    this.#order?.count(this.#slot(number), -1);
    this.#readyCount++;
    this.#firstReady = Math.min(this.#firstReady, number);
  }

  #takeFree(order: KeyOrder<T>, max: number, topic: string | undefined, end: number): Taken<T> | undefined {
    const numbers: number[] = [];
    const messages: HeldMessage<T>[] = [];
    let wanted = topic;
    let ours: Set<number> | undefined;
    for (let at = this.#firstReady; at < end && messages.length < max; at++) {
      const slot = this.#slot(at);
      if (this.#states[slot] !== READY) continue;
      const key = order.at(slot);
      if (this.#isHeld(order, key)) {
        // Held by whom? Where all keys are different, nobody has to ask.
        ours ??= new Set(numbers.map((number) => order.at(this.#slot(number))));
        if (!ours.has(key)) continue;
      }
      const message = this.#messages[slot]!;
      if (message.topic !== (wanted ??= message.topic)) {
        if (messages.length > 0) break;
        continue;
      }
      this.#states[slot] = IN_FLIGHT;
      order.count(slot, 1);
      ours?.add(key);
      numbers.push(at);
      messages.push(message);
    }
    if (messages.length === 0) return undefined;
    this.#readyCount -= messages.length;
    this.#inFlightCount += messages.length;
    const first = numbers[0]!;
    order.frontier = Math.max(order.frontier, numbers.at(-1)! + 1);
    return { first, numbers: numbers.at(-1)! - first < numbers.length ? undefined : numbers, messages };
  }

  /** Whether a message of a key is in flight or rests. */
  #isHeld(order: KeyOrder<T>, key: number): boolean {
    if (!order.mayBeHeld(key)) return false;
    for (let at = this.#head; at < this.#tail; at++) {
      const slot = this.#slot(at);
      const state = this.#states[slot];
      if ((state === IN_FLIGHT || state === RESTING) && order.at(slot) === key) return true;
    }
    return false;
  }

  #isReady(number: number, topic: string): boolean {
    return this.#states[this.#slot(number)] === READY && this.#messages[this.#slot(number)]!.topic === topic;
  }

  #mark(number: number): void {
    const slot = this.#slot(number);
    this.#states[slot] = SETTLED;
    this.#order?.count(slot, -1);
    this.#inFlightCount--;
    this.#count--;
    this.#bytes -= this.#messages[slot]!.heldSize;
    this.#messages[slot] = undefined;
  }

  #dropSettled(): void {
    while (this.#head < this.#tail && this.#states[this.#slot(this.#head)] === SETTLED) this.#head++;
    this.#firstReady = Math.max(this.#firstReady, this.#head);
  }

  /** Where a message stands in the ring: the last bits of its number. */
  #slot(number: number): number {
    return number & (this.#states.length - 1);
  }

  #grow(): void {
    const capacity = this.#states.length * 2;
    const messages = new Array<HeldMessage<T> | undefined>(capacity);
    const states = new Uint8Array(capacity);
    const resized = this.#order?.resized(capacity);
    for (let number = this.#head; number < this.#tail; number++) {
      const [from, to] = [this.#slot(number), number & (capacity - 1)];
      const state = this.#states[from]!;
      messages[to] = this.#messages[from];
      states[to] = state;
      resized?.copy(from, to);
      if (state === IN_FLIGHT || state === RESTING) resized?.order.count(to, 1);
    }
    this.#messages = messages;
    this.#states = states;
    this.#order = resized?.order;
  }
}
