/**
 * What a POP consumer reports about itself: standstills, explanations, health.
 *
 * @module
 */

import type { Cluster } from "../../cluster/cluster.ts";
import type { PopParts } from "../pop/parts.ts";
import type { Finding } from "../../health.ts";
import type { CloseWait } from "../closing.ts";
import { Findings } from "./finding.ts";
import type { ConsumerHealth } from "../../health.ts";
import { missingTopics, unreachable } from "./queues.ts";
import { type Holdings, inFlightText, StandstillWatch } from "./standstill.ts";

/** What a {@linkcode PopDiagnosis} works with. */
export interface PopDiagnosisContext<T> {
  /** The client. */
  readonly cluster: Pick<Cluster, "options" | "routes">;
  /** The group. */
  readonly group: string;
  /** The consumer's parts. */
  readonly parts: PopParts<T>;
  /** Whether a loop was ever started. */
  readonly isLooping: () => boolean;
  /** Whether it is paused. */
  readonly isPaused: () => boolean;
  /** Whether the program acknowledges each batch by itself. */
  readonly acksExplicitly: () => boolean;
}

/** Looks at the parts of one POP consumer. */
export class PopDiagnosis<T = unknown> {
  /** Reports standstills. */
  readonly standstills: StandstillWatch;
  #context: PopDiagnosisContext<T>;

  /** Makes it for a consumer that has not started yet. */
  constructor(context: PopDiagnosisContext<T>) {
    this.#context = context;
    const { group, cluster: { options: { events } } } = context;
    this.standstills = new StandstillWatch({
      what: `group "${group}"`,
      about: { group },
      events,
      // A program that only calls pop() may take its time between two calls.
      holdings: () => context.isLooping() ? this.#holdings() : { ...this.#holdings(), inFlight: 0 },
      others: () => [],
    });
  }

  /** Why nothing arrives: brokers know what is ready, and are not asked. */
  explain(): Findings {
    const { parts, isLooping, isPaused } = this.#context;
    const found = this.#known(this.standstills.lasting(performance.now()));
    if (isPaused()) found.push({ code: "paused", text: "the consumer is paused", remedy: "call resume()" });
    if (!isLooping()) {
      const text = "no loop has requested a batch yet, so no broker is asked";
      found.push({
        code: "nobodyAsks",
        text,
        remedy: "iterate over the consumer with for await, or call run() or pop()",
      });
    }
    if (found.length > 0) return new Findings(...found);
    const { count } = parts.sources;
    const places = [...parts.sources].length;
    return new Findings({
      code: count > 0 ? "behind" : "upToDate",
      text: `${places} places are popped, ${count} messages are here and wait for a loop`,
      remedy: "check that something is being sent, that the filter lets it pass, and that it is not invisible: what " +
        "another member has taken is redelivered when its invisible time ends",
    });
  }

  /** What closing waits for. */
  get closeWait(): CloseWait {
    const { group, cluster: { options: { events } } } = this.#context;
    const inFlight = () => inFlightText(this.#holdings(), performance.now());
    return { what: `group "${group}"`, about: { group }, events, inFlight };
  }

  /** What is known without a request. */
  health(): ConsumerHealth {
    const findings = this.#known(this.standstills.reportable(performance.now()));
    const { queues, inFlight } = this.#holdings();
    return { kind: "popConsumer", group: this.#context.group, ok: findings.length === 0, queues, inFlight, findings };
  }

  #known(standstills: readonly Finding[]): Finding[] {
    const { parts: { subscriptions, sources }, cluster: { routes } } = this.#context;
    const missing = subscriptions.topics().filter((topic) => routes.known(topic) === undefined);
    const failing = [...sources].map(({ place, trouble }) => ({ broker: place.broker, reason: trouble }));
    return [...standstills, ...missingTopics(missing), ...unreachable(failing)];
  }

  #holdings(): Holdings {
    const { parts: { sources, settlement, dispatcher }, isLooping, isPaused, acksExplicitly } = this.#context;
    const all = [...sources];
    const isActive = isLooping() && !isPaused();
    const { inFlightCount: inFlight, settledTotal, retriedTotal } = settlement;
    return {
      queues: all.length,
      full: isActive ? all.filter(({ isBlocked }) => isBlocked).length : 0,
      ready: isActive ? sources.count : 0,
      inFlight,
      ...settlement.inFlightSummary(),
      isAsked: dispatcher.isAsked,
      isOrdered: false,
      acksExplicitly: acksExplicitly(),
      progress: `${settledTotal} ${retriedTotal} ${inFlight}`,
    };
  }
}
