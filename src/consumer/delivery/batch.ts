/**
 * What a loop gets: messages of one queue, to be settled.
 *
 * @module
 */

import type { Message, MessageQueue } from "../../message.ts";
import { DeliveredBatch, type RetryOptions, type SettlementRules } from "./delivered_batch.ts";
import type { InFlightWork, OwnedQueue } from "../queue/owned_queue.ts";
import type { HeldMessage, Taken } from "../queue/process_queue.ts";

/**
 * Messages of one queue and one topic, in offset order.
 *
 * Each message is settled once: the first settlement wins, later ones do nothing. What is not settled is redelivered.
 *
 * @category Settle
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
   * Sends all messages that are not settled yet back for later. Resolves when they are safe: stored by a broker, or
   * kept here, unsettled, to be redelivered after a rest because no broker takes them.
   *
   * In ordered consumption they stay in their place, and the queue, or each of their keys, rests.
   */
  retry(options?: RetryOptions): Promise<void>;
  /**
   * Sends one message back for later. Resolves when it is safe, at a broker or here.
   *
   * In ordered consumption it stays in its place with those behind it, and those before it are acknowledged.
   */
  retry(message: Message<T>, options?: RetryOptions): Promise<void>;
  /**
   * Moves one message, or all not settled yet, to the group's dead letter queue. Resolves when they are safe: what no
   * broker takes is kept here, unsettled, and redelivered after a rest.
   */
  deadLetter(message?: Message<T>): Promise<void>;
  /** Releases what is not settled yet: it is redelivered after `suspendQueue`, with the times unchanged. */
  release(): void;
}

/** What loops over queues get: batches of queues, and messages that an operator sends to this consumer. */
export type QueueBatch<T = unknown> = DeliveredBatch<T> & MessageBatch<T>;

/** A batch of messages of one queue. */
export class Batch<T = unknown> extends DeliveredBatch<T, HeldMessage<T>> implements MessageBatch<T>, InFlightWork {
  /** The epoch of the queue that the messages belong to. */
  readonly owner: OwnedQueue<T>;
  /** When `consumeTimeout` is over, by the monotonic clock. */
  readonly deadline: number;
  protected readonly rules: SettlementRules<T, Batch<T>>;
  #first: number;
  #numbers: readonly number[] | undefined;

  constructor(
    owner: OwnedQueue<T>,
    { first, numbers, messages }: Taken<T>,
    rules: SettlementRules<T, Batch<T>>,
    consumeTimeout: number = Infinity,
  ) {
    super(messages);
    this.owner = owner;
    this.deadline = this.deliveredAt + consumeTimeout;
    this.rules = rules;
    this.#first = first;
    this.#numbers = numbers;
  }

  get queue(): MessageQueue {
    return this.owner.queue;
  }

  get topic(): string {
    return this.messages[0]!.topic;
  }

  /** Whether settlements count. */
  get counts(): boolean {
    return this.owner.counts;
  }

  /** Where the figures of its messages are counted. */
  get sourceTopic(): string {
    return this.owner.queue.topic;
  }

  /** The number of a message in its process queue, by its position in the batch. */
  numberAt(at: number): number {
    return this.#numbers?.[at] ?? this.#first + at;
  }

  /** What its messages are ordered by; undefined where there is no order. */
  keyAt(at: number): number | undefined {
    return this.owner.process.keyAt(this.numberAt(at));
  }

  /** Aborts its signal, because settlements no longer count. */
  override abort(reason?: string): void {
    super.abort(reason);
    this.rules.voided?.(this);
  }

  /** If nobody has settled any of it, and its numbers follow each other: settles all and returns true. */
  settleWhole(): boolean {
    if (!this.isUntouched || this.#numbers !== undefined) return false;
    this.claimAll();
    this.owner.process.settleRange(this.#first, this.length);
    return true;
  }
}
