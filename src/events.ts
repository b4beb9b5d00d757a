/**
 * What a client reports about itself while it runs: typed events for `mq.status()`, and log lines. Both are paced: a
 * fault that repeats itself ten thousand times a second is bounded work, and its events say how many they stand for.
 *
 * @module
 */

import { EventLog } from "./event_log.ts";
import { Pace } from "./pace.ts";
import { excerpt, innermost, plain, reasonOf } from "./plain_text.ts";
import {
  type EventDetails,
  type Logger,
  type StatusEvent,
  statusEvent,
  type StatusEventType,
  type StatusLevel,
} from "./status_event.ts";

export type { EventDetails, Logger, StatusEvent, StatusEventType, StatusLevel } from "./status_event.ts";

/** How many events wait for one reader before the oldest are dropped. */
const READER_CAPACITY = 1_000;
/** The most characters of an event's text. */
const MOST_TEXT = 2_000;
/** How many events of one kind and place readers get in that time, in milliseconds. */
const [MOST_EVENTS, EVENT_INTERVAL] = [10, 1_000];

interface Reader {
  readonly events: StatusEvent[];
  dropped: number;
  readonly asking: (() => void)[];
  done: boolean;
}

/** Delivers events to all readers, each at its own pace, and to the logger. Nothing that these do makes it fail. */
export class EventHub {
  #readers = new Set<Reader>();
  #log: EventLog;
  #events = new Pace<StatusEvent>(MOST_EVENTS, EVENT_INTERVAL);
  /** Delivers what was held back. */
  #timer: ReturnType<typeof setTimeout> | undefined;
  #closed = false;

  /** Makes a hub; `logger: false` silences it, without one lines go to `console`. */
  constructor(logger?: Logger | false) {
    this.#log = new EventLog(logger);
  }

  /** Reports what has happened. The innermost cause of an error is in the text, whether or not `text` has it. */
  emit<T extends StatusEventType>(level: StatusLevel, type: T, text: string, details: EventDetails<T>): void {
    if (this.#closed) return;
    const event = statusEvent(level, type, plain(withCause(text, details.error), MOST_TEXT), details);
    if (this.#readers.size > 0) this.#deliver(event);
    this.#log.write(event);
  }

  /** What receives a failure of work that nobody waits for: it becomes an event that names the work. */
  failureOf<T extends StatusEventType>(type: T, work: string, details: EventDetails<T>): (error: unknown) => void {
    return (error) => this.emit("error", type, `${work} failed: ${reasonOf(error)}`, { ...details, error });
  }

  /** Reads the events from this call on, until the hub closes or the loop is left. */
  read(): AsyncIterableIterator<StatusEvent> {
    const reader: Reader = { events: [], dropped: 0, asking: [], done: this.#closed };
    if (!this.#closed) this.#readers.add(reader);
    const finish = (): IteratorResult<StatusEvent> => {
      this.#readers.delete(reader);
      if (this.#readers.size === 0) this.#forgetHeld();
      reader.events.length = reader.dropped = 0;
      reader.done = true;
      wake(reader);
      return { done: true, value: undefined };
    };
    const next = async (): Promise<IteratorResult<StatusEvent>> => {
      while (reader.events.length === 0) {
        if (reader.done) return finish();
        await new Promise<void>((resolve) => reader.asking.push(resolve));
      }
      if (reader.dropped > 0) {
        const text = `${reader.dropped} events were dropped: this reader of status() is too slow`;
        reader.dropped = 0;
        return { done: false, value: { type: "lost", level: "warning", at: new Date(), text } };
      }
      return { done: false, value: reader.events.shift()! };
    };
    return {
      next,
      return: () => Promise.resolve(finish()),
      [Symbol.asyncIterator]() {
        return this;
      },
    };
  }

  /** Ends all readers once they have read what is left. */
  close(): void {
    this.#closed = true;
    this.#log.close();
    this.#deliverHeld(true);
    this.#forgetHeld();
    for (const reader of this.#readers) {
      reader.done = true;
      wake(reader);
    }
    this.#readers.clear();
  }

  #deliver(event: StatusEvent): void {
    const repeated = this.#events.pass(event.type, placeOf(event), event, event.at.getTime());
    if (repeated === undefined) this.#timer ??= setTimeout(() => this.#deliverHeld(), EVENT_INTERVAL);
    else this.#push(event, repeated);
  }

  #deliverHeld(all = false): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    for (const [event, repeated] of this.#events.due(Date.now(), all)) this.#push(event, repeated);
    if (this.#events.isHolding) this.#timer = setTimeout(() => this.#deliverHeld(), EVENT_INTERVAL);
  }

  #forgetHeld(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#events.clear();
  }

  #push(event: StatusEvent, repeated: number): void {
    const counted = repeated === 0 ? event : { ...event, repeated };
    for (const reader of this.#readers) {
      reader.events.push(counted);
      if (reader.events.length > READER_CAPACITY) {
        reader.events.shift();
        reader.dropped++;
      }
      wake(reader);
    }
  }
}

/** What an event is about: events of one kind about the same are paced together. */
function placeOf({ group = "", broker = "", topic = "", queue }: StatusEvent): string {
  return `${group} ${broker} ${topic} ${queue === undefined ? "" : `${queue.topic} ${queue.broker} ${queue.queueId}`}`;
}

/** Lets everybody look who waits for an event. */
function wake(reader: Reader): void {
  for (const ask of reader.asking.splice(0)) ask();
}

/** A text with the innermost cause of an error, where it does not have that already. */
function withCause(text: string, error: unknown): string {
  if (error === undefined) return text;
  const cause = excerpt(reasonOf(innermost(error)));
  return cause === "" || text.includes(cause) ? text : `${text} (${cause})`;
}
