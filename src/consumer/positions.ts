/**
 * Positions in queues: where something is, and how far it is from the end.
 *
 * @module
 */

import type { BrokerClient } from "../brokers/broker_client.ts";
import { TimeoutError } from "../errors.ts";
import { type MessageQueue, queueKey } from "../message.ts";
import { OptionsCheck } from "../options.ts";
import type { QueueLag, SeekPosition } from "./consumer.ts";
import type { OwnedQueue } from "./queue/owned_queue.ts";
import { reasonOf } from "../plain_text.ts";
import { waitFor } from "../waiting.ts";

/**
 * The offset of a place in a queue.
 *
 * @throws {ConfigError} for what is no place
 */
export async function resolvePosition(
  brokers: Pick<BrokerClient, "minOffset" | "maxOffset" | "offsetAt">,
  queue: MessageQueue,
  position: SeekPosition,
): Promise<number> {
  if (position === "earliest") return await brokers.minOffset(queue);
  if (position === "latest") return await brokers.maxOffset(queue);
  if (position instanceof Date) return await brokers.offsetAt(queue, position.getTime());
  const check = new OptionsCheck("seek");
  check.integer("position", position, 0, 0, Number.MAX_SAFE_INTEGER, `or "earliest", "latest", a Date`);
  // A position is stored at the broker in the end: one that cannot be asked for its end will say so then.
  const end = Number.isSafeInteger(position) ? await brokers.maxOffset(queue).catch(() => position) : 0;
  if (position > end) {
    check.add("position", position, `an offset of ${queueKey(queue)}, up to its end ${end}, or "latest" for the end`);
  }
  check.done();
  return position;
}

/** What {@linkcode lagOf} works with. */
export interface LagContext {
  /** Reads the ends of queues. */
  readonly brokers: Pick<BrokerClient, "maxOffset">;
  /** Computes where a queue begins that is not open yet. */
  readonly startOf: (queue: MessageQueue, isRetry: boolean) => Promise<number>;
  /** How long that may take, in milliseconds. */
  readonly timeout: number;
}

/** How far queues are from their ends, as their brokers report: each has an entry, whoever does not answer. */
export function lagOf(context: LagContext, owned: readonly OwnedQueue[]): Promise<readonly QueueLag[]> {
  return Promise.all(owned.map((each) => queueLag(context, each)));
}

async function queueLag(context: LagContext, owned: OwnedQueue): Promise<QueueLag> {
  const { queue, isRetry } = owned;
  const isOpen = owned.counts;
  const oldestStoredAt = isOpen ? owned.process.oldest?.storedAt : undefined;
  const known = { queue, isOpen, oldestStoredAt };
  const asked = context.brokers.maxOffset(queue);
  const read = isOpen ? Promise.resolve() : startOf(context, queue, isRetry);
  const [end, start] = await Promise.allSettled([asked, read]);
  const maxOffset = end.status === "fulfilled" ? end.value : undefined;
  const position = isOpen && owned.counts ? owned.process.committable : startValue(start);
  if (maxOffset !== undefined && position !== undefined) {
    return { ...known, maxOffset, committable: position, lag: Math.max(0, maxOffset - position), reason: undefined };
  }
  const failure = end.status === "rejected" ? end.reason : start.status === "rejected" ? start.reason : undefined;
  const reason = failure === undefined ? "the queue was revoked meanwhile" : reasonOf(failure);
  return { ...known, maxOffset, committable: position, lag: undefined, reason };
}

function startOf({ startOf, timeout }: LagContext, queue: MessageQueue, isRetry: boolean): Promise<number> {
  const late = () => new TimeoutError(`find where ${queueKey(queue)} begins`, timeout);
  return waitFor(startOf(queue, isRetry), { ms: timeout, late });
}

function startValue(start: PromiseSettledResult<number | void>): number | undefined {
  return start.status === "fulfilled" && start.value !== undefined ? start.value : undefined;
}
