/**
 * The producer: its public interface, and the lifetime of its parts.
 *
 * @module
 */

import { uniqueKeysOf } from "../cluster/client_id.ts";
import type { Cluster } from "../cluster/cluster.ts";
import { TimeoutError, ValidationError } from "../errors.ts";
import type { ProducerHealth } from "../health.ts";
import { atMost } from "../waiting.ts";
import { BatchSender } from "./batch_sender.ts";
import { Deadline } from "../sending/deadline.ts";
import { Sender } from "../sending/sender.ts";
import { type EncodedMessage, MessageEncoder } from "./encoding.ts";
import { LingerBuffer } from "./linger_buffer.ts";
import { type CheckedProducerOptions, checkProducerOptions, type ProducerOptions } from "./options.ts";
import type { OutgoingMessage } from "./outgoing.ts";
import { BodyCompression } from "./body_compression.ts";
import { receiptOf, type SendReceipt } from "../sending/receipt.ts";
import { producerClosed } from "../sending/send_error.ts";
import {
  type CheckedSendOptions,
  checkSendBatchOptions,
  checkSendOptions,
  type SendBatchOptions,
  type SendOptions,
} from "./send_options.ts";
import { inAnyCase } from "../owned_work.ts";
import type { ProducerObserver } from "../telemetry/producer_observer.ts";
import { MAX_PROPERTIES_SIZE } from "../wire/properties.ts";
import { type SendObservation, SendObservers } from "./send_observers.ts";

/**
 * Sends messages.
 *
 * @category Produce
 */
export interface Producer {
  /**
   * Sends a message; resolves when a broker has stored it.
   *
   * An attempt that fails, or has no answer in its part of the time, is followed by another one, on another broker if
   * there is one, with the same unique key. `retries` bounds the attempts that brokers answer with an error; while no
   * broker answers, or all are busy, attempts continue until the time is over. The message is stored at least once: if
   * an answer is lost, it may be stored twice with the same key. With `orderingKey` or `queue` all attempts go to the
   * same queue, and another one follows only if it is certain that nothing was stored: the order is kept, and the
   * caller decides about duplicates.
   *
   * Brokers create topics that do not exist, if they are configured to do so.
   *
   * @throws {ValidationError} if the message or an option is not allowed; nothing was sent then
   * @throws {ProducerError} if it could not be sent, with the last error as its cause. `code` is `SEND_FAILED`,
   *   `SEND_TIMEOUT`, `TOPIC_NOT_FOUND`, `NO_WRITABLE_QUEUE`, `ROUTE_NOT_AVAILABLE` or `PRODUCER_CLOSED`;
   *   `maybeStored` states whether the message may be stored nevertheless
   */
  send(message: OutgoingMessage, options?: SendOptions): Promise<SendReceipt>;
  /**
   * Sends a message that the broker does not answer; resolves when its bytes have been passed to the operating system.
   *
   * Whether it is stored is not reported; a healthy broker stores all messages. A loop that awaits each send has
   * backpressure: every 64th message, or 256 KiB, requests an answer after all, and sends wait while eight of these are
   * missing. Another attempt follows only if it is certain that nothing has left.
   *
   * @throws {ValidationError} if the message or an option is not allowed; nothing was sent then
   * @throws {ProducerError} if it could not be written, as {@linkcode Producer.send}
   */
  sendOneway(message: OutgoingMessage, options?: SendOptions): Promise<void>;
  /**
   * Sends messages in few requests; resolves with their receipts, in their order, when all are stored.
   *
   * There is one request for each topic, and more where 1 MiB or `maxMessageSize` is reached. Each request goes to the
   * next queue of its topic and has the time of a send; with `orderingKey` or `queue` all go to that queue, one after
   * the other. A request is retried like a single message. Bodies are not compressed.
   *
   * @throws {ValidationError} if a message or an option is not allowed; nothing was sent then
   * @throws {SendBatchError} if a request failed; it states which messages are stored
   * @throws {ProducerError} `PRODUCER_CLOSED`
   */
  sendBatch(messages: readonly OutgoingMessage[], options?: SendBatchOptions): Promise<SendReceipt[]>;
  /**
   * Accepts no further messages, waits for those in flight, at most `sendTimeout`, and leaves the group, which takes at
   * most a second. A send with a longer timeout of its own has no further attempt. May be called twice.
   */
  close(): Promise<void>;
  /** Closes the producer, as {@linkcode Producer.close} does. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** How long `close()` waits for brokers to answer that this member has left, in milliseconds. */
const LEAVE_TIME = 800;

/**
 * Makes a producer over a cluster's shared connections. No broker has to be reachable for it.
 *
 * @throws {ConfigError} if an option is not allowed
 */
export function createProducer(
  cluster: Cluster,
  options?: ProducerOptions,
  observers: readonly ProducerObserver[] = [],
): Promise<Producer> {
  return new Promise((resolve) => resolve(new ClusterProducer(cluster, checkProducerOptions(options), observers)));
}

class ClusterProducer implements Producer {
  #cluster: Cluster;
  #options: CheckedProducerOptions;
  /** The options of a send without options. */
  #defaults: CheckedSendOptions;
  #encoder: MessageEncoder;
  #compression: BodyCompression;
  #sender: Sender;
  #batches: BatchSender;
  /** Only with `linger`. */
  #linger: LingerBuffer | undefined;
  /** Only where there are any. */
  #observers: SendObservers | undefined;
  #inFlight = 0;
  #onIdle = (): void => {};
  #closing: Promise<void> | undefined;

