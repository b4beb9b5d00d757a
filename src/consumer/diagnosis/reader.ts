/**
 * What a reader reports about itself: standstills, explanations, health.
 *
 * @module
 */

import type { BrokerClient } from "../../brokers/broker_client.ts";
import type { EventHub } from "../../events.ts";
import type { QueueLag } from "../consumer.ts";
import type { OwnedQueue } from "../queue/owned_queue.ts";
import { Watchdog } from "../queue/watchdog.ts";
import type { Selector } from "../subscriptions/selector.ts";
import type { Finding } from "../../health.ts";
import { Findings } from "./finding.ts";
import type { ConsumerHealth } from "../../health.ts";
import { type HoldingParts, holdingsOf } from "./holdings.ts";
import { isGoodNews, queueFindings } from "./queues.ts";
import { type Holdings, StandstillWatch } from "./standstill.ts";

/** What a {@linkcode ReaderDiagnosis} works with. */
export interface ReaderDiagnosisContext {
  readonly topic: string;
  readonly group: string;
  readonly events: EventHub;
  readonly brokers: BrokerClient;
  readonly parts: HoldingParts;
  readonly selector: Selector | undefined;
  /** The queues, in their epochs. */
  readonly owned: () => readonly OwnedQueue[];
  /** Whether the program marks each batch as read by itself. */
  readonly acksExplicitly: () => boolean;
}

/** Looks at the parts of one reader. */
export class ReaderDiagnosis {
  /** Restarts pulls that stand still. */
  readonly watchdog: Watchdog;
  /** Reports standstills. */
  readonly standstills: StandstillWatch;
  #context: ReaderDiagnosisContext;

  /** Makes it for a reader that has not started yet. */
  constructor(context: ReaderDiagnosisContext) {
    this.#context = context;
    const { topic, group, events, owned } = context;
    this.watchdog = new Watchdog({ group, events, queues: owned });
    this.standstills = new StandstillWatch({
      what: `reader of topic "${topic}"`,
      about: { group, topic },
      events,
      holdings: () => {
        const holdings = this.#holdings();
        // A reader that nobody asks, or that takes its time, is no fault.
        return holdings.isAsked ? holdings : { ...holdings, ready: 0, inFlight: 0 };
      },
      others: () => [],
    });
  }

  /** Why nothing is read. */
  async explain(lag: () => Promise<readonly QueueLag[]>): Promise<Findings> {
    const { brokers, owned, selector } = this.#context;
    const found: Finding[] = [...this.standstills.lasting(performance.now())];
    const about = await queueFindings({
      brokers,
      owned: owned(),
      lags: await lag(),
      selector: () => selector,
      areLocked: false,
      fromBeginning: 'open the reader with from: "earliest", or call seek("earliest")',
    });
    return new Findings(...found, ...about.filter((each) => found.length === 0 || !isGoodNews(each)));
  }

  /** What is known without a request. */
  health(): ConsumerHealth {
    const { group } = this.#context;
    const findings = this.standstills.reportable(performance.now());
    const { queues, inFlight } = this.#holdings();
    return { kind: "reader", group, ok: findings.length === 0, queues, inFlight, findings };
  }

  #holdings(): Holdings {
    const { parts, acksExplicitly } = this.#context;
    return holdingsOf(parts, { isOrdered: false, acksExplicitly: acksExplicitly() });
  }
}
