/**
 * What becomes of messages that were handed out.
 *
 * @module
 */

import { delay } from "../waiting.ts";
import type { SendBackOptions, SendBackSource } from "../cluster/broker_client.ts";
import type { EventHub } from "../events.ts";
import type { Message } from "../message.ts";
import type { BrokenRecord } from "../wire/record.ts";
import type { Batch, SettlementRules } from "./batch.ts";
import type { CheckedConsumerOptions } from "./options.ts";
import type { OwnedQueue } from "./owned_queue.ts";

/** The delay level of a message whose batch was in hand for too long. Source: ConsumeMessageConcurrentlyService. */
const TIMEOUT_LEVEL = 3;
/** The delay level that means the dead letter queue. */
const DEAD_LETTER_LEVEL = -1;
/** Between two attempts to make a message safe, in milliseconds. Source: ConsumeMessageConcurrentlyService. */
const SEND_BACK_INTERVAL = 5_000;

/** What stands for "unlimited" on the wire. */
const MOST_TIMES = 0x7fffffff;

const done: Promise<void> = Promise.resolve();

/** What {@linkcode Settlement} needs. */
export interface SettlementContext<T = unknown> {
  /** The consumer's options. */
  readonly options: CheckedConsumerOptions;
  /** Hears of faults. */
  readonly events: EventHub;
  /** Sends a message back by its place in the broker's commit log. */
  readonly sendBack: (message: SendBackSource, options: SendBackOptions) => Promise<void>;
  /** Sends a copy to the group's retry topic, where the broker cannot: the way out of last resort. */
  readonly sendCopy: (message: Message<T>, options: SendBackOptions) => Promise<void>;
  /** Hears of a queue that has something to hand out again. */
  readonly offer: (owned: OwnedQueue<T>) => void;
}

/** The rules of concurrent consumption: acknowledge, send back, dead-letter, put back, time out. */
export class Settlement<T = unknown> implements SettlementRules<T> {
  #context: SettlementContext<T>;
  /** All batches in hand, oldest first. */
  #inHand = new Set<Batch<T>>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #settledTotal = 0;
  #retriedTotal = 0;

  /** Makes the settlement of one consumer. */
  constructor(context: SettlementContext<T>) {
    this.#context = context;
  }

  /** How many messages were settled, those sent back included. */
  get settledTotal(): number {
    return this.#settledTotal;
  }

  /** How many messages were sent back. */
  get retriedTotal(): number {
    return this.#retriedTotal;
  }

  /** Notes a batch that is about to be handed out. */
  handedOut(batch: Batch<T>): void {
    batch.owner.inHand.add(batch);
    this.#inHand.add(batch);
    this.#timer ??= setTimeout(() => this.#expire(), this.#context.options.consumeTimeout);
  }

  /** Settles one message, or all that nobody has settled. */
  ack(batch: Batch<T>, message?: Message<T>): Promise<void> {
    const { owner, first } = batch;
    if (!owner.counts) {
      this.#inHand.delete(batch);
      return done;
    }
    if (message === undefined && batch.isUntouched) {
      batch.claimAll();
      owner.process.settleRange(first, batch.length);
      this.#settledTotal += batch.length;
    } else {
      const claimed = batch.claim(message);
      for (const at of claimed) owner.process.settle(first + at);
      this.#settledTotal += claimed.length;
    }
    this.#settled(batch);
    return done;
  }

  /** Sends messages back for later; resolves when they are safe, or no longer ours. */
  retry(batch: Batch<T>, message: Message<T> | undefined, delayLevel = 0): Promise<void> {
    return this.#sendBack(batch, message, delayLevel);
  }

  /** Moves messages to the dead letter queue; resolves when they are safe, or no longer ours. */
  deadLetter(batch: Batch<T>, message: Message<T> | undefined): Promise<void> {
    return this.#sendBack(batch, message, DEAD_LETTER_LEVEL);
  }

