/**
 * Offsets that an operator sets. Sources: AdminBrokerProcessor.resetOffsetInner, Broker2Client (4.9).
 *
 * @module
 */

import type { MessageQueue } from "../message.ts";
import { encodeHeader, type HeaderOf } from "../wire/fields.ts";
import { resetConsumerOffset } from "../wire/requests.ts";
import { isV5, type Parts } from "./parts.ts";
import { textBody } from "./replies.ts";
import { inBackground, unheard } from "../owned_work.ts";

/** Sets a group's offset of a queue: 5.x tells the next pull of it, 4.9 all members at once. */
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

/** Tells a group's members of a reset; gives how many there are. */
export function pushReset(parts: Parts, header: HeaderOf<typeof resetConsumerOffset.header>, body: Uint8Array): number {
  const { name, code } = resetConsumerOffset;
  const fields = encodeHeader(resetConsumerOffset.header, header);
  const members = [...parts.consumerGroups.get(header.group)?.members.values() ?? []];
  for (const { connection } of members) {
    inBackground(connection.sendOneway({ name, code, fields, body }), unheard); // it is closing
  }
  return members.length;
}

/** A table of offsets as Java writes it: with objects as names. Source: ResetOffsetBody. */
export function offsetTable(parts: Parts, topic: string, offsets: ReadonlyMap<number, number>): Uint8Array {
  const { brokerName } = parts.options;
  const entries = [...offsets].map(([queueId, offset]) =>
    `${JSON.stringify({ brokerName, queueId, topic })}:${offset}`
  );
  return textBody(`{"offsetTable":{${entries.join(",")}}}`);
}
