/**
 * Many single sends in few requests.
 *
 * @module
 */

import { ProducerError, ResponseError, TimeoutError } from "../errors.ts";
import { type MessageQueue, queueKey } from "../message.ts";
import { ResponseCode } from "../wire/codes.ts";
import { batchRequestOf, fitsBatch } from "./batch_request.ts";
import type { AttemptObserver } from "../sending/attempt_observer.ts";
import { Deadline } from "../sending/deadline.ts";
import type { Sender } from "../sending/sender.ts";
import type { EncodedMessage } from "./encoding.ts";
import { Expiry } from "./expiry.ts";
import { LingeringSend } from "./lingering_send.ts";
import { type LingerOptions, LingerQueue } from "./linger_queue.ts";
import { queueOfKey } from "../sending/queue_selection.ts";
import { receiptOf, receiptsOf, type SendReceipt } from "../sending/receipt.ts";
import type { CheckedSendOptions } from "./send_options.ts";
import { inBackground } from "../owned_work.ts";

/** Refusals whose cause may be another message, the size of the batch, or a queue that a key has left. */
const REFUSED_AS_BATCH: ReadonlySet<number> = new Set([ResponseCode.MESSAGE_ILLEGAL, ResponseCode.INVALID_PARAMETER]);
/**
 * How 5.x brokers refuse a batch that is too large, by code 1, before anything is stored. Source: MessageExtEncoder.
 */
const TOO_LARGE = "size exceeded";

/** Collects the single sends of one producer into batches. */
export class LingerBuffer {
  #sender: Sender;
  #options: LingerOptions;
  #queues = new Map<string, LingerQueue>();
  /** Sends with a key whose topic's queues are being requested, by topic: later ones must not overtake them. */
  #unrouted = new Map<string, LingeringSend[]>();
  #expiry = new Expiry<LingeringSend>((send) => send.reject(tooLate(send)));

  /** Makes a buffer over a producer's sender. */
  constructor(sender: Sender, options: LingerOptions) {
    this.#sender = sender;
    this.#options = { ...options, batchBytes: Math.min(options.batchBytes, options.maxMessageSize) };
  }

  /**
   * Sends a message, with others if there are any that fit.
   *
   * @throws {ProducerError} as {@linkcode Sender.send} does; the signal's reason when it aborts
   */
  send(
    message: EncodedMessage,
    options: CheckedSendOptions,
    deadline: Deadline,
    observer?: AttemptObserver,
  ): Promise<SendReceipt> {
    const { queue, orderingKey, delayLevel } = options;
    const hasQueue = queue !== undefined || orderingKey !== undefined;
    // Brokers do not delay batches, and do not decompress their bodies.
    const fits = delayLevel === undefined && message.sysFlag === 0 && fitsBatch(message, this.#options.maxMessageSize);
    if (!fits && !hasQueue) return this.#sendDirectly(message, options, deadline, observer);
    const send = new LingeringSend(message, options, deadline, fits, observer, this.#forget);
    this.#expiry.add(send);
    if (queue !== undefined) this.#queueOf(queue).add(send);
    else if (orderingKey !== undefined) this.#addWithKey(send, message.topic, orderingKey);
    else this.#queue(message.topic, false, undefined).add(send);
    return send.receipt;
  }

  /** Sends all that waits for further messages. */
  flush(): void {
    for (const lingerQueue of this.#queues.values()) lingerQueue.flush();
    this.#expiry.close();
  }

  #forget = (send: LingeringSend): void => this.#expiry.delete(send);

  async #sendDirectly(
    message: EncodedMessage,
    options: CheckedSendOptions,
    deadline: Deadline,
    observer: AttemptObserver | undefined,
  ): Promise<SendReceipt> {
    return receiptOf(await this.#sender.send(message, options, deadline, observer), message.messageId);
  }

  #addWithKey(send: LingeringSend, topic: string, key: string): void {
    const unrouted = this.#unrouted.get(topic);
    if (unrouted !== undefined) {
      unrouted.push(send);
      return;
    }
    const queue = this.#sender.queueOfKey(topic, key);
    if (queue !== undefined) this.#queueOf(queue).add(send);
    else {
      const sends = [send];
      this.#unrouted.set(topic, sends);
      inBackground(this.#route(topic, sends), (error) => {
        this.#unrouted.delete(topic);
        for (const each of sends) each.reject(ownCopy(error));
      });
    }
  }

  async #route(topic: string, sends: LingeringSend[]): Promise<void> {
    for (;;) {
      const first = sends.find((send) => !send.isSettled);
      if (first === undefined) break;
      try {
        const { timeout, end } = first.deadline; // without its signal: other sends wait too
        const queues = await this.#sender.findQueues(topic, new Deadline(timeout, undefined, end));
        this.#unrouted.delete(topic);
        for (const send of sends) this.#queueOf(queueOfKey(queues, send.placement.orderingKey!)).add(send);
        return;
      } catch (error) {
        if (first.deadline.left <= 0) first.reject(error);
        else for (const send of sends) send.reject(ownCopy(error));
      }
    }
    this.#unrouted.delete(topic);
  }

