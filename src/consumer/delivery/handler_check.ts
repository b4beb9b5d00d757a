/**
 * Checks handlers: without a function every message would fail, and end as a dead letter.
 *
 * @module
 */

import { shown } from "../../plain_text.ts";

/** The methods that take handlers, and how each is called. */
const CALLS = { run: "run(async (batch) => { … })", runEach: "runEach(async (message) => { … })" } as const;

/** @throws {TypeError} for what is no function, naming the method that was meant */
export function checkHandler(method: keyof typeof CALLS, handler: unknown): void {
  if (typeof handler === "function") return;
  const options: object = typeof handler === "object" && handler !== null ? handler : {};
  const meant = "eachMessage" in options ? CALLS.runEach : "eachBatch" in options ? CALLS.run : CALLS[method];
  throw new TypeError(`Cannot run handlers: ${method}() takes a function, not ${shown(handler)}; use ${meant}`);
}
