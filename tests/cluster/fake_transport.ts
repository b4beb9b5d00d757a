/** A transport whose connection attempts a test decides. */

import { denoTransport } from "../../src/transport/deno.ts";
import type { ConnectSocketOptions, Listener, Socket, Transport } from "../../src/transport/transport.ts";
import { Changes } from "../transport/waiting.ts";

/** What becomes of a connection attempt: a socket, or what it throws. */
export type Dial = (host: string, port: number, options: ConnectSocketOptions) => Promise<Socket>;

/** Counts attempts and sockets, and leaves the rest to a {@linkcode Dial}, by default that of Deno. */
export class FakeTransport implements Transport {
  /** The `host:port` of every attempt. */
  readonly dialed: string[] = [];
  /** How many sockets are open. */
  open = 0;
  dial: Dial;
  #changes = new Changes();

  constructor(dial: Dial = denoTransport.connect) {
    this.dial = dial;
  }

  async connect(host: string, port: number, options: ConnectSocketOptions): Promise<Socket> {
    this.dialed.push(`${host}:${port}`);
    this.#changes.notify();
    const socket = await this.dial(host, port, options);
    this.open++;
    let isOpen = true;
    return {
      remoteAddress: socket.remoteAddress,
      localHost: socket.localHost,
      localPort: socket.localPort,
      receive: (onBytes) => socket.receive(onBytes),
      write: (bytes) => socket.write(bytes),
      close: () => {
        if (isOpen) this.open--;
        isOpen = false;
        socket.close();
      },
    };
  }

  listen(host: string, port: number, onSocket: (socket: Socket) => void): Promise<Listener> {
    return denoTransport.listen(host, port, onSocket);
  }

  environment(_name: string): string | undefined {
    return undefined;
  }

  /** Resolves when there have been that many attempts. */
  untilDialed(count: number): Promise<void> {
    return this.#changes.until(() => this.dialed.length >= count, `${count} connection attempts`);
  }
}
