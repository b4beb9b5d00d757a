/**
 * Where a POP consumer pops: every broker of its topics, or what the brokers assign to it.
 *
 * @module
 */

import type { PopClient, PopPlace } from "../../brokers/pop_client.ts";
import { firstAnswer } from "../../cluster/first_answer.ts";
import type { Routes } from "../../cluster/routes.ts";
import { RebalanceError } from "../../errors.ts";
import type { EventHub } from "../../events.ts";
import { RepeatedWork } from "../assignment/repeated_work.ts";
import { inBackground, unheard } from "../../owned_work.ts";

/** How long one broker is waited for before the next is asked as well, in milliseconds. */
const PATIENCE = 200;
/** How long all of them are waited for, in milliseconds: after that the members pop everywhere. */
const LONGEST_WAIT = 2_000;
/** Notices of so many milliseconds are one look. */
const NOTICE_INTERVAL = 200;

/** What a {@linkcode PopPlaces} works with. */
export interface PopPlacesContext {
  /** The group. */
  readonly group: string;
  /** Knows the routes. */
  readonly routes: Pick<Routes, "get">;
  /** Asks brokers. */
  readonly client: Pick<PopClient, "assignment">;
  /** Called with topics whose brokers cannot be found out. */
  readonly events: EventHub;
  /** The topics that are subscribed now. */
  readonly topics: () => readonly string[];
  /** Milliseconds between two looks. */
  readonly interval: number;
  /** Called with where to pop from now on. */
  readonly onPlaces: (places: readonly PopPlace[]) => void;
}

/**
 * Finds out where to pop, again and again.
 *
 * Any member may pop any queue, so there is nothing to agree upon. Only where an operator has set a group to be served
 * by POP (`mqadmin setConsumeMode`) do brokers assign queues, and then those count. Source: RebalanceImpl
 * `getRebalanceResultFromBroker`.
 */
export class PopPlaces {
  #context: PopPlacesContext;
  #known = new Map<string, readonly PopPlace[]>();
  #failing = new Set<string>();
  #looks = new RepeatedWork(() => this.#lookAtAll(), (error) => this.#lookFailed(error));
  /** Whether there was a notice since the last look for one. */
  #isNoticed = false;
  #noticeTimer: ReturnType<typeof setTimeout> | undefined;

  /** Makes it without a place. */
  constructor(context: PopPlacesContext) {
    this.#context = context;
  }

  /** The places of one topic, or of all. */
  places(topic?: string): readonly PopPlace[] {
    return [...this.#known.values()].flat().filter((place) => topic === undefined || place.topic === topic);
  }

  /** Looks now; resolves when a look that began after this call is complete. */
  refresh(): Promise<void> {
    return this.#looks.run();
  }

  /** Something may have changed: looks now, or where it has just looked, a moment later once for all notices. */
  notice(): void {
    if (this.#looks.isStopped) return;
    if (this.#noticeTimer !== undefined) {
      this.#isNoticed = true;
      return;
    }
    inBackground(this.refresh(), unheard);
    this.#noticeTimer = setTimeout(() => {
      this.#noticeTimer = undefined;
      if (!this.#isNoticed) return;
      this.#isNoticed = false;
      this.notice();
    }, NOTICE_INTERVAL);
  }

  /** Ends it; resolves when the look under way is complete. */
  stop(): Promise<void> {
    clearTimeout(this.#noticeTimer);
    return this.#looks.stop();
  }

  async #lookAtAll(): Promise<number> {
    const topics = this.#context.topics();
    for (const topic of this.#known.keys()) if (!topics.includes(topic)) this.#known.delete(topic);
    await Promise.all(topics.map((topic) => this.#look(topic)));
    if (!this.#looks.isStopped) this.#context.onPlaces(this.places());
    return this.#context.interval;
  }

  #lookFailed(error: unknown): void {
    const { group, events } = this.#context;
    events.failureOf("stalled", `finding where group "${group}" can pop`, { group })(error);
  }

  /** What cannot be found out stays as it was. */
  async #look(topic: string): Promise<void> {
    try {
      const route = await this.#context.routes.get(topic);
      const brokers = [...new Set(route?.readQueues.map(({ broker }) => broker))];
      this.#known.set(
        topic,
        await this.#assigned(topic, brokers) ?? brokers.map((broker) => ({ topic, broker, queueId: -1 })),
      );
      this.#failing.delete(topic);
    } catch (cause) {
      if (this.#failing.has(topic)) return;
      this.#failing.add(topic);
      const { group, events } = this.#context;
      const error = new RebalanceError(group, topic, "its brokers cannot be found out", cause);
      events.emit("warning", "stalled", `${error.message}, going on trying`, { group, topic, error });
    }
  }

  /** What brokers assign to this member; undefined if they leave it to the members, or do not answer. */
  async #assigned(topic: string, brokers: readonly string[]): Promise<readonly PopPlace[] | undefined> {
    const ask = (broker: string) => this.#context.client.assignment(topic, broker);
    const options = { timeout: LONGEST_WAIT, action: `ask brokers of "${topic}"`, headStart: () => PATIENCE };
    const assigned = brokers.length === 0 ? [] : await firstAnswer(brokers, ask, options).catch(() => []);
    const popped = assigned.filter(({ mode }) => mode === "POP").map(({ messageQueue }) => messageQueue);
    if (popped.length === 0) return undefined;
    return popped.map(({ brokerName, queueId }) => ({ topic, broker: brokerName, queueId }));
  }
}
