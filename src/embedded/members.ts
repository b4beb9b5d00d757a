/**
 * Members of groups, of consumers and of producers: one client on one connection.
 *
 * @module
 */

import type { Connection } from "../transport/connection.ts";
import type { ConnectionBody } from "../wire/bodies.ts";

/** How long a member stays without a heartbeat, in milliseconds. Source: BrokerConfig.channelExpiredTimeout. */
export const MEMBER_LIFE = 120_000;

/** One client in a group, on one connection. */
export interface Member {
  /** The client's id. */
  readonly clientId: string;
  /** The client's connection. */
  readonly connection: Connection;
  /** The client's language, as stated in its heartbeat. */
  readonly language: string;
  /** The client's version, an ordinal of MQVersion. */
  readonly version: number;
  /** When the last heartbeat was received, in milliseconds since 1970. */
  readonly seenAt: number;
}

/** The members of a group by connection, in the order in which they joined. */
export type Members = Map<Connection, Member>;

/** When the first of these members expires; `Infinity` without any. */
export function nextExpiry(groups: Iterable<Members>): number {
  let due = Infinity;
  for (const members of groups) for (const { seenAt } of members.values()) due = Math.min(due, seenAt + MEMBER_LIFE);
  return due;
}

/** The members of a group that have expired. */
export function expiredMembers(members: Members, now: number): Member[] {
  return [...members.values()].filter(({ seenAt }) => seenAt + MEMBER_LIFE <= now);
}

/** The members of a group, as a list of connections shows them. Source: Connection. */
export function connectionsOf(members: Members): ConnectionBody[] {
  return [...members.values()].map(({ clientId, connection, language, version }) => ({
    clientId,
    clientAddr: connection.address,
    language,
    version,
  }));
}
