/**
 * The brokers of a cluster: their shared connections, found by address or by name.
 *
 * @module
 */

import { BrokerNotAvailableError } from "../errors.ts";
import type { ServerHealth } from "../health.ts";
import type { HeaderOf } from "../wire/fields.ts";
import type { RequestSpec } from "../wire/requests.ts";
import { type Answer, Endpoint, type EndpointOptions } from "./endpoint.ts";

/** The addresses of brokers by name and replica number, 0 being the master. */
export type BrokerAddresses = ReadonlyMap<string, ReadonlyMap<number, string>>;

/** What {@linkcode Brokers} works with. */
export interface BrokersContext {
  /** How connections are opened. */
  readonly endpoint: EndpointOptions;
  /** Milliseconds for one request. */
  readonly requestTimeout: number;
  /** The addresses that known routes name. */
  readonly addresses: () => BrokerAddresses;
}

/** One endpoint for each address that is in use. */
export class Brokers {
  /** Milliseconds for one request. */
  readonly requestTimeout: number;
  #endpointOptions: EndpointOptions;
  #addresses: () => BrokerAddresses;
  #endpoints = new Map<string, Endpoint>();
  #isClosed = false;

  /** Opens nothing yet. */
  constructor({ endpoint, requestTimeout, addresses }: BrokersContext) {
    this.#endpointOptions = endpoint;
    this.requestTimeout = requestTimeout;
    this.#addresses = addresses;
  }

  /** The shared endpoint of an address. */
  at(address: string): Endpoint {
    let endpoint = this.#endpoints.get(address);
    if (endpoint === undefined) {
      endpoint = new Endpoint(address, this.#endpointOptions);
      if (this.#isClosed) endpoint.close();
      this.#endpoints.set(address, endpoint);
    }
    return endpoint;
  }

  /**
   * The endpoint of a broker.
   *
   * @param brokerId which replica is preferred, 0 is the master; `strict` refuses any other
   * @throws {BrokerNotAvailableError} if no known route has an address of it
   */
  get(broker: string, brokerId = 0, strict = false): Endpoint {
    const addresses = this.#addresses().get(broker);
    const address = addresses?.get(brokerId) ?? (strict ? undefined : addresses?.values().next().value);
    if (address !== undefined) return this.at(address);
    throw new BrokerNotAvailableError(
      `Cannot find an address of broker "${broker}": no known route names ${
        strict && addresses !== undefined ? `its replica ${brokerId}` : "it"
      }; it may be down, or not registered with this name server`,
      broker,
    );
  }

  /** Makes a request to a broker's master, or to a replica while no master is known. */
  call<S extends RequestSpec>(broker: string, spec: S, header: HeaderOf<S["header"]>): Promise<Answer<S>> {
    return this.get(broker).call(spec, header, { timeout: this.requestTimeout });
  }

  /** All brokers of the known routes, each once. */
  all(mastersOnly: boolean): readonly Endpoint[] {
    return [...this.#named(mastersOnly)].map((address) => this.at(address));
  }

  /** Which of those that routes name can be reached, without a request. */
  health(): readonly ServerHealth[] {
    return [...this.#addresses()].flatMap(([name, replicas]) =>
      [...replicas.values()].map((address): ServerHealth => {
        return { name, address, state: this.#endpoints.get(address)?.state ?? "unused" };
      })
    );
  }

  /** The name of the broker at an address; the address itself if no route names it. */
  nameOf(address: string): string {
    for (const [name, addresses] of this.#addresses()) {
      for (const known of addresses.values()) if (known === address) return name;
    }
    return address;
  }

  /** Whether a `host:port` is our own on a connection to a broker, of now or before. */
  isOwnAddress(address: string): boolean {
    for (const endpoint of this.#endpoints.values()) if (endpoint.isOwnAddress(address)) return true;
    return false;
  }

  /**
   * Closes what no route names any more, and returns the addresses: a broker that has moved leaves its old address
   * behind.
   */
  closeUnnamed(): readonly string[] {
    const named = this.#named(false);
    const gone = [...this.#endpoints].filter(([address]) => !named.has(address));
    for (const [address, endpoint] of gone) {
      this.#endpoints.delete(address);
      endpoint.close();
    }
    return gone.map(([address]) => address);
  }

  /** Closes all connections; later requests fail. */
  close(): void {
    this.#isClosed = true;
    for (const endpoint of this.#endpoints.values()) endpoint.close();
  }

  #named(mastersOnly: boolean): ReadonlySet<string> {
    const named = new Set<string>();
    for (const replicas of this.#addresses().values()) {
      for (const [id, address] of replicas) if (id === 0 || !mastersOnly) named.add(address);
    }
    return named;
  }
}
