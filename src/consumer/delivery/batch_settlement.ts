/**
 * What settling has in common, whoever keeps the messages: this member or, with POP, their broker.
 *
 * @module
 */

import { MessageConsumeError } from "../../errors.ts";
import type { EventHub, StatusEvent } from "../../events.ts";
import { excerpt, thrownAs } from "../../plain_text.ts";
import type { Message } from "../../message.ts";
import type { DeliveredBatch, Outcome, RetryOptions, SettlementObserver, SettlementRules } from "./delivered_batch.ts";
import { type InFlightBatch, InFlightBatches } from "./in_flight.ts";

/** What a {@linkcode BatchSettlement} works with. */
export interface BatchSettlementContext<T = unknown> {
  /** The group, for events. */
  readonly group: string;
  /** Emits events. */
  readonly events: EventHub;
  /** Called with what is delivered, and with its outcome. */
  readonly observer: SettlementObserver<T> | undefined;
}

/** Where a batch comes from, for events. */
export type BatchPlace = Pick<StatusEvent, "queue" | "broker" | "offset">;

/** The batches in flight, the counters, and the failures of handlers. */
export abstract class BatchSettlement<T, B extends DeliveredBatch<T> & InFlightBatch> implements SettlementRules<T, B> {
  /** What is delivered and not settled. */
  protected readonly inFlight: InFlightBatches<B> = new InFlightBatches<B>((batch) => this.timeIsOver(batch));
  #context: BatchSettlementContext<T>;
  /** What the handlers of batches have thrown. */
  #thrown = new WeakMap<B, { readonly error: unknown }>();
  #settledTotal = 0;
  #retriedTotal = 0;

  constructor(context: BatchSettlementContext<T>) {
    this.#context = context;
  }

  /** How many messages were settled, those that are redelivered included. */
  get settledTotal(): number {
    return this.#settledTotal;
  }

  /** How many messages were retried, here or by their broker, or moved to the dead letter queue. */
  get retriedTotal(): number {
    return this.#retriedTotal;
  }

  /** How many batches are in flight, and when the oldest was delivered, by the monotonic clock. */
  inFlightSummary(): { batches: number; oldest: number | undefined } {
    return this.inFlight.summary();
  }

  abstract ack(batch: B, message?: Message<T>): Promise<void>;
  abstract retry(batch: B, message: Message<T> | undefined, options: RetryOptions): Promise<void>;
  abstract deadLetter(batch: B, message: Message<T> | undefined): Promise<void>;
  abstract release(batch: B): void;

  /** A handler has failed: an event reports it, and what nobody has settled is redelivered. */
  async fail(batch: B, cause: unknown): Promise<void> {
    const { events, group } = this.#context;
    const { topic, messages } = batch;
    const error = new MessageConsumeError(topic, messages.map(({ messageId }) => messageId), cause);
    const reason = excerpt(thrownAs(cause));
    const text = `a handler of topic "${topic}" failed: ${reason}; messages that it has not settled are redelivered`;
    events.emit("warning", "handlerFailed", text, { group, topic, ...this.placeOf(batch), error });
    this.#thrown.set(batch, { error: cause });
    await this.retry(batch, undefined, {});
  }

  /** Where a batch comes from, for events. */
  protected abstract placeOf(batch: B): BatchPlace;

  /** A batch is in flight for longer than it may be, or does not count any more. */
  protected abstract timeIsOver(batch: B): void;

  /** Takes a batch in that is delivered now. */
  delivered(batch: B): void {
    this.inFlight.add(batch);
    this.#context.observer?.delivered(batch);
  }

  /** Reports how messages of a batch have ended. */
  protected ended(batch: B, outcome: Outcome, messages: readonly Message<T>[]): void {
    if (messages.length > 0) this.#context.observer?.ended(batch, outcome, messages, this.#thrown.get(batch)?.error);
  }

  /** How messages of a batch have failed: by their handler, or because somebody said so. */
  protected failureOf(batch: B): Outcome {
    return this.#thrown.has(batch) ? "failed" : "retried";
  }

  /** Counts messages that are settled. */
  protected countSettled(count: number): void {
    this.#settledTotal += count;
  }

  /** Counts messages that are retried. */
  protected countRetried(count: number): void {
    this.#retriedTotal += count;
  }
}
