/**
 * Resets of offsets. Sources: AdminBrokerProcessor.resetOffsetInner, Broker2Client (4.9).
 *
 * @module
 */

import type { MessageQueue } from "../message.ts";
import type { HeaderOf } from "../wire/fields.ts";
import { JsonFields } from "../wire/json_fields.ts";
import { resetConsumerOffset } from "../wire/requests.ts";
import { isV5, type Parts } from "./parts.ts";
import { textBody } from "./replies.ts";
import { inBackground, unheard } from "../owned_work.ts";

/** Resets a group's offset of a queue: 5.x answers the next pull with it, 4.9 notifies all members. */
export function resetOffset(
  parts: Parts,
  group: string,
  { topic, queueId }: Pick<MessageQueue, "topic" | "queueId">,
  offset: number,
): void {
  if (isV5(parts)) {
    parts.offsets.reset(group, topic, queueId, offset);
    return;
  }
  const header = { topic, group, timestamp: Date.now(), isForce: true };
  pushReset(parts, header, offsetTable(parts, topic, new Map([[queueId, offset]])));
}

/** Notifies a group's members of a reset; returns the number of members. */
export function pushReset(parts: Parts, header: HeaderOf<typeof resetConsumerOffset.header>, body: Uint8Array): number {
  const { name, code } = resetConsumerOffset;
  const fields = JsonFields.of(resetConsumerOffset.header, header);
  const members = [...parts.consumerGroups.get(header.group)?.members.values() ?? []];
  for (const { connection } of members) {
    inBackground(connection.sendOneway({ name, code, fields, body }), unheard); // it is closing
  }
  return members.length;
}

/** A table of offsets in the form of Java: with objects as keys. Source: ResetOffsetBody. */
export function offsetTable(parts: Parts, topic: string, offsets: ReadonlyMap<number, number>): Uint8Array {
  const { brokerName } = parts.options;
  const entries = [...offsets].map(([queueId, offset]) =>
    `${JSON.stringify({ brokerName, queueId, topic })}:${offset}`
  );
  return textBody(`{"offsetTable":{${entries.join(",")}}}`);
}
