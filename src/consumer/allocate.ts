/**
 * Which queues a member of a group takes. All members compute it alone, from the same two lists.
 *
 * @module
 */

import type { MessageQueue } from "../message.ts";

/** What a strategy decides from. */
export interface AllocationContext {
  /** The group. */
  readonly group: string;
  /** Our own client id; it is one of `members`. */
  readonly clientId: string;
  /** All queues of one topic, in the order that all members share. */
  readonly queues: readonly MessageQueue[];
  /** The client ids of the group, sorted as Java sorts text. */
  readonly members: readonly string[];
}

/** Decides which queues are ours. Every queue must go to exactly one member, whoever computes it. */
export interface AllocationStrategy {
  /** Its name, as brokers and tools know it. */
  readonly name: string;
  /** The queues of the member with `context.clientId`. */
  allocate(context: AllocationContext): readonly MessageQueue[];
}

/**
 * Gives each member a run of neighbouring queues; the first members get one more where it does not come out even.
 *
 * Source: AllocateMessageQueueAveragely.
 */
export function average(): AllocationStrategy {
  return {
    name: "AVG",
    allocate({ clientId, queues, members }: AllocationContext): readonly MessageQueue[] {
      const index = members.indexOf(clientId);
      const extra = queues.length % members.length;
      const base = Math.floor(queues.length / members.length);
      const start = index * base + Math.min(index, extra);
      return index < 0 ? [] : queues.slice(start, start + base + (index < extra ? 1 : 0));
    },
  };
}
