/**
 * Many single sends in few requests.
 *
 * @module
 */

import { ProducerError, ResponseError, TimeoutError } from "../errors.ts";
import { type MessageQueue, queueKey } from "../message.ts";
import { ResponseCode } from "../wire/codes.ts";
import { batchOf, fitsBatch } from "./batch_parcel.ts";
import { Deadline } from "../sending/deadline.ts";
import type { Delivery } from "../sending/delivery.ts";
import type { EncodedMessage } from "./encoding.ts";
import { Expiry } from "./expiry.ts";
import { GatheredSend } from "./gathered_send.ts";
import { Lane, type LaneOptions } from "./lane.ts";
import { queueOfKey } from "../sending/queue_selection.ts";
import { receiptOf, receiptsOf, type SendReceipt } from "../sending/receipt.ts";
import type { CheckedSendOptions } from "./send_options.ts";
import { inBackground } from "../owned_work.ts";

/** Refusals that may be due to the company: of one message, of all together, or of a queue that a key has left. */
const REFUSED_AS_BATCH: ReadonlySet<number> = new Set([ResponseCode.MESSAGE_ILLEGAL, ResponseCode.INVALID_PARAMETER]);
/** How 5.x brokers refuse a batch that is too large, by code 1, before anything is stored. Source: MessageExtEncoder. */
const TOO_LARGE = "size exceeded";

/** Gathers the single sends of one producer. */
export class Gatherer {
  #delivery: Delivery;
  #options: LaneOptions;
  #lanes = new Map<string, Lane>();
  /** Sends with a key whose topic's queues are asked for, by topic: they must not be overtaken by later ones. */
  #unrouted = new Map<string, GatheredSend[]>();
  #expiry = new Expiry<GatheredSend>((send) => send.reject(tooLate(send)));

  /** Makes a gatherer over a producer's delivery. */
  constructor(delivery: Delivery, options: LaneOptions) {
    this.#delivery = delivery;
    this.#options = { ...options, batchBytes: Math.min(options.batchBytes, options.maxMessageSize) };
  }

  /**
   * Sends a message, with others if there are any that fit.
   *
   * @throws {ProducerError} as {@linkcode Delivery.deliver} does; the signal's reason when it aborts
   */
  send(message: EncodedMessage, options: CheckedSendOptions, deadline: Deadline): Promise<SendReceipt> {
    const { queue, orderingKey, delayLevel } = options;
    const hasQueue = queue !== undefined || orderingKey !== undefined;
    // Brokers delay no batches, and do not unpack their bodies.
    const fits = delayLevel === undefined && message.sysFlag === 0 && fitsBatch(message, this.#options.maxMessageSize);
    if (!fits && !hasQueue) return this.#deliverDirectly(message, options, deadline);
    const send = new GatheredSend(message, options, deadline, fits, this.#forget);
    this.#expiry.add(send);
    if (queue !== undefined) this.#laneOf(queue).add(send);
    else if (orderingKey !== undefined) this.#addWithKey(send, message.topic, orderingKey);
    else this.#lane(message.topic, false, undefined).add(send);
    return send.receipt;
  }

  /** Keeps nothing waiting for company any more. */
  flush(): void {
    for (const lane of this.#lanes.values()) lane.flush();
    this.#expiry.close();
  }

  #forget = (send: GatheredSend): void => this.#expiry.delete(send);

  async #deliverDirectly(
    message: EncodedMessage,
    options: CheckedSendOptions,
    deadline: Deadline,
  ): Promise<SendReceipt> {
    return receiptOf(await this.#delivery.deliver(message, options, deadline), message.messageId);
  }

  #addWithKey(send: GatheredSend, topic: string, key: string): void {
    const unrouted = this.#unrouted.get(topic);
    if (unrouted !== undefined) {
      unrouted.push(send);
      return;
    }
    const queue = this.#delivery.queueOfKey(topic, key);
    if (queue !== undefined) this.#laneOf(queue).add(send);
    else {
      const sends = [send];
      this.#unrouted.set(topic, sends);
      inBackground(this.#route(topic, sends), (error) => {
        this.#unrouted.delete(topic);
        for (const each of sends) each.reject(ownCopy(error));
      });
    }
  }

  async #route(topic: string, sends: GatheredSend[]): Promise<void> {
    for (;;) {
      const first = sends.find((send) => !send.isSettled);
      if (first === undefined) break;
      try {
        const { timeout, end } = first.deadline; // without its signal: others wait too
        const queues = await this.#delivery.findQueues(topic, new Deadline(timeout, undefined, end));
        this.#unrouted.delete(topic);
        for (const send of sends) this.#laneOf(queueOfKey(queues, send.placement.orderingKey!)).add(send);
        return;
      } catch (error) {
        if (first.deadline.left <= 0) first.reject(error);
        else for (const send of sends) send.reject(ownCopy(error));
      }
    }
    this.#unrouted.delete(topic);
  }

