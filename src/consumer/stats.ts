/**
 * The figures of a consumer.
 *
 * @module
 */

import type { ConsumerStatistics } from "../telemetry/consumer_statistics.ts";
import type { ConsumerStats, TopicStats } from "./consumer.ts";
import type { ConsumerParts } from "./parts.ts";

/** What a consumer holds and has done, from its parts. */
export function statsOf<T>({ assignment, settlement, subscriptions, statistics }: ConsumerParts<T>): ConsumerStats {
  const totals = { buffered: 0, bufferedBytes: 0, inFlight: 0 };
  let oldest = Infinity;
  for (const owned of assignment.owned) {
    if (!owned.counts) continue;
    const { process } = owned;
    totals.buffered += process.count;
    totals.bufferedBytes += process.bytes;
    totals.inFlight += process.inFlightCount;
    oldest = Math.min(oldest, process.oldest?.storedAt.getTime() ?? Infinity);
  }
  const { settledTotal: settled, retriedTotal: retried } = settlement;
  const oldestAge = oldest === Infinity ? undefined : Math.max(0, Date.now() - oldest);
  const topics = new Map(subscriptions.topics().map((topic) => [topic, topicStats(statistics, topic)]));
  return { queues: assignment.owned.length, ...totals, settled, retried, oldestAge, topics };
}

function topicStats(statistics: ConsumerStatistics, topic: string): TopicStats {
  const status = statistics.snapshot(topic);
  return {
    pullTime: status.pullRT,
    pulledPerSecond: status.pullTPS,
    consumeTime: status.consumeRT,
    consumedPerSecond: status.consumeOKTPS,
    failedPerSecond: status.consumeFailedTPS,
    failedLastHour: status.consumeFailedMsgs,
  };
}
