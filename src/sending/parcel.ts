/**
 * What is delivered, and where to.
 *
 * @module
 */

import type { MessageQueue } from "../message.ts";
import type { BodyWriter } from "../wire/frame.ts";

/** What a request carries: the same in every attempt. */
export interface Parcel {
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
}

/** Which queue is wanted; without any the topic's queues take turns. */
export interface Placement {
  /** This queue. */
  readonly queue?: MessageQueue | undefined;
  /** The queue of this key. */
  readonly orderingKey?: string | undefined;
}
