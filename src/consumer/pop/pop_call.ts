/**
 * One batch for one request.
 *
 * @module
 */

import type { PopPlace } from "../../brokers/pop_client.ts";
import { MessagePullError } from "../../errors.ts";
import { OptionsCheck } from "../../options.ts";
import { delay, waitFor } from "../../waiting.ts";
import type { PopOptions } from "./consumer.ts";
import type { Delivery } from "./delivery.ts";
import { FRUITLESS_INTERVAL } from "./pace.ts";
import type { PopRoom } from "./pop_room.ts";
import type { PopReceiver, Received } from "./receiver.ts";
import { inBackground, unheard } from "../../owned_work.ts";

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

/** What {@linkcode popOnce} works with. */
export interface PopCallContext<T> {
  /** Pops. */
  readonly receiver: Pick<PopReceiver<T>, "pop">;
  /** Where room for messages is taken. */
  readonly room: Pick<PopRoom, "take" | "answered">;
  /** Where there may be messages. */
  readonly places: readonly PopPlace[];
  /** Aborts when the consumer closes. */
  readonly closing: AbortSignal;
  /** Gets messages that come when the call has ended. */
  readonly giveBack: (place: PopPlace, deliveries: readonly Delivery<T>[]) => void;
}

/**
 * Asks one place after the other, in random order: of what two answered at once, only one could be delivered.
 * Resolves to what the first brings that has something; to undefined if nothing came within `wait`, or there was no
 * room for a message.
 *
 * @throws {MessagePullError} if no broker could be asked; the reason of `signal` or `closing` when it aborts
 */
export async function popOnce<T>(
  context: PopCallContext<T>,
  call: PopCall,
): Promise<PopCallAnswer<T> | undefined> {
  const { room, closing } = context;
  const { max, wait, signal } = call;
  const end = performance.now() + wait;
  const whileWanted: WhileWanted = (work) => waitFor(waitFor(work, { signal }), { signal: closing });
  const asked = await room.take(max, wait, signal === undefined ? closing : AbortSignal.any([closing, signal]));
  if (asked === 0) return undefined;
  let answer: PopCallAnswer<T> | undefined;
  try {
    answer = await popFirst(context, { ...call, max: asked }, end, whileWanted);
    return answer;
  } finally {
    room.answered(asked, answer?.deliveries.length ?? 0);
  }
}

type WhileWanted = <V>(work: Promise<V>) => Promise<V>;

async function popFirst<T>(
  { receiver, places, closing, giveBack }: PopCallContext<T>,
  { max, wait, signal }: PopCall,
  end: number,
  whileWanted: WhileWanted,
): Promise<PopCallAnswer<T> | undefined> {
  const checkWanted = () => [closing, signal].forEach((each) => each?.throwIfAborted());
  const order = places.map((place) => ({ place, at: Math.random() })).sort((a, b) => a.at - b.at);
  for (let round = 0;; round++) {
    const started = performance.now();
    const hold = round === 0 ? 0 : places.length === 1 ? wait : SLICE;
    let failure: unknown;
    let failures = 0;
    for (const { place } of order) {
      checkWanted();
      const left = Math.max(0, Math.floor(end - performance.now()));
      const popping = receiver.pop(place, max, Math.min(left, hold), signal);
      try {
        const received = await whileWanted(popping);
        if (received.deliveries.length > 0) return { place, ...received };
      } catch (error) {
        if (closing.aborted || signal?.aborted) {
          inBackground(popping.then((late) => giveBack(place, late.deliveries)), unheard);
        }
        checkWanted();
        failures++;
        failure = new MessagePullError(place, error);
      }
    }
    if (failures > 0 && failures === order.length) throw failure;
    if (performance.now() >= end) return undefined;
    // Where nobody holds the requests, the rounds have to be paced; the second follows the first at once.
    const rest = order.length === 0 ? SLICE : round === 0 ? 0 : started + FRUITLESS_INTERVAL - performance.now();
    if (rest > 0) await pause(Math.min(rest, end - performance.now()), whileWanted);
  }
}

async function pause(ms: number, whileWanted: WhileWanted): Promise<void> {
  const enough = new AbortController();
  await whileWanted(delay(ms, { signal: enough.signal })).finally(() => enough.abort());
}
