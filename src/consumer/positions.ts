/**
 * Positions in queues: where something is, and how far it is from the end.
 *
 * @module
 */

import type { BrokerClient } from "../brokers/broker_client.ts";
import { type MessageQueue, queueKey } from "../message.ts";
import { OptionsCheck } from "../options.ts";
import type { QueueLag, SeekPosition } from "./consumer.ts";
import type { OwnedQueue } from "./queue/owned_queue.ts";

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

/** How far queues are from their ends, by their brokers' words. */
export async function lagOf(
  brokers: Pick<BrokerClient, "maxOffset">,
  owned: readonly OwnedQueue[],
): Promise<readonly QueueLag[]> {
  const open = owned.filter(({ counts }) => counts);
  return await Promise.all(open.map(async ({ queue, process }) => {
    const maxOffset = await brokers.maxOffset(queue);
    const { committable, oldest } = process;
    const lag = Math.max(0, maxOffset - committable);
    return { queue, maxOffset, committable, lag, oldestStoredAt: oldest?.storedAt };
  }));
}