  #queueOf(queue: MessageQueue): LingerQueue {
    return this.#queue(queueKey(queue), true, queue);
  }

  #queue(name: string, inOrder: boolean, queue: MessageQueue | undefined): LingerQueue {
    let lingerQueue = this.#queues.get(name);
    if (lingerQueue === undefined) {
      const send = (sends: readonly LingeringSend[]) => this.#sendBatch(sends, queue);
      lingerQueue = new LingerQueue({ send, onIdle: () => this.#queues.delete(name) }, this.#options, inOrder);
      this.#queues.set(name, lingerQueue);
    }
    return lingerQueue;
  }

  async #sendBatch(sends: readonly LingeringSend[], queue: MessageQueue | undefined): Promise<void> {
    if (sends.length === 1) return await this.#sendAlone(sends[0]!);
    const messages = sends.map(({ message }) => message);
    const deadline = latest(sends);
    this.#begin(sends, deadline);
    try {
      const request = batchRequestOf(messages[0]!.topic, messages);
      const receipts = receiptsOf(await this.#sender.send(request, { queue }, deadline, observerOf(sends)), messages);
      for (let i = 0; i < sends.length; i++) sends[i]!.resolve(receipts[i]!);
    } catch (error) {
      if (isRefusedAsBatch(error)) await this.#sendEach(sends, queue !== undefined);
      else for (const send of sends) send.reject(ownCopy(error));
    }
  }

  /** A send with as much time as the request needs no timer: the request ends in time, with a better reason. */
  #begin(sends: readonly LingeringSend[], { end }: Deadline): void {
    for (const send of sends) {
      send.hasBegun = true;
      if (send.deadline.end >= end) this.#expiry.delete(send);
    }
  }

  /** Sends each message by itself, so that each has its own answer. */
  async #sendEach(sends: readonly LingeringSend[], inOrder: boolean): Promise<void> {
    if (!inOrder) await Promise.all(sends.map((send) => this.#sendAlone(send)));
    else for (const send of sends) await this.#sendAlone(send);
  }

  async #sendAlone(send: LingeringSend): Promise<void> {
    const { message, placement, deadline, observer } = send;
    if (send.isSettled) return;
    this.#begin([send], deadline);
    try {
      send.resolve(receiptOf(await this.#sender.send(message, placement, deadline, observer), message.messageId));
    } catch (error) {
      send.reject(error);
    }
  }
}

/** Passes the attempts to all sends of a batch. Either all sends of a producer have an observer, or none. */
function observerOf(sends: readonly LingeringSend[]): AttemptObserver | undefined {
  if (sends[0]!.observer === undefined) return undefined;
  return {
    attempted(attempt) {
      for (const { observer } of sends) observer?.attempted(attempt);
    },
  };
}

/** The latest deadline; sends with an earlier one end by their own timer. */
function latest(sends: readonly LingeringSend[]): Deadline {
  let { timeout, end } = sends[0]!.deadline;
  for (const { deadline } of sends) if (deadline.end > end) ({ timeout, end } = deadline);
  return new Deadline(timeout, undefined, end);
}

function isRefusedAsBatch(error: unknown): boolean {
  if (!(error instanceof ProducerError && error.cause instanceof ResponseError)) return false;
  const { responseCode, remark } = error.cause;
  return REFUSED_AS_BATCH.has(responseCode) ||
    (responseCode === ResponseCode.SYSTEM_ERROR && remark.includes(TOO_LARGE));
}

/** An error of many sends as the error of one of them. */
function ownCopy(error: unknown): unknown {
  if (!(error instanceof ProducerError)) return error;
  const { message, code, retriable, cause, maybeStored } = error;
  return new ProducerError(message, { code, retriable, cause, maybeStored });
}

function tooLate({ message: { topic }, deadline: { timeout }, hasBegun: maybeStored }: LingeringSend): ProducerError {
  const cause = new TimeoutError(`send to topic "${topic}" together with others`, timeout);
  const words = maybeStored
    ? "its batch has no answer; the message may be stored nevertheless"
    : "the requests before it, or the topic's route, took all the time; nothing of it was sent";
  const text = `Cannot send to topic "${topic}" within ${timeout} ms: ${words}`;
  return new ProducerError(text, { code: "SEND_TIMEOUT", retriable: true, cause, maybeStored });
}
