/**
 * Brokers that have recovered: they know this client again before anything else is asked of them.
 *
 * @module
 */

import type { EventHub } from "../events.ts";
import { inBackground } from "../owned_work.ts";
import { delay } from "../waiting.ts";
import type { Endpoint } from "./endpoint.ts";

/** Between two heartbeats to a broker that has recovered and refuses them, in milliseconds. */
const RETRY_INTERVAL = 1_000;

/** What {@linkcode Recovery} works with. */
export interface RecoveryContext {
  /** Sends a heartbeat. */
  readonly register: (broker: Endpoint) => Promise<void>;
  /** The name of the broker at an address. */
  readonly nameOf: (address: string) => string;
  /** Called with the name of a broker that knows this client again. */
  readonly onRegistered: (broker: string) => void;
  /** Where failures are reported. */
  readonly events: EventHub;
}

/** Registers with brokers anew: a broker forgets a client with its connection, and others would get its queues. */
export class Recovery {
  #context: RecoveryContext;
  #underWay = new Map<Endpoint, AbortController>();
  #stop = new AbortController();

  /** Makes it without a broker. */
  constructor(context: RecoveryContext) {
    this.#context = context;
  }

  /** Registers with a broker over its new connection, for as long as that is open. */
  begin(broker: Endpoint): void {
    const { nameOf, events } = this.#context;
    const name = nameOf(broker.address);
    const failed = events.failureOf("disconnected", `registering anew with broker ${name}`, { broker: broker.address });
    inBackground(this.#register(broker, name), failed);
  }

  /** Ends all attempts. */
  stop(): void {
    this.#stop.abort();
  }

  async #register(broker: Endpoint, name: string): Promise<void> {
    this.#underWay.get(broker)?.abort(); // what is tried for an older connection is of no use
    const newer = new AbortController();
    this.#underWay.set(broker, newer);
    const signal = AbortSignal.any([newer.signal, this.#stop.signal]);
    while (broker.isOpen && !signal.aborted && !await this.#attempt(broker, name, signal)) {
      await delay(RETRY_INTERVAL, { signal }).catch(() => {});
    }
    if (this.#underWay.get(broker) === newer) this.#underWay.delete(broker);
  }

  async #attempt(broker: Endpoint, name: string, signal: AbortSignal): Promise<boolean> {
    const { register, onRegistered, events } = this.#context;
    try {
      await register(broker);
      if (!signal.aborted) onRegistered(name);
      return true;
    } catch (error) {
      if (!broker.isOpen || signal.aborted) return false; // the lost connection was reported already
      const text = `broker ${name} does not take our heartbeat, trying again in ${RETRY_INTERVAL} ms`;
      events.emit("warning", "disconnected", text, { broker: broker.address, error });
      return false;
    }
  }
}
