/**
 * Sending many messages in few requests.
 *
 * @module
 */

import { type Problem, ValidationError } from "../errors.ts";
import { batchRequestOf, fitsBatch, MAX_BATCHED_PROPERTIES, takesBatches } from "./batch_request.ts";
import { type BatchPart, entrySize, sequencesOf, splitBatch } from "./batch_split.ts";
import type { AttemptObserver } from "../sending/attempt_observer.ts";
import { Deadline } from "../sending/deadline.ts";
import type { Sender } from "../sending/sender.ts";
import type { EncodedMessage, MessageEncoder } from "./encoding.ts";
import { reportTo } from "./message_check.ts";
import type { OutgoingMessage } from "./outgoing.ts";
import { receiptsOf, type SendReceipt } from "../sending/receipt.ts";
import { SendBatchError } from "./send_batch_error.ts";
import type { CheckedSendOptions } from "./send_options.ts";

/** How many requests of one batch are in flight at the same time. */
const CONCURRENCY = 8;
/** The largest request in bytes: a broker stores it in little time, and what is in flight is bounded. */
const LARGEST_REQUEST = 1024 * 1024;
/** How many problems an error names: of ten thousand messages all may have the same. */
const MAX_PROBLEMS = 20;

/** Sends batches of one producer. */
export class BatchSender {
  #sender: Sender;
  #encoder: MessageEncoder;
  #maxMessageSize: number;

  /** Makes a sender; `maxMessageSize` is the largest request in bytes. */
  constructor(sender: Sender, encoder: MessageEncoder, maxMessageSize: number) {
    this.#sender = sender;
    this.#encoder = encoder;
    this.#maxMessageSize = maxMessageSize;
  }

  /**
   * Sends messages; the receipts have the order of the messages.
   *
   * A request has at most 1 MiB, 8 are in flight at a time, and the time of each begins with its first attempt. After
   * the first request that fails no other begins.
   *
   * @throws {SendBatchError} if messages could not be sent; the signal's reason when it aborts
   */
  async send(
    encoded: readonly EncodedMessage[],
    options: CheckedSendOptions,
    observer: AttemptObserver | undefined,
  ): Promise<SendReceipt[]> {
    const inOrder = options.queue !== undefined || options.orderingKey !== undefined;
    const sequences = sequencesOf(splitBatch(encoded, Math.min(LARGEST_REQUEST, this.#maxMessageSize)), inOrder);
    const receipts = new Array<SendReceipt | undefined>(encoded.length).fill(undefined);
    const failures: unknown[] = [];
    const work = sequences.values();
    const sendSequences = async (): Promise<void> => {
      for (const sequence of work) {
        for (const part of sequence) {
          if (failures.length > 0) return;
          try {
            await this.#sendPart(part, encoded, options, receipts, observer);
          } catch (error) {
            failures.push(error);
          }
        }
      }
    };
    await Promise.all(Array.from({ length: Math.min(CONCURRENCY, sequences.length) }, sendSequences));
    if (failures.length === 0) return receipts as SendReceipt[];
    options.signal?.throwIfAborted();
    throw new SendBatchError(receipts, failures);
  }

  async #sendPart(
    { topic, places }: BatchPart,
    encoded: readonly EncodedMessage[],
    options: CheckedSendOptions,
    receipts: (SendReceipt | undefined)[],
    observer: AttemptObserver | undefined,
  ): Promise<void> {
    const messages = places.map((place) => encoded[place]!);
    const deadline = new Deadline(options.timeout, options.signal);
    const result = await this.#sender.send(batchRequestOf(topic, messages), options, deadline, observer);
    const received = receiptsOf(result, messages);
    for (let i = 0; i < received.length; i++) receipts[places[i]!] = received[i];
  }

  /** Whether a message can be one of a batch. */
  fits = (message: EncodedMessage): boolean => fitsBatch(message, this.#maxMessageSize);

  /**
   * Encodes the messages of a batch.
   *
   * @throws {ValidationError} if a message is not allowed
   */
  encode(messages: readonly OutgoingMessage[], options: CheckedSendOptions): EncodedMessage[] {
    if (!Array.isArray(messages)) {
      const allowed = "an array of messages";
      throw new ValidationError("send a batch", [{ field: "messages", value: messages, allowed }]);
    }
    const problems: Problem[] = [];
    const encoded: EncodedMessage[] = [];
    let place = 0;
    const report = reportTo(problems, () => `messages[${place}].`);
    for (; place < messages.length && problems.length < MAX_PROBLEMS; place++) {
      const before = problems.length;
      const message = this.#encoder.encodePlain(messages[place]!, options, problems, report);
      if (problems.length === before) this.#checkForBatch(message, place, options, problems);
      encoded.push(message);
    }
    if (problems.length > 0) throw new ValidationError("send a batch", problems.slice(0, MAX_PROBLEMS));
    return encoded;
  }

  #checkForBatch(message: EncodedMessage, place: number, options: CheckedSendOptions, problems: Problem[]): void {
    const { topic, propertiesSize } = message;
    const { queue } = options;
    if (this.fits(message) && (queue === undefined || queue.topic === topic)) return;
    const size = entrySize(message);
    const which = `messages[${place}]`;
    if (size > this.#maxMessageSize) {
      const allowed = `up to maxMessageSize, ${this.#maxMessageSize} bytes with its properties: send it by itself`;
      problems.push({ field: `the size of ${which}`, value: size, allowed });
    }
    if (propertiesSize > MAX_BATCHED_PROPERTIES) {
      const allowed = `up to ${MAX_BATCHED_PROPERTIES} bytes in a batch`;
      problems.push({ field: `the size of all properties of ${which}`, value: propertiesSize, allowed });
    }
    if (!takesBatches(topic)) {
      const allowed = "no retry topic: brokers take no batches for them";
      problems.push({ field: `${which}.topic`, value: topic, allowed });
    }
    if (queue !== undefined && queue.topic !== topic) {
      const allowed = `the topic of the queue that was given, "${queue.topic}"`;
      problems.push({ field: `${which}.topic`, value: topic, allowed });
    }
  }
}
