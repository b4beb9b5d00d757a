/**
 * What operators can read about a running consumer. Source: ConsumerRunningInfo, DefaultMQPushConsumerImpl.
 *
 * @module
 */

import type { ProcessQueueInfo } from "../../wire/bodies.ts";
import { PROTOCOL_VERSION_NAME } from "../../wire/codes.ts";
import type { ConsumerStatistics } from "../../telemetry/consumer_statistics.ts";
import type { RunningInfo } from "./served_requests.ts";
import type { GroupSubscriptions } from "./subscriptions.ts";
import type { CheckedConsumerOptions } from "../options_check.ts";
import type { OwnedQueue } from "../queue/owned_queue.ts";

const MIB = 1024 * 1024;

/** What running info is made of. */
export interface RunningInfoSource {
  /** The consumer's options. */
  readonly options: CheckedConsumerOptions;
  /** The name servers' addresses. */
  readonly nameServers: readonly string[];
  /** When the consumer was started, in milliseconds since 1970. */
  readonly startedAt: number;
  /** What it is subscribed to. */
  readonly subscriptions: GroupSubscriptions;
  /** Its queues. */
  readonly owned: readonly OwnedQueue[];
  /** Its figures. */
  readonly statistics: ConsumerStatistics;
}

/** Makes the running info of a consumer, with names as Java's tools read them. */
export function runningInfo(source: RunningInfoSource): RunningInfo {
  const { options, nameServers, startedAt, subscriptions, owned, statistics } = source;
  const open = owned.filter(({ counts }) => counts);
  return {
    properties: runningProperties(options, "CONSUME_PASSIVELY", nameServers, startedAt),
    subscriptionSet: subscriptions.describe().subscriptionDataSet,
    queues: open.map((each) => [each.queue, queueInfo(each)]),
    poppedQueues: [],
    statusTable: Object.fromEntries(subscriptions.topics().map((topic) => [topic, statistics.snapshot(topic)])),
    userConsumerInfo: {},
  };
}

/** Settings by name: those that Java's tools read, and the options that are plain values. */
export function runningProperties(
  options: object,
  consumeType: string,
  nameServers: readonly string[],
  startedAt: number,
): Readonly<Record<string, string>> {
  const plain = Object.entries(options).filter(([, value]) => ["string", "number", "boolean"].includes(typeof value));
  const ordering = Object.hasOwn(options, "ordering") ? (options as { ordering: unknown }).ordering : "concurrent";
  return {
    PROP_NAMESERVER_ADDR: nameServers.join(";"),
    PROP_CONSUME_TYPE: consumeType,
    PROP_CLIENT_VERSION: PROTOCOL_VERSION_NAME,
    PROP_CONSUMER_START_TIMESTAMP: String(startedAt),
    PROP_CONSUMEORDERLY: String(ordering !== "concurrent"),
    PROP_THREADPOOL_CORE_SIZE: "1", // JavaScript has one
    ...Object.fromEntries(plain.map(([name, value]) => [name, String(value)])),
  };
}

function queueInfo({ process, loop, lock, lastDeliveredAt }: OwnedQueue): ProcessQueueInfo {
  const { committable, position, count, bytes, inFlightCount } = process;
  return {
    commitOffset: committable,
    cachedMsgMinOffset: count === 0 ? 0 : committable,
    cachedMsgMaxOffset: count === 0 ? 0 : position - 1,
    cachedMsgCount: count,
    cachedMsgSizeInMiB: Math.floor(bytes / MIB),
    transactionMsgMinOffset: 0,
    transactionMsgMaxOffset: 0,
    transactionMsgCount: lock === undefined ? 0 : inFlightCount,
    locked: lock?.isHeld ?? false,
    tryUnlockTimes: 0,
    lastLockTimestamp: 0,
    droped: false,
    lastPullTimestamp: wallClock(loop.since),
    lastConsumeTimestamp: lastDeliveredAt === undefined ? 0 : wallClock(lastDeliveredAt),
  };
}

/** A time of the monotonic clock in milliseconds since 1970. */
function wallClock(time: number): number {
  return Math.round(Date.now() - (performance.now() - time));
}
