/**
 * One delivery of a message, and the receipt that its broker knows it by.
 *
 * @module
 */

import type { Message } from "../../message.ts";
import type { PopReceipt } from "../../wire/pop.ts";
import type { PopAck } from "../../wire/pop_acks.ts";

/**
 * A message with its receipt.
 *
 * Each change of the invisible time replaces the receipt, and a broker answers an ack of an old one with a success that
 * does nothing: the message is redelivered. Changes of one delivery are therefore made one after the other, and whoever
 * settles it waits for them.
 */
export class Delivery<T = unknown> {
  /** The message. */
  readonly message: Message<T>;
  #receipt: PopReceipt;
  #changing: Promise<void> | undefined;

  /** Makes it of what a pop has brought. */
  constructor(message: Message<T>, receipt: PopReceipt) {
    this.message = message;
    this.#receipt = receipt;
  }

  /** The receipt that is valid as far as is known. */
  get receipt(): PopReceipt {
    return this.#receipt;
  }

  /** What the requests about this delivery name. */
  get ack(): PopAck {
    return { topic: this.message.topic, receipt: this.#receipt };
  }

  /** Resolves when the changes under way have ended; undefined if there are none. */
  get changing(): Promise<void> | undefined {
    return this.#changing;
  }

  /**
   * Replaces the receipt by the one that `request` resolves to, after the changes that are under way.
   *
   * A change that fails leaves the receipt as it is. If the broker has made it all the same, the old receipt is stale,
   * nobody knows the new one, and the message is redelivered: at least once, never lost.
   */
  change(request: (ack: PopAck) => Promise<PopReceipt>): Promise<void> {
    const changed = this.#change(this.#changing, request);
    const ended = changed.catch(() => {}).then(() => {
      if (this.#changing === ended) this.#changing = undefined;
    });
    this.#changing = ended;
    return changed;
  }

  async #change(before: Promise<void> | undefined, request: (ack: PopAck) => Promise<PopReceipt>): Promise<void> {
    await before;
    this.#receipt = await request(this.ack);
  }
}
