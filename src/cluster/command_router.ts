/**
 * Requests that brokers make to this client.
 *
 * @module
 */

import type { MessageQueue } from "../message.ts";
import type { Reply } from "../transport/connection.ts";
import { readReset } from "../wire/body_readers.ts";
import { ResponseCode } from "../wire/codes.ts";
import { decodeHeader } from "../wire/fields.ts";
import type { Command } from "../wire/frame.ts";
import type {
  ConsumeMessageDirectlyResult,
  ConsumerRunningInfo,
  PopProcessQueueInfo,
  ProcessQueueInfo,
} from "../wire/bodies.ts";
import {
  consumeMessageDirectly,
  getConsumerRunningInfo,
  getConsumerStatus,
  notifyConsumerIdsChanged,
  resetConsumerOffset,
} from "../wire/requests.ts";

const encoder = new TextEncoder();

/** What brokers may want of the consumer of a group. */
export interface GroupCommands {
  /** The group's members changed. */
  onMembersChanged(): void;
  /** An operator has set offsets, of queues that need not be ours. 4.9 only: later brokers answer the next pull. */
  onReset(offsets: readonly (readonly [MessageQueue, number])[]): void;
  /** The offsets of a topic's queues, up to which everything is settled. */
  positions(topic: string): readonly (readonly [MessageQueue, number])[];
  /** How the consumer is. */
  runningInfo(): RunningInfo;
  /** Has a stored message of a broker consumed now; a text tells why nothing came of it. */
  consumeDirectly(record: Uint8Array, broker: string): Promise<ConsumeMessageDirectlyResult | string>;
}

/** How a consumer is, with its queues as pairs. */
export interface RunningInfo extends Omit<ConsumerRunningInfo, "mqTable" | "mqPopTable"> {
  /** Its queues. */
  readonly queues: readonly (readonly [MessageQueue, ProcessQueueInfo])[];
  /** The queues that it pops. */
  readonly poppedQueues: readonly (readonly [MessageQueue, PopProcessQueueInfo])[];
}

/**
 * Answers a request of a broker; `groups` has the consumers of this client. Source: ClientRemotingProcessor.
 *
 * @throws {NetworkError} `MALFORMED_FRAME` for a header or body that makes no sense
 */
export function answerCommand(request: Command, groups: ReadonlyMap<string, GroupCommands>): Reply | Promise<Reply> {
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
      if (consumer === undefined) return nobody(group);
      return { code: ResponseCode.SUCCESS, body: writePositions(consumer.positions(topic)) };
    }
    case getConsumerRunningInfo.code: {
      const { consumerGroup } = decodeHeader(getConsumerRunningInfo.header, request.fields, "running info");
      const consumer = groups.get(consumerGroup);
      if (consumer === undefined) return nobody(consumerGroup);
      return { code: ResponseCode.SUCCESS, body: writeRunningInfo(consumer.runningInfo()) };
    }
    case consumeMessageDirectly.code: {
      const { consumerGroup, brokerName = "" } = decodeHeader(
        consumeMessageDirectly.header,
        request.fields,
        "direct consumption",
      );
      const consumer = groups.get(consumerGroup);
      if (consumer === undefined) return nobody(consumerGroup);
      return consumer.consumeDirectly(request.body, brokerName).then((result) =>
        typeof result === "string"
          ? { code: ResponseCode.SYSTEM_ERROR, remark: `group ${consumerGroup}: ${result}` }
          : { code: ResponseCode.SUCCESS, body: encoder.encode(JSON.stringify(result)) }
      );
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
  const { offsetTable } = readReset(body);
  return offsetTable.map(([{ topic, brokerName: broker, queueId }, offset]) => [{ topic, broker, queueId }, offset]);
}

function nobody(group: string): Reply {
  return { code: ResponseCode.SYSTEM_ERROR, remark: `no consumer of group ${group} is on this client` };
}

function writePositions(positions: readonly (readonly [MessageQueue, number])[]): Uint8Array {
  return encoder.encode(`{"messageQueueTable":${byQueue(positions)}}`);
}

function writeRunningInfo({ queues, poppedQueues, ...rest }: RunningInfo): Uint8Array {
  const tables = `"mqTable":${byQueue(queues)},"mqPopTable":${byQueue(poppedQueues)}`;
  return encoder.encode(`${JSON.stringify(rest).slice(0, -1)},${tables}}`);
}

/** A table by queue in Java's JSON, where an object may be a key. Source: fastjson. */
function byQueue(entries: readonly (readonly [MessageQueue, unknown])[]): string {
  const members = entries.map(([{ topic, broker, queueId }, value]) =>
    `${JSON.stringify({ brokerName: broker, queueId, topic })}:${JSON.stringify(value)}`
  );
  return `{${members.join(",")}}`;
}
