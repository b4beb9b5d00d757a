/**
 * Which sockets this runtime has.
 *
 * @module
 */

import type { Transport } from "./transport.ts";

/** The transport of the runtime that this program runs on. Loaded when asked for: the other one never is. */
export async function defaultTransport(): Promise<Transport> {
  if ("Deno" in globalThis) return (await import("./deno.ts")).denoTransport;
  return (await import("./node.ts")).nodeTransport;
}
