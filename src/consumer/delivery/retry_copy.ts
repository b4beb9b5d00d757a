/**
 * Copies of messages that a broker cannot put into the retry topic by itself, or cannot count.
 *
 * @module
 */

import type { SendBackOptions } from "../../brokers/broker_client.ts";
import type { Cluster } from "../../cluster/cluster.ts";
import type { MessageQueue } from "../../message.ts";
import { Deadline } from "../../sending/deadline.ts";
import type { RetryFields } from "../../sending/send_request.ts";
import { Sender } from "../../sending/sender.ts";
import { MessageSysFlag, PropertyName } from "../../wire/codes.ts";
import { retryTopic } from "../../wire/names.ts";
import { encodeProperties } from "../../wire/properties.ts";
import type { BrokenRecord } from "../../wire/record.ts";
import type { HeldMessage } from "../queue/process_queue.ts";

/** How many answers with an error a copy may have before it fails, less one. Source: DefaultMQProducer. */
const RETRIES = 2;
/** The first retry's delay level, to which the number of retries is added. Source: DefaultMQPushConsumerImpl. */
const FIRST_DELAY_LEVEL = 3;
/** How the body is compressed. */
const COMPRESSION = MessageSysFlag.COMPRESSED | MessageSysFlag.COMPRESSION_MASK;

/**
 * What a copy does not carry: what brokers set by themselves, what was said about the first storing, and what travels
 * in the header. Each byte counts: properties may have 32 767 in all. Sources: MessageConst, SendMessageProcessor.
 */
const NOT_COPIED: ReadonlySet<string> = new Set([
  ...["CLUSTER", "MSG_REGION", "TRACE_ON", "MIN_OFFSET", "MAX_OFFSET", "__CRC32#", "WAIT"],
  ...["DELAY", "REAL_TOPIC", "REAL_QID", "RECONSUME_TIME", "MAX_RECONSUME_TIMES"],
  ...["TRAN_MSG", "TRAN_PREPARED_QUEUE_OFFSET", "TRANSACTION_CHECK_TIMES"],
  ...["INNER_NUM", "INNER_BASE", "INNER_MULTI_DISPATCH", "INNER_MULTI_QUEUE_OFFSET"],
  ...["POP_CK", "POP_CK_OFFSET", "1ST_POP_TIME"],
]);
/** The timer's own, with which the copy would wait once more; and what brokers never store. */
const NOT_COPIED_PREFIXES = ["TIMER_", "__RMQ.TRANSIENT."] as const;

/**
 * The property of a dead letter that is the bytes of a record which cannot be read: `broker/queueId@commitLogOffset`.
 */
export const BROKEN_RECORD = "BROKEN_RECORD";

/** What a copy carries. */
interface Copy {
  readonly body: Uint8Array;
  readonly sysFlag: number;
  readonly flag: number;
  readonly properties: Iterable<readonly [string, string]>;
  readonly bornAt: number;
  readonly reconsumeTimes: number;
}

/**
 * Sends copies to retry topics. A copy has as much time as any other request, and one attempt on each broker: the
 * caller has an alternative.
 */
export class RetryCopies {
  #sender: Sender;
  #timeout: number;

  /**
   * Makes a sender of copies over a cluster's shared connections. They are sent in the name of the consumer group: brokers
   * with access control let that write to its retry topic, and no other.
   */
  constructor(cluster: Pick<Cluster, "broker" | "health" | "routes" | "options">, group: string) {
    this.#sender = new Sender(cluster, { group, retries: RETRIES });
    this.#timeout = cluster.options.requestTimeout;
  }

  /**
   * Sends a copy of a message to its group's retry topic, on a broker that has it; resolves when it is stored.
   *
   * The copy names the topic and the times as this group sees them. The broker moves it to the dead-letter queue if it
   * was redelivered more often than `maxReconsumeTimes`. Source: DefaultMQPushConsumerImpl
   * `sendMessageBackAsNormalMessage`.
   *
   * @param avoid the broker that has refused it
   * @throws {ProducerError} if no broker has stored it; {@linkcode ValidationError} if the properties cannot be encoded
   */
  async send(message: HeldMessage, options: SendBackOptions, avoid?: string): Promise<void> {
    const isCompressed = (message.sysFlag & MessageSysFlag.COMPRESSED) !== 0;
    const copy = {
      body: message.storedBody,
      sysFlag: isCompressed ? message.sysFlag & COMPRESSION : 0,
      flag: message.flag,
      properties: propertiesOf(message, options),
      bornAt: message.bornAt.getTime(),
      reconsumeTimes: message.reconsumeTimes + 1,
    };
    await this.#send(copy, options, avoid);
  }

  /**
   * Sends the bytes of a record that cannot be read to the group's dead-letter queue; resolves when they are stored.
   */
  async sendBroken(queue: MessageQueue, record: BrokenRecord, options: SendBackOptions): Promise<void> {
    const place = `${queue.broker}/${queue.queueId}@${record.commitLogOffset ?? "?"}`;
    const properties = [[PropertyName.RETRY_TOPIC, queue.topic], [BROKEN_RECORD, place]] as const;
    const copy = { body: record.bytes, sysFlag: 0, flag: 0, properties, bornAt: Date.now(), reconsumeTimes: 1 };
    await this.#send(copy, options);
  }

  async #send(
    { body, sysFlag, flag, properties, bornAt, reconsumeTimes }: Copy,
    options: SendBackOptions,
    avoid?: string,
  ) {
    const { group, maxReconsumeTimes } = options;
    const retry: RetryFields = { bornAt, reconsumeTimes, maxReconsumeTimes };
    const request = {
      topic: retryTopic(group),
      body,
      sysFlag,
      flag,
      properties: encodeProperties(properties),
      retry,
    };
    await this.#sender.sendPromptly(request, { avoid }, new Deadline(this.#timeout));
  }
}

function propertiesOf(message: HeldMessage, { delayLevel }: SendBackOptions): Map<string, string> {
  const properties = new Map<string, string>();
  for (const [name, value] of message.properties) {
    const isLeft = NOT_COPIED.has(name) || NOT_COPIED_PREFIXES.some((prefix) => name.startsWith(prefix));
    if (!isLeft) properties.set(name, value);
  }
  properties.set(PropertyName.RETRY_TOPIC, message.topic);
  properties.set(PropertyName.UNIQUE_KEY, message.messageId); // without one, brokers would make another
  if (delayLevel < 0) return properties;
  const level = delayLevel > 0 ? delayLevel : FIRST_DELAY_LEVEL + message.reconsumeTimes;
  return properties.set(PropertyName.DELAY, String(level));
}
