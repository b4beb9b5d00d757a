/**
 * The port of a broker: connections in, requests to the handlers.
 *
 * @module
 */

import { NetworkError } from "../errors.ts";
import { Connection, type RequestHandler } from "../transport/connection.ts";
import { ResponseCode } from "../wire/codes.ts";
import { formatAddress, type Listener, type Socket, type Transport } from "../transport/transport.ts";
import { Silence } from "./silence.ts";
import { inBackground, unheard } from "../owned_work.ts";

/** How a server is paused. */
export interface PauseOptions {
  /**
   * Whether what clients send is still read, though not served. Otherwise their writes stand, too, once the buffers of
   * the system are full.
   *
   * @default {true}
   */
  reading?: boolean;
}

/** What clients may take of a server. */
export interface ServerLimits {
  /** The most connections; one more is closed at once. */
  readonly maxConnections: number;
  /** How many bytes may wait for a client that does not read, before it is cut off. */
  readonly maxUnreadBytes: number;
}

/** What a server tells its owner. */
export interface ServerEvents {
  /** Serves a request. */
  readonly onRequest: RequestHandler;
  /** A connection is gone. */
  readonly onClosed: (connection: Connection) => void;
}

const notReady: ServerEvents = {
  onRequest: () => ({ code: ResponseCode.SYSTEM_ERROR, remark: "name server not ready" }),
  onClosed: () => {},
};

/** An open port and its connections. */
export class Server {
  #transport: Transport;
  #host: string;
  #limits: ServerLimits;
  #events: ServerEvents = notReady;
  #listener: Listener | undefined;
  #isOpen = false;
  #port = 0;
  #silence: Silence | undefined;
  #connections = new Set<Connection>();

  /** Makes a server that is not open yet. */
  constructor(transport: Transport, host: string, limits: ServerLimits) {
    this.#transport = transport;
    this.#host = host;
    this.#limits = limits;
  }

  /** Says who serves, which may be after the port was opened: the port is part of what is served. */
  serve(events: ServerEvents): void {
    this.#events = events;
  }

  /** Its `host:port`, as clients reach it; the same while it is closed. */
  get address(): string {
    const host = this.#host === "0.0.0.0" ? "127.0.0.1" : this.#host === "::" ? "::1" : this.#host;
    return formatAddress(host, this.#port);
  }

  /** Whether the port is open. */
  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** When it was last able to do anything, in milliseconds since 1970; undefined while it is closed. */
  get seenAt(): number | undefined {
    return this.#isOpen ? this.#silence?.since ?? Date.now() : undefined;
  }

  /** How many connections are open. */
  get connections(): number {
    return this.#connections.size;
  }

  /** Opens a port; 0 takes a free one. */
  async open(port: number): Promise<void> {
    this.#isOpen = true; // a client may be there before the listener is
    try {
      this.#listener = await this.#transport.listen(this.#host, port, (socket) => this.#accept(socket));
      this.#port = this.#listener.port;
    } catch (cause) {
      this.#isOpen = false;
      const message = `Cannot open port ${port} on ${this.#host}`;
      throw new NetworkError(message, formatAddress(this.#host, port), "CONNECT_FAILED", { cause });
    }
  }

  /** Opens the port that it had. */
  reopen(): Promise<void> {
    return this.open(this.#port);
  }

  /** Stops doing anything, with connections open and new ones accepted, until {@linkcode resume}. */
  pause({ reading = true }: PauseOptions): void {
    if (this.#isOpen) this.#silence ??= new Silence(reading);
  }

  /**
   * Goes on with what has arrived meanwhile.
   *
   * Ends of connections are noticed first, as by real servers, which hand requests to threads: what a connection asked
   * for that has ended is done all the same.
   */
  async resume(): Promise<void> {
    const silence = this.#silence;
    await silence?.readOn();
    if (silence !== undefined && silence === this.#silence) this.#endSilence(true);
  }

  /** Closes the port and all connections, at once. */
  async close(): Promise<void> {
    this.#isOpen = false;
    this.#endSilence(false);
    const closed = this.#listener?.close();
    this.#listener = undefined;
    const connections = [...this.#connections];
    for (const connection of connections) connection.close();
    await closed;
    await Promise.all(connections.map((connection) => connection.closed));
  }

  #endSilence(goesOn: boolean): void {
    const silence = this.#silence;
    this.#silence = undefined;
    for (const connection of silence?.ended ?? []) this.#events.onClosed(connection);
    silence?.end(goesOn);
  }

  #accept(socket: Socket): void {
    if (!this.#isOpen || this.#connections.size >= this.#limits.maxConnections) {
      socket.close();
      return;
    }
    const connection = new Connection(this.#pausable(socket), undefined, {
      onRequest: (request, from) => {
        const { onRequest } = this.#events;
        return this.#silence === undefined ? onRequest(request, from) : this.#silence.serve(onRequest, request, from);
      },
      maxQueuedBytes: this.#limits.maxUnreadBytes,
      cutsOversized: true,
    });
    this.#connections.add(connection);
    this.#silence?.arrived();
    const closed = connection.closed.then(() => {
      this.#connections.delete(connection);
      if (this.#silence === undefined) this.#events.onClosed(connection);
      else this.#silence.take(connection);
    });
    inBackground(closed, unheard);
  }

  /** A socket that a pause of the server keeps from being read and written. */
  #pausable(socket: Socket): Socket {
    return {
      remoteAddress: socket.remoteAddress,
      localPort: socket.localPort,
      localHost: socket.localHost,
      receive: (onBytes) =>
        socket.receive((bytes) => this.#silence === undefined ? onBytes(bytes) : this.#silence.read(bytes, onBytes)),
      write: (bytes) =>
        this.#silence === undefined ? socket.write(bytes) : this.#silence.write(() => socket.write(bytes)),
      close: () => socket.close(),
    };
  }
}
