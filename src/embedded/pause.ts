/**
 * The pause of a server: it does nothing, as a process between SIGSTOP and SIGCONT.
 *
 * @module
 */

import { turn } from "../waiting.ts";
import type { Connection, Reply, RequestHandler } from "../transport/connection.ts";
import type { Command } from "../wire/frame.ts";

/** How many bytes of all connections are read during a pause; further ones stay in the sockets. */
const MAX_READ_BYTES = 64 * 1024 * 1024;

/** After how many milliseconds without an arrival all that the system has buffered counts as read. */
const IDLE = 10;
/**
 * And after how many turns of the event loop: where the process has to wait for the processor, time alone says nothing.
 */
const IDLE_TURNS = 20;

/** One pause of a server. */
export class Pause {
  /** When it began, in milliseconds since 1970. */
  readonly since = Date.now();
  #reading: boolean;
  #bytes = 0;
  #ended: Connection[] = [];
  #lastArrival = 0;
  #mayRead: Promise<void>;
  #startReading!: () => void;
  #over: Promise<boolean>;
  #end!: (resumed: boolean) => void;

  /** Begins a pause; `reading` decides whether bytes that arrive are read. */
  constructor(reading: boolean) {
    this.#reading = reading;
    this.#mayRead = new Promise((resolve) => this.#startReading = resolve);
    this.#over = new Promise((resolve) => this.#end = resolve);
  }

  /** The connections that have ended during the pause. */
  get ended(): readonly Connection[] {
    return this.#ended;
  }

  /** Records the end of a connection. */
  connectionEnded(connection: Connection): void {
    this.arrived();
    this.#ended.push(connection);
  }

  /** Records that a connection, bytes, or the end of a connection has arrived. */
  arrived(): void {
    this.#lastArrival = performance.now();
  }

  /** Reads bytes of a socket; returns a promise while they have to stay unread. */
  read(bytes: Uint8Array, onBytes: (bytes: Uint8Array) => void | Promise<void>): void | Promise<void> {
    this.arrived();
    this.#bytes += bytes.length;
    if (this.#reading && this.#bytes <= MAX_READ_BYTES) return onBytes(bytes);
    return this.#mayRead.then(() => onBytes(bytes));
  }

  /** Handles a request when the server resumes; never if it is closed. */
  async handle(handle: RequestHandler, request: Command, from: Connection): Promise<Reply> {
    return await this.#over ? await handle(request, from) : await new Promise<never>(() => {});
  }

  /** Writes when the server resumes. */
  async write(write: () => Promise<void>): Promise<void> {
    if (await this.#over) await write();
  }

  /** Reads all that has arrived, the ends of connections included. Requests are not handled yet. */
  async readAll(): Promise<void> {
    this.#reading = true;
    this.#startReading();
    this.arrived();
    let last = this.#lastArrival;
    for (let idle = 0; idle < IDLE_TURNS || performance.now() - last < IDLE; idle++) {
      await turn();
      if (this.#lastArrival === last) continue;
      last = this.#lastArrival;
      idle = 0;
    }
  }

  /** Ends the pause: what waits is handled and written, or dropped if the server does not resume. */
  end(resumed: boolean): void {
    this.#startReading();
    this.#end(resumed);
  }
}
