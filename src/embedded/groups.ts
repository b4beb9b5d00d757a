/**
 * Consumer groups: who is in them, and what they subscribe. Source: ConsumerManager, ConsumerGroupInfo.
 *
 * @module
 */

import type { Connection } from "../transport/connection.ts";
import type { ConsumerData, SubscriptionData } from "../wire/bodies.ts";
import { JsonFields } from "../wire/json_fields.ts";
import { notifyConsumerIdsChanged } from "../wire/requests.ts";
import type { Job, Timetable } from "./timetable.ts";
import { inBackground, unheard } from "../owned_work.ts";

/** How long a member stays without a heartbeat, in milliseconds. Source: BrokerConfig.channelExpiredTimeout. */
const MEMBER_LIFE = 120_000;

/** One client in a group: one per connection. */
export interface Member {
  /** The client's id. */
  readonly clientId: string;
  /** The connection that it speaks on. */
  readonly connection: Connection;
  /** Its language, as it says. */
  readonly language: string;
  /** Its version, an ordinal of MQVersion. */
  readonly version: number;
  /** When its last heartbeat came, in milliseconds since 1970. */
  seenAt: number;
}

/** A group that has members. */
export interface Group {
  /** Its name. */
  readonly name: string;
  /** Its members by connection, in the order in which they came. */
  readonly members: Map<Connection, Member>;
  /** Its subscriptions by topic: the whole group's, the newest of any member. */
  readonly subscriptions: Map<string, SubscriptionData>;
  /** How it consumes, as its last heartbeat said. */
  consumer: ConsumerData;
}

/** The groups of one broker. */
export class Groups implements Job {
  #timetable: Timetable;
  #isLegal: (name: string) => boolean;
  #most: number;
  /** Names of groups that the broker has a record of. */
  #known = new Set<string>();
  #groups = new Map<string, Group>();
  #fingerprints = new Map<string, number>();

  /** Makes an empty table for at most `most` groups with names that `isLegal` takes. */
  constructor(timetable: Timetable, most: number, isLegal: (name: string) => boolean) {
    this.#timetable = timetable;
    this.#most = most;
    this.#isLegal = isLegal;
  }

  /**
   * Makes a record of a group if there is none, as all requests but the commit do; false if its name is illegal, or
   * there are as many as may be.
   */
  ensure(name: string): boolean {
    if (!this.#known.has(name) && this.#known.size < this.#most && this.#isLegal(name)) this.#known.add(name);
    return this.#known.has(name);
  }

  /** Whether there is a record of a group. */
  isKnown(name: string): boolean {
    return this.#known.has(name);
  }

  /** A group that has members. */
  get(name: string): Group | undefined {
    return this.#groups.get(name);
  }

  /** Takes a heartbeat of one member; without subscriptions the group's own stay. Tells the group what changed. */
  register(member: Member, consumer: ConsumerData, withoutSubscriptions: boolean): void {
    let group = this.#groups.get(consumer.groupName);
    if (group === undefined) {
      group = { name: consumer.groupName, members: new Map(), subscriptions: new Map(), consumer };
      this.#groups.set(group.name, group);
    }
    group.consumer = consumer;
    const old = group.members.get(member.connection);
    group.members.set(member.connection, member);
    const changed = withoutSubscriptions ? false : updateSubscriptions(group, consumer.subscriptionDataSet);
    if (old === undefined || changed) this.#notify(group);
    this.#timetable.announce(member.seenAt + MEMBER_LIFE);
  }

  /** Whether a group's heartbeat has another fingerprint than before, which is remembered. */
  fingerprintChanged(name: string, fingerprint: number): boolean {
    const old = this.#fingerprints.get(name);
    this.#fingerprints.set(name, fingerprint);
    return old !== undefined && old !== fingerprint;
  }

  /** Takes the member of a connection out of a group, and tells the others. */
  unregister(name: string, connection: Connection): void {
    const group = this.#groups.get(name);
    if (group === undefined) return;
    group.members.delete(connection);
    if (group.members.size === 0) this.#groups.delete(name);
    else this.#notify(group);
  }

  /** Takes a lost connection out of all groups, and tells the others. */
  dropConnection(connection: Connection): void {
    for (const group of [...this.#groups.values()]) {
      if (group.members.has(connection)) this.unregister(group.name, connection);
    }
  }

  /** Forgets who is there; the records of the groups stay. */
  clear(): void {
    this.#groups.clear();
    this.#fingerprints.clear();
  }

  /** When the first member expires. */
  nextDue(): number {
    let due = Infinity;
    for (const { members } of this.#groups.values()) {
      for (const { seenAt } of members.values()) due = Math.min(due, seenAt + MEMBER_LIFE);
    }
    return due;
  }

  /** Closes the connections of expired members, which takes them out of their groups. */
  run(now: number): void {
    for (const group of [...this.#groups.values()]) {
      for (const { seenAt, connection } of [...group.members.values()]) {
        if (seenAt + MEMBER_LIFE > now) continue;
        this.unregister(group.name, connection);
        connection.close();
      }
    }
  }

  /** Broadcasting groups are not told: their members do not share. */
  #notify(group: Group): void {
    if (group.consumer.messageModel === "BROADCASTING") return;
    const { name, code, header } = notifyConsumerIdsChanged;
    const fields = JsonFields.of(header, { consumerGroup: group.name });
    for (const connection of group.members.keys()) {
      inBackground(connection.sendOneway({ name, code, fields }), unheard); // it is closing
    }
  }
}

/** Takes newer subscriptions over; whether a topic came or went, which is all that the group is told of. */
function updateSubscriptions(group: Group, subscriptions: readonly SubscriptionData[]): boolean {
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
