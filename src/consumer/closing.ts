/**
 * Reporting what `close()` waits for.
 *
 * @module
 */

import type { EventHub } from "../events.ts";
import { atMost } from "../waiting.ts";

/** From when on a wait is a warning, in milliseconds. */
const LONG_WAIT = 1_000;

/** What is waited for. */
export interface CloseWait {
  /** What closes, as events name it: `group "billing"`. */
  readonly what: string;
  /** What events are about. */
  readonly about: { readonly group: string };
  /** Emits events. */
  readonly events: EventHub;
  /** What is still in flight; undefined if nothing is. */
  readonly inFlight: () => string | undefined;
}

/** Waits at most `ms` milliseconds for what is in flight: events report the beginning of the wait, and its end. */
export async function waitToClose(wait: CloseWait, idle: Promise<unknown>, ms: number): Promise<void> {
  const { what, about, events, inFlight } = wait;
  const first = inFlight();
  if (first === undefined || ms === 0) return await atMost(idle, ms);
  const started = performance.now();
  events.emit("info", "closing", `${what}: close() waits at most ${ms} ms for ${first}`, about);
  const timer = setTimeout(() => {
    const text = `${what}: close() still waits for ${inFlight() ?? "nothing"}, at most ${ms} ms in all; inside of a ` +
      `loop do not await close(), leave the loop by break: it waits for the batch of that loop`;
    events.emit("warning", "closing", text, about);
  }, LONG_WAIT);
  try {
    await atMost(idle, ms);
  } finally {
    clearTimeout(timer);
  }
  const left = inFlight();
  const time = Math.round(performance.now() - started);
  if (left === undefined) {
    events.emit("info", "closed", `${what}: all that was in flight is settled, after ${time} ms`, about);
  } else events.emit("warning", "closed", `${what}: given up after ${time} ms, to be redelivered: ${left}`, about);
}