  constructor(cluster: Cluster, options: CheckedProducerOptions, observers: readonly ProducerObserver[]) {
    this.#cluster = cluster;
    this.#options = options;
    this.#defaults = { timeout: options.sendTimeout };
    this.#encoder = new MessageEncoder(uniqueKeysOf(cluster.clientId), options);
    this.#compression = new BodyCompression(this.#encoder);
    this.#sender = new Sender(cluster, options);
    this.#batches = new BatchSender(this.#sender, this.#encoder, options.maxMessageSize);
    if (options.linger > 0) this.#linger = new LingerBuffer(this.#sender, options);
    const sendObservers = observers.filter(({ onSend }) => onSend !== undefined);
    if (sendObservers.length > 0) {
      this.#observers = new SendObservers(sendObservers, options.group, cluster.options.events);
    }
    cluster.users.attach(this);
    cluster.membership.addProducer(options.group);
  }

  /** Whether it may send, without a request. */
  health(): ProducerHealth {
    const { group } = this.#options;
    return { kind: "producer", group, ok: this.#closing === undefined, inFlight: this.#inFlight };
  }

  async send(message: OutgoingMessage, options?: SendOptions): Promise<SendReceipt> {
    this.#begin("send a message");
    let observation: SendObservation | undefined;
    try {
      const checked = this.#check(options);
      const deadline = new Deadline(checked.timeout, checked.signal);
      let encoded = this.#encode(message, checked);
      if (this.#observers !== undefined) {
        observation = this.#observers.begin("send", [message], [encoded], checked, fitsAlone);
        encoded = observation.messages[0]!;
      }
      if (this.#compression.isNeeded(encoded, checked)) {
        encoded = await this.#compression.ready(encoded, checked, deadline);
      }
      const receipt = this.#linger === undefined
        ? receiptOf(await this.#sender.send(encoded, checked, deadline, observation), encoded.messageId)
        : await this.#sendLingering(this.#linger, encoded, checked, deadline, observation);
      observation?.succeeded([receipt]);
      return receipt;
    } catch (error) {
      observation?.failed(error);
      throw error;
    } finally {
      this.#end();
    }
  }

  async sendOneway(message: OutgoingMessage, options?: SendOptions): Promise<void> {
    this.#begin("send a message one-way");
    let observation: SendObservation | undefined;
    try {
      const checked = this.#check(options);
      const deadline = new Deadline(checked.timeout, checked.signal);
      let encoded = this.#encode(message, checked);
      if (this.#observers !== undefined) {
        observation = this.#observers.begin("sendOneway", [message], [encoded], checked, fitsAlone);
        encoded = observation.messages[0]!;
      }
      if (this.#compression.isNeeded(encoded, checked)) {
        encoded = await this.#compression.ready(encoded, checked, deadline);
      }
      await this.#sender.sendOneway(encoded, checked, deadline, observation);
      observation?.succeeded();
    } catch (error) {
      observation?.failed(error);
      throw error;
    } finally {
      this.#end();
    }
  }

  async sendBatch(messages: readonly OutgoingMessage[], options?: SendBatchOptions): Promise<SendReceipt[]> {
    this.#begin("send a batch");
    let observation: SendObservation | undefined;
    try {
      const checked = options === undefined
        ? this.#defaults
        : checkSendBatchOptions(options, this.#options.sendTimeout);
      checked.signal?.throwIfAborted();
      const encoded = this.#batches.encode(messages, checked);
      if (this.#observers !== undefined && encoded.length > 0) {
        observation = this.#observers.begin("sendBatch", messages, encoded, checked, this.#batches.fits);
      }
      const receipts = await this.#batches.send(observation?.messages ?? encoded, checked, observation);
      observation?.succeeded(receipts);
      return receipts;
    } catch (error) {
      observation?.failed(error);
      throw error;
    } finally {
      this.#end();
    }
  }

  close(): Promise<void> {
    return this.#closing ??= this.#close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #check(options: SendOptions | undefined): CheckedSendOptions {
    if (options === undefined) return this.#defaults;
    const checked = checkSendOptions(options, this.#options.sendTimeout);
    checked.signal?.throwIfAborted();
    return checked;
  }

  #encode(message: OutgoingMessage, options: CheckedSendOptions): EncodedMessage {
    const encoded = this.#encoder.encode(message, options);
    requireTopicOfQueue(options, encoded.topic);
    return encoded;
  }

  #sendLingering(
    linger: LingerBuffer,
    message: EncodedMessage,
    options: CheckedSendOptions,
    deadline: Deadline,
    observation: SendObservation | undefined,
  ): Promise<SendReceipt> {
    const receipt = linger.send(message, options, deadline, observation);
    if (this.#closing !== undefined) linger.flush(); // it was compressed meanwhile
    return receipt;
  }

  #begin(action: string): void {
    if (this.#closing !== undefined) throw producerClosed(action);
    this.#inFlight++;
  }

  #end(): void {
    if (--this.#inFlight === 0) this.#onIdle();
  }

  async #close(): Promise<void> {
    const { group } = this.#options;
    const failed = this.#cluster.options.events.failureOf("stalled", "a step of closing a producer", { group });
    await inAnyCase([
      () => this.#linger?.flush(),
      () => this.#whenIdle(),
      () => this.#sender.stop(),
      () => atMost(this.#cluster.membership.removeProducer(group), LEAVE_TIME),
    ], failed);
    this.#cluster.users.detach(this);
  }

  async #whenIdle(): Promise<void> {
    if (this.#inFlight === 0) return;
    const idle = new Promise<void>((resolve) => this.#onIdle = resolve);
    await new Deadline(this.#options.sendTimeout).wait(idle, "close a producer").catch((error) => {
      if (!(error instanceof TimeoutError)) throw error;
    });
  }
}

function requireTopicOfQueue({ queue }: CheckedSendOptions, topic: string): void {
  if (queue === undefined || queue.topic === topic) return;
  const allowed = `the topic of the queue that was given, "${queue.topic}"`;
  throw new ValidationError("send a message", [{ field: "topic", value: topic, allowed }]);
}

/** Whether a message with further properties can be sent by itself. */
function fitsAlone({ propertiesSize }: EncodedMessage): boolean {
  return propertiesSize <= MAX_PROPERTIES_SIZE;
}
