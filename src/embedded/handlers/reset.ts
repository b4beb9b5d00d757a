/**
 * Requests to reset offsets. Sources: AdminBrokerProcessor.resetOffsetInner, Broker2Client (4.9).
 *
 * @module
 */

import type { Reply } from "../../transport/connection.ts";
import { ResponseCode } from "../../wire/codes.ts";
import type { HeaderOf } from "../../wire/fields.ts";
import { resetGroupOffset } from "../../wire/requests.ts";
import { isV5, type Parts } from "../parts.ts";
import { Queue } from "../queue.ts";
import { offsetTable, pushReset } from "../reset.ts";
import { accept, refuse } from "../replies.ts";
import { type Handler, handler } from "../router.ts";

type ResetHeader = HeaderOf<typeof resetGroupOffset.header>;

/** The handler of resets. */
export function resetHandlers(parts: Parts): Handler[] {
  return [
    handler(resetGroupOffset, (header) => isV5(parts) ? resetHere(parts, header) : resetAtMembers(parts, header)),
  ];
}

/** 5.x stores the offsets and answers the next pull or pop with them. */
function resetHere(parts: Parts, { topic, group, timestamp, queueId = -1, offset = -1 }: ResetHeader): Reply {
  const config = parts.topics.get(topic);
  if (config === undefined) return refuse(ResponseCode.TOPIC_NOT_EXIST, `Topic ${topic} does not exist`);
  if (!parts.consumerGroups.isKnown(group)) {
    return refuse(ResponseCode.SUBSCRIPTION_GROUP_NOT_EXIST, `Group ${group} does not exist`);
  }
  const at = (id: number): number =>
    timestamp < 0 ? maxOf(parts, topic, id) : queueOf(parts, topic, id).offsetAt(timestamp);
  const offsets = new Map<number, number>();
  if (queueId < 0) { for (let id = 0; id < config.readQueues; id++) offsets.set(id, at(id)); }
  else if (offset < 0) offsets.set(queueId, at(queueId));
  else {
    const { minOffset, maxOffset } = queueOf(parts, topic, queueId);
    if (offset < minOffset || offset > maxOffset + 1) {
      const remark = `Target offset ${offset} not in consume queue range [${minOffset}-${maxOffset}]`;
      return refuse(ResponseCode.SYSTEM_ERROR, remark);
    }
    offsets.set(queueId, offset);
  }
  for (const [id, wanted] of offsets) parts.offsets.reset(group, topic, id, wanted);
  return accept({}, offsetTable(parts, topic, offsets));
}

/** 4.9 notifies the members, which commit the offsets. */
function resetAtMembers(parts: Parts, { topic, group, timestamp, isForce }: ResetHeader): Reply {
  const config = parts.topics.get(topic);
  if (config === undefined) {
    const remark = `[reset-offset] reset offset failed, no topic in this broker. topic=${topic}`;
    return refuse(ResponseCode.SYSTEM_ERROR, remark);
  }
  const offsets = new Map<number, number>();
  for (let id = 0; id < config.writeQueues; id++) {
    const committed = parts.offsets.get(group, topic, id);
    if (committed === undefined) {
      return refuse(ResponseCode.SYSTEM_ERROR, `THe consumer group <${group}> not exist`);
    }
    const wanted = timestamp === -1 ? maxOf(parts, topic, id) : queueOf(parts, topic, id).nearestOffsetAt(timestamp);
    offsets.set(id, isForce || wanted < committed ? wanted : committed);
  }
  const body = offsetTable(parts, topic, offsets);
  if (pushReset(parts, { topic, group, timestamp, isForce: false }, body) > 0) return accept({}, body);
  const remark =
    `Consumer not online, so can not reset offset, Group: ${group} Topic: ${topic} Timestamp: ${timestamp}`;
  return refuse(ResponseCode.CONSUMER_NOT_ONLINE, remark);
}

function queueOf(parts: Parts, topic: string, queueId: number): Queue {
  return parts.store.find(topic, queueId) ?? new Queue(topic, queueId); // not stored: a request creates no queue
}

function maxOf(parts: Parts, topic: string, queueId: number): number {
  return queueOf(parts, topic, queueId).maxOffset;
}
