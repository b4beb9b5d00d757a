/**
 * Producer groups and their members. Source: ProducerManager.
 *
 * @module
 */

import type { Connection } from "../transport/connection.ts";
import { expiredMembers, type Member, MEMBER_LIFE, type Members, nextExpiry } from "./members.ts";
import type { Job, Scheduler } from "./scheduler.ts";

/** The producer groups of one broker. A group exists as long as it has members. */
export class ProducerGroups implements Job {
  #scheduler: Scheduler;
  #most: number;
  #isLegal: (name: string) => boolean;
  #groups = new Map<string, Members>();

  /** Makes an empty table for at most `most` groups with names that `isLegal` accepts. */
  constructor(scheduler: Scheduler, most: number, isLegal: (name: string) => boolean) {
    this.#scheduler = scheduler;
    this.#most = most;
    this.#isLegal = isLegal;
  }

  /** The members of a group; undefined if it has none. */
  get(name: string): Members | undefined {
    return this.#groups.get(name);
  }

  /** Adds a member, or renews it; a group too many, or with an illegal name, is ignored. */
  register(name: string, member: Member): void {
    let members = this.#groups.get(name);
    if (members === undefined) {
      if (this.#groups.size >= this.#most || !this.#isLegal(name)) return;
      this.#groups.set(name, members = new Map());
    }
    members.set(member.connection, member);
    this.#scheduler.schedule(member.seenAt + MEMBER_LIFE);
  }

  /** Removes the member of a connection from a group. */
  unregister(name: string, connection: Connection): void {
    const members = this.#groups.get(name);
    if (members?.delete(connection) && members.size === 0) this.#groups.delete(name);
  }

  /** Removes a lost connection from all groups. */
  dropConnection(connection: Connection): void {
    for (const name of [...this.#groups.keys()]) this.unregister(name, connection);
  }

  /** Removes all members. */
  clear(): void {
    this.#groups.clear();
  }

  /** When the first member expires. */
  nextDue(): number {
    return nextExpiry(this.#groups.values());
  }

  /** Removes expired members and closes their connections. */
  run(now: number): void {
    for (const [name, members] of [...this.#groups]) {
      for (const { connection } of expiredMembers(members, now)) {
        this.unregister(name, connection);
        connection.close();
      }
    }
  }
}
