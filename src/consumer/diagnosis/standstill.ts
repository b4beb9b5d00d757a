/**
 * Noticing that a consumer stands still because of what the program around it does, or does not do.
 *
 * @module
 */

import type { EventHub } from "../../events.ts";
import type { StatusEventPlace } from "../../status_event.ts";
import type { Finding } from "../../health.ts";

/** Between two looks, in milliseconds. */
const INTERVAL = 2_500;
/** How long nothing may advance before that is reported, in milliseconds. */
const PATIENCE = 5_000;
/** The same while handlers work: some take their time. It becomes twice the longest time that was reported. */
const BUSY_PATIENCE = 10_000;
/** How long batches are in flight as a rule, in milliseconds. */
const MOMENT = 1_000;

/** What a consumer holds at a moment. */
export interface Holdings {
  /** The queues, or places, that it receives from. */
  readonly queues: number;
  /** How many of them wait for room, and are not paused. */
  readonly full: number;
  /** Messages that wait for a loop. */
  readonly ready: number;
  /** Messages that are delivered and not settled. */
  readonly inFlight: number;
  /** The batches that these are in. */
  readonly batches: number;
  /** When the oldest of these batches was delivered, by the monotonic clock. */
  readonly oldest: number | undefined;
  /** Whether a loop waits for a batch. */
  readonly isAsked: boolean;
  /** Whether nothing is delivered of a queue, or of a key, while a batch of it is in flight. */
  readonly isOrdered: boolean;
  /** Whether the program acknowledges each batch by itself: by `autoAck: false`, or because it reads a stream. */
  readonly acksExplicitly: boolean;
  /** Changes with everything that is delivered or settled. */
  readonly progress: string;
}

/** A reason to stand still, and since when that is so. */
export interface Standstill extends Finding {
  /** Since when, by the monotonic clock. */
  readonly since: number;
  /** How long it may last before it is reported, in milliseconds. */
  readonly patience: number;
}

/** What a {@linkcode StandstillWatch} works with. */
export interface StandstillContext {
  /** What is looked at, as events name it: `group "billing"`. */
  readonly what: string;
  /** What events are about. */
  readonly about: StatusEventPlace;
  /** Emits events. */
  readonly events: EventHub;
  /** What is held now. */
  readonly holdings: () => Holdings;
  /** Other reasons, that do not depend on what is held. */
  readonly others: () => readonly Finding[];
}

/** A standstill that was reported. */
interface Reported {
  readonly since: number;
  readonly code: string;
}

/** Reports each standstill once, a few seconds after it began, and its end. */
export class StandstillWatch {
  #context: StandstillContext;
  #timer: ReturnType<typeof setInterval> | undefined;
  #progress = "";
  #progressAt = performance.now();
  #busyPatience = BUSY_PATIENCE;
  /** When each reason that does not depend on what is held was seen first. */
  #firstSeen = new Map<string, number>();
  #reported = new Map<string, Reported>();

  /** Makes a watch that sleeps until {@linkcode StandstillWatch.start}. */
  constructor(context: StandstillContext) {
    this.#context = context;
  }

  /** Looks regularly until {@linkcode StandstillWatch.stop}. */
  start(): void {
    this.#timer = setInterval(() => this.check(performance.now()), INTERVAL);
  }

