/**
 * Who we are to the brokers: heartbeats for all groups of this client.
 *
 * @module
 */

import type { ConsumerData, HeartbeatData } from "../wire/bodies.ts";
import { heartbeat, unregisterClient } from "../wire/requests.ts";
import type { Endpoint } from "./endpoint.ts";
import { inBackground, unheard } from "../owned_work.ts";

const encoder = new TextEncoder();

/** How {@linkcode Membership} reaches brokers and tells of failures. */
export interface MembershipOptions {
  /** This client's id. */
  readonly clientId: string;
  /** Milliseconds for one heartbeat. */
  readonly timeout: number;
  /** Hears of brokers that did not take a heartbeat. */
  readonly onFailed: (broker: Endpoint, error: unknown) => void;
  /** All brokers to register with; without consumers the masters suffice. */
  readonly brokers: (mastersOnly: boolean) => readonly Endpoint[];
}

/** The groups of one client, and the heartbeats that keep them known. */
export class Membership {
  #options: MembershipOptions;
  #consumers = new Map<string, () => ConsumerData>();
  #producers = new Map<string, number>();
  #versions = new Map<string, number>();
  #beats = new Map<Endpoint, { readonly done: Promise<void>; next: Promise<void> | undefined }>();
  #timer: ReturnType<typeof setInterval> | undefined;

  /** Makes an empty membership: without groups no heartbeat leaves. */
  constructor(options: MembershipOptions) {
    this.#options = options;
  }

  /** Sends a heartbeat every `interval` milliseconds until {@linkcode Membership.stop}. */
  start(interval: number): void {
    this.#timer = setInterval(() => inBackground(this.beat(), unheard), interval);
  }

  /** Ends the heartbeats. */
  stop(): void {
    clearInterval(this.#timer);
  }

  /** Whether a consumer of this group is registered already. */
  hasConsumer(group: string): boolean {
    return this.#consumers.has(group);
  }

  /** Adds a consumer group; `describe` is called for every heartbeat. */
  addConsumer(group: string, describe: () => ConsumerData): void {
    this.#consumers.set(group, describe);
  }

  /** Adds a producer group; several producers may share one. */
  addProducer(group: string): void {
    this.#producers.set(group, (this.#producers.get(group) ?? 0) + 1);
  }

  /** Leaves a consumer group, at all brokers; those that cannot be reached notice by the lost connection. */
  async removeConsumer(group: string): Promise<void> {
    if (!this.#consumers.delete(group)) return;
    await this.#unregister({ consumerGroup: group }, false);
  }

  /** Leaves a producer group when its last producer is gone. */
  async removeProducer(group: string): Promise<void> {
    const left = (this.#producers.get(group) ?? 0) - 1;
    if (left > 0) this.#producers.set(group, left);
    else if (this.#producers.delete(group)) await this.#unregister({ producerGroup: group }, true);
  }

  /** Sends a heartbeat to all brokers; true if at least one has answered. */
  async beat(): Promise<boolean> {
    return await this.#beatAll(this.#options.brokers(this.#consumers.size === 0));
  }

  /** Sends a heartbeat to those brokers that have not answered one yet. */
  async introduce(): Promise<void> {
    const brokers = this.#options.brokers(this.#consumers.size === 0);
    await this.#beatAll(brokers.filter(({ address }) => !this.#versions.has(address)));
  }

  async #beatAll(brokers: readonly Endpoint[]): Promise<boolean> {
    if (this.#isEmpty) return false;
    const taken = await Promise.all(brokers.map((broker) =>
      this.beatTo(broker).then(() => true, (error) => {
        this.#options.onFailed(broker, error);
        return false;
      })
    ));
    return taken.includes(true);
  }

  /**
   * Sends a heartbeat to one broker; while one is on its way, all who ask share the next, which tells what is so then.
   */
  beatTo(broker: Endpoint): Promise<void> {
    const last = this.#beats.get(broker);
    if (last !== undefined) {
      const again = () => {
        this.#beats.delete(broker);
        return this.beatTo(broker);
      };
      return last.next ??= last.done.then(again, again);
    }
    const done = this.#beatTo(broker);
    const beat = { done, next: undefined };
    this.#beats.set(broker, beat);
    const end = () => {
      if (this.#beats.get(broker) === beat && beat.next === undefined) this.#beats.delete(broker);
    };
    inBackground(done.finally(end), unheard); // who asked hears of a failure
    return done;
  }

  async #beatTo(broker: Endpoint): Promise<void> {
    if (this.#isEmpty) return;
    const body = encoder.encode(JSON.stringify(this.#describe()));
    const answer = await broker.call(heartbeat, {}, { body, timeout: this.#options.timeout });
    this.#versions.set(broker.address, answer.version);
  }

  /** The version of the broker at this address, an ordinal of MQVersion, once it has answered a heartbeat. */
  version(address: string): number | undefined {
    return this.#versions.get(address);
  }

  /** Forgets a broker that is not at this address any more. */
  forget(address: string): void {
    this.#versions.delete(address);
  }

  get #isEmpty(): boolean {
    return this.#consumers.size === 0 && this.#producers.size === 0;
  }

  #describe(): HeartbeatData {
    return {
      clientID: this.#options.clientId,
      producerDataSet: [...this.#producers.keys()].map((groupName) => ({ groupName })),
      consumerDataSet: [...this.#consumers.values()].map((describe) => describe()),
      heartbeatFingerprint: 0,
      withoutSub: false,
    };
  }

  async #unregister(group: { consumerGroup: string } | { producerGroup: string }, mastersOnly: boolean): Promise<void> {
    const header = { clientID: this.#options.clientId, ...group };
    const brokers = this.#options.brokers(mastersOnly);
    await Promise.allSettled(
      brokers.map((broker) => broker.call(unregisterClient, header, { timeout: this.#options.timeout })),
    );
  }
}
