/**
 * One batch for one request.
 *
 * @module
 */

import type { PopPlace } from "../../cluster/pop_client.ts";
import { MessagePullError } from "../../errors.ts";
import { OptionsCheck } from "../../options.ts";
import { delay, waitFor } from "../../waiting.ts";
import type { PopOptions } from "./consumer.ts";
import type { PopReceiver, Received } from "./receiver.ts";

/** How long one broker holds a request that others might answer sooner, in milliseconds. */
const SLICE = 1_000;

/** A checked call. */
export interface PopCall {
  readonly max: number;
  readonly wait: number;
  readonly topic: string | undefined;
  readonly signal: AbortSignal | undefined;
}

/** What a call has brought, and from where. */
export interface PopCallAnswer<T> extends Received<T> {
  /** The place that gave it. */
  readonly place: PopPlace;
}

/** Checks the options of a call; throws a {@linkcode ConfigError} naming every problem. */
export function checkPopCall(options: PopOptions, batchSize: number): PopCall {
  const check = new OptionsCheck("pop");
  check.known(options, ["max", "wait", "topic", "signal"]);
  const max = check.integer("max", options.max, batchSize, 1, 32);
  const wait = check.integer("wait", options.wait, 0, 0, 60_000, "ms");
  check.done();
  return { max, wait, topic: options.topic, signal: options.signal };
}

/**
 * Asks one place after the other, in an order by chance: of what two answered at once, only one could be handed out.
 * Gives what the first that has something gives; undefined if nothing came within `wait`.
 *
 * @throws {MessagePullError} if no broker could be asked; the reason of `signal` or `closing` when it aborts
 */
export async function popOnce<T>(
  receiver: Pick<PopReceiver<T>, "pop">,
  places: readonly PopPlace[],
  { max, wait, signal }: PopCall,
  closing: AbortSignal,
): Promise<PopCallAnswer<T> | undefined> {
  /** What comes after a signal has aborted comes again when its invisible time ends. */
  const whileWanted = <V>(work: Promise<V>) => waitFor(waitFor(work, { signal }), { signal: closing });
  const end = performance.now() + wait;
  const order = places.map((place) => ({ place, at: Math.random() })).sort((a, b) => a.at - b.at);
  for (let hold = 0;; hold = places.length === 1 ? wait : SLICE) {
    let failure: unknown;
    let failures = 0;
    for (const { place } of order) {
      for (const each of [closing, signal]) each?.throwIfAborted();
      const left = Math.max(0, Math.floor(end - performance.now()));
      try {
        const received = await whileWanted(receiver.pop(place, max, Math.min(left, hold), signal));
        if (received.deliveries.length > 0) return { place, ...received };
      } catch (error) {
        for (const each of [closing, signal]) each?.throwIfAborted();
        failures++;
        failure = new MessagePullError(place, error);
      }
    }
    if (failures > 0 && failures === order.length) throw failure;
    if (performance.now() >= end) return undefined;
    if (order.length > 0) continue;
    const enough = new AbortController();
    const rest = delay(Math.min(SLICE, end - performance.now()), { signal: enough.signal });
    await whileWanted(rest).finally(() => enough.abort());
  }
}
