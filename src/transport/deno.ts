/**
 * Sockets of Deno.
 *
 * @module
 */

import { turn } from "../waiting.ts";
import {
  type ConnectSocketOptions,
  formatAddress,
  type Listener,
  type Socket,
  type TlsOptions,
  type Transport,
} from "./transport.ts";

/** One read buffer per connection; 256 KiB measured best on loopback, and no larger read pays. */
const READ_BUFFER_SIZE = 256 * 1024;

/** How long a socket is read before timers and other sockets have their turn, in milliseconds. */
const LONGEST_RUN = 3;

/** The transport of Deno: `Deno.connect` and `Deno.listen`. Needs `--allow-net` only. */
export const denoTransport: Transport = {
  async connect(host: string, port: number, options: ConnectSocketOptions): Promise<Socket> {
    const { tls, signal } = options;
    if (tls?.verify === false) {
      // Deno.startTls cannot skip the check of a certificate; node:tls, which Deno carries, can.
      const { nodeTransport } = await import("./node.ts");
      return nodeTransport.connect(host, port, options);
    }
    const conn = await Deno.connect({ hostname: host, port, signal });
    conn.setNoDelay(true);
    conn.setKeepAlive(true);
    return new DenoSocket(tls === undefined ? conn : await startTls(conn, host, tls, signal));
  },

  // deno-lint-ignore require-await -- what Deno.listen throws becomes a rejection
  async listen(host: string, port: number, onSocket: (socket: Socket) => void): Promise<Listener> {
    const listener = Deno.listen({ hostname: host, port });
    const accepting = (async () => {
      for await (const conn of listener) {
        conn.setNoDelay(true);
        onSocket(new DenoSocket(conn));
      }
    })().catch(() => {}); // closing the listener ends the loop with an error on some platforms
    return {
      port: (listener.addr as Deno.NetAddr).port,
      close: () => {
        listener.close();
        return accepting;
      },
    };
  },

  environment(name: string): string | undefined {
    const allowed = Deno.permissions.querySync({ name: "env", variable: name }).state === "granted";
    return allowed ? Deno.env.get(name) : undefined;
  },
};

async function startTls(conn: Deno.TcpConn, host: string, tls: TlsOptions, signal: AbortSignal): Promise<Deno.TlsConn> {
  let open: Deno.Conn = conn;
  const abort = () => closeQuietly(open);
  signal.addEventListener("abort", abort, { once: true });
  try {
    signal.throwIfAborted();
    const secure = await Deno.startTls(conn, {
      hostname: tls.serverName ?? host,
      ...(tls.caCerts === undefined ? {} : { caCerts: [...tls.caCerts] }),
    });
    open = secure;
    signal.throwIfAborted();
    await secure.handshake();
    return secure;
  } catch (error) {
    closeQuietly(open);
    throw signal.aborted ? signal.reason : error;
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

/** Closes a connection that the other side, or a step of TLS, may have closed before. */
function closeQuietly(conn: Deno.Conn): void {
  try {
    conn.close();
  } catch {
    // It was closed already.
  }
}

class DenoSocket implements Socket {
  readonly remoteAddress: string;
  readonly localHost: string;
  readonly localPort: number;
  #conn: Deno.Conn;
  #closed = false;

  constructor(conn: Deno.Conn) {
    this.#conn = conn;
    const remote = conn.remoteAddr as Deno.NetAddr;
    this.remoteAddress = formatAddress(remote.hostname, remote.port);
    const local = conn.localAddr as Deno.NetAddr;
    this.localHost = local.hostname;
    this.localPort = local.port;
  }

  async receive(onBytes: (bytes: Uint8Array) => void | Promise<void>): Promise<void> {
    const buffer = new Uint8Array(READ_BUFFER_SIZE);
    let lastTurn = performance.now();
    for (;;) {
      // Bytes that are there already are read without a turn of the event loop: timers and other sockets would starve.
      if (performance.now() - lastTurn > LONGEST_RUN) {
        await turn();
        lastTurn = performance.now();
      }
      let size: number | null;
      try {
        size = await this.#conn.read(buffer);
      } catch (error) {
        if (this.#closed) return;
        throw error;
      }
      if (size === null || this.#closed) return;
      const taken = onBytes(buffer.subarray(0, size));
      if (taken !== undefined) await taken;
    }
  }

  async write(bytes: Uint8Array): Promise<void> {
    let at = await this.#conn.write(bytes);
    while (at < bytes.length) at += await this.#conn.write(bytes.subarray(at));
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    closeQuietly(this.#conn);
  }
}
