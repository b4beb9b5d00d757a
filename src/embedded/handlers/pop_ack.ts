/**
 * Acks and invisible times of popped messages. Sources: AckMessageProcessor, ChangeInvisibleTimeProcessor.
 *
 * @module
 */

import type { Reply } from "../../transport/connection.ts";
import type { BatchAck } from "../../wire/bodies.ts";
import { readBatchAcks } from "../../wire/body_readers.ts";
import { ResponseCode } from "../../wire/codes.ts";
import { encodeHeader, type HeaderOf } from "../../wire/fields.ts";
import {
  parsePopReceipt,
  parsePopRetry,
  POP_ORDER_REVIVE_QUEUE,
  type PopReceipt,
  realPopTopic,
} from "../../wire/pop.ts";
import { decodeAckBits } from "../../wire/pop_acks.ts";
import { ackMessage, batchAckMessage, changeInvisibleTime } from "../../wire/requests.ts";
import type { Parts } from "../parts.ts";
import { accept, refuse } from "../replies.ts";
import { type Handler, handler } from "../router.ts";

/** The delivery of an acknowledged message, from its receipt. */
type Acked = Omit<PopReceipt, "retry" | "queueOffset"> & { readonly group: string; readonly topic: string };

type ChangeHeader = HeaderOf<typeof changeInvisibleTime.header>;

/** The remark of an answer without a remark. */
const NO_REMARK = "not set any response code";

/** The handlers of requests about popped messages. */
export function popAckHandlers(parts: Parts): Handler[] {
  return [
    handler(ackMessage, ({ consumerGroup: group, topic, queueId, extraInfo, offset }) => {
      const refused = checkQueue(parts, topic, queueId);
      if (refused !== undefined) return refused;
      const { least, most } = rangeOf(parts, topic, queueId);
      if (offset < least || offset > most) {
        const remark = `offset is illegal, key:${topic}@${queueId}, commit:${offset}, store:${least}~${most}`;
        return refuse(ResponseCode.NO_MESSAGE, remark);
      }
      return ack(parts, { ...parsePopReceipt(extraInfo), group, topic, queueId }, offset) ?? accept();
    }),
    handler(batchAckMessage, (_header, { command }) => {
      const { brokerName, acks = [] } = command.body.length === 0 ? {} : readBatchAcks(command.body);
      if (acks.length === 0) return { code: ResponseCode.NO_MESSAGE };
      let refused: Reply | undefined;
      for (const each of acks) refused = ackMany(parts, each, brokerName ?? parts.options.brokerName) ?? refused;
      return refused ?? accept();
    }),
    handler(changeInvisibleTime, (header) => change(parts, header)),
  ];
}

function checkQueue(parts: Parts, topic: string, queueId: number): Reply | undefined {
  const config = parts.topics.get(topic);
  if (config === undefined) {
    return refuse(ResponseCode.TOPIC_NOT_EXIST, `topic[${topic}] not exist, apply first please!`);
  }
  if (queueId >= 0 && queueId < config.readQueues) return undefined;
  const remark = `queueId[${queueId}] is illegal, topic:[${topic}] topicConfig.readQueueNums:[${config.readQueues}]`;
  return refuse(ResponseCode.MESSAGE_ILLEGAL, remark);
}

function rangeOf(parts: Parts, topic: string, queueId: number): { least: number; most: number } {
  const queue = parts.store.find(topic, queueId);
  return { least: queue?.minOffset ?? 0, most: queue?.maxOffset ?? 0 };
}

/** Acknowledges a message; returns a refusal, which is possible for ordered pops only. */
function ack(parts: Parts, acked: Acked, offset: number): Reply | undefined {
  if (acked.reviveQueueId === POP_ORDER_REVIVE_QUEUE) return ackInOrder(parts, acked, offset);
  if (acked.broker === parts.options.brokerName) parts.pop.deliveries.ack(acked, offset);
  return undefined;
}

