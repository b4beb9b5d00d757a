/**
 * Hosts as records and message ids hold them: an IPv4 or IPv6 address, then the port as int32.
 *
 * @module
 */

import { ValidationError } from "../errors.ts";

/** The bytes of a host with an IPv4 address. */
export const HOST_SIZE_V4 = 8;
/** The bytes of a host with an IPv6 address. */
export const HOST_SIZE_V6 = 20;

const OCTET = "(25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)";
const IPV4 = new RegExp(`^${OCTET}\\.${OCTET}\\.${OCTET}\\.${OCTET}$`);

/** Reads an IP address as its 4 or 16 bytes; undefined if it is none (a name, for instance). */
export function parseAddress(address: string): Uint8Array | undefined {
  const octets = IPV4.exec(address);
  if (octets !== null) return Uint8Array.from(octets.slice(1), Number);
  return /^[0-9a-fA-F:.]+$/.test(address) && address.includes(":") ? parseIPv6(address) : undefined;
}

function parseIPv6(address: string): Uint8Array | undefined {
  const url = `http://[${address}]/`;
  if (!URL.canParse(url)) return undefined;
  // A URL's host comes back without zeros in front and without an IPv4 tail, and at most one gap is left to fill.
  const [head = "", tail = ""] = new URL(url).hostname.slice(1, -1).split("::");
  const before = head === "" ? [] : head.split(":");
  const after = tail === "" ? [] : tail.split(":");
  const groups = [...before, ...Array<string>(8 - before.length - after.length).fill("0"), ...after];
  const bytes = new Uint8Array(16);
  const view = new DataView(bytes.buffer);
  groups.forEach((group, i) => view.setUint16(2 * i, parseInt(group, 16)));
  return bytes;
}

/**
 * Reads `host:port`, an IPv6 address in brackets, as its 8 or 20 bytes.
 *
 * @throws {ValidationError} if the host is not an IP address or the port not a number from 0 to 65 535
 */
export function parseHost(text: string): Uint8Array {
  const [, v6, v4 = "", port] = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text) ?? [];
  const address = parseAddress(v6 ?? v4);
  if (address === undefined || (v6 === undefined) !== (address.length === 4) || Number(port) > 65_535) {
    throw new ValidationError("encode a host", [{
      field: "host",
      value: text,
      allowed: `an IP address with a port: "10.0.0.1:10911", "[::1]:10911"`,
    }]);
  }
  const bytes = new Uint8Array(address.length + 4);
  bytes.set(address);
  new DataView(bytes.buffer).setInt32(address.length, Number(port));
  return bytes;
}

/** Writes the IP address in `bytes[start, end)`, 4 or 16 bytes, as text. */
export function formatAddress(bytes: Uint8Array, start: number, end: number): string {
  if (end - start === 4) return `${bytes[start]}.${bytes[start + 1]}.${bytes[start + 2]}.${bytes[start + 3]}`;
  const groups: string[] = [];
  for (let at = start; at < end; at += 2) groups.push(((bytes[at]! << 8) | bytes[at + 1]!).toString(16));
  return new URL(`http://[${groups.join(":")}]/`).hostname.slice(1, -1); // writes the short form
}

/** Writes the host in `bytes[start, end)`, 8 or 20 bytes, as `host:port`, an IPv6 address in brackets. */
export function formatHost(bytes: Uint8Array, start: number, end: number): string {
  const portAt = end - 4;
  const port = (bytes[portAt]! << 24) | (bytes[portAt + 1]! << 16) | (bytes[portAt + 2]! << 8) | bytes[portAt + 3]!;
  const address = formatAddress(bytes, start, portAt);
  return end - start === HOST_SIZE_V4 ? `${address}:${port}` : `[${address}]:${port}`;
}
