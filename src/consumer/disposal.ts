/**
 * Where messages go that are not consumed now: back to the broker, or nowhere.
 *
 * @module
 */

import { delay } from "../waiting.ts";
import type { SendBackOptions, SendBackSource } from "../cluster/broker_client.ts";
import type { EventHub } from "../events.ts";
import type { Message } from "../message.ts";
import type { BrokenRecord } from "../wire/record.ts";
import type { CheckedConsumerOptions } from "./options_check.ts";
import type { OwnedQueue } from "./owned_queue.ts";

/** The delay level that means the dead letter queue. */
export const DEAD_LETTER_LEVEL: number = -1;
/** Between two attempts to make a message safe, in milliseconds. Source: ConsumeMessageConcurrentlyService. */
const SEND_BACK_INTERVAL = 5_000;
/** What stands for "unlimited" on the wire. */
const MOST_TIMES = 0x7fffffff;

/** The way out for messages that failed. Each resolves to false if the epoch ended before: then they come again. */
export interface Disposal<T = unknown> {
  /** Whether messages come again from where they are put. */
  readonly sendsBack: boolean;
  /** Moves a message to where it comes back from; a delay level below 0 is the dead letter queue. */
  dispose(owner: OwnedQueue<T>, message: Message<T>, delayLevel: number): Promise<boolean>;
  /** Moves a record that cannot be read out of the way. */
  disposeBroken(owner: OwnedQueue<T>, record: BrokenRecord): Promise<boolean>;
}

/** What {@linkcode SendBack} needs. */
export interface SendBackContext<T = unknown> {
  /** The consumer's options. */
  readonly options: CheckedConsumerOptions;
  /** Hears of faults. */
  readonly events: EventHub;
  /** Sends a message back by its place in the broker's commit log. */
  readonly sendBack: (message: SendBackSource, options: SendBackOptions) => Promise<void>;
  /** Sends a copy to the group's retry topic, where the broker cannot: the way out of last resort. */
  readonly sendCopy: (message: Message<T>, options: SendBackOptions) => Promise<void>;
}

/** Sends messages back to the broker, which keeps them in the group's retry topic or dead letter queue. */
export class SendBack<T = unknown> implements Disposal<T> {
  readonly sendsBack = true as const;
  #context: SendBackContext<T>;

  constructor(context: SendBackContext<T>) {
    this.#context = context;
  }

  async dispose(owner: OwnedQueue<T>, message: Message<T>, delayLevel: number): Promise<boolean> {
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

  /** The record goes to the dead letter queue, where the broker copies it as it is stored. */
  disposeBroken(owner: OwnedQueue<T>, record: BrokenRecord): Promise<boolean> {
    const { sendBack, options: { group } } = this.#context;
    const { queue } = owner;
    const source = { queue, topic: queue.topic, messageId: "", commitLogOffset: record.commitLogOffset ?? -1 };
    const how = { group, delayLevel: DEAD_LETTER_LEVEL, maxReconsumeTimes: 0 };
    return this.#makeSafe(owner, record.queueOffset ?? -1, () => sendBack(source, how));
  }

  /** Tries until a message is stored elsewhere. */
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
}

/**
 * Skips messages and says so: in broadcasting there is nowhere to send them back to, as other members have theirs.
 * Source: ConsumeMessageConcurrentlyService.
 */
export class Skip<T = unknown> implements Disposal<T> {
  readonly sendsBack = false as const;
  #group: string;
  #events: EventHub;

  constructor(group: string, events: EventHub) {
    this.#group = group;
    this.#events = events;
  }

  dispose(_owner: OwnedQueue<T>, message: Message<T>): Promise<boolean> {
    const text = `message ${message.messageId} of topic "${message.topic}" is skipped: broadcasting sends nothing back`;
    const { queue, topic, queueOffset: offset } = message;
    this.#events.emit("warning", "skipped", text, { group: this.#group, broker: queue.broker, topic, queue, offset });
    return Promise.resolve(true);
  }

  disposeBroken(): Promise<boolean> {
    return Promise.resolve(true);
  }
}
