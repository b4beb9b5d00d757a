/**
 * How fast a consumer pulls and consumes, topic by topic: what operators see in its running info.
 *
 * @module
 */

import type { ConsumeStatus } from "../wire/bodies.ts";
import { type Period, type PeriodSum, SlidingSums } from "./sliding_sums.ts";

/** What is counted of one topic, by Java's names. Source: ConsumerStatsManager. */
export type Statistic = "PULL_RT" | "PULL_TPS" | "CONSUME_RT" | "CONSUME_OK_TPS" | "CONSUME_FAILED_TPS";

type TopicSums = Readonly<Record<Statistic, SlidingSums>>;

/** Options of {@linkcode ConsumerStatistics}. */
export interface ConsumerStatisticsOptions {
  /** The clock, in milliseconds; it must not go back. @default {performance.now} */
  readonly now?: () => number;
}

/**
 * The statistics of one consumer. A topic is the queue's: redelivered messages count for the retry topic.
 *
 * All calls take the same short time, and there is no timer. As in Java, figures are of the minute up to the last full
 * 10 seconds, and of the hour up to the last full 10 minutes, counted from the consumer's start.
 */
export class ConsumerStatistics {
  #now: () => number;
  #origin: number;
  #topics = new Map<string, TopicSums>();

  /** Begins counting. */
  constructor(options: ConsumerStatisticsOptions = {}) {
    this.#now = options.now ?? (() => performance.now());
    this.#origin = this.#now();
  }

  /** The topics of which anything was counted. */
  get topics(): readonly string[] {
    return [...this.#topics.keys()];
  }

  /** A pull has returned messages. */
  pulled(topic: string, count: number, ms: number, now: number = this.#now()): void {
    const sums = this.#sumsOf(topic);
    sums.PULL_RT.add(ms, now);
    sums.PULL_TPS.add(count, now);
  }

  /** Messages of one batch were consumed, the batch in `ms` milliseconds. */
  consumed(topic: string, count: number, ms: number, now: number = this.#now()): void {
    const sums = this.#sumsOf(topic);
    sums.CONSUME_RT.add(ms, now);
    sums.CONSUME_OK_TPS.add(count, now);
  }

  /** Messages failed; with `ms` if they are a whole batch, else the other messages of the batch report its time. */
  failed(topic: string, count: number, ms?: number): void {
    const sums = this.#sumsOf(topic);
    if (ms !== undefined) sums.CONSUME_RT.add(ms);
    sums.CONSUME_FAILED_TPS.add(count);
  }

  /** Forgets a topic. */
  forget(topic: string): void {
    this.#topics.delete(topic);
  }

  /** A topic's part of the running info; zeros if nothing was counted. */
  snapshot(topic: string): ConsumeStatus {
    const consumeRT = this.within(topic, "CONSUME_RT", "minute");
    return {
      pullRT: this.within(topic, "PULL_RT", "minute").average,
      pullTPS: this.within(topic, "PULL_TPS", "minute").perSecond,
      consumeRT: (consumeRT.sum === 0 ? this.within(topic, "CONSUME_RT", "hour") : consumeRT).average,
      consumeOKTPS: this.within(topic, "CONSUME_OK_TPS", "minute").perSecond,
      consumeFailedTPS: this.within(topic, "CONSUME_FAILED_TPS", "minute").perSecond,
      consumeFailedMsgs: this.within(topic, "CONSUME_FAILED_TPS", "hour").sum,
    };
  }

  /** One statistic of a topic over one period. */
  within(topic: string, statistic: Statistic, period: Period): PeriodSum {
    return this.#topics.get(topic)?.[statistic].within(period) ?? { sum: 0, times: 0, perSecond: 0, average: 0 };
  }

  #sumsOf(topic: string): TopicSums {
    let sums = this.#topics.get(topic);
    if (sums === undefined) {
      const begin = () => new SlidingSums(this.#now, this.#origin);
      sums = {
        PULL_RT: begin(),
        PULL_TPS: begin(),
        CONSUME_RT: begin(),
        CONSUME_OK_TPS: begin(),
        CONSUME_FAILED_TPS: begin(),
      };
      this.#topics.set(topic, sums);
    }
    return sums;
  }
}
