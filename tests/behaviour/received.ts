/**
 * What a scenario's loop receives, beside the scenario.
 *
 * @module
 */

import type { Message } from "../../mod.ts";
import { type Scene, type TestServers, textOf, waitUntil } from "./harness.ts";

/** How long messages may take that have to arrive, in milliseconds. */
const PATIENCE = 30_000;

/** A consumer, reader or POP consumer, as far as a loop goes. */
interface Source {
  batches(options: { signal: AbortSignal }): AsyncIterable<Iterable<Message> & { ack(): unknown }>;
}

/** Texts, each as often as it was delivered. */
export interface Received {
  /** In the order of their delivery. */
  readonly seen: string[];
  /** Waits until all of these were delivered, from now on or before. */
  until(expected: readonly string[]): Promise<void>;
  /** Ends the loop. */
  stop(): Promise<void>;
}

/** Runs a loop that acknowledges what it is given, until the scenario ends. */
export function receive<S extends TestServers>(t: Scene<S>, source: Source): Received {
  const seen: string[] = [];
  const stop = new AbortController();
  const loop = t.background(async () => {
    for await (const batch of source.batches({ signal: stop.signal })) {
      seen.push(...Array.from(batch, textOf));
      await batch.ack();
    }
  });
  const end = async () => {
    stop.abort();
    await loop;
  };
  t.finally(end);
  return {
    seen,
    until: async (expected) => {
      const missing = () => {
        const there = new Set(seen);
        return expected.filter((text) => !there.has(text));
      };
      await waitUntil(() => missing().length === 0, {
        what: () => `${missing().length} messages, ${missing().slice(0, 5).join(", ")}; there are ${seen.length}`,
        timeout: PATIENCE,
      });
    },
    stop: end,
  };
}
