/**
 * The sources of a POP consumer: one for each place.
 *
 * @module
 */

import { placeKey, type PopPlace } from "../../brokers/pop_client.ts";
import { MessagePullError } from "../../errors.ts";
import type { EventHub, StatusEventType, StatusLevel } from "../../events.ts";
import type { BufferBudget } from "../queue/buffer_budget.ts";
import type { Delivery } from "./delivery.ts";
import type { CheckedPopOptions } from "./options.ts";
import type { PopReceiver, Received } from "./receiver.ts";
import { PopSource, type PopSourceReports } from "./source.ts";

/** What {@linkcode PopSources} works with. */
export interface PopSourcesContext<T = unknown> {
  /** The consumer's options. */
  readonly options: Pick<CheckedPopOptions, "group" | "batchSize" | "pullHold" | "invisibleTime">;
  /** Pops. */
  readonly receiver: Pick<PopReceiver<T>, "pop">;
  /** Gets what goes wrong at a place, and its end. */
  readonly events: EventHub;
  /** Where room for messages is taken. */
  readonly budget: BufferBudget;
  /** Whether loops ask, and nothing is paused. */
  readonly mayPop: () => boolean;
  /** Gets messages of a broker that no loop is going to ask for. */
  readonly giveBack: (broker: string, deliveries: readonly Delivery<T>[]) => void;
  /** Called with a source that has received messages, and with when they came. */
  readonly onMessages: (source: PopSource<T>, receivedAt: number) => void;
}

/** Keeps a source for each place where messages are popped. */
export class PopSources<T = unknown> implements Iterable<PopSource<T>> {
  #context: PopSourcesContext<T>;
  #sources = new Map<string, PopSource<T>>();
  #isStopped = false;

  /** Makes it without a source. */
  constructor(context: PopSourcesContext<T>) {
    this.#context = context;
  }

  [Symbol.iterator](): Iterator<PopSource<T>> {
    return this.#sources.values();
  }

  /** Messages at hand that no loop has asked for. */
  get count(): number {
    let count = 0;
    for (const source of this.#sources.values()) count += source.count;
    return count;
  }

  /** Takes places in, and stops the sources of those that are gone. */
  setPlaces(places: readonly PopPlace[]): void {
    const wanted = new Map(places.map((place) => [placeKey(place), place]));
    this.#context.budget.expect(wanted.size);
    for (const [key, source] of this.#sources) {
      if (wanted.has(key)) continue;
      source.stop();
      this.#sources.delete(key);
    }
    for (const [key, place] of wanted) {
      if (this.#sources.has(key) || this.#isStopped) continue;
      const source = this.#makeSource(place);
      this.#sources.set(key, source);
      source.wake();
    }
  }

  /** There may be room again. */
  wake(): void {
    for (const source of this.#sources.values()) source.wake();
  }

  /** Stops all sources for good. */
  stop(): void {
    this.#isStopped = true;
    for (const source of this.#sources.values()) source.stop();
  }

  #makeSource(place: PopPlace): PopSource<T> {
    const { broker } = place;
    const { options, receiver, events, budget, mayPop, giveBack, onMessages } = this.#context;
    const { group, batchSize, pullHold, invisibleTime } = options;
    return new PopSource<T>(place, {
      pop: (max, mayBeHeld, signal) => receiver.pop(place, max, mayBeHeld ? pullHold : 0, signal),
      mayPop,
      budget,
      ahead: batchSize,
      invisibleTime,
      giveBack: (deliveries) => giveBack(broker, deliveries),
      onMessages,
      reports: new PlaceReports(events, group, place, invisibleTime),
    });
  }
}

/** The events of one place. */
class PlaceReports implements PopSourceReports {
  #events: EventHub;
  #place: PopPlace;
  #about: { readonly group: string; readonly topic: string; readonly broker: string };
  #invisibleTime: number;

  constructor(events: EventHub, group: string, place: PopPlace, invisibleTime: number) {
    this.#events = events;
    this.#place = place;
    this.#about = { group, topic: place.topic, broker: place.broker };
    this.#invisibleTime = invisibleTime;
  }

  failed(cause: unknown): void {
    const error = new MessagePullError(this.#place, cause);
    this.#emit("warning", "stalled", `${error.message}, going on trying`, error);
  }

  stalled(kind: Received<unknown>["kind"], count: number): void {
    const text = `${count} pops in a row of ${this.#what()} were answered at once and without messages ("${kind}"): ` +
      `it is asked five times a second from now on`;
    this.#emit("warning", "stalled", text);
  }

  recovered(): void {
    this.#emit("info", "revived", `${this.#what()} answers pops again`);
  }

  expired(count: number): void {
    const text = `${count} messages of ${this.#what()} are redelivered: no loop has requested them in ` +
      `${this.#invisibleTime} ms`;
    this.#emit("warning", "stalled", text);
  }

  #what(): string {
    return `topic "${this.#about.topic}" at broker "${this.#about.broker}"`;
  }

  #emit(level: StatusLevel, type: StatusEventType, text: string, error?: unknown): void {
    this.#events.emit(level, type, text, { ...this.#about, error });
  }
}
