/**
 * Where messages go that are not consumed now: back to the broker, or nowhere.
 *
 * @module
 */

import type { SendBackOptions, SendBackSource } from "../../brokers/broker_client.ts";
import type { EventHub } from "../../events.ts";
import type { Message, MessageQueue } from "../../message.ts";
import { MessageSysFlag, PropertyName } from "../../wire/codes.ts";
import type { BrokenRecord } from "../../wire/record.ts";
import type { CheckedConsumerOptions } from "../options_check.ts";
import type { HeldMessage } from "../queue/process_queue.ts";
import { sendBackFailure } from "./send_back_failure.ts";

/** The delay level that means the dead letter queue. */
export const DEAD_LETTER_LEVEL: number = -1;
/** What stands for "unlimited" on the wire. */
const MOST_TIMES = 0x7fffffff;
const INNER_BATCH = MessageSysFlag.NEED_UNWRAP | MessageSysFlag.INNER_BATCH;

/**
 * The way out for messages that failed. Each makes one attempt, and rejects with the reason why nobody has taken it.
 */
export interface Redelivery<T = unknown> {
  /** Whether messages are redelivered from where they are put. */
  readonly sendsBack: boolean;
  /** Moves a message to where it is redelivered from; a delay level below 0 is the dead letter queue. */
  redeliver(message: HeldMessage<T>, delayLevel: number): Promise<void>;
  /** Moves a record of a queue that cannot be read out of the way. */
  deadLetterBroken(queue: MessageQueue, record: BrokenRecord): Promise<void>;
}

/** What {@linkcode SendBack} needs. */
export interface SendBackContext<T = unknown> {
  /** The consumer's options. */
  readonly options: Pick<CheckedConsumerOptions, "group" | "maxReconsumeTimes">;
  /** Emits events. */
  readonly events: EventHub;
  /** Sends a message back by its place in the broker's commit log. */
  readonly sendBack: (message: SendBackSource, options: SendBackOptions) => Promise<void>;
  /** Sends a copy to the group's retry topic, on another broker than `avoid` if there is one. */
  readonly sendCopy: (message: HeldMessage<T>, options: SendBackOptions, avoid?: string) => Promise<void>;
  /** Sends the bytes of a record that cannot be read to the group's dead letter queue. */
  readonly sendBroken: (queue: MessageQueue, record: BrokenRecord, options: SendBackOptions) => Promise<void>;
}

/** Sends messages back to the broker, which keeps them in the group's retry topic or dead letter queue. */
export class SendBack<T = unknown> implements Redelivery<T> {
  readonly sendsBack = true as const;
  #context: SendBackContext<T>;

  constructor(context: SendBackContext<T>) {
    this.#context = context;
  }

  /** Which messages are dead is decided here: the broker counts for itself, and not what failed at this member only. */
  async redeliver(message: HeldMessage<T>, delayLevel: number): Promise<void> {
    const { events, options: { group, maxReconsumeTimes } } = this.#context;
    const isDead = delayLevel < 0 || message.reconsumeTimes >= maxReconsumeTimes;
    await this.#send(message, isDead ? deadLetter(group) : { group, delayLevel, maxReconsumeTimes: MOST_TIMES });
    if (!isDead) return;
    const text = `message ${message.messageId} of topic "${message.topic}" is in the dead letter queue`;
    const { queue, topic, queueOffset: offset } = message;
    events.emit("warning", "deadLettered", text, { group, broker: queue.broker, topic, queue, offset });
  }

  /** The broker copies the record as it is stored; where it cannot read it either, its bytes are sent. */
  async deadLetterBroken(queue: MessageQueue, record: BrokenRecord): Promise<void> {
    const { sendBack, sendBroken, options: { group } } = this.#context;
    const how = deadLetter(group);
    const { commitLogOffset } = record;
    const ways = [() => sendBroken(queue, record, how)];
    if (commitLogOffset !== undefined) {
      ways.unshift(() => sendBack({ queue, topic: queue.topic, messageId: "", commitLogOffset }, how));
    }
    await this.#first(`the record at ${commitLogOffset ?? "an unknown place"}`, ways);
  }

  async #send(message: HeldMessage<T>, how: SendBackOptions): Promise<void> {
    const { sendBack, sendCopy } = this.#context;
    const viaBroker = () => sendBack(message, how);
    const copy = () => sendCopy(message, how);
    const copyElsewhere = () => sendCopy(message, how, message.queue.broker);
    const isDead = how.delayLevel < 0;
    const isCounted = isDead || message.storedReconsumeTimes === message.reconsumeTimes;
    let ways = isCounted ? [viaBroker, copyElsewhere] : [copy, viaBroker];
    // The broker would send a whole inner batch back, and keep the topic and the times that another group has written.
    const isPart = (message.sysFlag & INNER_BATCH) === INNER_BATCH;
    if (isPart || (!isDead && !namesTopic(message))) ways = [copy];
    await this.#first(`message ${message.messageId} of topic "${message.topic}"`, ways);
  }

  /** Goes the ways one after the other, up to the first that leads there. */
  async #first(what: string, ways: readonly (() => Promise<void>)[]): Promise<void> {
    const errors: unknown[] = [];
    for (const way of ways) {
      try {
        return await way();
      } catch (error) {
        errors.push(error);
      }
    }
    throw sendBackFailure(what, this.#context.options.group, errors);
  }
}

/** Whether a retry that the broker makes of a message leads to its topic: brokers keep the one that is written. */
function namesTopic<T>(message: HeldMessage<T>): boolean {
  return (message.property(PropertyName.RETRY_TOPIC) ?? message.topic) === message.topic;
}

function deadLetter(group: string): SendBackOptions {
  return { group, delayLevel: DEAD_LETTER_LEVEL, maxReconsumeTimes: 0 };
}

/**
 * Skips messages and says so: in broadcasting there is nowhere to send them back to, as other members have theirs.
 * Source: ConsumeMessageConcurrentlyService.
 */
export class Skip<T = unknown> implements Redelivery<T> {
  readonly sendsBack = false as const;
  #group: string;
  #events: EventHub;

  constructor(group: string, events: EventHub) {
    this.#group = group;
    this.#events = events;
  }

  redeliver(message: Message<T>): Promise<void> {
    const text = `message ${message.messageId} of topic "${message.topic}" is skipped: broadcasting sends nothing back`;
    const { queue, topic, queueOffset: offset } = message;
    this.#events.emit("warning", "skipped", text, { group: this.#group, broker: queue.broker, topic, queue, offset });
    return Promise.resolve();
  }

  deadLetterBroken(): Promise<void> {
    return Promise.resolve();
  }
}