function ackInOrder(parts: Parts, { group, topic, queueId, popTime }: Acked, offset: number): Reply | undefined {
  const { offsets, pop } = parts;
  const old = offsets.get(group, topic, queueId) ?? -1;
  if (offset < old) return undefined;
  const next = pop.ordered.ack({ group, topic, queueId }, offset, popTime);
  if (next === "illegal") {
    const remark = `offset is illegal, key:${topic}@${group}@${queueId}, old:${old}, commit:${offset}, next:-1`;
    return refuse(ResponseCode.MESSAGE_ILLEGAL, remark);
  }
  if (next !== "stale" && !offsets.hasReset(group, topic, queueId)) offsets.commit(group, topic, queueId, next);
  return undefined;
}

/** Acknowledges messages of one delivery, without those that do not exist. */
function ackMany(parts: Parts, batch: BatchAck, broker: string): Reply | undefined {
  const { c: group, q: queueId, so: startOffset, pt: popTime, it: invisibleTime, rq: reviveQueueId } = batch;
  const topic = realPopTopic(group, batch.t, parsePopRetry(batch.r));
  const { least, most } = rangeOf(parts, topic, queueId);
  const acked: Acked = { group, topic, queueId, startOffset, popTime, invisibleTime, reviveQueueId, broker };
  let refused: Reply | undefined;
  for (const offset of decodeAckBits(startOffset, batch.b)) {
    if (offset >= least && offset <= most) refused = ack(parts, acked, offset) ?? refused;
  }
  return refused;
}

function change(parts: Parts, header: ChangeHeader): Reply {
  const { topic, queueId, offset, extraInfo } = header;
  const refused = checkQueue(parts, topic, queueId);
  if (refused !== undefined) return { ...refused, fields: changed(0, 0, 0) };
  const { least, most } = rangeOf(parts, topic, queueId);
  if (offset < least || offset >= most) {
    return { code: ResponseCode.NO_MESSAGE, remark: NO_REMARK, fields: changed(0, 0, 0) };
  }
  const receipt = parsePopReceipt(extraInfo);
  const isOrder = receipt.reviveQueueId === POP_ORDER_REVIVE_QUEUE;
  const fields = isOrder ? changeInOrder(parts, header, receipt) : changeDelivery(parts, header, receipt);
  return { ...accept(fields), remark: NO_REMARK };
}

/**
 * Makes a new delivery of the message alone, and acknowledges it in its old one.
 *
 * The receipt is not checked: with one that has expired the message is delivered twice, as by a real broker.
 */
function changeDelivery(parts: Parts, header: ChangeHeader, receipt: PopReceipt) {
  const { consumerGroup: group, topic, queueId, offset, invisibleTime } = header;
  const popTime = Math.max(Date.now(), receipt.popTime + 1); // or the ack below could be one of the new delivery
  const delivery = { group, topic, queueId, startOffset: offset, popTime };
  parts.pop.deliveries.add(delivery, [offset], popTime + invisibleTime);
  ack(parts, { ...receipt, group, topic, queueId }, offset);
  return changed(popTime, invisibleTime, receipt.reviveQueueId);
}

function changeInOrder(parts: Parts, header: ChangeHeader, { popTime, reviveQueueId }: PopReceipt) {
  const { consumerGroup: group, topic, queueId, offset, invisibleTime } = header;
  if (offset < (parts.offsets.get(group, topic, queueId) ?? -1)) return changed(0, 0, 0);
  const visibleAt = Date.now() + invisibleTime;
  parts.pop.ordered.setVisible({ group, topic, queueId }, offset, popTime, visibleAt);
  return changed(popTime, visibleAt - popTime, reviveQueueId);
}

function changed(popTime: number, invisibleTime: number, reviveQid: number) {
  return encodeHeader(changeInvisibleTime.answer, { popTime, invisibleTime, reviveQid });
}
