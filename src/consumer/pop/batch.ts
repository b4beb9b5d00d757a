/**
 * What a loop over popped messages gets.
 *
 * @module
 */

import type { Message } from "../../message.ts";
import { DeliveredBatch, type RetryOptions, type SettlementRules } from "../delivery/delivered_batch.ts";
import type { Delivery } from "./delivery.ts";

/**
 * Messages of one topic, perhaps of several queues, that nobody else gets until their invisible time ends.
 *
 * Each message is settled once: the first settlement wins, later ones do nothing. What is not settled is redelivered.
 *
 * @category Settle
 */
export interface PopBatch<T = unknown> extends Iterable<Message<T>> {
  /** The messages. */
  readonly messages: readonly Message<T>[];
  /** How many there are; 0 is possible for `pop()` only. */
  readonly length: number;
  /** Their topic. */
  readonly topic: string;
  /** Aborts when settlements no longer count: the invisible time is over, and the messages are redelivered. */
  readonly signal: AbortSignal;
  /**
   * Acknowledges one message, or all that are not settled yet. Resolves when the broker has answered; after three tries
   * in vain an `ackFailed` event reports it, and the messages are redelivered.
   */
  ack(message?: Message<T>): Promise<void>;
  /**
   * Redelivers all messages that are not settled yet after `delay`, 1 000 to 7 200 000 ms. Resolves when the broker
   * has answered, or else they are redelivered when their invisible time ends.
   *
   * What has failed `maxReconsumeTimes` goes to the group's dead letter queue.
   */
  retry(options?: RetryOptions): Promise<void>;
  /** Redelivers one message later. */
  retry(message: Message<T>, options?: RetryOptions): Promise<void>;
  /** Moves one message, or all not settled yet, to the group's dead letter queue. Resolves when they are safe. */
  deadLetter(message?: Message<T>): Promise<void>;
  /** Releases what is not settled yet: it is redelivered when its invisible time ends. */
  release(): void;
  /**
   * Lets the invisible time of what is not settled yet end `ms` milliseconds from now, 5 000 to 300 000. Settlements
   * that follow wait for the broker's answer. If there is none, the messages may be redelivered although they are
   * acknowledged: the broker may have made the change.
   *
   * @throws {ConsumerStateError} if the invisible time is over already
   */
  extend(ms: number): Promise<void>;
}

/** What has delivered messages, and is called when they are settled. */
export interface PopHolder {
  /** So many messages are settled. */
  settled(count: number): void;
}

/** The rules of popped batches. */
export interface PopRules<T> extends SettlementRules<T, PoppedBatch<T>> {
  /** Lets the invisible time end at another time. */
  extend(batch: PoppedBatch<T>, ms: number): Promise<void>;
}

/** Popped messages in flight. */
export class PoppedBatch<T = unknown> extends DeliveredBatch<T> implements PopBatch<T> {
  readonly topic: string;
  readonly deliveries: readonly Delivery<T>[];
  protected readonly rules: SettlementRules<T, PoppedBatch<T>>;
  /** When the invisible time ends, by the monotonic clock. */
  deadline: number;
  /** What gave its messages out. */
  holder: PopHolder | undefined;
  #extend: (batch: PoppedBatch<T>, ms: number) => Promise<void>;

  private constructor(
    topic: string,
    messages: readonly Message<T>[],
    deliveries: readonly Delivery<T>[],
    deadline: number,
    rules: SettlementRules<T, PoppedBatch<T>>,
    extend: (batch: PoppedBatch<T>, ms: number) => Promise<void>,
  ) {
    super(messages);
    this.topic = topic;
    this.deliveries = deliveries;
    this.deadline = deadline;
    this.rules = rules;
    this.#extend = extend;
  }

  /** Makes a batch of what was popped, whose invisible time ends at `deadline`. */
  static popped<T>(
    topic: string,
    deliveries: readonly Delivery<T>[],
    deadline: number,
    rules: PopRules<T>,
  ): PoppedBatch<T> {
    const messages = deliveries.map(({ message }) => message);
    return new PoppedBatch(topic, messages, deliveries, deadline, rules, (batch, ms) => rules.extend(batch, ms));
  }

  /** Makes a batch of a message that was not popped: an operator has it consumed. */
  static direct<T>(message: Message<T>, rules: SettlementRules<T, DeliveredBatch<T>>): PoppedBatch<T> {
    return new PoppedBatch(message.topic, [message], [], Infinity, rules, () => Promise.resolve());
  }

  /** Whether settlements count. */
  get counts(): boolean {
    return performance.now() < this.deadline;
  }

  /** Where the figures of its messages are counted. */
  get sourceTopic(): string {
    return this.topic;
  }

  extend(ms: number): Promise<void> {
    return this.#extend(this, ms);
  }
}
