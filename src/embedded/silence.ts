/**
 * A time in which a server does nothing at all, as a process between SIGSTOP and SIGCONT.
 *
 * @module
 */

import { turn } from "../waiting.ts";
import type { Connection, Reply, RequestHandler } from "../transport/connection.ts";
import type { Command } from "../wire/frame.ts";

/** How many bytes are read from all connections meanwhile; what is over stays in the sockets. */
const MAX_HELD_BYTES = 64 * 1024 * 1024;

/** How long nothing may arrive, in milliseconds, for a server that goes on to have all that the system has kept. */
const QUIET = 10;

/** One pause of a server. */
export class Silence {
  /** When it began, in milliseconds since 1970. */
  readonly since = Date.now();
  #reading: boolean;
  #bytes = 0;
  #ended: Connection[] = [];
  #lastArrival = 0;
  #mayRead: Promise<void>;
  #letRead!: () => void;
  #over: Promise<boolean>;
  #end!: (goesOn: boolean) => void;

  /** Begins; `reading` says whether what arrives is read, and kept. */
  constructor(reading: boolean) {
    this.#reading = reading;
    this.#mayRead = new Promise((resolve) => this.#letRead = resolve);
    this.#over = new Promise((resolve) => this.#end = resolve);
  }

  /** The connections that ended meanwhile. */
  get ended(): readonly Connection[] {
    return this.#ended;
  }

  /** Takes the end of a connection. */
  take(connection: Connection): void {
    this.arrived();
    this.#ended.push(connection);
  }

  /** Is told that a connection came, or bytes, or an end. */
  arrived(): void {
    this.#lastArrival = performance.now();
  }

  /** Takes bytes of a socket; a promise if they stay where they are for now. */
  read(bytes: Uint8Array, onBytes: (bytes: Uint8Array) => void | Promise<void>): void | Promise<void> {
    this.arrived();
    this.#bytes += bytes.length;
    if (this.#reading && this.#bytes <= MAX_HELD_BYTES) return onBytes(bytes);
    return this.#mayRead.then(() => onBytes(bytes));
  }

  /** Serves a request when the server goes on; never if it does not. */
  async serve(handle: RequestHandler, request: Command, from: Connection): Promise<Reply> {
    return await this.#over ? await handle(request, from) : await new Promise<never>(() => {});
  }

  /** Writes when the server goes on. */
  async write(write: () => Promise<void>): Promise<void> {
    if (await this.#over) await write();
  }

  /** Reads what has arrived, up to the ends of connections; nothing is served yet. */
  async readOn(): Promise<void> {
    this.#reading = true;
    this.#letRead();
    this.arrived();
    while (performance.now() - this.#lastArrival < QUIET) await turn();
  }

  /** Ends: what waits is served and written, or dropped if the process was killed. */
  end(goesOn: boolean): void {
    this.#letRead();
    this.#end(goesOn);
  }
}
