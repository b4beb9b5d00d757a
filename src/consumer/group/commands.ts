/**
 * What brokers and operators ask of a consumer while it runs.
 *
 * @module
 */

import type { ConsumeMessageDirectlyResult } from "../../wire/bodies.ts";
import type { QueueBatch } from "../delivery/batch.ts";
import { consumeDirectly, DirectBatch, readMessage } from "../delivery/direct.ts";
import type { DeliveredBatch, SettlementRules } from "../delivery/delivered_batch.ts";
import type { CheckedConsumerOptions } from "../options_check.ts";
import type { OwnedQueue } from "../queue/owned_queue.ts";
import type { Dispatcher } from "../delivery/dispatcher.ts";
import type { ConsumerStatistics } from "../../telemetry/consumer_statistics.ts";
import type { Assignment } from "../assignment/assignment.ts";
import type { Rebalancer } from "../assignment/rebalancer.ts";
import type { GroupSubscriptions } from "./subscriptions.ts";
import { runningInfo } from "./running_info.ts";
import type { GroupCommands, RunningInfo } from "./served_requests.ts";
import type { GroupWatch } from "./watch.ts";
import { inBackground } from "../../owned_work.ts";

/** The parts of a consumer that {@linkcode groupCommands} asks. */
export interface CommandedParts<T> {
  readonly rebalancer: Rebalancer;
  readonly assignment: Assignment<T>;
  readonly subscriptions: GroupSubscriptions;
  readonly statistics: ConsumerStatistics;
  readonly dispatcher: Dispatcher<OwnedQueue<T>, QueueBatch<T>>;
  readonly groupWatch: Pick<GroupWatch, "notice">;
}

/** What {@linkcode groupCommands} works with. */
export interface GroupCommandsContext<T> {
  /** The consumer's parts that answer. */
  readonly parts: CommandedParts<T>;
  /** Its options. */
  readonly options: CheckedConsumerOptions;
  /** The name servers' addresses. */
  readonly nameServers: readonly string[];
  /** Called with a position that an operator has set and that could not be stored. */
  readonly onFailed: (error: unknown) => void;
}

/** Answers for one consumer; it counts as started now. */
export function groupCommands<T>(context: GroupCommandsContext<T>): GroupCommands {
  const { parts, options, nameServers, onFailed } = context;
  const startedAt = Date.now();
  return {
    onMembersChanged: () => {
      parts.rebalancer.notice();
      parts.groupWatch.notice();
    },
    onReset: (offsets) => {
      for (const [queue, offset] of offsets) inBackground(parts.assignment.reset(queue, offset), onFailed);
    },
    positions: (topic) => parts.assignment.positions(topic),
    runningInfo: (): RunningInfo => {
      const { subscriptions, statistics, assignment } = parts;
      const owned = assignment.owned.map((each) => each);
      return runningInfo({ options, nameServers, startedAt, subscriptions, statistics, owned });
    },
    consumeDirectly: async (record, broker): Promise<ConsumeMessageDirectlyResult | string> => {
      const message = readMessage<T>(record, broker, options.group, parts.subscriptions);
      if (message === undefined) return "the message cannot be read";
      const makeBatch = (rules: SettlementRules<T, DeliveredBatch<T>>) => new DirectBatch<T>(message, rules);
      return await consumeDirectly<T, QueueBatch<T>>(parts.dispatcher, makeBatch, options.ordering !== "concurrent");
    },
  };
}
