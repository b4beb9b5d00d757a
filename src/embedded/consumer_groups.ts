/**
 * Consumer groups, their members and their subscriptions. Source: ConsumerManager, ConsumerGroupInfo.
 *
 * @module
 */

import { inBackground, unheard } from "../owned_work.ts";
import type { Connection } from "../transport/connection.ts";
import type { ConsumerData, SubscriptionData } from "../wire/bodies.ts";
import { JsonFields } from "../wire/json_fields.ts";
import { notifyConsumerIdsChanged } from "../wire/requests.ts";
import { expiredMembers, type Member, MEMBER_LIFE, type Members, nextExpiry } from "./members.ts";
import type { Job, Scheduler } from "./scheduler.ts";

/** A group that has members. */
export interface ConsumerGroup {
  /** Its name. */
  readonly name: string;
  /** Its members. */
  readonly members: Members;
  /** The subscriptions of the whole group by topic: the newest one of any member. */
  readonly subscriptions: Map<string, SubscriptionData>;
  /** How it consumes, according to its last heartbeat. */
  consumer: ConsumerData;
}

/** The consumer groups of one broker. */
export class ConsumerGroups implements Job {
  #scheduler: Scheduler;
  #isLegal: (name: string) => boolean;
  #most: number;
  /** The groups of which the broker has a record; records stay when the members leave. */
  #records = new Set<string>();
  #groups = new Map<string, ConsumerGroup>();
  #fingerprints = new Map<string, number>();

  /** Makes an empty table for at most `most` groups with names that `isLegal` accepts. */
  constructor(scheduler: Scheduler, most: number, isLegal: (name: string) => boolean) {
    this.#scheduler = scheduler;
    this.#most = most;
    this.#isLegal = isLegal;
  }

  /**
   * Makes a record of a group if there is none, as all requests but the commit do; false if its name is illegal or
   * there are too many groups.
   */
  ensure(name: string): boolean {
    if (!this.#records.has(name) && this.#records.size < this.#most && this.#isLegal(name)) this.#records.add(name);
    return this.#records.has(name);
  }

  /** Whether there is a record of a group. */
  isKnown(name: string): boolean {
    return this.#records.has(name);
  }

  /** A group that has members. */
  get(name: string): ConsumerGroup | undefined {
    return this.#groups.get(name);
  }

  /**
   * Adds a member to a group, or renews it, and notifies the group of changes. Without subscriptions in the heartbeat
   * those of the group stay.
   */
  register(member: Member, consumer: ConsumerData, withoutSubscriptions: boolean): void {
    let group = this.#groups.get(consumer.groupName);
    if (group === undefined) {
      group = { name: consumer.groupName, members: new Map(), subscriptions: new Map(), consumer };
      this.#groups.set(group.name, group);
    }
    group.consumer = consumer;
    const isNew = !group.members.has(member.connection);
    group.members.set(member.connection, member);
    const changed = withoutSubscriptions ? false : updateSubscriptions(group, consumer.subscriptionDataSet);
    if (isNew || changed) this.#notify(group);
    this.#scheduler.schedule(member.seenAt + MEMBER_LIFE);
  }

  /** Whether a group's heartbeat has another fingerprint than its last one. Stores the fingerprint. */
  fingerprintChanged(name: string, fingerprint: number): boolean {
    const old = this.#fingerprints.get(name);
    this.#fingerprints.set(name, fingerprint);
    return old !== undefined && old !== fingerprint;
  }

  /** Removes the member of a connection from a group and notifies the others. */
  unregister(name: string, connection: Connection): void {
    const group = this.#groups.get(name);
    if (group === undefined) return;
    group.members.delete(connection);
    if (group.members.size === 0) this.#groups.delete(name);
    else this.#notify(group);
  }

  /** Removes a lost connection from all groups and notifies the others. */
  dropConnection(connection: Connection): void {
    for (const group of [...this.#groups.values()]) {
      if (group.members.has(connection)) this.unregister(group.name, connection);
    }
  }

  /** Removes all members; the records of the groups stay. */
  clear(): void {
    this.#groups.clear();
    this.#fingerprints.clear();
  }

  /** When the first member expires. */
  nextDue(): number {
    return nextExpiry([...this.#groups.values()].map(({ members }) => members));
  }

  /** Removes expired members and closes their connections. */
  run(now: number): void {
    for (const { name, members } of [...this.#groups.values()]) {
      for (const { connection } of expiredMembers(members, now)) {
        this.unregister(name, connection);
        connection.close();
      }
    }
  }

  /** Broadcasting groups are not notified: their members do not share queues. */
  #notify(group: ConsumerGroup): void {
    if (group.consumer.messageModel === "BROADCASTING") return;
    const { name, code, header } = notifyConsumerIdsChanged;
    const fields = JsonFields.of(header, { consumerGroup: group.name });
    for (const connection of group.members.keys()) {
      inBackground(connection.sendOneway({ name, code, fields }), unheard); // it fails if the connection is closing
    }
  }
}

/** Stores newer subscriptions; true if a topic was added or removed: the group is notified of nothing else. */
function updateSubscriptions(group: ConsumerGroup, subscriptions: readonly SubscriptionData[]): boolean {
  let changed = false;
  for (const subscription of subscriptions) {
    const old = group.subscriptions.get(subscription.topic);
    if (old === undefined) changed = true;
    if (old === undefined || subscription.subVersion > old.subVersion) {
      group.subscriptions.set(subscription.topic, subscription);
    }
  }
  const topics = new Set(subscriptions.map((subscription) => subscription.topic));
  for (const topic of [...group.subscriptions.keys()]) {
    if (!topics.has(topic)) changed = group.subscriptions.delete(topic);
  }
  return changed;
}
