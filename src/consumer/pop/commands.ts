/**
 * What brokers and operators ask of a POP consumer.
 *
 * @module
 */

import type { ConsumerStatistics } from "../../telemetry/consumer_statistics.ts";
import type { PopProcessQueueInfo } from "../../wire/bodies.ts";
import { consumeDirectly, readMessage } from "../delivery/direct.ts";
import type { DirectDelivery } from "../delivery/dispatcher.ts";
import type { GroupSubscriptions } from "../group/subscriptions.ts";
import type { DeliveredBatch, SettlementRules } from "../delivery/delivered_batch.ts";
import { runningProperties } from "../group/running_info.ts";
import type { GroupCommands } from "../group/served_requests.ts";
import { PoppedBatch } from "./batch.ts";
import type { CheckedPopOptions } from "./options.ts";
import type { PopSource } from "./source.ts";

/** What {@linkcode popCommands} works with. */
export interface PopCommandsContext<T> {
  /** The consumer's options. */
  readonly options: CheckedPopOptions;
  /** The name servers' addresses. */
  readonly nameServers: readonly string[];
  /** What it is subscribed to. */
  readonly subscriptions: GroupSubscriptions;
  /** Its figures. */
  readonly statistics: ConsumerStatistics;
  /** Where it pops now. */
  readonly sources: () => readonly PopSource<T>[];
  /** Delivers. */
  readonly dispatcher: DirectDelivery<PoppedBatch<T>>;
  /** Called when the group's members changed. */
  readonly onMembersChanged: () => void;
}

/** Answers for one consumer; it counts as started now. */
export function popCommands<T>(context: PopCommandsContext<T>): GroupCommands {
  const { options, nameServers, subscriptions, statistics, sources, dispatcher, onMembersChanged } = context;
  const startedAt = Date.now();
  return {
    onMembersChanged,
    onReset: () => {}, // the broker holds the positions
    positions: () => [],
    runningInfo: () => ({
      properties: runningProperties(options, "CONSUME_POP", nameServers, startedAt),
      subscriptionSet: subscriptions.describe().subscriptionDataSet,
      statusTable: Object.fromEntries(subscriptions.topics().map((topic) => [topic, statistics.snapshot(topic)])),
      userConsumerInfo: {},
      queues: [],
      poppedQueues: sources().map((source) => [source.place, infoOf(source)]),
    }),
    consumeDirectly: async (record, broker) => {
      const message = readMessage<T>(record, broker, options.group, subscriptions);
      if (message === undefined) return "the message cannot be read";
      const makeBatch = (rules: SettlementRules<T, DeliveredBatch<T>>) => PoppedBatch.direct(message, rules);
      return await consumeDirectly<T, PoppedBatch<T>>(dispatcher, makeBatch, false);
    },
  };
}

function infoOf<T>({ count, lastPop }: PopSource<T>): PopProcessQueueInfo {
  return { waitAckCount: count, droped: false, lastPopTimestamp: lastPop };
}
