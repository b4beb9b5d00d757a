/**
 * The log of a client: one line an event, paced.
 *
 * @module
 */

import { inBackground, isPromise, unheard } from "./owned_work.ts";
import { Pace } from "./pace.ts";
import type { Logger, StatusEvent, StatusEventType } from "./status_event.ts";

/** Lines of one kind and place are written at most once in this time, in milliseconds. */
const INTERVAL = 60_000;

/** What is no fault at the level info, and no end of one. */
const NEWS: ReadonlySet<StatusEventType> = new Set(["connected", "routeChanged", "rebalanced"]);

/** Without a logger, all goes to the standard error, recoveries too: `console.info` would write to the output. */
const byDefault: Logger = {
  warn: (text) => console.warn(text),
  error: (text) => console.error(text),
};

/** Writes warnings, errors and recoveries to a logger. Nothing that it does makes this fail. */
export class EventLog {
  #logger: Logger | undefined;
  #lines = new Pace<StatusEvent>(1, INTERVAL);
  /** Writes what was left out since a line, once it may be written. */
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** Makes a log; `false` writes nothing. */
  constructor(logger: Logger | false = byDefault) {
    this.#logger = logger === false ? undefined : logger;
  }

  /** Writes the line of an event, unless one like it was written less than a minute ago: then both are one later. */
  write(event: StatusEvent): void {
    if (this.#logger === undefined || (event.level === "info" && NEWS.has(event.type))) return;
    const { type, level, group = "", broker, topic = "" } = event;
    // The end of a fault is no repetition of its beginning.
    const kind = level === "info" ? `${type} ${level}` : type;
    const repeated = this.#lines.pass(kind, `${group} ${broker ?? topic}`, event, event.at.getTime());
    if (repeated === undefined) this.#timer ??= setTimeout(() => this.#writeHeld(), INTERVAL);
    else this.#print(event, repeated === 0 ? "" : ` (${repeated} more like it since the last line)`);
  }

  /** Writes what was left out, and ends. */
  close(): void {
    this.#writeHeld(true);
    this.#lines.clear();
  }

  #writeHeld(all = false): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    for (const [event, repeated] of this.#lines.due(Date.now(), all)) this.#printHeld(event, repeated);
    if (this.#lines.isHolding) this.#timer = setTimeout(() => this.#writeHeld(), INTERVAL);
  }

  /** The end of a line that is late says when, as the fault may be over. */
  #printHeld(event: StatusEvent, repeated: number): void {
    this.#print(
      event,
      ` (${repeated + 1} like it since the last line, this at ${event.at.toISOString().slice(11, 19)} UTC)`,
    );
  }

  #print({ type, level, text }: StatusEvent, more: string): void {
    const line = `[rocketmq] ${type}: ${text}${more}`;
    const logger = this.#logger!;
    try {
      const logged: unknown = level === "error"
        ? logger.error(line)
        : level === "info" && logger.info !== undefined
        ? logger.info(line)
        : logger.warn(line);
      if (isPromise(logged)) inBackground(Promise.resolve(logged), unheard);
    } catch {
      // A logger that fails must not end what it was to log.
    }
  }
}
