/**
 * Sending messages that are the client's own: copies for the retry topic, message trace.
 *
 * @module
 */

import { BrokerNotAvailableError } from "../errors.ts";
import { AUTO_CREATE_TOPIC, ResponseCode } from "../wire/codes.ts";
import { encodeProperties } from "../wire/properties.ts";
import { sendMessage } from "../wire/requests.ts";
import type { Cluster } from "./cluster.ts";
import type { CallOptions } from "./endpoint.ts";

/** Answers after which the message is stored, if not as safely as the broker is told to. */
const STORED_CODES = [
  ResponseCode.FLUSH_DISK_TIMEOUT,
  ResponseCode.SLAVE_NOT_AVAILABLE,
  ResponseCode.FLUSH_SLAVE_TIMEOUT,
] as const;

/** A message that no user has sent. */
export interface OwnMessage {
  /** The producer group under which it travels; brokers need not know it. */
  readonly producerGroup: string;
  /** The topic, which must exist. */
  readonly topic: string;
  /** The body, packed as the system flag says. */
  readonly body: Uint8Array;
  /** The properties. */
  readonly properties: Iterable<readonly [string, string]>;
  /** When it was made, in milliseconds since 1970. */
  readonly bornAt: number;
  /** The user's flag. @default {0} */
  readonly flag?: number;
  /** The system flag. @default {0} */
  readonly sysFlag?: number;
  /** A broker that is passed over where there is another. */
  readonly avoid?: string | undefined;
  /** How often it came back. @default {0} */
  readonly reconsumeTimes?: number;
  /** After how many times the broker moves it to the dead letter queue. */
  readonly maxReconsumeTimes?: number;
}

/**
 * Sends a message to any queue of its topic; resolves when it is stored. There is one attempt.
 *
 * @throws {BrokerNotAvailableError} if no queue of the topic can be written
 * @throws {ValidationError} if the properties cannot be encoded
 */
export async function sendOwnMessage(
  cluster: Cluster,
  message: OwnMessage,
  options: Omit<CallOptions, "body" | "accept">,
): Promise<void> {
  const { topic } = message;
  const all = (await cluster.routes.get(topic))?.writeQueues ?? [];
  const others = all.filter(({ broker }) => broker !== message.avoid);
  const queues = others.length > 0 ? others : all;
  const queue = queues[Math.floor(Math.random() * queues.length)];
  if (queue === undefined) {
    throw new BrokerNotAvailableError(`Cannot send to topic "${topic}": no broker has a queue of it to write`, "");
  }
  const header = {
    producerGroup: message.producerGroup,
    topic,
    defaultTopic: AUTO_CREATE_TOPIC,
    defaultTopicQueueNums: 1,
    queueId: queue.queueId,
    sysFlag: message.sysFlag ?? 0,
    bornTimestamp: message.bornAt,
    flag: message.flag ?? 0,
    properties: encodeProperties(message.properties),
    reconsumeTimes: message.reconsumeTimes ?? 0,
    unitMode: false,
    maxReconsumeTimes: message.maxReconsumeTimes,
    batch: false,
  };
  const call = { ...options, body: message.body, accept: STORED_CODES };
  await cluster.broker(queue.broker, 0, true).call(sendMessage, header, call);
}
