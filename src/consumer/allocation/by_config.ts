/**
 * Queues as somebody has decided.
 *
 * @module
 */

import { ConfigError } from "../../errors.ts";
import { type MessageQueue, queueKey } from "../../message.ts";
import type { AllocationContext, AllocationStrategy } from "./strategy.ts";

/**
 * Takes the queues that are listed, whoever else is in the group; those that do not exist are left out.
 *
 * It is up to you that every queue is in the list of one member and no other. That holds for the group's retry topic
 * too: if nobody lists its queues, messages that were sent back are not delivered again.
 *
 * @example Two queues of a topic, and half of the retries
 * ```ts
 * import { byConfig } from "@denorocket/rocketmq/consumer";
 *
 * const allocation = byConfig([
 *   { topic: "orders", broker: "broker-a", queueId: 0 },
 *   { topic: "orders", broker: "broker-a", queueId: 1 },
 *   { topic: "%RETRY%billing", broker: "broker-a", queueId: 0 },
 * ]);
 * ```
 *
 * @example The same, with retries divided evenly
 * ```ts
 * import { type AllocationStrategy, average, byConfig } from "@denorocket/rocketmq/consumer";
 *
 * const orders = byConfig([{ topic: "orders", broker: "broker-a", queueId: 0 }]);
 * const retries = average();
 *
 * const allocation: AllocationStrategy = {
 *   name: orders.name,
 *   allocate: (context) => (context.queues[0]?.topic.startsWith("%RETRY%") ? retries : orders).allocate(context),
 * };
 * ```
 *
 * Source: AllocateMessageQueueByConfig, which gives the whole list for every topic.
 *
 * @throws {ConfigError} if the list holds anything but queues
 * @category Advanced
 */
export function byConfig(queues: readonly MessageQueue[]): AllocationStrategy {
  const wanted = new Set(checkQueues(queues).map(queueKey));
  return {
    name: "CONFIG",
    allocate: (context: AllocationContext) => context.queues.filter((queue) => wanted.has(queueKey(queue))),
  };
}

function checkQueues(queues: readonly MessageQueue[]): readonly MessageQueue[] {
  const problems = Array.isArray(queues)
    ? queues.map((queue, at) => ({ field: `queues[${at}]`, value: queue, allowed: "{ topic, broker, queueId }" }))
      .filter(({ value }) => !isQueue(value))
    : [{ field: "queues", value: queues, allowed: "an array of { topic, broker, queueId }" }];
  if (problems.length > 0) throw new ConfigError("make the strategy byConfig()", problems);
  return queues;
}

function isQueue(value: unknown): value is MessageQueue {
  if (typeof value !== "object" || value === null) return false;
  const { topic, broker, queueId } = value as Record<string, unknown>;
  return typeof topic === "string" && topic !== "" && typeof broker === "string" && broker !== "" &&
    Number.isInteger(queueId) && Number(queueId) >= 0;
}
