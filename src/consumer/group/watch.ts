/**
 * Looking at a group as its brokers know it, for mistakes that no request shows.
 *
 * @module
 */

import { askAll } from "../../cluster/ask_all.ts";
import type { EventHub } from "../../events.ts";
import type { ConsumerConnection, SubscriptionData } from "../../wire/bodies.ts";
import { inBackground } from "../../owned_work.ts";
import type { Finding } from "../../health.ts";

/** How long the look before the join may take, in milliseconds: joining waits for it. */
const LONGEST_FIRST_LOOK = 500;
/** How long after a notice of changed members brokers are asked, in milliseconds: once for all notices until then. */
const NOTICE_DELAY = 250;

const REMEDY = "subscribe all members of a group to the same, or use another group";

/** Another subscription of a topic. */
interface Difference {
  readonly text: string;
  readonly topic: string;
}

/** What a {@linkcode GroupWatch} works with. */
export interface GroupWatchContext {
  /** The group. */
  readonly group: string;
  /** This client's id. */
  readonly clientId: string;
  /** Where the problems go. */
  readonly events: EventHub;
  /** What this member subscribes to. */
  readonly subscriptions: () => readonly SubscriptionData[];
  /** The names of the brokers of the topics that are subscribed. */
  readonly brokers: () => readonly string[];
  /** Asks a broker who is in the group, within so many milliseconds. */
  readonly connections: (broker: string, timeout: number) => Promise<ConsumerConnection>;
  /** Whether a `host:port` is this client's own, on a connection of now or before. */
  readonly isOwnAddress: (address: string) => boolean;
}

/**
 * How long brokers list a connection that has ended without their noticing, in milliseconds, and the time until they
 * look. Source: ClientHousekeepingService, ConsumerManager.
 */
const GHOST_LIFETIME = 130_000;
/** How long one look may take, in milliseconds. */
const LONGEST_LOOK = 10_000;

/**
 * Reports members that subscribe to something else, and other clients that have the same id. Connections of our own
 * that brokers still list after their end are none.
 *
 * Brokers keep one set of subscriptions for a group, the newest of each topic: with different ones members get messages
 * that they do not want and miss others. So the older members see a difference after the join, and the one that joins
 * has to look before. Two clients of one id count as one member, and consume the same.
 */
export class GroupWatch {
  #context: GroupWatchContext;
  #timer: ReturnType<typeof setInterval> | undefined;
  #noticeTimer: ReturnType<typeof setTimeout> | undefined;
  #isLooking = false;
  #isStopped = false;
  /** What was reported, until it is over. */
  #reported = new Set<string>();
  /** What the last look has found, and what the one before the join has, while those members are there. */
  #differences: readonly Difference[] = [];
  #atJoin: { readonly differences: readonly Difference[]; readonly members: ReadonlySet<string> } | undefined;
  /** Since when another client has our id at every look, by the monotonic clock. */
  #twiceSince: number | undefined;

  /** Makes a watch that looks at nothing yet. */
  constructor(context: GroupWatchContext) {
    this.#context = context;
  }

  /** Looks every `interval` milliseconds until {@linkcode GroupWatch.stop}. */
  start(interval: number): void {
    this.#timer = setInterval(() => this.#checkInBackground(), interval);
  }

