/**
 * The way out of last resort for a message that a broker cannot send back by itself.
 *
 * @module
 */

import type { SendBackOptions } from "../cluster/broker_client.ts";
import type { Cluster } from "../cluster/cluster.ts";
import { sendOwnMessage } from "../cluster/own_message.ts";
import type { Message } from "../message.ts";
import { PropertyName, retryTopic } from "../wire/codes.ts";

/** The producer group under which copies travel. Source: MixAll. */
const COPY_PRODUCER = "CLIENT_INNER_PRODUCER";
/** The first retry's delay level, to which the number of retries is added. Source: DefaultMQPushConsumerImpl. */
const FIRST_DELAY_LEVEL = 3;

/**
 * Sends a copy of a message to its group's retry topic, on any broker that has it; resolves when it is stored.
 *
 * The broker moves it to the dead letter queue if it came back too often. Source: DefaultMQPushConsumerImpl
 * `sendMessageBackAsNormalMessage`.
 */
export async function sendRetryCopy(cluster: Cluster, message: Message, options: SendBackOptions): Promise<void> {
  const dead = options.delayLevel < 0;
  const level = options.delayLevel > 0 ? options.delayLevel : FIRST_DELAY_LEVEL + message.reconsumeTimes;
  const properties = new Map(message.properties);
  properties.delete(PropertyName.TRANSACTION_PREPARED);
  properties.set(PropertyName.RETRY_TOPIC, message.topic);
  if (!properties.has(PropertyName.ORIGIN_MESSAGE_ID)) {
    properties.set(PropertyName.ORIGIN_MESSAGE_ID, message.messageId);
  }
  if (dead) properties.delete(PropertyName.DELAY);
  else properties.set(PropertyName.DELAY, String(level));
  const copy = {
    producerGroup: COPY_PRODUCER,
    topic: retryTopic(options.group),
    body: message.body,
    properties,
    bornAt: message.bornAt.getTime(),
    flag: message.flag,
    // More times than allowed is what makes the broker take the dead letter queue.
    reconsumeTimes: message.reconsumeTimes + 1,
    maxReconsumeTimes: dead ? 0 : options.maxReconsumeTimes,
  };
  await sendOwnMessage(cluster, copy, { timeout: cluster.options.requestTimeout });
}
