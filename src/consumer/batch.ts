/**
 * What a loop gets: messages of one queue, to be settled.
 *
 * @module
 */

import { ConsumerStateError } from "../errors.ts";
import type { Message, MessageQueue } from "../message.ts";
import type { Handout, OwnedQueue } from "./owned_queue.ts";
import type { HeldMessage, Taken } from "./process_queue.ts";

/** When failed messages come again. */
export interface RetryOptions {
  /**
   * For messages that are sent back, in concurrent consumption: the broker's delay level, 1 to 18 with Java's defaults:
   * 1 s, 5 s, 10 s, 30 s, 1 m, 2 m … 2 h.
   *
   * @default {3 plus the times it came back: 10 s, 30 s, 1 m, …}
   */
  delayLevel?: number;
  /**
   * For messages that stay in their place, in orderly, by-key and POP consumption, in milliseconds.
   *
   * @default {`suspendQueue`; POP: 10 s, 30 s, 1 m, … by the times it came back}
   */
  delay?: number;
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
  /**
   * Acknowledges one message, or all that are not settled yet. Resolves when it is recorded in memory.
   *
   * In ordered consumption one message stands for those before it too.
   */
  ack(message?: Message<T>): Promise<void>;
  /**
   * Sends all messages that are not settled yet back for later. Resolves when they are safe.
   *
   * In ordered consumption they stay in their place, and the queue, or each of their keys, rests.
   */
  retry(options?: RetryOptions): Promise<void>;
  /**
   * Sends one message back for later. Resolves when it is safe.
   *
   * In ordered consumption it stays in its place with those behind it, and those before it are acknowledged.
   */
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
  retry(batch: Batch<T>, message: Message<T> | undefined, options: RetryOptions): Promise<void>;
  /** Moves messages to the dead letter queue; resolves when they are safe, or no longer ours. */
  deadLetter(batch: Batch<T>, message: Message<T> | undefined): Promise<void>;
  /** Puts back what nobody has settled. */
  release(batch: Batch<T>): void;
  /** A handler has failed: tells of it, and has what nobody has settled come again. */
  fail(batch: Batch<T>, error: unknown): Promise<void>;
}

const noReason = "the messages are no longer this member's";

/** A batch in hand: knows which of its messages somebody has settled, and leaves the how to its rules. */
export class Batch<T = unknown> implements MessageBatch<T>, Handout {
  readonly messages: readonly HeldMessage<T>[];
  /** The epoch of the queue that the messages belong to. */
  readonly owner: OwnedQueue<T>;
  /** When it was handed out, by the monotonic clock. */
  readonly handedOutAt: number = performance.now();
  #rules: SettlementRules<T>;
  #first: number;
  #numbers: readonly number[] | undefined;
  /** Which messages have been settled; made when some are and some are not. */
  #claimed: Uint8Array | undefined;
  #unclaimed: number;
  #abort: AbortController | undefined;
  #abortReason: unknown;

  constructor(owner: OwnedQueue<T>, { first, numbers, messages }: Taken<T>, rules: SettlementRules<T>) {
    this.owner = owner;
    this.messages = messages;
    this.#first = first;
    this.#numbers = numbers;
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
    return this.#rules.retry(this, message, (isMessage ? options : target) ?? {});
  }

  deadLetter(message?: Message<T>): Promise<void> {
    return this.#rules.deadLetter(this, message);
  }

  release(): void {
    this.#rules.release(this);
  }

  /** A handler has failed: tells of it, and has what nobody has settled come again. */
  fail(error: unknown): Promise<void> {
    return this.#rules.fail(this, error);
  }

  /** Whether all of it is settled. */
  get isClaimed(): boolean {
    return this.#unclaimed === 0;
  }

  /** The number of a message in its process queue, by its position in the batch. */
  numberAt(at: number): number {
    return this.#numbers?.[at] ?? this.#first + at;
  }

  /** What its messages are ordered by; undefined where there is no order. */
  keyAt(at: number): string | undefined {
    return this.owner.process.keyAt(this.numberAt(at));
  }

  /** If nobody has settled any of it, and its numbers follow each other: settles all, and tells that it did. */
  settleWhole(): boolean {
    const { length } = this.messages;
    if (this.#unclaimed !== length || this.#numbers !== undefined) return false;
    this.#unclaimed = 0;
    this.owner.process.settleRange(this.#first, length);
    return true;
  }

  /** Marks one message, or all that are not settled yet, as settled: gives their positions in the batch. */
  claim(message?: Message<T>): number[] {
    if (message === undefined) return this.claimWhere(() => true);
    const wanted = this.positionOf(message);
    return this.claimWhere((at) => at === wanted);
  }

  /** Marks those not settled yet of some positions as settled: gives them. */
  claimWhere(isWanted: (at: number) => boolean): number[] {
    const claimed: number[] = [];
    if (this.#unclaimed === 0) return claimed;
    this.#claimed ??= new Uint8Array(this.messages.length);
    for (let at = 0; at < this.messages.length; at++) {
      if (this.#claimed[at] === 1 || !isWanted(at)) continue;
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

  /** Where a message stands in the batch. */
  positionOf(message: Message<T>): number {
    const at = this.messages.indexOf(message as HeldMessage<T>);
    if (at >= 0) return at;
    throw new ConsumerStateError(
      `Cannot settle message ${message.messageId}: it is not in this batch; settle it by the batch that held it`,
      { code: "NOT_IN_BATCH" },
    );
  }
}
