/**
 * What a loop gets: messages of one queue, to be settled.
 *
 * @module
 */

import { ConsumerStateError } from "../errors.ts";
import type { Message, MessageQueue } from "../message.ts";
import type { Handout, OwnedQueue } from "./owned_queue.ts";

/** How messages are sent back. */
export interface RetryOptions {
  /**
   * The broker's delay level, 1 to 18 with Java's defaults: 1 s, 5 s, 10 s, 30 s, 1 m, 2 m … 2 h.
   *
   * @default {3 plus the times it came back: 10 s, 30 s, 1 m, …}
   */
  delayLevel?: number;
}

/**
 * Messages of one queue and one topic, in offset order.
 *
 * Each message is settled once: the first settlement wins, later ones do nothing. What is not settled comes again.
 */
export interface MessageBatch<T = unknown> extends Iterable<Message<T>> {
  /** The messages. */
  readonly messages: readonly Message<T>[];
  /** How many there are. */
  readonly length: number;
  /** The queue that they were pulled from. */
  readonly queue: MessageQueue;
  /** Their topic; for retried messages the one that they were sent to first. */
  readonly topic: string;
  /** Aborts when settlements no longer count: the queue is another member's, or `consumeTimeout` is over. */
  readonly signal: AbortSignal;
  /** Acknowledges one message, or all that are not settled yet. Resolves when it is recorded in memory. */
  ack(message?: Message<T>): Promise<void>;
  /** Sends all messages that are not settled yet back for later. Resolves when they are safe. */
  retry(options?: RetryOptions): Promise<void>;
  /** Sends one message back for later. Resolves when it is safe. */
  retry(message: Message<T>, options?: RetryOptions): Promise<void>;
  /** Moves one message, or all not settled yet, to the group's dead letter queue. Resolves when they are safe. */
  deadLetter(message?: Message<T>): Promise<void>;
  /** Gives up what is not settled yet: it is handed out again after `suspendQueue`, with the times unchanged. */
  release(): void;
}

/** What becomes of the messages of a batch. */
export interface SettlementRules<T = unknown> {
  /** Settles one message, or all that nobody has settled. */
  ack(batch: Batch<T>, message?: Message<T>): Promise<void>;
  /** Sends messages back for later; resolves when they are safe, or no longer ours. */
  retry(batch: Batch<T>, message: Message<T> | undefined, delayLevel: number | undefined): Promise<void>;
  /** Moves messages to the dead letter queue; resolves when they are safe, or no longer ours. */
  deadLetter(batch: Batch<T>, message: Message<T> | undefined): Promise<void>;
  /** Puts back what nobody has settled. */
  release(batch: Batch<T>): void;
}

const noReason = "the messages are no longer this member's";

/** A batch in hand: knows which of its messages somebody has settled, and leaves the how to its rules. */
export class Batch<T = unknown> implements MessageBatch<T>, Handout {
  readonly messages: readonly Message<T>[];
  /** The number of the first message in its process queue. */
  readonly first: number;
  /** The epoch of the queue that the messages belong to. */
  readonly owner: OwnedQueue<T>;
  /** When it was handed out, by the monotonic clock. */
  readonly handedOutAt: number = performance.now();
  #rules: SettlementRules<T>;
  /** Which messages have been settled; made when some are and some are not. */
  #claimed: Uint8Array | undefined;
  #unclaimed: number;
  #abort: AbortController | undefined;
  #abortReason: unknown;

  constructor(owner: OwnedQueue<T>, first: number, messages: readonly Message<T>[], rules: SettlementRules<T>) {
    this.owner = owner;
    this.first = first;
    this.messages = messages;
    this.#unclaimed = messages.length;
    this.#rules = rules;
  }

  get length(): number {
    return this.messages.length;
  }

  get queue(): MessageQueue {
    return this.owner.queue;
  }

  get topic(): string {
    return this.messages[0]!.topic;
  }

  get signal(): AbortSignal {
    if (this.#abort === undefined) {
      this.#abort = new AbortController();
      if (this.#abortReason !== undefined) this.#abort.abort(this.#abortReason);
    }
    return this.#abort.signal;
  }

  [Symbol.iterator](): Iterator<Message<T>> {
    return this.messages[Symbol.iterator]();
  }

  ack(message?: Message<T>): Promise<void> {
    return this.#rules.ack(this, message);
  }

  retry(target?: Message<T> | RetryOptions, options?: RetryOptions): Promise<void> {
    const isMessage = target !== undefined && "queueOffset" in target;
    const message = isMessage ? target : undefined;
    return this.#rules.retry(this, message, (isMessage ? options : target)?.delayLevel);
  }

  deadLetter(message?: Message<T>): Promise<void> {
    return this.#rules.deadLetter(this, message);
  }

  release(): void {
    this.#rules.release(this);
  }

  /** Whether nobody has settled any of it. */
  get isUntouched(): boolean {
    return this.#unclaimed === this.messages.length;
  }

  /** Whether all of it is settled. */
  get isClaimed(): boolean {
    return this.#unclaimed === 0;
  }

  /** Marks all as settled; the caller settles them. */
  claimAll(): void {
    this.#unclaimed = 0;
  }

  /** Marks one message, or all that are not settled yet, as settled: gives their positions in the batch. */
  claim(message?: Message<T>): number[] {
    if (this.#unclaimed === 0) return [];
    this.#claimed ??= new Uint8Array(this.messages.length);
    const claimed: number[] = [];
    const [from, to] = message === undefined ? [0, this.messages.length] : this.#find(message);
    for (let at = from; at < to; at++) {
      if (this.#claimed[at] === 1) continue;
      this.#claimed[at] = 1;
      this.#unclaimed--;
      claimed.push(at);
    }
    return claimed;
  }

  /** Tells whoever works on it that settlements no longer count. */
  abort(reason: string = noReason): void {
    this.#abortReason = new ConsumerStateError(`Cannot settle this batch any more: ${reason}`, {
      code: "BATCH_VOID",
    });
    this.#abort?.abort(this.#abortReason);
  }

  #find(message: Message<T>): [number, number] {
    const at = this.messages.indexOf(message);
    if (at >= 0) return [at, at + 1];
    throw new ConsumerStateError(
      `Cannot settle message ${message.messageId}: it is not in this batch; settle it by the batch that held it`,
      { code: "NOT_IN_BATCH" },
    );
  }
}
