/**
 * What is wrong with the answers to pulls, as events.
 *
 * @module
 */

import { MessagePullError, ResponseError } from "../../errors.ts";
import type { EventHub } from "../../events.ts";
import { queueKey } from "../../message.ts";
import { ResponseCode } from "../../wire/codes.ts";
import type { OwnedQueue } from "../queue/owned_queue.ts";
import type { PullAnswer } from "../queue/puller.ts";

/** Emits the events of pulls that fail or lead nowhere. */
export class PullReports {
  #events: EventHub;
  #group: string;

  /** Makes the reports of one group. */
  constructor(events: EventHub, group: string) {
    this.#events = events;
    this.#group = group;
  }

  /** An answer has left the position where it was. */
  standstill<T>({ queue, process }: OwnedQueue<T>, { messages, nextOffset }: PullAnswer<T>): void {
    const text = `broker "${queue.broker}" answers pulls of ${queueKey(queue)} from ${process.position} with ` +
      `${messages.length} messages and leads to ${nextOffset}: asking again more slowly until it moves on`;
    const about = { group: this.#group, queue, broker: queue.broker, offset: process.position };
    this.#events.emit("warning", "stalled", text, about);
  }

  /** A pull has failed, after one that was answered. */
  failed<T>({ queue }: OwnedQueue<T>, cause: unknown): void {
    const error = new MessagePullError(queue, cause);
    const about = { group: this.#group, queue, broker: queue.broker, error };
    const type = isThrottling(cause) ? "throttled" : "stalled";
    this.#events.emit("warning", type, `${error.message}, going on trying`, about);
  }
}

/** Whether the broker asks for less, instead of failing. */
function isThrottling(error: unknown): boolean {
  const codes: readonly number[] = [ResponseCode.FLOW_CONTROL, ResponseCode.SYSTEM_BUSY];
  return error instanceof ResponseError && codes.includes(error.responseCode);
}
