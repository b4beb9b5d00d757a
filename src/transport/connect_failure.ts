/**
 * Why a connection could not be opened, in words that are the same on all runtimes.
 *
 * @module
 */

import { RocketMQError, TimeoutError } from "../errors.ts";
import { excerpt, reasonOf } from "../plain_text.ts";

/** Why a connection could not be opened. */
export interface ConnectFailure {
  /** What is wrong, and what to do about it. */
  readonly text: string;
  /** Whether trying again cannot help. */
  readonly isFinal: boolean;
}

/** What runtimes say, by the name, the code or the words of their errors. */
interface Known extends ConnectFailure {
  readonly matches: RegExp;
}

const KNOWN: readonly Known[] = [
  {
    matches: /NotCapable|PermissionDenied|Requires net access|\bEPERM\b/,
    text: "the program may not open connections there; run it with --allow-net, or add this address to its list",
    isFinal: true,
  },
  {
    matches: /ENOTFOUND|Name or service not known|No such host|nodename nor servname/i,
    text: "there is no host of this name; check the address, and the DNS of this machine or container",
    isFinal: true,
  },
  {
    matches: /EAI_AGAIN|Temporary failure in name resolution/i,
    text: "the host's name cannot be resolved at the moment; check the DNS of this machine or container",
    isFinal: false,
  },
  {
    matches: /ECONNREFUSED|ConnectionRefused|Connection refused/i,
    text: "the connection was refused: nothing listens there; check host and port, and whether the server is running",
    isFinal: false,
  },
  {
    matches: /EHOSTUNREACH|ENETUNREACH|No route to host|Network is unreachable/i,
    text: "there is no way to this address; check the network, and whether the address is one of another network",
    isFinal: false,
  },
  {
    matches: /CERT_ALTNAME|not valid for (any )?name|NotValidForName/i,
    text: "the server's certificate is for another name; set tls.serverName to a name that it has",
    isFinal: true,
  },
  {
    matches: /CERT_HAS_EXPIRED|certificate expired|Expired|NotValidYet/,
    text: "the server's certificate is not valid at this time; renew it, or check the clock",
    isFinal: true,
  },
  {
    matches:
      /UnknownIssuer|UNABLE_TO_VERIFY|SELF_SIGNED|UNABLE_TO_GET_ISSUER|invalid peer certificate|CaUsedAsEndEntity/,
    text: "the server's certificate is not trusted; give its authority as tls.caCerts, or for a test tls.verify: false",
    isFinal: true,
  },
  {
    matches: /PEM|no start line|asn1|Unable to add pem|invalid certificate/i,
    text: "tls.caCerts holds no certificates in PEM that can be read",
    isFinal: true,
  },
  {
    matches: /wrong version number|InvalidContentType|packet length too long|corrupt message/i,
    text: "the server does not speak TLS; leave tls out, or use the port that has TLS",
    isFinal: true,
  },
];

/** What to do where packets vanish. */
export const SILENT_REMEDY =
  "check host and port, and whether a firewall drops packets or the address is one of another network";

/** What is known of an error of opening a connection. */
export function connectFailure(cause: unknown): ConnectFailure {
  const words = reasonOf(cause);
  if (cause instanceof TimeoutError) {
    return { text: `nothing answered within ${Math.round(cause.timeout)} ms; ${SILENT_REMEDY}`, isFinal: false };
  }
  if (cause instanceof RocketMQError) return { text: words, isFinal: !cause.retriable };
  const { name = "", code = "" } = cause instanceof Error ? cause as Error & { readonly code?: unknown } : {};
  const known = KNOWN.find(({ matches }) => matches.test(`${name} ${String(code)} ${words}`));
  return known === undefined
    ? { text: excerpt(words), isFinal: cause instanceof TypeError }
    : { text: `${known.text} (${excerpt(words)})`, isFinal: known.isFinal };
}
