/**
 * What becomes of messages that were delivered: what all ways to consume have in common.
 *
 * @module
 */

import type { EventHub } from "../../events.ts";
import type { Message } from "../../message.ts";
import { reasonOf } from "../../plain_text.ts";
import type { CheckedConsumerOptions } from "../options_check.ts";
import type { QueueSink } from "../queue/queue_flow.ts";
import type { Batch } from "./batch.ts";
import { type BatchPlace, BatchSettlement } from "./batch_settlement.ts";
import { type Outcome, SETTLED, type SettlementObserver } from "./delivered_batch.ts";
import { LocalRests } from "./local_rests.ts";
import { DEAD_LETTER_LEVEL, type Redelivery } from "./redelivery.ts";

/** What a {@linkcode Settlement} needs. */
export interface SettlementContext<T = unknown> {
  /** The consumer's options. */
  readonly options: Pick<CheckedConsumerOptions, "group" | "consumeTimeout" | "suspendQueue" | "maxReconsumeTimes">;
  /** Emits events. */
  readonly events: EventHub;
  /** Takes messages that failed. */
  readonly redelivery: Redelivery<T>;
  /** Where queues go that have something to deliver again. */
  readonly sink: Pick<QueueSink<T>, "offer">;
  /** Called with what is delivered, and with its outcome. */
  readonly observer?: SettlementObserver<T>;
}

/** Acknowledging, dead-lettering and requeueing messages of queues that are assigned to this member. */
export abstract class Settlement<T = unknown> extends BatchSettlement<T, Batch<T>> {
  protected readonly context: SettlementContext<T>;
  #rests = new LocalRests();

  /** Makes the settlement of one consumer. */
  constructor(context: SettlementContext<T>) {
    super({ group: context.options.group, events: context.events, observer: context.observer });
    this.context = context;
  }

  /** Settles one message, or all that nobody has settled. */
  ack(batch: Batch<T>, message?: Message<T>): Promise<void> {
    if (!batch.counts) {
      this.inFlight.delete(batch);
    } else if (message === undefined && batch.settleWhole()) {
      this.countSettled(batch.length);
      this.ended(batch, "acknowledged", batch.messages);
      this.settled(batch);
    } else {
      this.acknowledge(batch, message === undefined ? batch.claim() : this.claimAcked(batch, message));
    }
    return SETTLED;
  }

  /** Moves messages to the dead letter queue; resolves when they are safe there or here, or no longer ours. */
  async deadLetter(batch: Batch<T>, message: Message<T> | undefined): Promise<void> {
    if (batch.counts) await this.redeliver(batch, batch.claim(message), DEAD_LETTER_LEVEL, "deadLettered");
  }

  /** Requeues what nobody has settled; it is redelivered after the queue's rest. */
  release(batch: Batch<T>): void {
    if (!batch.counts) return;
    const claimed = batch.claim();
    this.#report(batch, "released", claimed);
    this.requeue(batch, claimed, this.context.options.suspendQueue);
  }

  /** Ends the watch over batches in flight. */
  close(): void {
    this.inFlight.close();
  }

  /** Claims what the acknowledgement of one message settles. */
  protected abstract claimAcked(batch: Batch<T>, message: Message<T>): number[];

  /** A batch was in flight for longer than `consumeTimeout`. */
  protected abstract expired(batch: Batch<T>): void;

  /** Settles claimed messages of a batch that are consumed. */
  protected acknowledge(batch: Batch<T>, claimed: readonly number[]): void {
    this.#report(batch, "acknowledged", claimed);
    this.settle(batch, claimed);
  }

  /** Settles claimed messages of a batch. */
  protected settle(batch: Batch<T>, claimed: readonly number[]): void {
    for (const at of claimed) batch.owner.process.settle(batch.numberAt(at));
    this.countSettled(claimed.length);
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
        this.context.sink.offer(owner);
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
    this.countRetried(1);
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

  /** Reports messages that have failed. */
  protected failed(batch: Batch<T>, claimed: readonly number[], outcome?: Outcome): void {
    this.#report(batch, outcome ?? this.failureOf(batch), claimed);
  }

  /** After messages of a batch were settled or requeued. */
  protected settled(batch: Batch<T>): void {
    if (batch.isClaimed) {
      this.inFlight.delete(batch);
      batch.owner.settled(batch);
    }
    batch.owner.progressed();
  }

  /** A batch no longer counts: its queue is revoked, or at another position. */
  voided(batch: Batch<T>): void {
    this.#report(batch, "revoked", batch.unclaimed());
  }

  protected placeOf({ queue, messages }: Batch<T>): BatchPlace {
    return { queue, broker: queue.broker, offset: messages[0]!.queueOffset };
  }

  protected timeIsOver(batch: Batch<T>): void {
    if (!batch.counts || batch.isClaimed) return;
    const { events, options: { group, consumeTimeout } } = this.context;
    const text = `a batch of ${batch.length} messages is in flight for more than ${consumeTimeout} ms`;
    events.emit("warning", "stalled", text, { group, queue: batch.queue, topic: batch.topic });
    this.expired(batch);
  }

  #report(batch: Batch<T>, outcome: Outcome, claimed: readonly number[]): void {
    this.ended(batch, outcome, claimed.map((at) => batch.messages[at]!));
  }
}
