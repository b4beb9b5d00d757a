/**
 * Even shares of neighbouring queues.
 *
 * @module
 */

import type { MessageQueue } from "../../message.ts";
import type { AllocationContext, AllocationStrategy } from "./strategy.ts";

/**
 * Assigns each member a run of neighbouring queues; the first members get one more where it does not come out even.
 *
 * Shares differ by at most one queue. A member that joins or leaves moves the borders of nearly all runs: about half
 * of the queues change hands.
 *
 * Source: AllocateMessageQueueAveragely.
 *
 * @category Advanced
 */
export function average(): AllocationStrategy {
  return {
    name: "AVG",
    allocate(
      { clientId, queues, members, index = members.indexOf(clientId) }: AllocationContext,
    ): readonly MessageQueue[] {
      const extra = queues.length % members.length;
      const base = Math.floor(queues.length / members.length);
      const start = index * base + Math.min(index, extra);
      return index < 0 ? [] : queues.slice(start, start + base + (index < extra ? 1 : 0));
    },
  };
}
