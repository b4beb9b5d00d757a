/**
 * What goes wrong on purpose: for tests of what a client does then.
 *
 * @module
 */

import { ValidationError } from "../errors.ts";
import { notAPromise } from "../owned_work.ts";
import type { Connection, Reply, RequestHandler } from "../transport/connection.ts";
import type { Command } from "../wire/frame.ts";
import { requests } from "../wire/requests.ts";

/**
 * What happens to a request.
 *
 * | action | the request is served | the answer |
 * |---|---|---|
 * | an object with `code` | no | is this one |
 * | `"drop"` | no | never comes |
 * | `"dropAnswer"` | yes | never comes |
 * | `"delay"` | when released | comes then |
 * | `"delayAnswer"` | at once | comes when released |
 * | `"cut"` | no | the connection is closed |
 * | `"cutAnswer"` | yes | the connection is closed |
 */
export type FaultAction = FaultReply | "drop" | "dropAnswer" | "delay" | "delayAnswer" | "cut" | "cutAnswer";

/** An answer that is given instead of the real one. */
export interface FaultReply {
  /** The response code: 2 is "busy". */
  readonly code: number;
  /** Words for the client. */
  readonly remark?: string;
  /** Header fields as text. */
  readonly fields?: Record<string, string>;
  /** The body. */
  readonly body?: Uint8Array;
}

/** A request, as a fault sees it. */
export interface FaultRequest {
  /** The request's code. */
  readonly code: number;
  /** Its header fields as text, under their names on the wire. */
  readonly fields: Readonly<Record<string, string>>;
  /** Its body. */
  readonly body: Uint8Array;
}

/** Which requests a fault is for. */
export interface FaultOptions {
  /**
   * How many requests it happens to; `Infinity` for all until it is removed.
   *
   * @default {1}
   */
  times?: number;
  /**
   * Picks requests by their header fields and body; the others are served and do not count.
   *
   * @default every request with the code
   */
  match?: (request: FaultRequest) => boolean;
}

/** A fault that was ordered. */
export interface Fault {
  /** How many requests it has happened to. */
  readonly hits: number;
  /** Resolves when it has happened to that many requests: 1 unless told. */
  reached(hits?: number): Promise<void>;
  /** Lets go what `"delay"` and `"delayAnswer"` hold now, and hold from now on. */
  release(): void;
  /** Ends it: further requests are served. What it holds is let go. */
  remove(): void;
}

/** The answer that never comes; one per request, so that none keeps another's connection alive. */
function never(): Promise<never> {
  return new Promise(() => {});
}

class OrderedFault implements Fault {
  readonly code: number;
  readonly action: FaultAction;
  hits = 0;
  #left: number;
  #match: (request: FaultRequest) => boolean;
  #released: Promise<void>;
  #waiting: { hits: number; resolve: () => void }[] = [];
  release!: () => void;

  constructor(code: number, action: FaultAction, options: FaultOptions) {
    this.code = code;
    this.action = action;
    this.#left = options.times ?? 1;
    this.#match = options.match ?? (() => true);
    this.#released = new Promise((resolve) => this.release = resolve);
  }

  reached(hits = 1): Promise<void> {
    if (this.hits >= hits) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push({ hits, resolve }));
  }

  remove(): void {
    this.#left = 0;
    this.release();
  }

  /** Whether it happens to this request; counts it then. */
  takes(request: Command): boolean {
    if (this.#left <= 0 || request.code !== this.code || !notAPromise(this.#match(request), "match")) return false;
    this.#left--;
    this.hits++;
    for (const waiter of this.#waiting) if (waiter.hits <= this.hits) waiter.resolve();
    return true;
  }

  async serve(request: Command, connection: Connection, handle: RequestHandler): Promise<Reply> {
    if (typeof this.action === "object") return this.action;
    switch (this.action) {
      case "drop":
        return never();
      case "dropAnswer":
        await handle(request, connection);
        return never();
      case "delay":
        await this.#released;
        return handle(request, connection);
      case "delayAnswer": {
        const reply = await handle(request, connection);
        await this.#released;
        return reply;
      }
      case "cut":
        connection.close();
        return never();
      case "cutAnswer":
        await handle(request, connection);
        connection.close();
        return never();
    }
  }
}

/**
 * The faults of one embedded broker, and what it was asked.
 *
 * Each request takes the first ordered fault that is for it and has times left.
 *
 * @example
 * ```ts
 * import { EmbeddedBroker } from "@denorocket/rocketmq/embedded";
 *
 * await using broker = await EmbeddedBroker.start();
 * const fault = broker.faults.answer("PullMessage", { code: 2, remark: "[OVERLOAD]" }, { times: 3 });
 * fault.hits; // 0: nobody has pulled yet
 * ```
 */
export interface Faults {
  /**
   * Orders a fault for a request, given by its name in the table of requests or by its code.
   *
   * @throws {ValidationError} if no request has that name, or an option is not allowed
   */
  answer(request: string | number, action: FaultAction, options?: FaultOptions): Fault;
  /** How many requests of a kind have been received, faults included. */
  received(request: string | number): number;
  /** Resolves when that many requests of a kind have been received, which may be before they are served. */
  whenReceived(request: string | number, count: number): Promise<void>;
  /** Removes all faults; what they hold is let go. */
  clear(): void;
}

/** The faults of one broker. */
export class FaultTable implements Faults {
  #faults: OrderedFault[] = [];
  #received = new Map<number, number>();
  #waiting: { code: number; count: number; resolve: () => void }[] = [];

  answer(request: string | number, action: FaultAction, options: FaultOptions = {}): Fault {
    const times = options.times ?? 1;
    if (!(times === Infinity || (Number.isSafeInteger(times) && times >= 1))) {
      throw new ValidationError("order a fault", [{
        field: "times",
        value: times,
        allowed: "a whole number from 1 on",
      }]);
    }
    const fault = new OrderedFault(codeOf(request), action, options);
    this.#faults.push(fault);
    return fault;
  }

  received(request: string | number): number {
    return this.#received.get(codeOf(request)) ?? 0;
  }

  whenReceived(request: string | number, count: number): Promise<void> {
    const code = codeOf(request);
    if (this.received(code) >= count) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push({ code, count, resolve }));
  }

  clear(): void {
    for (const fault of this.#faults) fault.remove();
    this.#faults = [];
  }

  /** Puts the faults before a handler. */
  wrap(handle: RequestHandler): RequestHandler {
    return (request, connection) => {
      this.#count(request.code);
      const fault = this.#faults.length === 0 ? undefined : this.#faults.find((each) => each.takes(request));
      return fault === undefined ? handle(request, connection) : fault.serve(request, connection, handle);
    };
  }

  #count(code: number): void {
    const count = this.received(code) + 1;
    this.#received.set(code, count);
    for (const waiter of this.#waiting) if (waiter.code === code && waiter.count <= count) waiter.resolve();
    this.#waiting = this.#waiting.filter((waiter) => waiter.code !== code || waiter.count > count);
  }
}

function codeOf(request: string | number): number {
  if (typeof request === "number") return request;
  const spec = requests.find((each) => each.name === request);
  if (spec !== undefined) return spec.code;
  const allowed = `a code, or one of ${requests.map((each) => each.name).join(", ")}`;
  throw new ValidationError("order a fault", [{ field: "request", value: request, allowed }]);
}
