/**
 * What is sent, and to which queue.
 *
 * @module
 */

import type { MessageQueue } from "../message.ts";
import type { BodyWriter } from "../wire/frame.ts";

/** A request that stores one or several messages: the same in every attempt. */
export interface SendRequest {
  /** The topic. */
  readonly topic: string;
  /** The request's body: a message's, or several messages in batch form. */
  readonly body: Uint8Array | BodyWriter;
  /** The user's flag. */
  readonly flag: number;
  /** RocketMQ's flag. */
  readonly sysFlag: number;
  /** The properties as one text. */
  readonly properties: string;
  /** Whether the body holds several messages. @default {false} */
  readonly batch?: boolean;
  /** What the request states of a message that it stores once more; undefined for a new message. */
  readonly retry?: RetryFields;
}

/** What a copy of a message keeps of the message, and how the broker counts it. */
export interface RetryFields {
  /** When the message was first sent, in milliseconds since 1970. */
  readonly bornAt: number;
  /** How often it was redelivered, this time included. */
  readonly reconsumeTimes: number;
  /** After how many redeliveries the broker moves it to the dead-letter queue. */
  readonly maxReconsumeTimes: number;
}

/** Which queue is chosen; without any option the topic's queues take turns. */
export interface Placement {
  /** This queue. */
  readonly queue?: MessageQueue | undefined;
  /** The queue of this key. */
  readonly orderingKey?: string | undefined;
  /** A queue of another broker than this one, if there is any. */
  readonly avoid?: string | undefined;
}
