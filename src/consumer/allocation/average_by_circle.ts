/**
 * Even shares, dealt like cards.
 *
 * @module
 */

import type { MessageQueue } from "../../message.ts";
import type { AllocationContext, AllocationStrategy } from "./strategy.ts";

/**
 * Deals the queues one by one around the members, so that each gets queues of as many brokers as possible.
 *
 * Shares differ by at most one queue. A member that joins or leaves moves nearly every queue: take it where brokers are
 * loaded unevenly and members seldom change.
 *
 * Source: AllocateMessageQueueAveragelyByCircle.
 *
 * @category Advanced
 */
export function averageByCircle(): AllocationStrategy {
  return {
    name: "AVG_BY_CIRCLE",
    allocate(
      { clientId, queues, members, index = members.indexOf(clientId) }: AllocationContext,
    ): readonly MessageQueue[] {
      if (index < 0) return [];
      const ours: MessageQueue[] = [];
      for (let at = index; at < queues.length; at += members.length) ours.push(queues[at]!);
      return ours;
    },
  };
}
