/**
 * How sockets are opened: for a transport of your own, through a proxy or in memory.
 *
 * @module
 */

export type { ConnectSocketOptions, Listener, Socket, TlsOptions, Transport } from "./transport.ts";
