/**
 * Popping, and what of an answer is for us.
 *
 * @module
 */

import type { BrokenPopped, PopAnswer, PopClient, PopPlace } from "../../brokers/pop_client.ts";
import { NetworkError } from "../../errors.ts";
import type { Message } from "../../message.ts";
import type { ConsumerStatistics } from "../../telemetry/consumer_statistics.ts";
import { type Selector, selects } from "../subscriptions/selector.ts";
import { Delivery } from "./delivery.ts";
import type { CheckedPopOptions } from "./options.ts";
import { PopSizes } from "./sizes.ts";
import { inBackground, unheard } from "../../owned_work.ts";

/** The code of the error of an answer that is larger than the largest frame. */
const TOO_LARGE = "ANSWER_TOO_LARGE";

/** What a {@linkcode PopReceiver} works with. */
export interface PopReceiverContext {
  /** The consumer's options. */
  readonly options: Pick<CheckedPopOptions, "group" | "invisibleTime" | "consumeFrom">;
  /** Asks brokers. */
  readonly client: Pick<PopClient, "pop" | "ack">;
  /** Gets the records that cannot be read. */
  readonly onBroken: (place: PopPlace, broken: readonly BrokenPopped[]) => void;
  /** Counts what comes. */
  readonly statistics: ConsumerStatistics;
  /** What is wanted of a topic; undefined once it is not subscribed any more. */
  readonly selector: (topic: string) => Selector | undefined;
}

/** What a pop has brought. */
export interface Received<T> {
  /** `full`: too many requests wait at that broker. */
  readonly kind: PopAnswer["kind"];
  /** The messages that are wanted. */
  readonly deliveries: readonly Delivery<T>[];
  /** Whether there was anything in it, wanted or not. */
  readonly progress: boolean;
  /** When they came, by the monotonic clock. */
  readonly receivedAt: number;
}

/** Pops for one consumer. */
export class PopReceiver<T = unknown> {
  #context: PopReceiverContext;
  #sizes = new PopSizes();

  /** Makes a receiver. */
  constructor(context: PopReceiverContext) {
    this.#context = context;
  }

  /**
   * Pops once; a signal ends the unpacking of large bodies.
   *
   * An answer that is too large is lost, its messages are redelivered when their invisible time ends: the place is
   * asked for half as many at once, and for more again, step by step, while answers fit.
   *
   * @throws {NetworkError} `ANSWER_TOO_LARGE` if one message alone is too large
   */
  async pop(place: PopPlace, max: number, hold: number, signal?: AbortSignal): Promise<Received<T>> {
    const { options: { invisibleTime, consumeFrom }, client, statistics, selector: wanted, onBroken } = this.#context;
    const selector = wanted(place.topic);
    if (selector === undefined) {
      return { kind: "empty", deliveries: [], progress: false, receivedAt: performance.now() };
    }
    const asked = performance.now();
    const fromFirst = consumeFrom === "first";
    const answer = await this.#fitting(
      place,
      max,
      (count) => client.pop(place, { max: count, invisibleTime, hold, fromFirst, selector, signal }),
    );
    const { kind, popped, broken, receivedAt } = answer;
    if (broken.length > 0) onBroken(place, broken);
    if (popped.length > 0) statistics.pulled(place.topic, popped.length, receivedAt - asked);
    const deliveries = popped.map(({ message, receipt }) => new Delivery(message as Message<T>, receipt));
    this.#dropUnwanted(place, deliveries.filter(({ message }) => !selects(selector, message)));
    const progress = popped.length + broken.length > 0;
    return { kind, deliveries: deliveries.filter(({ message }) => selects(selector, message)), progress, receivedAt };
  }

  /** Asks for fewer and fewer messages until the answer fits. */
  async #fitting(place: PopPlace, max: number, pop: (count: number) => Promise<PopAnswer>): Promise<PopAnswer> {
    for (;;) {
      const count = this.#sizes.count(place, max);
      try {
        const answer = await pop(count);
        if (answer.popped.length > 0) this.#sizes.raise(place, count);
        return answer;
      } catch (error) {
        if (!(error instanceof NetworkError && error.code === TOO_LARGE)) throw error;
        if (this.#sizes.halve(place, count)) continue;
        throw tooLarge(place, error);
      }
    }
  }

  /**
   * Those that only look like what is wanted, by the hash of their tag, are done with; unanswered they are redelivered.
   */
  #dropUnwanted({ broker }: PopPlace, deliveries: readonly Delivery<T>[]): void {
    if (deliveries.length === 0) return;
    inBackground(this.#context.client.ack(broker, deliveries.map(({ ack }) => ack)), unheard);
  }
}

function tooLarge({ topic, broker }: PopPlace, cause: NetworkError): NetworkError {
  const text = `Cannot receive a message of topic "${topic}" from broker "${broker}": ${cause.message}; it is ` +
    `redelivered again and again until it expires: let its producers send less at a time, or have it skipped by ` +
    `resetting the group's offset`;
  return new NetworkError(text, cause.address, TOO_LARGE, { cause });
}
