/**
 * What a client reports about itself while it runs: typed events for `mq.status()`, and log lines. Both are paced: a
 * fault that repeats itself ten thousand times a second is bounded work, and its events say how many they stand for.
 *
 * @module
 */

import type { MessageQueue } from "./message.ts";
import { inBackground, isPromise, unheard } from "./owned_work.ts";
import { Pace } from "./pace.ts";
import { plain, reasonOf } from "./plain_text.ts";

/** What happened. */
export type StatusEventType =
  | "connected"
  | "disconnected"
  | "routeChanged"
  | "partialRoute"
  | "brokenRoute"
  | "missingTopic"
  | "rebalanced"
  | "throttled"
  | "stalled"
  | "revived"
  | "offsetReset"
  | "offsetJumped"
  | "offsetsInMemory"
  | "commitFailed"
  | "sendBackFailed"
  | "ackFailed"
  | "handlerFailed"
  | "observerFailed"
  | "skipped"
  | "deadLettered"
  | "lockLost"
  | "mixedSubscriptions"
  | "duplicateClientId"
  | "broken"
  | "closing"
  | "closed"
  | "lost";

/** How much an event matters: warnings and errors go to the logger as well. */
export type StatusLevel = "info" | "warning" | "error";

/** One event of a client or of one of its consumers. */
export interface StatusEvent {
  /** What happened. */
  readonly type: StatusEventType;
  /** How much it matters. */
  readonly level: StatusLevel;
  /** When, by this process's clock. */
  readonly at: Date;
  /** The event in words: one line, of 2 000 characters at most. What is not to be printed in it is escaped. */
  readonly text: string;
  /**
   * How many more events of this type about the same group, broker and queue were left out since the one before: of
   * more than 10 in a second the last is delivered when the second is over. Missing where none was left out.
   */
  readonly repeated?: number;
  /** The consumer or producer group, where one is concerned. */
  readonly group?: string;
  /** The broker's name or address, where one is concerned. */
  readonly broker?: string;
  /** The topic, where one is concerned. */
  readonly topic?: string;
  /** The queue, where one is concerned. */
  readonly queue?: MessageQueue;
  /** The offset, where one is concerned: where a queue goes on, or which message it is about. */
  readonly offset?: number;
  /** The error behind it. */
  readonly error?: unknown;
}

/**
 * Takes warnings and errors, whether or not somebody reads `status()`; `console` fits. Lines of one type about one
 * group and broker, or topic, come at most once a minute, with the number of those that were left out. What it throws,
 * or rejects with, is ignored.
 */
export interface Logger {
  /** Something is not as it should be, and is being dealt with. */
  warn(text: string, error?: unknown): void;
  /** Something failed. */
  error(text: string, error?: unknown): void;
}

/** How many events wait for one reader before the oldest are dropped. */
const READER_CAPACITY = 1_000;
/** Events of one kind and place are logged at most once in this time, in milliseconds. */
const LOG_INTERVAL = 60_000;
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
  #logger: Logger | undefined;
  #events = new Pace<StatusEvent>(MOST_EVENTS, EVENT_INTERVAL);
  #lines = new Pace<undefined>(1, LOG_INTERVAL);
  /** Delivers what was held back. */
  #timer: ReturnType<typeof setTimeout> | undefined;
  #closed = false;

  /** Makes a hub; `logger: false` silences it. */
  constructor(logger: Logger | false = console) {
    this.#logger = logger === false ? undefined : logger;
  }

  /** Reports what has happened. */
  emit(level: StatusLevel, type: StatusEventType, text: string, details: Partial<StatusEvent> = {}): void {
    if (this.#closed) return;
    const event: StatusEvent = { ...details, type, level, text: plain(text, MOST_TEXT), at: new Date() };
    if (this.#readers.size > 0) this.#deliver(event);
    if (level !== "info") this.#log(level, event);
  }

  /** What receives a failure of work that nobody waits for: it becomes an event that names the work. */
  failureOf(type: StatusEventType, work: string, details: Partial<StatusEvent> = {}): (error: unknown) => void {
    return (error) => {
      const reason = reasonOf(error);
      this.emit("error", type, `${work} failed: ${reason}`, { ...details, error });
    };
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

  #log(level: "warning" | "error", event: StatusEvent): void {
    if (this.#logger === undefined) return;
    const { type, group = "", broker, topic = "", error } = event;
    const repeated = this.#lines.pass(type, `${group} ${broker ?? topic}`, undefined, event.at.getTime());
    if (repeated === undefined) return;
    const more = repeated === 0 ? "" : ` (${repeated} more like it since the last line)`;
    const text = `[rocketmq] ${type}: ${event.text}${more}`;
    const details = error === undefined ? [] : [error];
    try {
      const logger: { readonly [L in "warn" | "error"]: (text: string, error?: unknown) => unknown } = this.#logger;
      const logged = level === "error" ? logger.error(text, ...details) : logger.warn(text, ...details);
      if (isPromise(logged)) inBackground(Promise.resolve(logged), unheard);
    } catch {
      // A logger that fails must not take down what it was to report.
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
