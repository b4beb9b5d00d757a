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
import type { PopReceiver } from "./receiver.ts";
import { PopSource } from "./source.ts";

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
    const { topic, broker } = place;
    const { options, receiver, events, budget, mayPop, giveBack, onMessages } = this.#context;
    const { group, batchSize, pullHold, invisibleTime } = options;
    const emit = (level: StatusLevel, type: StatusEventType, text: string, error?: unknown) =>
      events.emit(level, type, text, { group, topic, broker, error });
    const what = `topic "${topic}" at broker "${broker}"`;
    return new PopSource<T>(place, {
      pop: (max, mayBeHeld, signal) => receiver.pop(place, max, mayBeHeld ? pullHold : 0, signal),
      mayPop,
      budget,
      ahead: batchSize,
      invisibleTime,
      giveBack: (deliveries) => giveBack(broker, deliveries),
      onMessages,
      onError: (cause) => {
        const error = new MessagePullError(place, cause);
        emit("warning", "stalled", `${error.message}, going on trying`, error);
      },
      onStalled: (kind, count) => {
        const text = `${count} pops in a row of ${what} were answered at once and without messages ("${kind}"): ` +
          `it is asked five times a second from now on`;
        emit("warning", "stalled", text);
      },
      onRecovered: () => emit("info", "revived", `${what} answers pops again`),
      onExpired: (count) => {
        const text = `${count} messages of ${what} are redelivered: no loop has asked for them in ${invisibleTime} ms`;
        emit("warning", "stalled", text);
      },
    });
  }
}
