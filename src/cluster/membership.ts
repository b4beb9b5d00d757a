/**
 * Who we are to the brokers: heartbeats for all groups of this client.
 *
 * @module
 */

import type { ConsumerData, HeartbeatData } from "../wire/bodies.ts";
import { heartbeat, unregisterClient } from "../wire/requests.ts";
import type { CallOptions } from "./call.ts";
import type { HeaderOf } from "../wire/fields.ts";
import { inBackground, unheard } from "../owned_work.ts";
import { isRefusal } from "./credentials.ts";

const encoder = new TextEncoder();

/** A broker that this client registers with. */
export interface Registrar {
  /** Its address. */
  readonly address: string;
  /** Sends a heartbeat. */
  call(spec: typeof heartbeat, header: Empty, options: CallOptions): Promise<{ readonly version: number }>;
  /** Leaves a group. */
  call(spec: typeof unregisterClient, header: Unregistration, options: CallOptions): Promise<unknown>;
}

type Empty = HeaderOf<typeof heartbeat.header>;
type Unregistration = HeaderOf<typeof unregisterClient.header>;

/** How {@linkcode Membership} reaches brokers and reports failures. */
export interface MembershipOptions {
  /** This client's id. */
  readonly clientId: string;
  /** Milliseconds for one heartbeat. */
  readonly timeout: number;
  /** Called with a broker that did not take a heartbeat. */
  readonly onFailed: (broker: Registrar, error: unknown) => void;
  /** All brokers to register with; without consumers the masters suffice. */
  readonly brokers: (mastersOnly: boolean) => readonly Registrar[];
}

/** The groups of one client, and the heartbeats that keep them known. */
export class Membership {
  #options: MembershipOptions;
  #consumers = new Map<string, () => ConsumerData>();
  #producers = new Map<string, number>();
  #versions = new Map<string, number>();
  /** How often a group was added, and up to which of them each address knows this client. */
  #additions = 0;
  #known = new Map<string, number>();
  #beats = new Map<Registrar, { readonly done: Promise<void>; next: Promise<void> | undefined }>();
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
    this.#additions++;
  }

  /** Adds a producer group; several producers may share one. Brokers learn of it with the next heartbeat. */
  addProducer(group: string): void {
    const producers = this.#producers.get(group) ?? 0;
    this.#producers.set(group, producers + 1);
    if (producers === 0) this.#additions++;
  }

  /**
   * Adds a producer group and registers it at once, for brokers that are to make requests to it, such as transaction
   * checks. Brokers whose routes become known later are sent a heartbeat then.
   */
  async registerProducer(group: string): Promise<void> {
    this.addProducer(group);
    await this.registerMissing();
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

  /**
   * Sends a heartbeat to all brokers; true if at least one has answered.
   *
   * @throws {CredentialsError | PermissionError} if none has taken it, and one refuses the account
   */
  async beat(): Promise<boolean> {
    return await this.#beatAll(this.#options.brokers(this.#consumers.size === 0));
  }

  /** Sends a heartbeat to those brokers that have not answered one since a group was added last. */
  async registerMissing(): Promise<void> {
    const brokers = this.#options.brokers(this.#consumers.size === 0);
    await this.#beatAll(brokers.filter(({ address }) => (this.#known.get(address) ?? -1) < this.#additions));
  }

  async #beatAll(brokers: readonly Registrar[]): Promise<boolean> {
    if (this.#isEmpty) return false;
    let refusal: unknown;
    const taken = await Promise.all(brokers.map((broker) =>
      this.beatTo(broker).then(() => true, (error) => {
        this.#options.onFailed(broker, error);
        if (isRefusal(error)) refusal = error;
        return false;
      })
    ));
    if (refusal !== undefined && !taken.includes(true)) throw refusal;
    return taken.includes(true);
  }

  /**
   * Sends a heartbeat to one broker. While one is under way, all callers share the next, which describes the groups of
   * then.
   */
  beatTo(broker: Registrar): Promise<void> {
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
    inBackground(done.finally(end), unheard); // the caller receives a failure
    return done;
  }

  async #beatTo(broker: Registrar): Promise<void> {
    if (this.#isEmpty) return;
    const additions = this.#additions;
    const body = encoder.encode(JSON.stringify(this.#describe()));
    const answer = await broker.call(heartbeat, {}, { body, timeout: this.#options.timeout });
    this.#versions.set(broker.address, answer.version);
    this.#known.set(broker.address, additions);
  }

  /** The version of the broker at this address, an ordinal of MQVersion, once it has answered a heartbeat. */
  version(address: string): number | undefined {
    return this.#versions.get(address);
  }

  /** Forgets a broker that is not at this address any more. */
  forget(address: string): void {
    this.#versions.delete(address);
    this.#known.delete(address);
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
