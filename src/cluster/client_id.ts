/**
 * The ids by which brokers distinguish clients.
 *
 * @module
 */

import { parseAddress } from "../wire/host.ts";
import { UniqueKeys } from "../wire/message_id.ts";

/**
 * A new client id: `address@random`.
 *
 * Two members of a group with one id would each take the other's queues, so nothing that two containers may share
 * (process id, host name, start time) is trusted: 64 random bits make the id.
 */
export function newClientId(localHost = "127.0.0.1"): string {
  const bytes = crypto.getRandomValues(new Uint8Array(8));
  return `${localHost}@${Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}

/**
 * A generator of unique keys for a client: they begin with its IP address, if its id has one that can stand in them.
 */
export function uniqueKeysOf(clientId: string): UniqueKeys {
  const address = clientId.slice(0, clientId.lastIndexOf("@"));
  return new UniqueKeys(parseAddress(address) === undefined ? {} : { address });
}