  /** The members have changed: looks soon. */
  notice(): void {
    if (this.#isStopped || this.#timer === undefined) return;
    this.#noticeTimer ??= setTimeout(() => {
      this.#noticeTimer = undefined;
      this.#checkInBackground();
    }, NOTICE_DELAY);
  }

  /** Ends the watch. */
  stop(): void {
    this.#isStopped = true;
    clearInterval(this.#timer);
    clearTimeout(this.#noticeTimer);
  }

  /** Other subscriptions in the group, as far as is known. */
  get findings(): readonly Finding[] {
    const seen = new Map([...this.#differences, ...this.#atJoin?.differences ?? []].map((each) => [each.topic, each]));
    return [...seen.values()].map(({ text }) => ({ code: "mixedSubscriptions", text, remedy: REMEDY }));
  }

  /** Looks before this member has joined: from then on brokers have its subscriptions instead of the others'. */
  async checkBeforeJoin(): Promise<void> {
    const known = await this.#look(LONGEST_FIRST_LOOK);
    const members = new Set(known.flatMap(({ connectionSet = [] }) => connectionSet.map(({ clientId }) => clientId)));
    const differences = known.flatMap((view) => this.#differencesTo(view));
    this.#atJoin = { differences, members };
    this.#report("mixedSubscriptions", differences);
  }

  /** Looks once; brokers that do not answer are left out. */
  async check(): Promise<void> {
    const known = await this.#look(LONGEST_LOOK);
    if (known.length === 0 || this.#isStopped) return;
    this.#differences = known.flatMap((view) => this.#differencesTo(view));
    const members = new Set(known.flatMap(({ connectionSet = [] }) => connectionSet.map(({ clientId }) => clientId)));
    if (![...this.#atJoin?.members ?? []].some((each) => members.has(each))) this.#atJoin = undefined;
    this.#report("mixedSubscriptions", [...this.#differences, ...this.#atJoin?.differences ?? []]);
    this.#lookForDoubles(known);
  }

  #checkInBackground(): void {
    if (this.#isLooking) return;
    const { events, group } = this.#context;
    const failed = events.failureOf("mixedSubscriptions", `looking at the members of group "${group}"`, { group });
    inBackground(this.check(), failed);
  }

  async #look(timeout: number): Promise<readonly ConsumerConnection[]> {
    const { brokers, connections } = this.#context;
    this.#isLooking = true;
    try {
      const asked = await askAll(brokers(), connections, {
        timeout,
        action: (broker) => `ask broker "${broker}" who is in group "${this.#context.group}"`,
      });
      return asked.answers.map(({ answer }) => answer);
    } finally {
      this.#isLooking = false;
    }
  }

  /** One look is not enough: a connection that has just been opened is known to the broker a moment before to us. */
  #lookForDoubles(views: readonly ConsumerConnection[]): void {
    const { group, clientId, isOwnAddress } = this.#context;
    let [isTwice, isCertain] = [false, false];
    for (const { connectionSet = [] } of views) {
      const ours = connectionSet.filter((each) => each.clientId === clientId);
      const others = ours.filter(({ clientAddr = "" }) => !isOwnAddress(clientAddr)).length;
      // Where addresses are translated on the way, none is ours: then only what outlives a lost connection is another.
      if (others < ours.length && others > 0) isCertain = true;
      if (others > 0 && ours.length > 1) isTwice = true;
    }
    const now = performance.now();
    const isOld = this.#twiceSince !== undefined && (isCertain || now - this.#twiceSince > GHOST_LIFETIME);
    const text = `another client has the id of this one: they count as one member of group "${group}"`;
    this.#report("duplicateClientId", isTwice && isOld ? [{ text }] : []);
    this.#twiceSince = isTwice ? this.#twiceSince ?? now : undefined;
  }

  /** A group of one has no difference: what brokers still have of it is older. */
  #differencesTo({ connectionSet = [], subscriptionTable = {} }: ConsumerConnection): Difference[] {
    if (connectionSet.every(({ clientId }) => clientId === this.#context.clientId)) return [];
    const ours = new Map(this.#context.subscriptions().map((each) => [each.topic, each]));
    const topics = new Set([...ours.keys(), ...Object.keys(subscriptionTable)]);
    return [...topics].flatMap((topic) => {
      const [here, there] = [ours.get(topic), subscriptionTable[topic]].map(shown);
      if (here === there) return [];
      const text = `topic "${topic}" is subscribed with ${here} here, by another member of the group with ${there}: ` +
        `brokers keep one subscription for a group, so messages are skipped`;
      return [{ text, topic }];
    });
  }

  #report(type: "mixedSubscriptions" | "duplicateClientId", found: readonly { text: string; topic?: string }[]): void {
    const { events, group } = this.#context;
    const keyOf = ({ topic = "" }: { topic?: string }) => `${type} ${topic}`;
    const now = new Set(found.map(keyOf));
    for (const key of this.#reported) if (key.startsWith(`${type} `) && !now.has(key)) this.#reported.delete(key);
    for (const each of found) {
      if (this.#reported.has(keyOf(each))) continue;
      this.#reported.add(keyOf(each));
      const about = each.topic === undefined ? { group } : { group, topic: each.topic };
      events.emit("warning", type, `group "${group}": ${each.text}`, about);
    }
  }
}

function shown(subscription: SubscriptionData | undefined): string {
  if (subscription === undefined) return "nothing";
  const { expressionType, subString, tagsSet } = subscription;
  const isTags = expressionType !== "SQL92" && tagsSet !== undefined && tagsSet.length > 0;
  return `${expressionType ?? "TAG"} "${isTags ? [...tagsSet].sort().join(" || ") : subString}"`;
}
