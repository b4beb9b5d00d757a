/**
 * What looks at deliveries and settlements: statistics, RocketMQ's message trace, and the observers of users.
 *
 * @module
 */

import type { EventHub } from "../../events.ts";
import type { Message } from "../../message.ts";
import { inBackground, isPromise, notAPromise } from "../../owned_work.ts";
import type { ConsumerObserver, DeliveryListener, ObservedDelivery } from "../../telemetry/consumer_observer.ts";
import type { ConsumerStatistics } from "../../telemetry/consumer_statistics.ts";
import { TraceContextCode } from "../../telemetry/trace_records.ts";
import type { TracedBatch, Tracer } from "../../telemetry/tracer.ts";
import type { ObservedBatch, Outcome, SettlementObserver } from "./delivered_batch.ts";

/** What a trace says of an outcome; undefined where it says nothing. Source: ConsumeMessageConcurrentlyService. */
const traceCodes: Readonly<Record<Outcome, TraceContextCode | undefined>> = {
  acknowledged: TraceContextCode.SUCCESS,
  retried: TraceContextCode.FAILED,
  deadLettered: TraceContextCode.FAILED,
  failed: TraceContextCode.EXCEPTION,
  timedOut: TraceContextCode.TIME_OUT,
  released: undefined,
  revoked: undefined,
};

/** Counts what is delivered, by its outcome. What was released or revoked counts when it is redelivered. */
export class StatisticsObserver<T = unknown> implements SettlementObserver<T> {
  #statistics: ConsumerStatistics;

  /** Makes it for the statistics of one consumer. */
  constructor(statistics: ConsumerStatistics) {
    this.#statistics = statistics;
  }

  delivered(): void {}

  ended(batch: ObservedBatch<T>, outcome: Outcome, messages: readonly Message<T>[]): void {
    if (outcome === "released" || outcome === "revoked") return;
    const { sourceTopic: topic, deliveredAt } = batch;
    const now = performance.now();
    const ms = now - deliveredAt;
    if (outcome === "acknowledged") this.#statistics.consumed(topic, messages.length, ms, now);
    else this.#statistics.failed(topic, messages.length, messages.length === batch.length ? ms : undefined);
  }
}

/** Records what is delivered, and its outcome, in RocketMQ's message trace. */
export class TraceObserver<T = unknown> implements SettlementObserver<T> {
  #tracer: Pick<Tracer, "before" | "after">;
  #traced = new WeakMap<ObservedBatch<T>, TracedBatch>();

  /** Makes it for one tracer. */
  constructor(tracer: Pick<Tracer, "before" | "after">) {
    this.#tracer = tracer;
  }

  delivered(batch: ObservedBatch<T>): void {
    const traced = this.#tracer.before(batch.messages);
    if (traced !== undefined) this.#traced.set(batch, traced);
  }

  ended(batch: ObservedBatch<T>, outcome: Outcome, messages: readonly Message<T>[]): void {
    const code = traceCodes[outcome];
    if (code === undefined) return;
    this.#tracer.after(this.#traced.get(batch), code, messages.length === batch.length ? undefined : messages);
  }
}

/** What {@linkcode UserObservers} say of all deliveries, and where their failures go. */
export interface UserObserversContext {
  /** What delivers. */
  readonly consumer: ObservedDelivery["consumer"];
  /** The group. */
  readonly group: string;
  /** Emits events. */
  readonly events: EventHub;
}

/** Calls the observers of users, whatever they do. */
export class UserObservers<T = unknown> implements SettlementObserver<T> {
  #observers: readonly ConsumerObserver[];
  #context: UserObserversContext;
  #report: (error: unknown) => void;
  #listeners = new WeakMap<ObservedBatch<T>, readonly DeliveryListener[]>();

  /** Makes it for the observers of one consumer. */
  constructor(observers: readonly ConsumerObserver[], context: UserObserversContext) {
    const { events, group } = context;
    this.#observers = observers;
    this.#context = context;
    this.#report = events.failureOf("observerFailed", "an observer of deliveries", { group });
  }

  delivered(batch: ObservedBatch<T>): void {
    const { consumer, group } = this.#context;
    const { topic, messages } = batch;
    const delivery: ObservedDelivery = { consumer, group, topic, messages, startTime: now() };
    const listeners: DeliveryListener[] = [];
    for (const observer of this.#observers) {
      try {
        const listener = notAPromise(observer.onDeliver?.(delivery), "onDeliver");
        if (typeof listener === "object" && listener !== null) listeners.push(listener);
      } catch (error) {
        this.#report(error);
      }
    }
    if (listeners.length > 0) this.#listeners.set(batch, listeners);
  }

  ended(batch: ObservedBatch<T>, outcome: Outcome, messages: readonly Message<T>[], error?: unknown): void {
    const settlement = { outcome, messages, error, endTime: now() };
    for (const listener of this.#listeners.get(batch) ?? []) {
      try {
        const result: unknown = listener.onSettle?.(settlement);
        if (isPromise(result)) inBackground(Promise.resolve(result), this.#report);
      } catch (error) {
        this.#report(error);
      }
    }
  }
}

/** Several observers as one. */
export class AllObservers<T = unknown> implements SettlementObserver<T> {
  #observers: readonly SettlementObserver<T>[];

  /** Makes one of those that are there. */
  constructor(observers: readonly (SettlementObserver<T> | undefined)[]) {
    this.#observers = observers.filter((observer) => observer !== undefined);
  }

  delivered(batch: ObservedBatch<T>): void {
    for (const observer of this.#observers) observer.delivered(batch);
  }

  ended(batch: ObservedBatch<T>, outcome: Outcome, messages: readonly Message<T>[], error?: unknown): void {
    for (const observer of this.#observers) observer.ended(batch, outcome, messages, error);
  }
}

/**
 * Calls users' observers that have a function for deliveries; undefined if none has, so that nothing is done for them.
 */
export function userObservers<T>(
  observers: readonly ConsumerObserver[],
  context: UserObserversContext,
): UserObservers<T> | undefined {
  const wanted = observers.filter(({ onDeliver }) => onDeliver !== undefined);
  return wanted.length === 0 ? undefined : new UserObservers<T>(wanted, context);
}

function now(): number {
  return performance.timeOrigin + performance.now();
}
