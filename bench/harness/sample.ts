/**
 * One measurement: a program's outcome, what its process spent, and what the broker says of it.
 *
 * @module
 */

import type { Outcome } from "../peers/work.ts";
import type { Usage } from "./process.ts";

/** One measurement of one peer. */
export interface Sample {
  readonly outcome: Outcome;
  readonly usage: Usage;
  /** From the first send until the broker had stored the last message, in seconds; NaN if nothing was sent. */
  readonly storedSeconds: number;
  /** The share of a core that a client took while it did nothing; NaN if it had something to do. */
  readonly idleShare: number;
  /** What does not add up: a figure of it counts for nothing. */
  readonly problem?: string;
}

/** Some figures of one thing. */
export interface Spread {
  readonly median: number;
  readonly least: number;
  readonly most: number;
}

/** The middle and the ends of some figures; undefined without any. */
export function spreadOf(figures: readonly number[]): Spread | undefined {
  const sorted = figures.filter((figure) => !Number.isNaN(figure)).sort((a, b) => a - b);
  const [least] = sorted;
  if (least === undefined) return undefined;
  const middle = (sorted.length - 1) / 2;
  const median = (sorted[Math.floor(middle)]! + sorted[Math.ceil(middle)]!) / 2;
  return { median, least, most: sorted.at(-1)! };
}
