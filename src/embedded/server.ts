/**
 * The port of an embedded broker or name server: its connections, and requests to its handler.
 *
 * @module
 */

import { NetworkError } from "../errors.ts";
import { inBackground, unheard } from "../owned_work.ts";
import { Connection, type RequestHandler } from "../transport/connection.ts";
import { formatAddress, type Listener, type Socket, type Transport } from "../transport/transport.ts";
import { ResponseCode } from "../wire/codes.ts";
import { Pause } from "./pause.ts";
import type { CheckedServerOptions } from "./server_options.ts";
import { UnfinishedFrames } from "./unfinished_frames.ts";

/**
 * Options of {@linkcode EmbeddedBroker.pause}.
 *
 * @category Test
 */
export interface PauseOptions {
  /**
   * Whether bytes from clients are still read, though requests are not handled. With `false` the writes of clients
   * block once the buffers of the operating system are full.
   *
   * @default {true}
   */
  reading?: boolean;
}

/** What a server calls. */
export interface ServerEvents {
  /** Handles a request. */
  readonly onRequest: RequestHandler;
  /** Called when a connection has ended. */
  readonly onClosed: (connection: Connection) => void;
}

const notReady: ServerEvents = {
  onRequest: () => ({ code: ResponseCode.SYSTEM_ERROR, remark: "name server not ready" }),
  onClosed: () => {},
};

/** An open port and its connections. */
export class Server {
  #transport: Transport;
  #options: CheckedServerOptions;
  #events: ServerEvents = notReady;
  #listener: Listener | undefined;
  #isOpen = false;
  #port = 0;
  #pause: Pause | undefined;
  #connections = new Set<Connection>();
  #unfinished: UnfinishedFrames;

  /** Makes a server that is not open yet. */
  constructor(transport: Transport, options: CheckedServerOptions) {
    this.#transport = transport;
    this.#options = options;
    this.#unfinished = new UnfinishedFrames(options.maxUnfinishedBytes);
  }

  /** Sets what handles requests; possible after the port was opened, because answers contain the port. */
  serve(events: ServerEvents): void {
    this.#events = events;
  }

  /** Its `host:port` for clients; the same while it is closed. */
  get address(): string {
    const { host } = this.#options;
    return formatAddress(host === "0.0.0.0" ? "127.0.0.1" : host === "::" ? "::1" : host, this.#port);
  }

  /** Whether the port is open. */
  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** When it was active last, in milliseconds since 1970: now, or when its pause began; undefined if it is closed. */
  get seenAt(): number | undefined {
    return this.#isOpen ? this.#pause?.since ?? Date.now() : undefined;
  }

  /** How many connections are open. */
  get connections(): number {
    return this.#connections.size;
  }

  /** Opens a port; 0 selects a free one. */
  async open(port: number): Promise<void> {
    const { host } = this.#options;
    this.#isOpen = true; // a client may connect before the listener is returned
    try {
      this.#listener = await this.#transport.listen(host, port, (socket) => this.#accept(socket));
      this.#port = this.#listener.port;
    } catch (cause) {
      this.#isOpen = false;
      const message = `Cannot open port ${port} on ${host}`;
      throw new NetworkError(message, formatAddress(host, port), "CONNECT_FAILED", { cause });
    }
  }

  /** Opens the same port again. */
  reopen(): Promise<void> {
    return this.open(this.#port);
  }

  /** Stops all activity until {@linkcode resume}: connections stay open, and new ones are accepted. */
  pause({ reading = true }: PauseOptions): void {
    if (this.#isOpen) this.#pause ??= new Pause(reading);
  }

  /**
   * Resumes, and handles what has arrived during the pause.
   *
   * Ends of connections are handled first, as in real servers, where requests wait for threads: the requests of a
   * connection that has ended are handled after its end.
   */
  async resume(): Promise<void> {
    const pause = this.#pause;
    await pause?.readAll();
    if (pause !== undefined && pause === this.#pause) this.#endPause(true);
  }

  /** Closes the port and all connections, at once. */
  async close(): Promise<void> {
    this.#isOpen = false;
    this.#endPause(false);
    const closed = this.#listener?.close();
    this.#listener = undefined;
    const connections = [...this.#connections];
    for (const connection of connections) connection.close();
    await closed;
    await Promise.all(connections.map((connection) => connection.closed));
  }

  #endPause(resumed: boolean): void {
    const pause = this.#pause;
    this.#pause = undefined;
    for (const connection of pause?.ended ?? []) this.#events.onClosed(connection);
    pause?.end(resumed);
  }

  #accept(socket: Socket): void {
    if (!this.#isOpen || this.#connections.size >= this.#options.maxConnections) {
      socket.close();
      return;
    }
    const frame = this.#unfinished.add(() => socket.close());
    const pausable = this.#pausable(socket, (bytes) => this.#unfinished.push(frame, bytes));
    const connection = new Connection(pausable, undefined, {
      onRequest: (request, from) => {
        const { onRequest } = this.#events;
        return this.#pause === undefined ? onRequest(request, from) : this.#pause.handle(onRequest, request, from);
      },
      maxQueuedBytes: this.#options.maxUnreadBytes,
      cutsOversized: true,
    });
    this.#connections.add(connection);
    this.#pause?.arrived();
    const closed = connection.closed.then(() => {
      this.#connections.delete(connection);
      this.#unfinished.remove(frame);
      if (this.#pause === undefined) this.#events.onClosed(connection);
      else this.#pause.connectionEnded(connection);
    });
    inBackground(closed, unheard);
  }

  /** A socket that is neither read nor written while the server is paused; `count` is called with what is read. */
  #pausable(socket: Socket, count: (bytes: Uint8Array) => void): Socket {
    return {
      remoteAddress: socket.remoteAddress,
      localPort: socket.localPort,
      localHost: socket.localHost,
      receive: (onBytes) => {
        const read = (bytes: Uint8Array) => {
          count(bytes);
          return onBytes(bytes);
        };
        return socket.receive((bytes) => this.#pause === undefined ? read(bytes) : this.#pause.read(bytes, read));
      },
      write: (bytes) => this.#pause === undefined ? socket.write(bytes) : this.#pause.write(() => socket.write(bytes)),
      close: () => socket.close(),
    };
  }
}
