/**
 * Requests that brokers make to this client.
 *
 * @module
 */

import type { MessageQueue } from "../message.ts";
import type { Reply } from "../transport/connection.ts";
import { ResponseCode } from "../wire/codes.ts";
import { decodeHeader } from "../wire/fields.ts";
import type { Command } from "../wire/frame.ts";
import { type JsonObject, type JsonValue, pairsOf, parseJson } from "../wire/json.ts";
import { getConsumerStatus, notifyConsumerIdsChanged, resetConsumerOffset } from "../wire/requests.ts";

const decoder = new TextDecoder();
const encoder = new TextEncoder();

/** What brokers may want of the consumer of a group. */
export interface GroupCommands {
  /** The group's members changed. */
  onMembersChanged(): void;
  /** An operator has set offsets, of queues that need not be ours. 4.9 only: later brokers answer the next pull. */
  onReset(offsets: readonly (readonly [MessageQueue, number])[]): void;
  /** The offsets of a topic's queues, up to which everything is settled. */
  positions(topic: string): readonly (readonly [MessageQueue, number])[];
}

/**
 * Answers a request of a broker; `groups` has the consumers of this client. Source: ClientRemotingProcessor.
 *
 * @throws {NetworkError} `MALFORMED_FRAME` for a header or body that makes no sense
 */
export function answerCommand(request: Command, groups: ReadonlyMap<string, GroupCommands>): Reply {
  switch (request.code) {
    case notifyConsumerIdsChanged.code: {
      const { consumerGroup } = decodeHeader(notifyConsumerIdsChanged.header, request.fields, "members changed");
      groups.get(consumerGroup)?.onMembersChanged();
      return { code: ResponseCode.SUCCESS };
    }
    case resetConsumerOffset.code: {
      const { group } = decodeHeader(resetConsumerOffset.header, request.fields, "offset reset");
      groups.get(group)?.onReset(readOffsets(request.body));
      return { code: ResponseCode.SUCCESS };
    }
    case getConsumerStatus.code: {
      const { group, topic } = decodeHeader(getConsumerStatus.header, request.fields, "consumer status");
      const consumer = groups.get(group);
      if (consumer === undefined) return { code: ResponseCode.SYSTEM_ERROR, remark: `no consumer of group ${group}` };
      return { code: ResponseCode.SUCCESS, body: writePositions(consumer.positions(topic)) };
    }
    default:
      return {
        code: ResponseCode.REQUEST_CODE_NOT_SUPPORTED,
        remark: `request type ${request.code} not supported`,
      };
  }
}

/** Source: ResetOffsetBody. */
function readOffsets(body: Uint8Array): [MessageQueue, number][] {
  const parsed = parseJson(decoder.decode(body)) as JsonObject | null;
  return pairsOf(parsed?.offsetTable).flatMap(([key, offset]) => {
    const queue = readQueue(key);
    return queue === undefined || !Number.isSafeInteger(offset) ? [] : [[queue, offset as number]];
  });
}

function readQueue({ topic, brokerName: broker, queueId }: Record<string, JsonValue>): MessageQueue | undefined {
  if (typeof topic !== "string" || typeof broker !== "string" || typeof queueId !== "number") return undefined;
  return { topic, broker, queueId };
}

/** A queue as a key is written as JSON text, which brokers read as well as a bare object. Source: fastjson. */
function writePositions(positions: readonly (readonly [MessageQueue, number])[]): Uint8Array {
  const entries = positions.map(([{ topic, broker, queueId }, offset]) =>
    [JSON.stringify({ brokerName: broker, queueId, topic }), offset] as const
  );
  return encoder.encode(JSON.stringify({ messageQueueTable: Object.fromEntries(entries) }));
}
