/**
 * What a consumer of queues holds at a moment.
 *
 * @module
 */

import type { OwnedQueue } from "../queue/owned_queue.ts";
import type { Holdings } from "./standstill.ts";

/** The parts that know it. */
export interface HoldingParts {
  /** The queues. */
  readonly assignment: {
    readonly owned: readonly Pick<OwnedQueue, "counts" | "process" | "isPaused" | "loop" | "lastDeliveredAt">[];
  };
  /** Hands batches to loops. */
  readonly dispatcher: { readonly isAsked: boolean };
  /** Knows what is in flight. */
  readonly settlement: {
    readonly settledTotal: number;
    readonly retriedTotal: number;
    inFlightSummary(): { batches: number; oldest: number | undefined };
  };
}

/** Counts what is held of all queues: paused ones wait for nothing. */
export function holdingsOf(
  { assignment, dispatcher, settlement }: HoldingParts,
  how: Pick<Holdings, "isOrdered" | "acksExplicitly">,
): Holdings {
  let [full, ready, inFlight, lastDelivery] = [0, 0, 0, 0];
  const { owned } = assignment;
  for (const each of owned) {
    if (!each.counts) continue;
    const { process, isPaused, loop } = each;
    inFlight += process.inFlightCount;
    lastDelivery = Math.max(lastDelivery, each.lastDeliveredAt ?? 0);
    if (isPaused) continue;
    ready += process.readyCount;
    if (loop.waitsFor === "room") full++;
  }
  const { settledTotal, retriedTotal } = settlement;
  const progress = `${settledTotal} ${retriedTotal} ${inFlight} ${lastDelivery}`;
  const { isAsked } = dispatcher;
  return { queues: owned.length, full, ready, inFlight, ...settlement.inFlightSummary(), isAsked, ...how, progress };
}
