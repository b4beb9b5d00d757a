/**
 * Offsets that an operator sets. Sources: AdminBrokerProcessor.resetOffsetInner, Broker2Client (4.9).
 *
 * @module
 */

import type { MessageQueue } from "../message.ts";
import { encodeHeader } from "../wire/fields.ts";
import { resetConsumerOffset } from "../wire/requests.ts";
import { isV5, type Parts } from "./parts.ts";
import { textBody } from "./routes.ts";

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
  const { name, code, header } = resetConsumerOffset;
  const fields = encodeHeader(header, { topic, group, timestamp: Date.now(), isForce: true });
  const queue = JSON.stringify({ brokerName: parts.options.brokerName, queueId, topic });
  const body = textBody(`{"offsetTable":{${queue}:${offset}}}`); // as Java writes it: an object as a name
  for (const { connection } of parts.groups.get(group)?.members.values() ?? []) {
    connection.sendOneway({ name, code, fields, body }).catch(() => {}); // it is closing
  }
}
