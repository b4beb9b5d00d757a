/**
 * Looking at a group as its brokers know it, for mistakes that no request shows.
 *
 * @module
 */

import { askAll } from "../../cluster/ask_all.ts";
import type { EventHub } from "../../events.ts";
import type { ConsumerConnection, SubscriptionData } from "../../wire/bodies.ts";
import { inBackground } from "../../owned_work.ts";

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
  /** The names of the brokers that know the group. */
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
 * Brokers keep one set of subscriptions for a group, that of the last heartbeat: with different ones members get
 * messages that they do not want and miss others. Two clients of one id count as one member, and consume the same.
 */
export class GroupWatch {
  #context: GroupWatchContext;
  #timer: ReturnType<typeof setInterval> | undefined;
  #isLooking = false;
  #isStopped = false;
  /** What was reported, until it is over. */
  #reported = new Set<string>();
  /** Since when another client has our id at every look, by the monotonic clock. */
  #twiceSince: number | undefined;

  /** Makes a watch that looks at nothing yet. */
  constructor(context: GroupWatchContext) {
    this.#context = context;
  }

  /** Looks every `interval` milliseconds until {@linkcode GroupWatch.stop}. */
  start(interval: number): void {
    const { events, group } = this.#context;
    const failed = events.failureOf("mixedSubscriptions", `looking at the members of group "${group}"`, { group });
    this.#timer = setInterval(() => this.#isLooking || inBackground(this.check(), failed), interval);
  }

  /** Ends the watch. */
  stop(): void {
    this.#isStopped = true;
    clearInterval(this.#timer);
  }

  /** Looks once; brokers that do not answer are left out. */
  async check(): Promise<void> {
    const { brokers, connections } = this.#context;
    this.#isLooking = true;
    let known: readonly ConsumerConnection[];
    try {
      const asked = await askAll(brokers(), connections, {
        timeout: LONGEST_LOOK,
        action: (broker) => `ask broker "${broker}" who is in group "${this.#context.group}"`,
      });
      known = asked.answers.map(({ answer }) => answer);
    } finally {
      this.#isLooking = false;
    }
    if (known.length === 0 || this.#isStopped) return;
    this.#report("mixedSubscriptions", known.flatMap((view) => this.#differences(view)));
    this.#lookForDoubles(known);
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

  #differences({ subscriptionTable = {} }: ConsumerConnection): { text: string; topic: string }[] {
    const ours = new Map(this.#context.subscriptions().map((each) => [each.topic, each]));
    const topics = new Set([...ours.keys(), ...Object.keys(subscriptionTable)]);
    return [...topics].flatMap((topic) => {
      const [here, there] = [ours.get(topic), subscriptionTable[topic]].map(shown);
      if (here === there) return [];
      const text = `topic "${topic}" is subscribed with ${here} here, by another member of the group with ${there}: ` +
        `brokers keep one subscription for a group`;
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
