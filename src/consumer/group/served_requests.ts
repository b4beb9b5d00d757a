/**
 * The requests of brokers that a consumer serves: which they are, and how what it answers is written.
 *
 * @module
 */

import { type BrokerRoute, groupRoute } from "../../cluster/broker_requests.ts";
import type { MessageQueue } from "../../message.ts";
import type { Reply } from "../../transport/connection.ts";
import { readReset } from "../../wire/body_readers.ts";
import type {
  ConsumeMessageDirectlyResult,
  ConsumerRunningInfo,
  PopProcessQueueInfo,
  ProcessQueueInfo,
} from "../../wire/bodies.ts";
import { ResponseCode } from "../../wire/codes.ts";
import {
  consumeMessageDirectly,
  getConsumerRunningInfo,
  getConsumerStatus,
  notifyConsumerIdsChanged,
  resetConsumerOffset,
} from "../../wire/requests.ts";

const encoder = new TextEncoder();

/** What the consumer of a group does for brokers. */
export interface GroupCommands {
  /** The group's members changed. */
  onMembersChanged(): void;
  /** An operator has set offsets, of queues that need not be ours. 4.9 only: later brokers answer the next pull. */
  onReset(offsets: readonly (readonly [MessageQueue, number])[]): void;
  /** The offsets of a topic's queues, up to which everything is settled. */
  positions(topic: string): readonly (readonly [MessageQueue, number])[];
  /** How the consumer is. */
  runningInfo(): RunningInfo;
  /** Delivers a stored message of a broker now; a text says why it was not consumed. */
  consumeDirectly(record: Uint8Array, broker: string): Promise<ConsumeMessageDirectlyResult | string>;
}

/** How a consumer is, with its queues as pairs. */
export interface RunningInfo extends Omit<ConsumerRunningInfo, "mqTable" | "mqPopTable"> {
  /** Its queues. */
  readonly queues: readonly (readonly [MessageQueue, ProcessQueueInfo])[];
  /** The queues that it pops. */
  readonly poppedQueues: readonly (readonly [MessageQueue, PopProcessQueueInfo])[];
}

/** The routes of one consumer. Source: ClientRemotingProcessor. */
export function consumerRoutes(consumer: GroupCommands): BrokerRoute[] {
  return [
    groupRoute(notifyConsumerIdsChanged, ({ consumerGroup }) => consumerGroup, () => {
      consumer.onMembersChanged();
      return success();
    }),
    groupRoute(resetConsumerOffset, ({ group }) => group, (_, { command }) => {
      consumer.onReset(readOffsets(command.body));
      return success();
    }),
    groupRoute(
      getConsumerStatus,
      ({ group }) => group,
      ({ topic }) => success(`{"messageQueueTable":${byQueue(consumer.positions(topic))}}`),
    ),
    groupRoute(
      getConsumerRunningInfo,
      ({ consumerGroup }) => consumerGroup,
      () => success(runningInfoJson(consumer.runningInfo())),
    ),
    groupRoute(
      consumeMessageDirectly,
      ({ consumerGroup }) => consumerGroup,
      async ({ consumerGroup, brokerName = "" }, { command }) => {
        const result = await consumer.consumeDirectly(command.body, brokerName);
        if (typeof result !== "string") return success(JSON.stringify(result));
        return { code: ResponseCode.SYSTEM_ERROR, remark: `group ${consumerGroup}: ${result}` };
      },
    ),
  ];
}

function success(json?: string): Reply {
  return { code: ResponseCode.SUCCESS, body: json === undefined ? undefined : encoder.encode(json) };
}

/** Source: ResetOffsetBody. */
function readOffsets(body: Uint8Array): [MessageQueue, number][] {
  const { offsetTable } = readReset(body);
  return offsetTable.map(([{ topic, brokerName: broker, queueId }, offset]) => [{ topic, broker, queueId }, offset]);
}

function runningInfoJson({ queues, poppedQueues, ...rest }: RunningInfo): string {
  const tables = `"mqTable":${byQueue(queues)},"mqPopTable":${byQueue(poppedQueues)}`;
  return `${JSON.stringify(rest).slice(0, -1)},${tables}}`;
}

/** A table by queue in Java's JSON, where an object may be a key. Source: fastjson. */
function byQueue(entries: readonly (readonly [MessageQueue, unknown])[]): string {
  const members = entries.map(([{ topic, broker, queueId }, value]) =>
    `${JSON.stringify({ brokerName: broker, queueId, topic })}:${JSON.stringify(value)}`
  );
  return `{${members.join(",")}}`;
}
