/**
 * What becomes of messages that were delivered: what all ways to consume have in common.
 *
 * @module
 */

import { MessageConsumeError } from "../../errors.ts";
import type { EventHub } from "../../events.ts";
import type { Message } from "../../message.ts";
import { PlacedList } from "../../placed_list.ts";
import { reasonOf } from "../../plain_text.ts";
import { Batch } from "./batch.ts";
import { DEAD_LETTER_LEVEL, type Redelivery } from "./redelivery.ts";
import {
  type Outcome,
  type RetryOptions,
  SETTLED,
  type SettlementObserver,
  type SettlementRules,
} from "./delivered_batch.ts";
import type { CheckedConsumerOptions } from "../options_check.ts";
import { LocalRests } from "./local_rests.ts";
import type { OwnedQueue } from "../queue/owned_queue.ts";

/** What a {@linkcode Settlement} needs. */
export interface SettlementContext<T = unknown> {
  /** The consumer's options. */
  readonly options: Pick<CheckedConsumerOptions, "group" | "consumeTimeout" | "suspendQueue" | "maxReconsumeTimes">;
  /** Emits events. */
  readonly events: EventHub;
  /** Takes messages that failed. */
  readonly redelivery: Redelivery<T>;
  /** Called with a queue that has something to deliver again. */
  readonly offer: (owned: OwnedQueue<T>) => void;
  /** Called with what is delivered, and with its outcome. */
  readonly observer?: SettlementObserver<T>;
}

/** Acknowledging, dead-lettering, putting back, and the watch over the time that batches are in flight. */
export abstract class Settlement<T = unknown> implements SettlementRules<T, Batch<T>> {
  protected readonly context: SettlementContext<T>;
  #inFlight = new PlacedList<Batch<T>>();
  /** Batches whose handler has thrown. */
  #threw = new WeakSet<Batch<T>>();
  #rests = new LocalRests();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #settledTotal = 0;
  #retriedTotal = 0;

  /** Makes the settlement of one consumer. */
  constructor(context: SettlementContext<T>) {
    this.context = context;
  }

  /** How many messages were settled, those sent back included. */
  get settledTotal(): number {
    return this.#settledTotal;
  }

  /** How many messages were sent back, or requeued here after a failure. */
  get retriedTotal(): number {
    return this.#retriedTotal;
  }

  /** Takes a batch from a queue, if it has one now; from one that closes only what others wait for to be committed. */
  deliver(owner: OwnedQueue<T>, max: number, topic: string | undefined): Batch<T> | undefined {
    const taken = owner.process.take(max, topic, owner.state === "closing");
    if (taken === undefined) return undefined;
    const batch = new Batch(owner, taken, this);
    owner.inFlight.push(batch);
    owner.lastDeliveredAt = batch.deliveredAt;
    this.#inFlight.add(batch);
    this.context.observer?.delivered(batch);
    this.#timer ??= setTimeout(() => this.#expire(), this.context.options.consumeTimeout);
    return batch;
  }

  /** Settles one message, or all that nobody has settled. */
  ack(batch: Batch<T>, message?: Message<T>): Promise<void> {
    if (!batch.owner.counts) {
      this.#inFlight.delete(batch);
    } else if (message === undefined && batch.settleWhole()) {
      this.#settledTotal += batch.length;
      this.context.observer?.ended(batch, "consumed", batch.messages);
      this.settled(batch);
    } else {
      this.acknowledge(batch, message === undefined ? batch.claim() : this.claimAcked(batch, message));
    }
    return SETTLED;
  }

  /** A handler has failed: an event tells why, and what nobody has settled is redelivered. */
  async fail(batch: Batch<T>, cause: unknown): Promise<void> {
    const { events, options: { group } } = this.context;
    const { topic, queue, messages } = batch;
    const error = new MessageConsumeError(topic, messages.map(({ messageId }) => messageId), cause);
    const text = `a handler of topic "${topic}" failed, what it has not settled is redelivered later`;
    const offset = messages[0]!.queueOffset;
    events.emit("warning", "handlerFailed", text, { group, topic, queue, broker: queue.broker, offset, error });
    this.#threw.add(batch);
    await this.retry(batch, undefined, {});
  }

  /** Has messages redelivered later; resolves when they are safe at a broker or here, or no longer ours. */
  abstract retry(batch: Batch<T>, message: Message<T> | undefined, options: RetryOptions): Promise<void>;

  /** Moves messages to the dead letter queue; resolves when they are safe there or here, or no longer ours. */
  async deadLetter(batch: Batch<T>, message: Message<T> | undefined): Promise<void> {
    if (batch.owner.counts) await this.redeliver(batch, batch.claim(message), DEAD_LETTER_LEVEL);
  }

  /** Requeues what nobody has settled; it is redelivered after the queue's rest. */
  release(batch: Batch<T>): void {
    if (batch.owner.counts) this.requeue(batch, batch.claim(), this.context.options.suspendQueue);
  }

