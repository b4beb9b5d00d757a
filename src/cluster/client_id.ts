/**
 * What brokers tell clients apart by.
 *
 * @module
 */

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
