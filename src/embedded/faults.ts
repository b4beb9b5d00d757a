/**
 * Faults that a test injects into an embedded server.
 *
 * @module
 */

import { ValidationError } from "../errors.ts";
import { notAPromise } from "../owned_work.ts";
import type { Connection, Reply, RequestHandler } from "../transport/connection.ts";
import type { Command } from "../wire/frame.ts";
import { requests } from "../wire/requests.ts";
import { noAnswer, type RequestFilter } from "./request_filter.ts";

/**
 * The effect of a fault on a request.
 *
 * | action | the request is handled | the answer |
 * |---|---|---|
 * | an object with `code` | no | this object |
 * | `"drop"` | no | never sent |
 * | `"dropAnswer"` | yes | never sent |
 * | `"delay"` | when the fault is released | sent then |
 * | `"delayAnswer"` | at once | sent when the fault is released |
 * | `"cut"` | no | none: the connection is closed |
 * | `"cutAnswer"` | yes | none: the connection is closed |
 *
 * @category Test
 */
export type FaultAction = FaultReply | "drop" | "dropAnswer" | "delay" | "delayAnswer" | "cut" | "cutAnswer";

/**
 * An answer that is sent in place of the real one.
 *
 * @category Test
 */
export interface FaultReply {
  /** The response code: 2 is "busy". */
  readonly code: number;
  /** The remark, which clients show in their errors. */
  readonly remark?: string;
  /** Header fields as text. */
  readonly fields?: Record<string, string>;
  /** The body. */
  readonly body?: Uint8Array;
}

/**
 * A request, as {@linkcode FaultOptions.match} receives it.
 *
 * @category Test
 */
export interface FaultRequest {
  /** The request's code. */
  readonly code: number;
  /** Its header fields as text, by their names on the wire. */
  readonly fields: Readonly<Record<string, string>>;
  /** Its body. */
  readonly body: Uint8Array;
}

/**
 * Options of {@linkcode Faults.answer}.
 *
 * @category Test
 */
export interface FaultOptions {
  /**
   * How many requests the fault affects, from 1 on; `Infinity` for all until it is removed.
   *
   * @default {1}
   */
  times?: number;
  /**
   * Selects requests by their header fields and body; the others are handled normally and do not count.
   *
   * @default every request with the code
   */
  match?: (request: FaultRequest) => boolean;
}

/**
 * An injected fault.
 *
 * @category Test
 */
export interface Fault {
  /** How many requests it has affected. */
  readonly hits: number;
  /** Resolves when it has affected that many requests, 1 by default. */
  reached(hits?: number): Promise<void>;
  /** Ends the delay of `"delay"` and `"delayAnswer"`, for the requests that wait and for later ones. */
  release(): void;
  /** Ends the fault: further requests are handled normally. Delayed requests are released. */
  remove(): void;
}

/** How many codes are counted, or a client could fill the memory with codes that no request has. */
const MOST_CODES = 4_096;

class InjectedFault implements Fault {
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

  /** Whether it affects this request; counts the request then. */
  takes(request: Command): boolean {
    if (this.#left <= 0 || request.code !== this.code || !notAPromise(this.#match(request), "match")) return false;
    this.#left--;
    this.hits++;
    for (const waiter of this.#waiting) if (waiter.hits <= this.hits) waiter.resolve();
    return true;
  }

  async apply(request: Command, connection: Connection, next: RequestHandler): Promise<Reply> {
    if (typeof this.action === "object") return this.action;
    switch (this.action) {
      case "drop":
        return noAnswer();
      case "dropAnswer":
        await next(request, connection);
        return noAnswer();
      case "delay":
        await this.#released;
        return next(request, connection);
      case "delayAnswer": {
        const reply = await next(request, connection);
        await this.#released;
        return reply;
      }
      case "cut":
        connection.close();
        return noAnswer();
      case "cutAnswer":
        await next(request, connection);
        connection.close();
        return noAnswer();
    }
  }
}

/**
 * The faults of one embedded broker or name server, and the number of requests that it has received.
 *
 * A request is affected by at most one fault: the first one injected that selects it and has times left.
 *
 * @example
 * ```ts
 * import { EmbeddedBroker } from "@denorocket/rocketmq/embedded";
 *
 * await using broker = await EmbeddedBroker.start();
 * const fault = broker.faults.answer("PullMessage", { code: 2, remark: "[OVERLOAD]" }, { times: 3 });
 * fault.hits; // 0: no pull has been received yet
 * ```
 *
 * @category Test
 */
export interface Faults {
  /**
   * Injects a fault into requests of one kind, which is a name of the table of requests or a code.
   *
   * @throws {ValidationError} if no request has that name, or an option is not allowed
   */
  answer(request: string | number, action: FaultAction, options?: FaultOptions): Fault;
  /** How many requests of a kind have been received, those affected by faults included. */
  received(request: string | number): number;
  /** Resolves when that many requests of a kind have been received; the last one may not be handled yet. */
  whenReceived(request: string | number, count: number): Promise<void>;
  /** Removes all faults. Delayed requests are released. */
  clear(): void;
}

/** The faults of one server. */
export class FaultTable implements Faults {
  /** The filter that counts requests and applies the faults. */
  readonly filter: RequestFilter = (request, connection, next) => {
    this.#count(request.code);
    const fault = this.#faults.length === 0 ? undefined : this.#faults.find((each) => each.takes(request));
    return fault === undefined ? next(request, connection) : fault.apply(request, connection, next);
  };
  #faults: InjectedFault[] = [];
  #received = new Map<number, number>();
  #waiting: { code: number; count: number; resolve: () => void }[] = [];

  answer(request: string | number, action: FaultAction, options: FaultOptions = {}): Fault {
    const times = options.times ?? 1;
    if (!(times === Infinity || (Number.isSafeInteger(times) && times >= 1))) {
      const problem = { field: "times", value: times, allowed: "a whole number from 1 on, or Infinity" };
      throw new ValidationError("inject a fault", [problem]);
    }
    const fault = new InjectedFault(codeOf(request), action, options);
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

  #count(code: number): void {
    const count = this.received(code) + 1;
    if (count > 1 || this.#received.size < MOST_CODES) this.#received.set(code, count);
    if (this.#waiting.length === 0) return;
    for (const waiter of this.#waiting) if (waiter.code === code && waiter.count <= count) waiter.resolve();
    this.#waiting = this.#waiting.filter((waiter) => waiter.code !== code || waiter.count > count);
  }
}

function codeOf(request: string | number): number {
  if (typeof request === "number") return request;
  const spec = requests.find((each) => each.name === request);
  if (spec !== undefined) return spec.code;
  const allowed = `a code, or one of ${requests.map((each) => each.name).join(", ")}`;
  throw new ValidationError("inject a fault", [{ field: "request", value: request, allowed }]);
}