  #laneOf(queue: MessageQueue): Lane {
    return this.#lane(queueKey(queue), true, queue);
  }

  #lane(name: string, inOrder: boolean, queue: MessageQueue | undefined): Lane {
    let lane = this.#lanes.get(name);
    if (lane === undefined) {
      const deliver = (sends: readonly GatheredSend[]) => this.#deliver(sends, queue);
      lane = new Lane({ deliver, onIdle: () => this.#lanes.delete(name) }, this.#options, inOrder);
      this.#lanes.set(name, lane);
    }
    return lane;
  }

  async #deliver(sends: readonly GatheredSend[], queue: MessageQueue | undefined): Promise<void> {
    if (sends.length === 1) return await this.#deliverAlone(sends[0]!);
    const messages = sends.map(({ message }) => message);
    const deadline = latest(sends);
    this.#begin(sends, deadline);
    try {
      const parcel = batchOf(messages[0]!.topic, messages);
      const receipts = receiptsOf(await this.#delivery.deliver(parcel, { queue }, deadline), messages);
      for (let i = 0; i < sends.length; i++) sends[i]!.resolve(receipts[i]!);
    } catch (error) {
      if (isRefusedAsBatch(error)) await this.#deliverEach(sends, queue !== undefined);
      else for (const send of sends) send.reject(ownCopy(error));
    }
  }

  /** Who has as much time as the request needs no watch: the request ends by itself, and knows why. */
  #begin(sends: readonly GatheredSend[], { end }: Deadline): void {
    for (const send of sends) {
      send.hasBegun = true;
      if (send.deadline.end >= end) this.#expiry.delete(send);
    }
  }

  /** Without company each message gets its own answer. */
  async #deliverEach(sends: readonly GatheredSend[], inOrder: boolean): Promise<void> {
    if (!inOrder) await Promise.all(sends.map((send) => this.#deliverAlone(send)));
    else for (const send of sends) await this.#deliverAlone(send);
  }

  async #deliverAlone(send: GatheredSend): Promise<void> {
    const { message, placement, deadline } = send;
    if (send.isSettled) return;
    this.#begin([send], deadline);
    try {
      send.resolve(receiptOf(await this.#delivery.deliver(message, placement, deadline), message.messageId));
    } catch (error) {
      send.reject(error);
    }
  }
}

/** The time of those who have most of it left; others are told by themselves that theirs is over. */
function latest(sends: readonly GatheredSend[]): Deadline {
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

function tooLate({ message: { topic }, deadline: { timeout }, hasBegun: maybeStored }: GatheredSend): ProducerError {
  const cause = new TimeoutError(`send to topic "${topic}" together with others`, timeout);
  const words = maybeStored
    ? "the request that it shares has no answer; the message may be stored all the same"
    : "the requests before it, or the topic's route, took all the time; nothing of it was sent";
  const text = `Cannot send to topic "${topic}" within ${timeout} ms: ${words}`;
  return new ProducerError(text, { code: "SEND_TIMEOUT", retriable: true, cause, maybeStored });
}
