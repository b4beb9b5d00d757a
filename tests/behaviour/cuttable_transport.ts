/**
 * Sockets that can be cut: how a scenario ends a client as a crash of its process or network would.
 *
 * @module
 */

import { defaultTransport } from "../../src/transport/default.ts";
import type { ConnectSocketOptions, Listener, Socket, Transport } from "../../src/transport/transport.ts";

/** The transport of the runtime, with a hand on all its sockets. */
export class CuttableTransport implements Transport {
  #inner: Transport;
  #sockets = new Set<Socket>();
  #isCut = false;

  private constructor(inner: Transport) {
    this.#inner = inner;
  }

  /** Wraps the transport of the runtime that this program runs on. */
  static async make(): Promise<CuttableTransport> {
    return new CuttableTransport(await defaultTransport());
  }

  /** How many sockets are open. */
  get open(): number {
    return this.#sockets.size;
  }

  /** Closes all sockets without a word, and refuses new ones until {@linkcode heal}. */
  cut(): void {
    this.#isCut = true;
    for (const socket of [...this.#sockets]) socket.close();
  }

  /** Lets new sockets be opened again. */
  heal(): void {
    this.#isCut = false;
  }

  async connect(host: string, port: number, options: ConnectSocketOptions): Promise<Socket> {
    this.#refuseIfCut();
    const socket = await this.#inner.connect(host, port, options);
    const watched = new WatchedSocket(socket, () => this.#sockets.delete(watched));
    this.#sockets.add(watched);
    if (this.#isCut) watched.close();
    this.#refuseIfCut();
    return watched;
  }

  listen(host: string, port: number, onSocket: (socket: Socket) => void): Promise<Listener> {
    return this.#inner.listen(host, port, onSocket);
  }

  environment(name: string): string | undefined {
    return this.#inner.environment(name);
  }

  #refuseIfCut(): void {
    if (this.#isCut) throw new TypeError("the network is cut");
  }
}

class WatchedSocket implements Socket {
  #socket: Socket;
  #onClosed: () => void;

  constructor(socket: Socket, onClosed: () => void) {
    this.#socket = socket;
    this.#onClosed = onClosed;
  }

  get remoteAddress(): string {
    return this.#socket.remoteAddress;
  }

  get localHost(): string {
    return this.#socket.localHost;
  }

  get localPort(): number {
    return this.#socket.localPort;
  }

  receive(onBytes: (bytes: Uint8Array) => void | Promise<void>): Promise<void> {
    return this.#socket.receive(onBytes);
  }

  write(bytes: Uint8Array): Promise<void> {
    return this.#socket.write(bytes);
  }

  close(): void {
    this.#onClosed();
    this.#socket.close();
  }
}
