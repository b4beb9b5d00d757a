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
  /** Called with the name of a broker that knows this client again; returns how many of its queues go on. */
  readonly onRegistered: (broker: string) => number;
  /** Where failures and recoveries are reported. */
  readonly events: EventHub;
}

/** Registers with brokers anew: a broker forgets a client with its connection, and others would get its queues. */
export class Recovery {
  #context: RecoveryContext;
  #underWay = new Map<Endpoint, AbortController>();
  /** Since when brokers are lost, by their names and the monotonic clock: one that recovers may have another address. */
  #lostSince = new Map<string, number>();
  #stop = new AbortController();

  /** Makes it without a broker. */
  constructor(context: RecoveryContext) {
    this.#context = context;
  }

  /** The connection to a broker was lost. */
  lost(broker: string): void {
    if (!this.#lostSince.has(broker)) this.#lostSince.set(broker, performance.now());
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
    const { register, events } = this.#context;
    try {
      await register(broker);
      if (!signal.aborted) this.#registered(broker, name);
      return true;
    } catch (error) {
      if (!broker.isOpen || signal.aborted) return false; // the lost connection was reported already
      const text = `broker ${name} does not take our heartbeat, trying again in ${RETRY_INTERVAL} ms`;
      events.emit("warning", "disconnected", text, { broker: broker.address, error });
      return false;
    }
  }

  #registered({ address }: Endpoint, name: string): void {
    const { onRegistered, events } = this.#context;
    const queues = onRegistered(name);
    const since = this.#lostSince.get(name);
    if (since === undefined) return;
    this.#lostSince.delete(name);
    const ms = performance.now() - since;
    const after = ms < 1_000 ? `${Math.round(ms)} ms` : `${(ms / 1_000).toFixed(1)} s`;
    const resumed = queues === 0 ? "" : `, ${queues} ${queues === 1 ? "queue" : "queues"} resumed`;
    events.emit("info", "revived", `broker ${name} at ${address} recovered after ${after}${resumed}`, {
      broker: address,
    });
  }
}
