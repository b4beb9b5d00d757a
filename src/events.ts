/**
 * What a client tells about itself while it runs: typed events for `mq.status()`, and log lines where nobody reads.
 *
 * @module
 */

import type { MessageQueue } from "./message.ts";

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
  | "skipped"
  | "deadLettered"
  | "lockLost"
  | "mixedSubscriptions"
  | "duplicateClientId"
  | "broken"
  | "lost";

/** How much an event matters: warnings and errors go to the logger where nobody reads events. */
export type StatusLevel = "info" | "warning" | "error";

/** One event of a client or of one of its consumers. */
export interface StatusEvent {
  /** What happened. */
  readonly type: StatusEventType;
  /** How much it matters. */
  readonly level: StatusLevel;
  /** When, by this process's clock. */
  readonly at: Date;
  /** The event in words. */
  readonly text: string;
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

/** Takes warnings and errors while nobody reads `status()`; `console` fits. */
export interface Logger {
  /** Something is not as it should be, and is being dealt with. */
  warn(text: string, error?: unknown): void;
  /** Something failed. */
  error(text: string, error?: unknown): void;
}

/** How many events wait for one reader before the oldest are dropped. */
const READER_CAPACITY = 1_000;
/** A kind of event is logged at most once in this time, in milliseconds. */
const LOG_INTERVAL = 60_000;

interface Reader {
  readonly events: StatusEvent[];
  dropped: number;
  readonly asking: (() => void)[];
  done: boolean;
}

/** Hands events to all readers, each at its own pace. */
export class EventHub {
  #readers = new Set<Reader>();
  #logger: Logger | undefined;
  #lastLogged = new Map<string, number>();
  #closed = false;

  /** Makes a hub; `logger: false` silences it. */
  constructor(logger: Logger | false = console) {
    this.#logger = logger === false ? undefined : logger;
  }

  /** Tells everybody. */
  emit(level: StatusLevel, type: StatusEventType, text: string, details: Partial<StatusEvent> = {}): void {
    if (this.#closed) return;
    const event: StatusEvent = { ...details, type, level, text, at: new Date() };
    for (const reader of this.#readers) {
      reader.events.push(event);
      if (reader.events.length > READER_CAPACITY) {
        reader.events.shift();
        reader.dropped++;
      }
      wake(reader);
    }
    if (this.#readers.size === 0 && level !== "info") this.#log(level, event);
  }

  /** Reads the events from this call on, until the hub closes or the loop is left. */
  read(): AsyncIterableIterator<StatusEvent> {
    const reader: Reader = { events: [], dropped: 0, asking: [], done: this.#closed };
    if (!this.#closed) this.#readers.add(reader);
    const finish = (): IteratorResult<StatusEvent> => {
      this.#readers.delete(reader);
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
    for (const reader of this.#readers) {
      reader.done = true;
      wake(reader);
    }
    this.#readers.clear();
  }

  #log(level: "warning" | "error", event: StatusEvent): void {
    const key = `${event.type} ${event.group ?? ""}`;
    if (this.#logger === undefined || Math.abs(event.at.getTime() - (this.#lastLogged.get(key) ?? 0)) < LOG_INTERVAL) {
      return;
    }
    this.#lastLogged.set(key, event.at.getTime());
    const text = `[rocketmq] ${event.type}: ${event.text}`;
    const details = event.error === undefined ? [] : [event.error];
    try {
      if (level === "error") this.#logger.error(text, ...details);
      else this.#logger.warn(text, ...details);
    } catch {
      // A logger that fails must not take down what it was to tell of.
    }
  }
}

/** Lets everybody look who waits for an event. */
function wake(reader: Reader): void {
  for (const ask of reader.asking.splice(0)) ask();
}
