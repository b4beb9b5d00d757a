/**
 * Peers that speak another protocol, recognised by the first bytes that they send.
 *
 * @module
 */

import { NetworkError } from "../errors.ts";

const text = new TextDecoder("latin1");

/**
 * What speaks to us, if it is not remoting; undefined for what may be a frame, which begins with a length below 16 MiB
 * and the length of its header. Sources: RFC 9112, RFC 9113 section 4.1, RFC 8446 section 5.1.
 */
export function foreignProtocol(bytes: Uint8Array): string | undefined {
  const [first, second, , type] = bytes;
  const start = text.decode(bytes.subarray(0, 16));
  if (/^HTTP\/\d/.test(start)) return "it speaks HTTP: use the remoting port of the name server or broker";
  if (first === 0x15 && second === 3) return "it answers with an alert of TLS: it requires TLS, set tls";
  if (first === 0x16 && second === 3) return "it speaks TLS: set tls";
  if (
    bytes.length >= 9 && first === 0 && second === 0 && type === 4 && bytes.subarray(4, 9).every((byte) => byte === 0)
  ) {
    return "it speaks HTTP/2, as the gRPC port of a RocketMQ proxy does (8081): use a remoting port " +
      "(the proxy's 8080, or the name server's 9876)";
  }
  if (/^(SSH-|220 |\+OK|-ERR|\* OK)/.test(start)) return `it is no RocketMQ server, it begins with "${start.trim()}"`;
  return undefined;
}

/** @throws {NetworkError} `MALFORMED_FRAME` if a peer speaks another protocol */
export function requireRemoting(bytes: Uint8Array, address: string): void {
  const foreign = foreignProtocol(bytes);
  if (foreign !== undefined) throw new NetworkError(foreign, address, "MALFORMED_FRAME");
}
