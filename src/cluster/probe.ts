/**
 * Finding out whether a silent connection is dead or its server hangs.
 *
 * @module
 */

import type { RocketMQError } from "../errors.ts";
import type { Connection, OutgoingRequest } from "../transport/connection.ts";
import { inBackground, unheard } from "../owned_work.ts";

/** How long a server that hangs is waited for on one probe, in milliseconds. */
const PROBE_TIMEOUT = 60_000;
/** How long the silent connection may take to speak once the probe is answered, in milliseconds. */
const LAST_CHANCE = 1_000;

/** What a {@linkcode Probe} works with. */
export interface ProbeContext {
  /** Opens a connection on which the server knows nobody. */
  readonly connect: (signal: AbortSignal) => Promise<Connection>;
  /** A request that any server of the kind answers, and that leaves nothing there. */
  readonly request: OutgoingRequest;
  /** Takes over a connection that is answered, in place of one that is not. */
  readonly replace: (answered: Connection) => void;
}

/**
 * A second connection beside a silent one, which carries one request.
 *
 * A server that hangs leaves both without an answer: then the silent one is kept, with all that waits on it. To close
 * it and to register over a new one again and again would leave entries of dead connections in the server's list of
 * members, as brokers handle what such connections have sent after their end, and keep the entries for two minutes.
 * Source: ClientHousekeepingService, ConsumerManager.
 */
export class Probe {
  #context: ProbeContext;
  #running = false;

  /** Makes a probe that does nothing yet. */
  constructor(context: ProbeContext) {
    this.#context = context;
  }

  /** Decides about a silent connection, which is closed for `reason` if it is dead; does nothing while it is at it. */
  async decide(silent: Connection, reason: RocketMQError): Promise<void> {
    if (this.#running) return;
    this.#running = true;
    const over = new AbortController();
    inBackground(silent.closed.then(() => over.abort()), unheard);
    const since = performance.now();
    const speaks = () => silent.lastReceived > since || !silent.isOpen;
    try {
      const probe = await this.#answered(over.signal);
      if (probe === undefined) return;
      // A server that goes on after a pause may answer the probe first.
      await silent.request(this.#context.request, { timeout: LAST_CHANCE, signal: over.signal }).catch(() => {});
      if (speaks()) {
        probe.close();
        return;
      }
      silent.close(reason);
      this.#context.replace(probe);
    } catch { // nobody is there: what waits on the silent connection waits in vain
      if (!speaks()) silent.close(reason);
    } finally {
      this.#running = false;
    }
  }

  /** A connection over which the server has answered; undefined if it hangs. Rejects if none can be opened. */
  async #answered(signal: AbortSignal): Promise<Connection | undefined> {
    const probe = await this.#context.connect(signal);
    try {
      await probe.request(this.#context.request, { timeout: PROBE_TIMEOUT, signal });
      return probe;
    } catch {
      probe.close();
      return undefined;
    }
  }
}