  /** Puts back what nobody has settled; it is handed out again after the queue's rest. */
  release(batch: Batch<T>): void {
    const { owner, first } = batch;
    if (!owner.counts) return;
    const numbers = batch.claim().map((at) => first + at);
    for (const number of numbers) owner.process.putBack(number);
    if (numbers.length > 0) {
      owner.rest(this.#context.options.suspendQueue, () => {
        for (const number of numbers) owner.process.wakeUp(number);
        this.#context.offer(owner);
      });
    }
    this.#settled(batch);
  }

  /** Moves a record that cannot be read to the dead letter queue, where the broker copies it as it is stored. */
  async buryBroken(owner: OwnedQueue<T>, record: BrokenRecord): Promise<void> {
    const { sendBack, options: { group } } = this.#context;
    const { queue } = owner;
    const source = { queue, topic: queue.topic, messageId: "", commitLogOffset: record.commitLogOffset ?? -1 };
    const how = { group, delayLevel: DEAD_LETTER_LEVEL, maxReconsumeTimes: 0 };
    await this.#makeSafe(owner, record.queueOffset ?? -1, () => sendBack(source, how));
  }

  /** Ends the watch over batches in hand. */
  close(): void {
    clearTimeout(this.#timer);
    this.#inHand.clear();
  }

  /** After messages of a batch were settled or put back. */
  #settled(batch: Batch<T>): void {
    if (batch.isClaimed) {
      this.#inHand.delete(batch);
      batch.owner.inHand.delete(batch);
    }
    batch.owner.eased();
  }

  async #sendBack(batch: Batch<T>, message: Message<T> | undefined, delayLevel: number): Promise<void> {
    if (!batch.owner.counts) return;
    const { owner, first, messages } = batch;
    await Promise.all(
      batch.claim(message).map(async (at) => {
        if (!await this.#sendOneBack(owner, messages[at]!, delayLevel)) return;
        owner.process.settle(first + at);
        this.#settledTotal++;
        this.#retriedTotal++;
        this.#settled(batch);
      }),
    );
  }

  /** Moves one message to where it comes back from; false if the epoch ended before. */
  async #sendOneBack(owner: OwnedQueue<T>, message: Message<T>, delayLevel: number): Promise<boolean> {
    const { sendBack, sendCopy, events, options: { group, maxReconsumeTimes } } = this.#context;
    const how: SendBackOptions = { group, delayLevel, maxReconsumeTimes: Math.min(maxReconsumeTimes, MOST_TIMES) };
    const isSafe = await this.#makeSafe(
      owner,
      message.queueOffset,
      () => sendBack(message, how).catch(() => sendCopy(message, how)),
    );
    if (isSafe && (delayLevel === DEAD_LETTER_LEVEL || message.reconsumeTimes >= maxReconsumeTimes)) {
      const text = `message ${message.messageId} of topic "${message.topic}" is in the dead letter queue`;
      const { queue, topic, queueOffset: offset } = message;
      events.emit("warning", "deadLettered", text, { group, broker: queue.broker, topic, queue, offset });
    }
    return isSafe;
  }

  /** Tries until a message is stored elsewhere; false if the epoch ended before, and it comes again anyway. */
  async #makeSafe(owner: OwnedQueue<T>, offset: number, attempt: () => Promise<void>): Promise<boolean> {
    const { events, options: { group } } = this.#context;
    while (owner.counts) {
      try {
        await attempt();
        return owner.counts;
      } catch (error) {
        const { queue } = owner;
        const text = `cannot send a message back, trying again in ${SEND_BACK_INTERVAL} ms`;
        events.emit("error", "sendBackFailed", text, { group, queue, broker: queue.broker, offset, error });
        await delay(SEND_BACK_INTERVAL, { signal: owner.ended }).catch(() => {});
      }
    }
    return false;
  }

  /** One timer watches the oldest batch; batches are handed out in the order in which they time out. */
  #expire(): void {
    const { options: { consumeTimeout, group }, events } = this.#context;
    const due = performance.now() - consumeTimeout;
    let oldest: Batch<T> | undefined;
    for (const batch of this.#inHand) {
      if (batch.owner.counts && batch.handedOutAt > due) {
        oldest = batch;
        break;
      }
      this.#inHand.delete(batch);
      if (batch.owner.counts && !batch.isClaimed) {
        batch.abort(`it was in hand for more than ${consumeTimeout} ms`);
        const text = `a batch of ${batch.length} messages was in hand for more than ${consumeTimeout} ms: sent back`;
        events.emit("warning", "stalled", text, { group, queue: batch.queue, topic: batch.topic });
        this.#sendBack(batch, undefined, TIMEOUT_LEVEL);
      }
    }
    this.#timer = oldest === undefined
      ? undefined
      : setTimeout(() => this.#expire(), Math.max(1, oldest.handedOutAt - due));
  }
}
