/**
 * The way out of last resort for a message that a broker cannot send back by itself.
 *
 * @module
 */

import type { SendBackOptions } from "../cluster/broker_client.ts";
import type { Cluster } from "../cluster/cluster.ts";
import { BrokerNotAvailableError } from "../errors.ts";
import type { Message } from "../message.ts";
import { AUTO_CREATE_TOPIC, PropertyName, retryTopic } from "../wire/codes.ts";
import { encodeProperties } from "../wire/properties.ts";
import { sendMessage } from "../wire/requests.ts";

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
  const topic = retryTopic(options.group);
  const route = await cluster.routes.get(topic);
  const queues = route?.writeQueues ?? [];
  const queue = queues[Math.floor(Math.random() * queues.length)];
  if (queue === undefined) {
    throw new BrokerNotAvailableError(`Cannot send a copy to "${topic}": no broker has that topic`, "");
  }
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
  const header = {
    producerGroup: COPY_PRODUCER,
    topic,
    defaultTopic: AUTO_CREATE_TOPIC,
    defaultTopicQueueNums: 1,
    queueId: queue.queueId,
    sysFlag: 0,
    bornTimestamp: message.bornAt.getTime(),
    flag: message.flag,
    properties: encodeProperties(properties),
    // More times than allowed is what makes the broker take the dead letter queue.
    reconsumeTimes: message.reconsumeTimes + 1,
    unitMode: false,
    maxReconsumeTimes: dead ? 0 : options.maxReconsumeTimes,
    batch: false,
  };
  const { requestTimeout } = cluster.options;
  await cluster.broker(queue.broker, 0, true).call(sendMessage, header, {
    body: message.body,
    timeout: requestTimeout,
  });
}
