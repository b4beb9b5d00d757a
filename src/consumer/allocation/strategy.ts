/**
 * What an allocation strategy is, and what it decides from.
 *
 * @module
 */

import type { MessageQueue } from "../../message.ts";

/**
 * What a strategy decides from.
 *
 * @category Advanced
 */
export interface AllocationContext {
  /** The group. */
  readonly group: string;
  /** Our own client id; it is one of `members`. */
  readonly clientId: string;
  /**
   * All queues of one topic, in the order that all members share: by broker name, then by queue number. The group's
   * retry topic `%RETRY%group` is a topic like any other.
   */
  readonly queues: readonly MessageQueue[];
  /**
   * The client ids of the group, sorted as Java sorts text. An id stands here several times for up to two minutes when
   * its client has connected anew and the broker still lists the connections before.
   */
  readonly members: readonly string[];
  /**
   * Which entry of `members` the share is asked for: each that bears our id is asked for, and we get the shares of them
   * all. `members[index]` is `clientId`.
   *
   * @default {members.indexOf(clientId)}
   */
  readonly index?: number;
}

/**
 * Decides which queues are ours.
 *
 * Every member runs it alone, for each topic, whenever members or queues change and every `rebalanceInterval`; nobody
 * compares the results. So when you write your own:
 *
 * - Every queue must go to exactly one member, whoever computes it. A queue that two members take is consumed twice, a
 *   queue that nobody takes is not consumed at all.
 * - Decide from the context alone, or from what all members know alike: no clock, no random numbers, no state.
 * - Give queues of `context.queues` only, the retry topic's as well: who never takes those never sees a retry.
 * - Nothing else happens while it runs, so it must not take long. If it throws, the consumer keeps its queues for three
 *   runs, a second apart, then releases those of this topic and says so.
 * - All members of the group must use the same strategy, those in Java included.
 *
 * @example The first member takes everything, the others stand by
 * ```ts
 * import { type AllocationStrategy, connect } from "@denorocket/rocketmq";
 * import { EmbeddedBroker } from "@denorocket/rocketmq/embedded";
 *
 * const standby: AllocationStrategy = {
 *   name: "STANDBY",
 *   allocate: ({ clientId, queues, members }) => members[0] === clientId ? queues : [],
 * };
 *
 * await using broker = await EmbeddedBroker.start({ topics: { orders: { queues: 4 } } });
 * await using mq = await connect(broker.nameServer);
 * await using consumer = await mq.consumer({ group: "billing", topics: "orders", allocation: standby });
 * ```
 *
 * @category Advanced
 */
export interface AllocationStrategy {
  /** Its name, as Java knows it: `AVG`. */
  readonly name: string;
  /** The queues of the entry `context.index` of `context.members`, which bears `context.clientId`. */
  allocate(context: AllocationContext): readonly MessageQueue[];
}

/** Whether a value can be used as a strategy. */
export function isAllocationStrategy(value: unknown): value is AllocationStrategy {
  return typeof value === "object" && value !== null && "name" in value && typeof value.name === "string" &&
    "allocate" in value && typeof value.allocate === "function";
}
