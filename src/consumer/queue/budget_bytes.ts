/**
 * How many bytes a consumer holds, and how many more what it has asked for may bring.
 *
 * @module
 */

/** How large a message is taken to be before any has come, in bytes. */
const FIRST_SIZE = 1_024;
/** The part of a new answer in the average size of messages, if its messages are smaller. */
const NEW_PART = 1 / 8;
/** What is kept back of the bytes for those who hold nothing. */
const KEPT_PART = 1 / 4;
/** What brokers put into one answer, whatever is asked for, in bytes. Source: maxTransferBytesOnMessageInMemory. */
const BROKER_BATCH = 262_144;

/** Counts bytes held and asked for. Nobody knows the size of messages before they come: it is learned from answers. */
export class BudgetBytes {
  #limit: number;
  #batchBytes: number;
  #held = 0;
  #asked = 0;
  #averageSize = FIRST_SIZE;
  /** The most bytes that an answer is taken to bring. */
  #largestAnswer: number;

  /** Makes it with nothing held; the limit is Infinity where bytes are not counted. */
  constructor(limit: number, batchBytes: number) {
    this.#limit = limit;
    this.#batchBytes = batchBytes;
    this.#largestAnswer = Math.max(batchBytes, BROKER_BATCH);
  }

  /** Notes that so many more bytes are held, with so many more messages. */
  hold(messages: number, bytes: number): void {
    if (messages > 0 && bytes > 0) this.#learn(messages, bytes);
    this.#held += bytes;
  }

  /** Notes a change of what one asker expects; returns what it expects now, of so many messages. */
  expect(messages: number, before: number): number {
    const bytes = Math.min(this.#largestAnswer, messages * this.#averageSize);
    this.#asked += bytes - before;
    return bytes;
  }

  /** How many of `count` messages fit, where so many askers share the bytes. */
  fitting(count: number, askers: number): number {
    const taken = this.#held + this.#asked;
    if (taken === 0 || this.#limit === Infinity) return count;
    const kept = askers === 1 ? 0 : Math.min(this.#limit * KEPT_PART, askers * this.#batchBytes);
    const room = this.#limit - kept - taken;
    if (room >= Math.min(this.#largestAnswer, count * this.#averageSize)) return count;
    return Math.max(0, Math.floor(room / this.#averageSize));
  }

  /** How many of `count` messages who holds nothing may ask for: one at least, unless the limit is held already. */
  keptFor(count: number): number {
    if (this.#held >= this.#limit) return 0;
    const room = this.#limit - this.#held - this.#asked;
    return Math.min(count, Math.max(1, Math.floor(room / this.#averageSize)));
  }

  /** Larger messages count at once, as requests that expect too little would pass the limit. */
  #learn(messages: number, bytes: number): void {
    const size = bytes / messages;
    this.#largestAnswer = Math.max(this.#largestAnswer, bytes);
    this.#averageSize += (size - this.#averageSize) * (size > this.#averageSize ? 1 : NEW_PART);
  }
}
