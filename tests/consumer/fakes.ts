/** Stand-ins for what a part of the consumer is given, for tests of that part alone. */

import type { ConsumerOptions } from "../../src/consumer/options.ts";
import { checkConsumerOptions, type CheckedConsumerOptions } from "../../src/consumer/options_check.ts";
import type { EpochLoop } from "../../src/consumer/queue/owned_queue.ts";
import type { HeldMessage } from "../../src/consumer/queue/process_queue.ts";
import type { MessageQueue } from "../../src/message.ts";
import { turn } from "../../src/waiting.ts";
import { standIn } from "../untyped.ts";

/** The queue that fake messages come from. */
export const queue: MessageQueue = { topic: "orders", broker: "b", queueId: 0 };

/** A message as far as the consumer's parts look at it. */
export function fakeMessage(queueOffset: number, topic = "orders"): HeldMessage {
  const message = {
    get reconsumeTimes() {
      return message.retriedHere;
    },
    queueOffset,
    topic,
    size: 100,
    heldSize: 100,
    retriedHere: 0,
    storedReconsumeTimes: 0,
    sysFlag: 0,
    messageId: `id-${queueOffset}`,
    property: () => undefined,
    queue,
    storedAt: new Date(queueOffset),
  };
  return standIn<HeldMessage>(message);
}

/** The pulls of a queue that pulls nothing. */
export const stillLoop: EpochLoop = {
  waitsFor: "nothing",
  since: 0,
  start() {},
  stop() {},
  wake() {},
  isOverdue: () => false,
};

/** A consumer's options with their defaults. */
export function options(some: Partial<ConsumerOptions> = {}): CheckedConsumerOptions {
  return checkConsumerOptions({ group: "billing", topics: "orders", ...some });
}

/** Numbers from 0 to 1 that are the same in every run. Source: mulberry32. */
export function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** Lets all promise callbacks run that are ready, and those that these make ready: a turn of the event loop does. */
export async function settleMicrotasks(): Promise<void> {
  await turn();
}
