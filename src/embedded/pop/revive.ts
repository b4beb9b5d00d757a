/**
 * Messages that become visible again: copies in the group's retry topic. Source: PopReviveService.
 *
 * @module
 */

import { PropertyName } from "../../wire/codes.ts";
import { popRetryOf, popRetryTopic } from "../../wire/pop.ts";
import { decodeStored } from "../../wire/record.ts";
import type { Parts } from "../parts.ts";
import type { NewMessage } from "../store.ts";
import type { Delivery, Unacked } from "./deliveries.ts";

/**
 * Stores copies of popped messages in the retry topics of their groups, all at once; returns those that could not be
 * stored.
 *
 * A message that was sent with a delay level is delayed again, as by a real broker.
 */
export function revive(parts: Parts, messages: readonly Unacked[]): Unacked[] {
  const visible: NewMessage[] = [];
  const failed = messages.filter(({ delivery, offset }) => {
    const message = copyOf(parts, delivery, offset);
    if (message === undefined) return false; // it was deleted
    ensureRetryTopic(parts, delivery.group, message.topic);
    const waiting = parts.delays.take(message);
    if (waiting === "now" || waiting === "illegal") visible.push(message);
    return waiting === "full";
  });
  parts.put(visible);
  return failed;
}

function ensureRetryTopic(parts: Parts, group: string, topic: string): void {
  if (parts.topics.get(topic) !== undefined) return;
  parts.topics.ensure(topic, 1);
  if (parts.offsets.get(group, topic, 0) === undefined) parts.offsets.commit(group, topic, 0, 0);
}

function copyOf(parts: Parts, { group, topic, queueId, popTime }: Delivery, offset: number): NewMessage | undefined {
  const entry = parts.store.find(topic, queueId)?.at(offset);
  if (entry === undefined) return undefined;
  const old = decodeStored(entry.record, { topic, queueId, broker: parts.options.brokerName });
  const properties = new Map(old.properties);
  if (old.reconsumeTimes === 0 || !properties.has(PropertyName.FIRST_POP_TIME)) {
    properties.set(PropertyName.FIRST_POP_TIME, String(popTime));
  }
  return {
    topic: popRetryOf(topic) === 0 ? popRetryTopic(group, topic) : topic,
    queueId: 0,
    flag: old.flag,
    sysFlag: old.sysFlag,
    bornAt: old.bornAt.getTime(),
    bornHost: parts.store.storeHost,
    reconsumeTimes: old.reconsumeTimes + 1,
    body: old.storedBody,
    properties,
  };
}
