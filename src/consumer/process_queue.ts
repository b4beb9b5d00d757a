/**
 * What is held of one queue: received, handed out, settled, and up to where that may be committed.
 *
 * @module
 */

import type { Message } from "../message.ts";

/** A message waits to be handed out. */
const READY = 0;
/** A message is in a batch that somebody works on, or on its way back to the broker. */
const IN_HAND = 1;
/** A message is done with; it stays until all before it are. */
const SETTLED = 2;
/** A message was put back and is not handed out before its rest is over. */
const RESTING = 3;

const FIRST_CAPACITY = 64;

/** Messages that were handed out together: `messages[i]` has the number `first + i` in its process queue. */
export interface Taken<T = unknown> {
  /** The number of the first one. */
  readonly first: number;
  /** The messages, in offset order, all of one topic. */
  readonly messages: readonly Message<T>[];
}

/**
 * The messages of one queue that are received and not settled, in offset order.
 *
 * Pure state: no time, no I/O. Every message has a number that grows by one with each message received; a ring holds
 * those from the oldest unsettled one on. One process queue lives for one epoch of its queue.
 */
export class ProcessQueue<T = unknown> {
  #messages: (Message<T> | undefined)[] = new Array(FIRST_CAPACITY);
  #states = new Uint8Array(FIRST_CAPACITY);
  #mask = FIRST_CAPACITY - 1;
  /** The number of the oldest unsettled message, and the one that the next message received will get. */
  #head = 0;
  #tail = 0;
  /** No message before this number is ready. */
  #firstReady = 0;
  #position: number;
  #readyCount = 0;
  #inHandCount = 0;
  #count = 0;
  #bytes = 0;

  /** Makes an empty queue; `start` is the offset of the first pull. */
  constructor(start: number) {
    this.#position = start;
  }

  /** The offset of the next pull: everything below was received, or is not for this group. */
  get position(): number {
    return this.#position;
  }

  /** The smallest offset that is not settled: what may be committed. */
  get committable(): number {
    return this.oldest?.queueOffset ?? this.#position;
  }

  /** The oldest message that is not settled. */
  get oldest(): Message<T> | undefined {
    return this.#messages[this.#head & this.#mask];
  }

  /** Messages received and not settled, those in hand included. */
  get count(): number {
    return this.#count;
  }

  /** The sizes of those messages, in bytes. */
  get bytes(): number {
    return this.#bytes;
  }

  /** How many offsets lie between the oldest unsettled message and the next pull. */
  get span(): number {
    return this.#position - this.committable;
  }

  /** Messages that could be handed out now. */
  get readyCount(): number {
    return this.#readyCount;
  }

  /** Messages that are handed out and not settled. */
  get inHandCount(): number {
    return this.#inHandCount;
  }

  /** Takes the messages of one answer, in offset order, and the offset of the next pull. Known ones are skipped. */
  put(messages: readonly Message<T>[], position: number): void {
    for (const message of messages) {
      if (message.queueOffset < this.#position) continue;
      if (this.#tail - this.#head > this.#mask) this.#grow();
      const slot = this.#tail++ & this.#mask;
      this.#messages[slot] = message;
      this.#states[slot] = READY;
      this.#readyCount++;
      this.#count++;
      this.#bytes += message.size;
    }
    this.#position = Math.max(this.#position, position);
  }

  /**
   * Hands out the oldest ready messages that stand together and share a topic, at most `max`.
   *
   * @param topic takes messages of this topic only: those of others stay where they are
   */
  take(max: number, topic?: string): Taken<T> | undefined {
    if (this.#readyCount === 0) return undefined;
    while (this.#states[this.#firstReady & this.#mask] !== READY) this.#firstReady++;
    let first = this.#firstReady;
    if (topic !== undefined) {
      while (first < this.#tail && !this.#isReady(first, topic)) first++;
      if (first === this.#tail) return undefined;
    }
    const wanted = this.#messages[first & this.#mask]!.topic;
    const messages: Message<T>[] = [];
    for (let at = first; at < this.#tail && messages.length < max && this.#isReady(at, wanted); at++) {
      messages.push(this.#messages[at & this.#mask]!);
      this.#states[at & this.#mask] = IN_HAND;
    }
    if (first === this.#firstReady) this.#firstReady += messages.length;
    this.#readyCount -= messages.length;
    this.#inHandCount += messages.length;
    return { first, messages };
  }

  /** Settles a message that is in hand. */
  settle(number: number): void {
    this.#mark(number);
    this.#dropSettled();
  }

  /** Settles messages that are all in hand. */
  settleRange(first: number, count: number): void {
    for (let number = first; number < first + count; number++) this.#mark(number);
    this.#dropSettled();
  }

  /** Puts a message that is in hand back: it stays unsettled and rests until {@linkcode ProcessQueue.wakeUp}. */
  putBack(number: number): void {
    this.#states[number & this.#mask] = RESTING;
    this.#inHandCount--;
  }

  /** Ends the rest of a message that was put back: it is the next to be handed out. */
  wakeUp(number: number): void {
    this.#states[number & this.#mask] = READY;
    this.#readyCount++;
    this.#firstReady = Math.min(this.#firstReady, number);
  }

  #isReady(number: number, topic: string): boolean {
    return this.#states[number & this.#mask] === READY && this.#messages[number & this.#mask]!.topic === topic;
  }

  #mark(number: number): void {
    const slot = number & this.#mask;
    this.#states[slot] = SETTLED;
    this.#inHandCount--;
    this.#count--;
    this.#bytes -= this.#messages[slot]!.size;
    this.#messages[slot] = undefined;
  }

  #dropSettled(): void {
    while (this.#head < this.#tail && this.#states[this.#head & this.#mask] === SETTLED) this.#head++;
    this.#firstReady = Math.max(this.#firstReady, this.#head);
  }

  #grow(): void {
    const capacity = (this.#mask + 1) * 2;
    const messages = new Array<Message<T> | undefined>(capacity);
    const states = new Uint8Array(capacity);
    for (let number = this.#head; number < this.#tail; number++) {
      messages[number & (capacity - 1)] = this.#messages[number & this.#mask];
      states[number & (capacity - 1)] = this.#states[number & this.#mask]!;
    }
    this.#messages = messages;
    this.#states = states;
    this.#mask = capacity - 1;
  }
}
