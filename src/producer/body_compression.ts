/**
 * Large bodies are compressed in the background before they are sent.
 *
 * @module
 */

import { ProducerError, TimeoutError } from "../errors.ts";
import { queueKey } from "../message.ts";
import type { Deadline } from "../sending/deadline.ts";
import type { EncodedMessage, MessageEncoder } from "./encoding.ts";
import type { Placement } from "../sending/send_request.ts";
import { inBackground, unheard } from "../owned_work.ts";

/**
 * Compresses the large bodies of one producer. A send with a key or a queue waits while the body of an earlier one with
 * the same key or queue is compressed: it must not overtake that one.
 */
export class BodyCompression {
  #encoder: MessageEncoder;
  /** The last send that waits here, by key or queue. */
  #last = new Map<string, Promise<EncodedMessage>>();

  constructor(encoder: MessageEncoder) {
    this.#encoder = encoder;
  }

  /** Whether a message is not ready to be sent: its body is to be compressed, or an earlier one is. */
  isNeeded(message: EncodedMessage, placement: Placement): boolean {
    if (this.#encoder.isLarge(message)) return true;
    if (this.#last.size === 0) return false; // nearly always
    const order = orderOf(message, placement);
    return order !== undefined && this.#last.has(order);
  }

  /**
   * The message as it is sent. Sends with the same key or queue continue in the order of their calls, if each waits for
   * nothing but this.
   *
   * @throws {ProducerError} `SEND_TIMEOUT` when the time is over; the signal's reason when it aborts
   */
  ready(message: EncodedMessage, placement: Placement, deadline: Deadline): Promise<EncodedMessage> {
    const order = orderOf(message, placement);
    if (order === undefined) return this.#compress(message, undefined, deadline);
    const ready = this.#compress(message, this.#last.get(order), deadline);
    this.#last.set(order, ready);
    const forget = () => this.#last.get(order) === ready && this.#last.delete(order);
    inBackground(ready.finally(forget), unheard); // the send that waits for it reports a failure
    return ready;
  }

  async #compress(
    message: EncodedMessage,
    before: Promise<unknown> | undefined,
    deadline: Deadline,
  ): Promise<EncodedMessage> {
    const stop = new AbortController();
    const compress = async () => {
      await before?.catch(() => {});
      return this.#encoder.isLarge(message) ? await this.#encoder.compressLarge(message, stop.signal) : message;
    };
    try {
      return await deadline.wait(compress(), "compress a body");
    } catch (error) {
      stop.abort(error);
      throw error instanceof TimeoutError ? tooLate(message, deadline, error) : error;
    }
  }
}

/** What the sends have in common whose order counts; undefined if it does not. */
function orderOf({ topic }: EncodedMessage, { queue, orderingKey }: Placement): string | undefined {
  if (queue !== undefined) return queueKey(queue);
  return orderingKey === undefined ? undefined : JSON.stringify([topic, orderingKey]);
}

function tooLate({ topic }: EncodedMessage, { timeout }: Deadline, cause: TimeoutError): ProducerError {
  const text =
    `Cannot send to topic "${topic}" within ${timeout} ms: its body, or one before it, is still being compressed; ` +
    "nothing of it was sent";
  return new ProducerError(text, { code: "SEND_TIMEOUT", retriable: true, cause });
}
