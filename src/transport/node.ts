/**
 * Sockets of Node and Bun.
 *
 * @module
 */

import * as net from "node:net";
import process from "node:process";
import * as tls from "node:tls";
import { type ConnectSocketOptions, formatAddress, type Listener, type Socket, type Transport } from "./transport.ts";
import { inBackground, unheard } from "../owned_work.ts";

/** The transport of Node and Bun: `node:net` and `node:tls`. */
export const nodeTransport: Transport = {
  connect(host: string, port: number, options: ConnectSocketOptions): Promise<Socket> {
    const { signal, tls: secure } = options;
    if (signal.aborted) return Promise.reject(signal.reason);
    const socket = secure === undefined ? net.connect({ host, port }) : tls.connect({
      host,
      port,
      servername: secure.serverName ?? (net.isIP(host) === 0 ? host : ""),
      rejectUnauthorized: secure.verify ?? true,
      ...(secure.caCerts === undefined ? {} : { ca: [...secure.caCerts] }),
    });
    return new Promise((resolve, reject) => {
      const finish = (settle: () => void) => {
        signal.removeEventListener("abort", abort);
        socket.removeListener("error", fail);
        settle();
      };
      const abort = () => {
        socket.destroy();
        finish(() => reject(signal.reason));
      };
      const fail = (error: Error) => finish(() => reject(error));
      socket.once("error", fail);
      signal.addEventListener("abort", abort, { once: true });
      socket.once(secure === undefined ? "connect" : "secureConnect", () => {
        socket.setNoDelay(true);
        socket.setKeepAlive(true);
        finish(() => resolve(new NodeSocket(socket)));
      });
    });
  },

  listen(host: string, port: number, onSocket: (socket: Socket) => void): Promise<Listener> {
    const server = net.createServer({ noDelay: true }, (socket) => onSocket(new NodeSocket(socket)));
    return new Promise((resolve, reject) => {
      server.once("error", reject);
      server.listen(port, host, () => {
        resolve({
          port: (server.address() as net.AddressInfo).port,
          close: () => {
            server.close();
            return Promise.resolve();
          },
        });
      });
    });
  },

  environment(name: string): string | undefined {
    return process.env[name];
  },
};

class NodeSocket implements Socket {
  readonly remoteAddress: string;
  readonly localHost: string;
  readonly localPort: number;
  #socket: net.Socket;
  #closed: Promise<void>;

  constructor(socket: net.Socket) {
    this.#socket = socket;
    this.remoteAddress = formatAddress(socket.remoteAddress ?? "unknown", socket.remotePort ?? 0);
    this.localHost = socket.localAddress ?? "127.0.0.1";
    this.localPort = socket.localPort ?? 0;
    let failure: Error | undefined;
    socket.once("error", (error) => failure = error);
    this.#closed = new Promise((resolve, reject) => {
      socket.once("close", () => failure === undefined ? resolve() : reject(failure));
    });
    inBackground(this.#closed, unheard); // receive() is where it is heard
  }

  receive(onBytes: (bytes: Uint8Array) => void | Promise<void>): Promise<void> {
    return new Promise((resolve, reject) => {
      const fail = (error: unknown) => {
        this.#socket.destroy();
        reject(error);
      };
      this.#socket.on("data", (bytes) => {
        try {
          const taken = onBytes(bytes as Uint8Array);
          if (taken === undefined) return;
          this.#socket.pause();
          inBackground(taken.then(() => void this.#socket.resume()), fail);
        } catch (error) {
          fail(error);
        }
      });
      this.#socket.once("end", resolve);
      inBackground(this.#closed.then(resolve), reject);
    });
  }

  write(bytes: Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#socket.write(bytes, (error) => error ? reject(error) : resolve());
    });
  }

  close(): void {
    this.#socket.destroy();
  }
}
