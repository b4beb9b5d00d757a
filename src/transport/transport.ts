/**
 * What the rest of the package needs from a runtime: sockets, and a look at the environment.
 *
 * A transport is a value that is handed in, never a module variable: two may live in one process.
 *
 * @module
 */

import { isPlain } from "../plain_text.ts";

/**
 * How a connection is encrypted.
 *
 * @category Start
 */
export interface TlsOptions {
  /** Certificates, in PEM, of the authorities that may have signed the server's. @default the system's */
  readonly caCerts?: readonly string[];
  /** The name that the server's certificate must carry. @default the host of its address */
  readonly serverName?: string;
  /** Whether the server's certificate is checked. Brokers ship with self-signed test certificates. @default {true} */
  readonly verify?: boolean;
}

/**
 * What {@linkcode Transport.connect} takes.
 *
 * @category Advanced
 */
export interface ConnectSocketOptions {
  /** Ends the attempt when it aborts, with its reason. */
  readonly signal: AbortSignal;
  /** Encrypts the connection. */
  readonly tls?: TlsOptions | undefined;
}

/**
 * One open connection, as bytes.
 *
 * @category Advanced
 */
export interface Socket {
  /** The other side's `host:port`. */
  readonly remoteAddress: string;
  /** Our own address, without port. */
  readonly localHost: string;
  /** Our own port. */
  readonly localPort: number;
  /**
   * Hands every piece of bytes to `onBytes` as it arrives, until the other side ends the stream (resolves) or the
   * connection breaks (rejects). The bytes are valid during the call only: the buffer is used again. If the call
   * returns a promise, they are valid until it resolves, and nothing more is read before.
   */
  receive(onBytes: (bytes: Uint8Array) => void | Promise<void>): Promise<void>;
  /** Writes all of `bytes`; they may be overwritten once it resolves. Calls must not overlap. */
  write(bytes: Uint8Array): Promise<void>;
  /** Closes at once; a pending `receive` or `write` ends. Safe to call twice. */
  close(): void;
}

/**
 * An open port.
 *
 * @category Advanced
 */
export interface Listener {
  /** The port that was opened. */
  readonly port: number;
  /** Closes the port; accepted connections stay open. */
  close(): Promise<void>;
}

/**
 * A runtime's sockets.
 *
 * @category Advanced
 */
export interface Transport {
  /** Opens a connection, with small packets sent at once (`TCP_NODELAY`). */
  connect(host: string, port: number, options: ConnectSocketOptions): Promise<Socket>;
  /** Opens a port and hands every accepted connection to `onSocket`. Port 0 takes a free one. */
  listen(host: string, port: number, onSocket: (socket: Socket) => void): Promise<Listener>;
  /** An environment variable, if this program may read it without asking for permission. */
  environment(name: string): string | undefined;
}

/** An address, taken apart; IPv6 hosts stand in brackets. */
export interface HostPort {
  /** The host's name or number, without brackets. */
  readonly host: string;
  /** The port, 1 to 65535. */
  readonly port: number;
}

/** Takes `host:port` or `[v6]:port` apart; undefined if it is neither. */
export function parseAddress(address: string): HostPort | undefined {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^\s:/@[\]]+)):(\d{1,5})$/.exec(address);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  return host === undefined || port < 1 || port > 65_535 || !isPlain(host) ? undefined : { host, port };
}

/** Puts an address together. */
export function formatAddress(host: string, port: number): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}