  /** Ends the watch. */
  stop(): void {
    clearInterval(this.#timer);
  }

  /** Looks once, at the time `now` of the monotonic clock. */
  check(now: number): void {
    const found = this.found(now);
    for (const [code, reported] of this.#reported) {
      if (!found.some((each) => each.code === code && each.since === reported.since)) this.#reportEnd(reported, now);
    }
    const { events, what, about } = this.#context;
    for (const { code, text, remedy, since, patience } of found) {
      if (this.#reported.has(code) || now - since < patience) continue;
      this.#reported.set(code, { code, since });
      events.emit("warning", "stalled", `${what}: ${text}; ${remedy}`, about);
    }
  }

  /** The reasons there are now, however short they last. */
  found(now: number): readonly Standstill[] {
    const holdings = this.#context.holdings();
    if (holdings.progress !== this.#progress) {
      this.#progress = holdings.progress;
      this.#progressAt = now;
    }
    const seen = this.#context.others();
    for (const code of this.#firstSeen.keys()) {
      if (!seen.some((each) => each.code === code)) this.#firstSeen.delete(code);
    }
    for (const { code } of seen) if (!this.#firstSeen.has(code)) this.#firstSeen.set(code, now);
    const others = seen.map((each) => ({ ...each, since: this.#firstSeen.get(each.code)!, patience: PATIENCE }));
    const own = standstillOf(holdings, now);
    if (own === undefined) return others;
    const isCertain = own.code === "nobodyAsks" || (own.code === "unsettled" && holdings.acksExplicitly);
    const patience = isCertain ? PATIENCE : this.#busyPatience;
    return [{ ...own, since: this.#progressAt, patience }, ...others];
  }

  /** The reasons that have lasted for a moment: a batch in flight is none. */
  lasting(now: number): readonly Finding[] {
    const found = this.found(now).filter(({ code, since }) => code === "nobodyAsks" || now - since >= MOMENT);
    return found.map(({ code, text, remedy }) => ({ code, text, remedy }));
  }

  /** The reasons that were, or are to be, reported. */
  reportable(now: number): readonly Finding[] {
    const found = this.found(now).filter(({ since, patience }) => now - since >= patience);
    return found.map(({ code, text, remedy }) => ({ code, text, remedy }));
  }

  #reportEnd({ code, since }: Reported, now: number): void {
    const { events, what, about } = this.#context;
    this.#reported.delete(code);
    if (code === "handlersBusy" || code === "unsettled") {
      this.#busyPatience = Math.max(this.#busyPatience, 2 * (now - since));
    }
    events.emit("info", "revived", `${what}: continues after ${seconds(now - since)} s (${code} is over)`, about);
  }
}

/** What a consumer waits for that the program around it has to do; undefined if there is nothing. */
export function standstillOf(holdings: Holdings, now: number): Finding | undefined {
  const { full, ready, inFlight, isAsked, isOrdered } = holdings;
  if (inFlight > 0) {
    if (!isAsked) return handlersBusy(holdings, now);
    return full > 0 || (isOrdered && ready > 0) ? unsettled(holdings, now) : undefined;
  }
  return ready > 0 ? nobodyAsks(holdings) : undefined;
}

function unsettled(holdings: Holdings, now: number): Finding {
  const { full, queues, ready } = holdings;
  const waiting = full > 0 ? `${full} of ${queues} queues have reached a limit` : `${ready} messages wait behind them`;
  return {
    code: "unsettled",
    text: `nothing is delivered although a loop waits: ${inFlightOf(holdings, now)} are not settled, ${waiting}`,
    remedy: holdings.acksExplicitly
      ? "settle each batch by ack(), retry() or release(), as autoAck: false and readable() require"
      : "look for a handler that does not return",
  };
}

function handlersBusy(holdings: Holdings, now: number): Finding {
  return {
    code: "handlersBusy",
    text: `nothing is settled: ${inFlightOf(holdings, now)}, no loop waits for more, ${holdings.ready} messages are ` +
      `buffered`,
    remedy: "look for a handler that does not return; limit its time, for instance by batch.signal, or raise the " +
      "concurrency",
  };
}

function nobodyAsks({ full, queues, ready, isAsked }: Holdings): Finding {
  if (isAsked) {
    return {
      code: "nobodyAsks",
      text: `${ready} messages are buffered of topics that no loop requests`,
      remedy: "request these topics by a loop as well, or unsubscribe from them",
    };
  }
  return {
    code: "nobodyAsks",
    text: `${ready} messages are buffered and no loop requests a batch (${full} of ${queues} queues are full)`,
    remedy: "iterate over the consumer with for await, or call run(), until it closes",
  };
}

/** What is in flight; undefined if nothing is. */
export function inFlightText(holdings: Holdings, now: number): string | undefined {
  return holdings.inFlight === 0 ? undefined : inFlightOf(holdings, now);
}

function inFlightOf({ batches, inFlight, oldest }: Holdings, now: number): string {
  const age = oldest === undefined ? "" : `, the oldest for ${seconds(now - oldest)} s`;
  return `${batches} batches with ${inFlight} messages in flight${age}`;
}

/** Milliseconds as whole seconds. */
export function seconds(ms: number): number {
  return Math.round(ms / 1_000);
}
