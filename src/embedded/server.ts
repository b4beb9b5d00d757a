/**
 * The port of a broker: connections in, requests to the handlers.
 *
 * @module
 */

import { NetworkError } from "../errors.ts";
import { Connection, type RequestHandler } from "../transport/connection.ts";
import { ResponseCode } from "../wire/codes.ts";
import { formatAddress, type Listener, type Socket, type Transport } from "../transport/transport.ts";

/** How many bytes may wait for a client that does not read, before it is cut off. */
const MAX_QUEUED_BYTES = 256 * 1024 * 1024;

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
  #events: ServerEvents = notReady;
  #listener: Listener | undefined;
  #isOpen = false;
  #connections = new Set<Connection>();

  /** Makes a server that is not open yet. */
  constructor(transport: Transport, host: string) {
    this.#transport = transport;
    this.#host = host;
  }

  /** Says who serves, which may be after the port was opened: the port is part of what is served. */
  serve(events: ServerEvents): void {
    this.#events = events;
  }

  /** Whether the port is open. */
  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** How many connections are open. */
  get connections(): number {
    return this.#connections.size;
  }

  /** Opens the port; gives its number. */
  async open(port: number): Promise<number> {
    this.#isOpen = true; // a client may be there before the listener is
    try {
      this.#listener = await this.#transport.listen(this.#host, port, (socket) => this.#accept(socket));
      return this.#listener.port;
    } catch (cause) {
      this.#isOpen = false;
      const message = `Cannot open port ${port} on ${this.#host}`;
      throw new NetworkError(message, formatAddress(this.#host, port), "CONNECT_FAILED", { cause });
    }
  }

  /** Closes the port and all connections, at once. */
  async close(): Promise<void> {
    this.#isOpen = false;
    const closed = this.#listener?.close();
    this.#listener = undefined;
    const connections = [...this.#connections];
    for (const connection of connections) connection.close();
    await closed;
    await Promise.all(connections.map((connection) => connection.closed));
  }

  #accept(socket: Socket): void {
    if (!this.#isOpen) {
      socket.close();
      return;
    }
    const connection = new Connection(socket, undefined, {
      onRequest: (request, from) => this.#events.onRequest(request, from),
      maxQueuedBytes: MAX_QUEUED_BYTES,
      cutsOversized: true,
    });
    this.#connections.add(connection);
    connection.closed.then(() => {
      this.#connections.delete(connection);
      this.#events.onClosed(connection);
    });
  }
}
