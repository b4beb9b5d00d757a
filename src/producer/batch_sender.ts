/**
 * Sending many messages in few requests.
 *
 * @module
 */

import { type Problem, ValidationError } from "../errors.ts";
import { encodeBatch } from "../wire/batch.ts";
import { PropertyName } from "../wire/codes.ts";
import { encodeProperties, MAX_PROPERTIES_SIZE } from "../wire/properties.ts";
import { utf8Length } from "../wire/utf8.ts";
import { BROKER_PROPERTIES_SIZE, divide, entrySize, lanesOf, type Portion } from "./batch_plan.ts";
import { Deadline } from "./deadline.ts";
import type { Delivery, Parcel } from "./delivery.ts";
import type { EncodedMessage, MessageEncoder } from "./encoding.ts";
import type { OutgoingMessage } from "./outgoing.ts";
import { receiptsOf, type SendReceipt } from "./receipt.ts";
import { SendBatchError } from "./send_batch_error.ts";
import type { CheckedSendOptions } from "./send_options.ts";

/** How many requests of one batch are on their way at the same time. */
const CONCURRENCY = 8;
/** How many problems an error names: of ten thousand messages all may have the same. */
const MAX_PROBLEMS = 20;
/** Topics that brokers take no batches for. Source: SendMessageProcessor. */
const RETRY_PREFIX = "%RETRY%";
/**
 * What a batch itself carries: brokers add it to each of its messages. No unique key: it would replace theirs.
 * Source: MessageExtEncoder.
 */
const BATCH_PROPERTIES = encodeProperties([[PropertyName.WAIT, "true"]]);

/** Sends batches of one producer. */
export class BatchSender {
  #delivery: Delivery;
  #encoder: MessageEncoder;
  #maxMessageSize: number;

  /** Makes a sender; `maxMessageSize` is the largest request in bytes. */
  constructor(delivery: Delivery, encoder: MessageEncoder, maxMessageSize: number) {
    this.#delivery = delivery;
    this.#encoder = encoder;
    this.#maxMessageSize = maxMessageSize;
  }

  /**
   * Sends messages; the receipts stand in their order.
   *
   * After the first request that fails no other one is begun.
   *
   * @throws {ValidationError} if a message is not allowed: nothing was sent then
   * @throws {SendBatchError} if messages could not be sent; the signal's reason when it aborts
   */
  async send(messages: readonly OutgoingMessage[], options: CheckedSendOptions): Promise<SendReceipt[]> {
    const encoded = this.#encode(messages, options);
    const inOrder = options.queue !== undefined || options.orderingKey !== undefined;
    const lanes = lanesOf(divide(encoded, this.#maxMessageSize), inOrder);
    const receipts = new Array<SendReceipt | undefined>(messages.length).fill(undefined);
    const failures: unknown[] = [];
    const work = lanes.values();
    const sendLanes = async (): Promise<void> => {
      for (const lane of work) {
        for (const portion of lane) {
          if (failures.length > 0) return;
          try {
            await this.#sendPortion(portion, encoded, options, receipts);
          } catch (error) {
            failures.push(error);
          }
        }
      }
    };
    await Promise.all(Array.from({ length: Math.min(CONCURRENCY, lanes.length) }, sendLanes));
    if (failures.length === 0) return receipts as SendReceipt[];
    options.signal?.throwIfAborted();
    throw new SendBatchError(receipts, failures[0]);
  }

  async #sendPortion(
    { topic, places }: Portion,
    encoded: readonly EncodedMessage[],
    options: CheckedSendOptions,
    receipts: (SendReceipt | undefined)[],
  ): Promise<void> {
    const messages = places.map((place) => encoded[place]!);
    const body = encodeBatch(messages);
    const parcel: Parcel = { topic, body, flag: 0, sysFlag: 0, properties: BATCH_PROPERTIES, batch: true };
    const delivered = await this.#delivery.deliver(parcel, options, new Deadline(options.timeout, options.signal));
    receiptsOf(delivered, messages.map((message) => message.messageId))
      .forEach((receipt, i) => receipts[places[i]!] = receipt);
  }

  #encode(messages: readonly OutgoingMessage[], options: CheckedSendOptions): EncodedMessage[] {
    if (!Array.isArray(messages)) {
      const allowed = "an array of messages";
      throw new ValidationError("send a batch", [{ field: "messages", value: messages, allowed }]);
    }
    const problems: Problem[] = [];
    const encoded: EncodedMessage[] = [];
    for (let place = 0; place < messages.length && problems.length < MAX_PROBLEMS; place++) {
      const before = problems.length;
      const message = this.#encoder.encodePlain(messages[place]!, options, problems, `messages[${place}].`);
      if (problems.length === before) this.#checkForBatch(message, place, options, problems);
      encoded.push(message);
    }
    if (problems.length > 0) throw new ValidationError("send a batch", problems.slice(0, MAX_PROBLEMS));
    return encoded;
  }

  #checkForBatch(message: EncodedMessage, place: number, options: CheckedSendOptions, problems: Problem[]): void {
    const complain = (field: string, value: unknown, allowed: string): void => {
      problems.push({ field: field.replace("#", `messages[${place}]`), value, allowed });
    };
    const { topic, properties } = message;
    const size = entrySize(message);
    if (size > this.#maxMessageSize) {
      const most = `up to maxMessageSize, ${this.#maxMessageSize} bytes with its properties: send it by itself`;
      complain("the size of #", size, most);
    }
    const mostProperties = MAX_PROPERTIES_SIZE - BROKER_PROPERTIES_SIZE;
    const propertiesSize = utf8Length(properties);
    if (propertiesSize > mostProperties) {
      complain("the size of all properties of #", propertiesSize, `up to ${mostProperties} bytes in a batch`);
    }
    if (topic.startsWith(RETRY_PREFIX)) complain("#.topic", topic, "no retry topic: brokers take no batches for them");
    if (options.queue !== undefined && options.queue.topic !== topic) {
      complain("#.topic", topic, `the topic of the queue that was given, "${options.queue.topic}"`);
    }
  }
}
