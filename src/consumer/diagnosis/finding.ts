/**
 * What `explain()` returns.
 *
 * @module
 */

import type { Finding } from "../../health.ts";

/** What there is to say of a consumer, POP consumer or reader that is closed. */
export function closedFindings(what: string): Findings {
  return new Findings({ code: "closed", text: `${what} is closed`, remedy: "create a new one" });
}

/**
 * Findings, the most urgent first: an array that prints as text, one paragraph for each.
 *
 * @category Consume
 */
export class Findings extends Array<Finding> {
  /** Copies made by `map()`, `filter()` and the like are plain arrays. */
  static override get [Symbol.species](): ArrayConstructor {
    return Array;
  }

  /** The findings as text: each with what to do about it. */
  override toString(): string {
    return this.map(({ code, text, remedy }) => `${code}: ${text}\n  → ${remedy}`).join("\n");
  }

  /** What `console.log()` prints in Node and Bun. */
  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return this.toString();
  }

  /** What `console.log()` prints in Deno. */
  [Symbol.for("Deno.customInspect")](): string {
    return this.toString();
  }
}
