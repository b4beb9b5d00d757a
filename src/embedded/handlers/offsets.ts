/**
 * Offsets of groups and of queues.
 * Source: ConsumerManageProcessor, AdminBrokerProcessor.
 *
 * @module
 */

import type { Reply } from "../../transport/connection.ts";
import { ResponseCode } from "../../wire/codes.ts";
import type { HeaderOf } from "../../wire/fields.ts";
import {
  getMaxOffset,
  getMinOffset,
  queryConsumerOffset,
  queryTimeSpan,
  searchOffsetByTimestamp,
  updateConsumerOffset,
} from "../../wire/requests.ts";
import type { TimeSpan } from "../../wire/bodies.ts";
import { isV5, type Parts } from "../parts.ts";
import type { Queue } from "../queue.ts";
import { accept, acceptWith, refuse } from "../replies.ts";
import { type Handler, handler } from "../router.ts";

const encoder = new TextEncoder();

/** The handlers of requests about offsets. */
export function offsetHandlers(parts: Parts): Handler[] {
  const { store } = parts;
  return [
    handler(queryConsumerOffset, (header) => query(parts, header)),
    handler(updateConsumerOffset, (header) => update(parts, header)),
    handler(searchOffsetByTimestamp, ({ topic, queueId, timestamp }, { command }) => {
      const queue = store.find(topic, queueId);
      const offset = queue === undefined ? 0 : search(queue, timestamp, command.fields.boundaryType, isV5(parts));
      return acceptWith(searchOffsetByTimestamp.answer, { offset });
    }),
    handler(queryTimeSpan, ({ topic, group }) => timeSpan(parts, topic, group)),
    handler(
      getMaxOffset,
      ({ topic, queueId }) => acceptWith(getMaxOffset.answer, { offset: store.find(topic, queueId)?.maxOffset ?? 0 }),
    ),
    handler(
      getMinOffset,
      ({ topic, queueId }) => acceptWith(getMinOffset.answer, { offset: store.find(topic, queueId)?.minOffset ?? 0 }),
    ),
  ];
}

function search(queue: Queue, timestamp: number, boundaryType: string | undefined, isV5: boolean): number {
  if (!isV5) return queue.nearestOffsetAt(timestamp);
  return boundaryType?.toLowerCase() === "upper" ? queue.lastOffsetAt(timestamp) : queue.offsetAt(timestamp);
}

/** The time spans of queues, without empty queues. Source: AdminBrokerProcessor `queryConsumeTimeSpan`. */
function timeSpan({ topics, store, offsets, options: { brokerName } }: Parts, topic: string, group: string): Reply {
  const config = topics.get(topic);
  if (config === undefined) return refuse(ResponseCode.TOPIC_NOT_EXIST, `topic ${topic} not exist`);
  const now = Date.now();
  const spans = Array.from({ length: config.readQueues }, (_, queueId): TimeSpan[] => {
    const queue = store.find(topic, queueId);
    const [oldest, newest] = [queue?.at(queue.minOffset), queue?.at(queue.maxOffset - 1)];
    if (oldest === undefined || newest === undefined) return [];
    const next = offsets.get(group, topic, queueId) ?? -1;
    const last = next > 0 ? queue?.at(next - 1) : oldest;
    return [{
      messageQueue: { topic, brokerName, queueId },
      minTimeStamp: oldest.storedAt,
      maxTimeStamp: newest.storedAt,
      consumeTimeStamp: last?.storedAt ?? -1,
      delayTime: now - (queue?.at(next)?.storedAt ?? -1),
    }];
  });
  return { ...accept(), body: encoder.encode(JSON.stringify({ consumeTimeSpanSet: spans.flat() })) };
}

/** Without a commit the answer is 0 if the queue's first message still exists: nothing has been consumed. */
function query(parts: Parts, header: HeaderOf<typeof queryConsumerOffset.header>): Reply {
  const { consumerGroup, topic, queueId, setZeroIfNotFound } = header;
  const offset = parts.offsets.get(consumerGroup, topic, queueId);
  if (offset !== undefined && offset >= 0) return acceptWith(queryConsumerOffset.answer, { offset });
  const queue = parts.store.find(topic, queueId);
  if (isV5(parts) && setZeroIfNotFound === false) {
    return refuse(ResponseCode.QUERY_NOT_FOUND, "Not found, do not set to zero, maybe this group boot first");
  }
  const isFirstHere = isV5(parts) ? queue?.at(0) !== undefined : (queue?.minOffset ?? 0) === 0;
  if (isFirstHere) return acceptWith(queryConsumerOffset.answer, { offset: 0 });
  return refuse(ResponseCode.QUERY_NOT_FOUND, "Not found, V3_0_6_SNAPSHOT maybe this group consumer boot first");
}

/** Stores any value. 5.x requires that the group and the topic exist. */
function update(parts: Parts, header: HeaderOf<typeof updateConsumerOffset.header>): Reply {
  const { consumerGroup, topic, queueId, commitOffset } = header;
  if (isV5(parts)) {
    if (!parts.consumerGroups.isKnown(consumerGroup)) {
      return refuse(ResponseCode.SUBSCRIPTION_GROUP_NOT_EXIST, `Group ${consumerGroup} not exist!`);
    }
    if (parts.topics.get(topic) === undefined) {
      return refuse(ResponseCode.TOPIC_NOT_EXIST, `Topic ${topic} not exist!`);
    }
  }
  if (parts.offsets.hasReset(consumerGroup, topic, queueId)) {
    return { ...accept(), remark: "Offset has been previously reset" };
  }
  if (parts.offsets.commit(consumerGroup, topic, queueId, commitOffset)) return accept();
  return refuse(ResponseCode.SYSTEM_ERROR, "there are as many offsets as the embedded broker stores: raise maxOffsets");
}
