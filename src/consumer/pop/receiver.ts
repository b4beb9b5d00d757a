/**
 * Popping, and what of an answer is for us.
 *
 * @module
 */

import type { PopAnswer, PopClient, PopPlace } from "../../cluster/pop_client.ts";
import type { EventHub } from "../../events.ts";
import type { Message } from "../../message.ts";
import type { ConsumerStatistics } from "../../telemetry/consumer_statistics.ts";
import { type Selector, selects } from "../selector.ts";
import { Delivery } from "./delivery.ts";
import type { CheckedPopOptions } from "./options.ts";

/** What a {@linkcode PopReceiver} works with. */
export interface PopReceiverContext {
  /** The consumer's options. */
  readonly options: Pick<CheckedPopOptions, "group" | "invisibleTime" | "consumeFrom">;
  /** Asks brokers. */
  readonly client: Pick<PopClient, "pop" | "ack">;
  /** Hears of records that cannot be read. */
  readonly events: EventHub;
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
  /** When they came, by the monotonic clock. */
  readonly receivedAt: number;
}

/** Pops for one consumer. */
export class PopReceiver<T = unknown> {
  #context: PopReceiverContext;

  /** Makes a receiver. */
  constructor(context: PopReceiverContext) {
    this.#context = context;
  }

  /** Pops once; a signal ends the unpacking of large bodies. */
  async pop(place: PopPlace, max: number, hold: number, signal?: AbortSignal): Promise<Received<T>> {
    const { options: { invisibleTime, consumeFrom }, client, statistics, selector: wanted } = this.#context;
    const selector = wanted(place.topic);
    if (selector === undefined) return { kind: "empty", deliveries: [], receivedAt: performance.now() };
    const asked = performance.now();
    const fromFirst = consumeFrom === "first";
    const answer = await client.pop(place, { max, invisibleTime, hold, fromFirst, selector, signal });
    this.#tellBroken(place, answer);
    const { kind, popped, receivedAt } = answer;
    if (popped.length > 0) statistics.pulled(place.topic, popped.length, receivedAt - asked);
    const deliveries = popped.map(({ message, receipt }) => new Delivery(message as Message<T>, receipt));
    this.#dropUnwanted(place, deliveries.filter(({ message }) => !selects(selector, message)));
    return { kind, deliveries: deliveries.filter(({ message }) => selects(selector, message)), receivedAt };
  }

  /** Those that only look like what is wanted, by the hash of their tag, are done with; unanswered they come again. */
  #dropUnwanted({ broker }: PopPlace, deliveries: readonly Delivery<T>[]): void {
    if (deliveries.length === 0) return;
    this.#context.client.ack(broker, deliveries.map(({ ack }) => ack)).catch(() => {});
  }

  #tellBroken({ topic, broker }: PopPlace, { broken }: PopAnswer): void {
    const { events, options: { group } } = this.#context;
    for (const { error } of broken) {
      const text = `a record of topic "${topic}" cannot be read; it comes again until its broker gives it up`;
      events.emit("error", "broken", text, { group, topic, broker, error });
    }
  }
}