  /** Ends the watch over batches in flight. */
  close(): void {
    clearTimeout(this.#timer);
    for (const batch of this.#inFlight) this.#inFlight.delete(batch);
  }

  /** Claims what the acknowledgement of one message settles. */
  protected abstract claimAcked(batch: Batch<T>, message: Message<T>): number[];

  /** A batch was in flight for longer than `consumeTimeout`. */
  protected abstract expired(batch: Batch<T>): void;

  /** Settles claimed messages of a batch that are consumed. */
  protected acknowledge(batch: Batch<T>, claimed: readonly number[]): void {
    if (claimed.length > 0) this.#report(batch, "consumed", claimed);
    this.settle(batch, claimed);
  }

  /** Settles claimed messages of a batch. */
  protected settle(batch: Batch<T>, claimed: readonly number[]): void {
    for (const at of claimed) batch.owner.process.settle(batch.numberAt(at));
    this.#settledTotal += claimed.length;
    this.settled(batch);
  }

  /** Puts claimed messages of a batch back, to be redelivered after a rest of `ms`. */
  protected requeue(batch: Batch<T>, claimed: readonly number[], ms: number): void {
    const { owner } = batch;
    const numbers = claimed.map((at) => batch.numberAt(at));
    for (const number of numbers) owner.process.requeue(number);
    if (numbers.length > 0) {
      owner.rest(ms, () => {
        for (const number of numbers) owner.process.endRest(number);
        this.context.offer(owner);
      });
    }
    this.settled(batch);
  }

  /**
   * Moves claimed messages elsewhere. Each is settled when it is safe there; one that nobody takes is requeued here.
   */
  protected async redeliver(
    batch: Batch<T>,
    claimed: readonly number[],
    delayLevel: number,
    outcome?: Outcome,
  ): Promise<void> {
    this.failed(batch, claimed, outcome);
    await Promise.all(claimed.map((at) => this.#redeliverOne(batch, at, delayLevel)));
  }

  async #redeliverOne(batch: Batch<T>, at: number, delayLevel: number): Promise<void> {
    const { owner } = batch;
    try {
      await this.context.redelivery.redeliver(batch.messages[at]!, delayLevel);
      if (owner.counts) this.settle(batch, [at]);
    } catch (error) {
      if (!owner.counts) return;
      this.#keep(batch, at, error);
    }
    this.#retriedTotal++;
  }

  /** Nobody takes a message that failed: it stays here, unsettled, and is redelivered after a rest. */
  #keep(batch: Batch<T>, at: number, error: unknown): void {
    const { events, options: { group } } = this.context;
    const message = batch.messages[at]!;
    const { topic, queue, queueOffset: offset } = message;
    const rest = this.#rests.next(message);
    const reason = reasonOf(error);
    const text = `${reason}; it is redelivered here in ${rest} ms, and sent back again if it fails then`;
    events.emit("error", "sendBackFailed", text, { group, topic, queue, broker: queue.broker, offset, error });
    message.retriedHere++;
    this.requeue(batch, [at], rest);
  }

  /** Tells of messages that have failed. */
  protected failed(batch: Batch<T>, claimed: readonly number[], outcome?: Outcome): void {
    if (claimed.length > 0) this.#report(batch, outcome ?? (this.#threw.has(batch) ? "threw" : "failed"), claimed);
  }

  /** Counts messages that were requeued after a failure. */
  protected countRetried(count: number): void {
    this.#retriedTotal += count;
  }

  /** After messages of a batch were settled or requeued. */
  protected settled(batch: Batch<T>): void {
    if (batch.isClaimed) {
      this.#inFlight.delete(batch);
      batch.owner.settled(batch);
    }
    batch.owner.progressed();
  }

  #report(batch: Batch<T>, outcome: Outcome, claimed: readonly number[]): void {
    this.context.observer?.ended(batch, outcome, claimed.map((at) => batch.messages[at]!));
  }

  /** One timer watches all batches: it is set for the oldest, and looks at all when it fires. */
  #expire(): void {
    const due = performance.now() - this.context.options.consumeTimeout;
    let oldest = Infinity;
    for (const batch of this.#inFlight) {
      if (batch.owner.counts && batch.deliveredAt > due) {
        oldest = Math.min(oldest, batch.deliveredAt);
        continue;
      }
      this.#inFlight.delete(batch);
      if (batch.owner.counts && !batch.isClaimed) this.#reportExpired(batch);
    }
    this.#timer = oldest === Infinity ? undefined : setTimeout(() => this.#expire(), Math.max(1, oldest - due));
  }

  #reportExpired(batch: Batch<T>): void {
    const { events, options: { group, consumeTimeout } } = this.context;
    const text = `a batch of ${batch.length} messages is in flight for more than ${consumeTimeout} ms`;
    events.emit("warning", "stalled", text, { group, queue: batch.queue, topic: batch.topic });
    this.expired(batch);
  }
}
