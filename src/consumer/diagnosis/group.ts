/**
 * What a group consumer reports about itself: standstills, explanations, health.
 *
 * @module
 */

import type { Cluster } from "../../cluster/cluster.ts";
import type { QueueLag } from "../consumer.ts";
import type { CheckedConsumerOptions } from "../options_check.ts";
import type { ConsumerParts } from "../parts.ts";
import type { OwnedQueue } from "../queue/owned_queue.ts";
import type { Finding } from "../../health.ts";
import type { CloseWait } from "../closing.ts";
import { Findings } from "./finding.ts";
import type { ConsumerHealth } from "../../health.ts";
import { holdingsOf } from "./holdings.ts";
import { isGoodNews, missingTopics, queueFindings } from "./queues.ts";
import { type Holdings, inFlightText, StandstillWatch } from "./standstill.ts";

/** What a {@linkcode GroupDiagnosis} works with. */
export interface GroupDiagnosisContext<T> {
  /** The client. */
  readonly cluster: Pick<Cluster, "options" | "routes">;
  /** The consumer's options. */
  readonly options: CheckedConsumerOptions;
  /** The consumer's parts. */
  readonly parts: ConsumerParts<T>;
  /** Whether the program acknowledges each batch by itself. */
  readonly acksExplicitly: () => boolean;
}

/** Looks at the parts of one group consumer. */
export class GroupDiagnosis<T = unknown> {
  /** Reports standstills. */
  readonly standstills: StandstillWatch;
  #context: GroupDiagnosisContext<T>;

  /** Makes it for a consumer that has not started yet. */
  constructor(context: GroupDiagnosisContext<T>) {
    this.#context = context;
    const { options: { group }, cluster: { options: { events } } } = context;
    this.standstills = new StandstillWatch({
      what: `group "${group}"`,
      about: { group },
      events,
      holdings: () => this.#holdings(),
      others: () => this.#withoutQueues(),
    });
  }

  /** Why nothing arrives. */
  async explain(lag: () => Promise<readonly QueueLag[]>): Promise<Findings> {
    const { parts, options } = this.#context;
    const found = this.#known(this.standstills.lasting(performance.now()));
    const owned = parts.assignment.owned as readonly OwnedQueue[];
    if (owned.some(({ isRetry }) => !isRetry)) {
      const fromBeginning = options.consumeFrom === "first"
        ? `seek(queue, "earliest") consumes them`
        : `a new group with consumeFrom: "first", or seek(queue, "earliest"), consumes them`;
      const about = await queueFindings({
        brokers: parts.brokers,
        owned,
        lags: await lag(),
        selector: (topic) => parts.subscriptions.selector(topic),
        areLocked: parts.locks !== undefined,
        fromBeginning,
      });
      const isWell = found.length === 0;
      found.push(...about.filter((each) => isWell || !isGoodNews(each)));
    }
    return new Findings(...found);
  }

  /** What closing waits for. */
  get closeWait(): CloseWait {
    const { options: { group }, cluster: { options: { events } } } = this.#context;
    const inFlight = () => inFlightText(this.#holdings(), performance.now());
    return { what: `group "${group}"`, about: { group }, events, inFlight };
  }

  /** What is known without a request. */
  health(): ConsumerHealth {
    const { parts, options: { group } } = this.#context;
    const findings = this.#known(this.standstills.reportable(performance.now()));
    const { inFlight } = this.#holdings();
    const queues = parts.assignment.owned.length;
    return {
      kind: "consumer",
      group,
      ok: findings.every(({ code }) => code === "noQueues"),
      queues,
      inFlight,
      findings,
    };
  }

  /** Findings that need no request: all of them are faults, or what the program around it does not do. */
  #known(standstills: readonly Finding[]): Finding[] {
    const { parts, cluster } = this.#context;
    const found: Finding[] = [...standstills];
    const { taken } = parts.assignment.commitReports;
    if (taken !== undefined) {
      found.push({ code: "offsetsTaken", text: taken, remedy: "close this consumer, it stores nothing any more" });
    }
    const topics = parts.subscriptions.topics().filter((topic) => topic !== parts.retryTopic);
    found.push(...missingTopics(topics.filter((topic) => cluster.routes.known(topic) === undefined)));
    found.push(...parts.groupWatch.findings);
    return found;
  }

  #holdings(): Holdings {
    const { parts, options, acksExplicitly } = this.#context;
    return holdingsOf(parts, { isOrdered: options.ordering !== "concurrent", acksExplicitly: acksExplicitly() });
  }

  /** No topic has a queue for this member, though there are some. */
  #withoutQueues(): readonly Finding[] {
    const { rebalancer: { withoutShare }, subscriptions, retryTopic } = this.#context.parts;
    const topics = subscriptions.topics().filter((topic) => topic !== retryTopic);
    const shares = topics.map((topic) => ({ topic, ...withoutShare.get(topic) }));
    if (topics.length === 0 || shares.some(({ queues }) => queues === undefined)) return [];
    const members = Math.max(...shares.map(({ members = 0 }) => members));
    const counts = shares.map(({ topic, queues }) => `${queues} of topic "${topic}"`).join(", ");
    const { allocation } = this.#context.options;
    return [{
      code: "noQueues",
      text: `no queue is for this member: ${members} members share the queues (${counts}) by "${allocation.name}"`,
      remedy: "create more queues, run fewer members, or look for a forgotten one; until then this member is a reserve",
    }];
  }
}
