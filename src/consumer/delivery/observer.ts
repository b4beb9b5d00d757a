/**
 * Looking at what a consumer does: its statistics, and the trace of its messages.
 *
 * @module
 */

import type { Message } from "../../message.ts";
import type { ConsumerStatistics } from "../../telemetry/consumer_statistics.ts";
import { TraceContextCode } from "../../telemetry/trace_records.ts";
import type { TracedBatch, Tracer } from "../../telemetry/tracer.ts";
import type { ObservedBatch, Outcome, SettlementObserver } from "./delivered_batch.ts";

/** What a trace says of an outcome. Source: ConsumeMessageConcurrentlyService. */
const traceCodes: Readonly<Record<Outcome, TraceContextCode>> = {
  consumed: TraceContextCode.SUCCESS,
  failed: TraceContextCode.FAILED,
  threw: TraceContextCode.EXCEPTION,
  late: TraceContextCode.TIME_OUT,
};

/** Counts and traces what is delivered, and how it ends. */
export class Observer<T = unknown> implements SettlementObserver<T> {
  /** The figures. */
  readonly statistics: ConsumerStatistics;
  #tracer: Tracer | undefined;
  #traced = new WeakMap<ObservedBatch<T>, TracedBatch>();

  /** Makes an observer; without a tracer nothing is traced. */
  constructor(statistics: ConsumerStatistics, tracer: Tracer | undefined) {
    this.statistics = statistics;
    this.#tracer = tracer;
  }

  delivered(batch: ObservedBatch<T>): void {
    const traced = this.#tracer?.before(batch.messages);
    if (traced !== undefined) this.#traced.set(batch, traced);
  }

  ended(batch: ObservedBatch<T>, outcome: Outcome, messages: readonly Message<T>[]): void {
    const { sourceTopic: topic } = batch;
    const isWhole = messages.length === batch.length;
    const now = performance.now();
    const ms = now - batch.deliveredAt;
    if (outcome === "consumed") this.statistics.consumed(topic, messages.length, ms, now);
    else this.statistics.failed(topic, messages.length, isWhole ? ms : undefined);
    this.#tracer?.after(this.#traced.get(batch), traceCodes[outcome], isWhole ? undefined : messages);
  }

  /** Sends what is left of the trace. */
  async close(): Promise<void> {
    await this.#tracer?.close();
  }
}
