/**
 * One client's view of a cluster, shared by all its consumers and producers.
 *
 * @module
 */

import { delay } from "../waiting.ts";
import { BrokerNotAvailableError, NetworkError, RocketMQError } from "../errors.ts";
import type { EventHub } from "../events.ts";
import type { PrepareStep } from "../transport/prepare.ts";
import type { TlsOptions, Transport } from "../transport/transport.ts";
import { AUTO_CREATE_TOPIC } from "../wire/codes.ts";
import type { HeaderOf } from "../wire/fields.ts";
import { JsonFields } from "../wire/json_fields.ts";
import { getMinOffset, type RequestSpec } from "../wire/requests.ts";
import { BrokerHealth } from "./broker_health.ts";
import { BrokerRequests } from "./broker_requests.ts";
import { newClientId } from "./client_id.ts";
import { type Answer, Endpoint, type EndpointOptions } from "./endpoint.ts";
import { Membership } from "./membership.ts";
import { NameServers } from "./name_servers.ts";
import { RouteFinder } from "./route_finder.ts";
import { Routes, type TopicRoute } from "./routes.ts";
import { inAnyCase, inBackground, unheard } from "../owned_work.ts";

/** Checked options of a {@linkcode Cluster}; all durations are milliseconds. */
export interface ClusterOptions {
  /** `host:port` of the name servers, at least one. */
  readonly nameServers: readonly string[];
  /** Opens connections. */
  readonly transport: Transport;
  /** Encrypts connections. */
  readonly tls?: TlsOptions | undefined;
  /** Turns the address that a broker announces into one that can be reached from here. */
  readonly mapAddress: (address: string) => string;
  /** How long name servers are tried at the start. */
  readonly startTimeout: number;
  /** How long one request may take. */
  readonly requestTimeout: number;
  /** Between two heartbeats. */
  readonly heartbeatInterval: number;
  /** Between two refreshes of the routes. */
  readonly routeInterval: number;
  /** Is applied to every request and reply before it is written: adds fields, such as a signature. */
  readonly prepare?: PrepareStep | undefined;
  /** Hears what happens. */
  readonly events: EventHub;
}

/** What can be heard of the cluster. */
export interface ClusterWatcher {
  /** A topic's route changed. */
  onRouteChanged(route: TopicRoute): void;
  /** A broker can be reached again after its connection was lost; it knows this client again. */
  onBrokerBack(broker: string): void;
}

/** Between two heartbeats to a broker that is back and refuses them, in milliseconds. */
const COME_BACK_INTERVAL = 1_000;

/** What any broker answers at once, whatever it has, and forgets. */
const PROBE = {
  name: getMinOffset.name,
  code: getMinOffset.code,
  fields: JsonFields.of(getMinOffset.header, { topic: AUTO_CREATE_TOPIC, queueId: 0 }),
};

/** A consumer or producer that works on a cluster. */
export interface ClusterUser {
  /** Ends it: it leaves its group. */
  close(): Promise<void>;
}

/** Name servers, routes, brokers and membership under one client id. */
export class Cluster {
  /** The checked options. */
  readonly options: ClusterOptions;
  /** Where topics live. */
  readonly routes: Routes;
  /** The heartbeats. */
  readonly membership: Membership;
  /** Requests that brokers make to this client. */
  readonly requests = new BrokerRequests();
  /** Which brokers producers should avoid for now. */
  readonly health = new BrokerHealth();
  /** Unique per client: brokers tell members of a group apart by it. */
  readonly clientId: string;
  #users = new Set<ClusterUser>();
  /** Whether an address was forgotten: from then on a new connection may be to a broker that was here before. */
  #hasForgotten = false;
  #comingBack = new Map<Endpoint, AbortController>();
  #closed: Promise<void> | undefined;
  #closing = new AbortController();
  #nameServers: NameServers;
  #endpointOptions: EndpointOptions;
  #endpoints = new Map<string, Endpoint>();
  #watchers = new Set<ClusterWatcher>();

  /**
   * Connects to a cluster.
   *
   * @throws {NameServerError} if no name server can be used
   */
  static async connect(options: ClusterOptions, signal?: AbortSignal): Promise<Cluster> {
    const nameServers = new NameServers(options.nameServers, {
      transport: options.transport,
      tls: options.tls,
      connectTimeout: options.requestTimeout,
      mapAddress: options.mapAddress,
      prepare: options.prepare,
    });
    try {
      await nameServers.start(options.startTimeout, options.requestTimeout, signal);
    } catch (error) {
      nameServers.close();
      throw error;
    }
    return new Cluster(options, nameServers);
  }

  private constructor(options: ClusterOptions, nameServers: NameServers) {
    this.options = options;
    this.#nameServers = nameServers;
    this.clientId = newClientId(nameServers.localHost);
    this.#endpointOptions = {
      transport: options.transport,
      tls: options.tls,
      connectTimeout: options.requestTimeout,
      mapAddress: options.mapAddress,
      prepare: options.prepare,
      onRequest: this.requests.serve,
      probe: PROBE,
      onConnected: (endpoint, again) => this.#connected(endpoint, again),
      onDisconnected: (endpoint, error) => {
        const text = `lost broker ${this.brokerAt(endpoint.address)} at ${endpoint.address}: ${error.message}`;
        options.events.emit("warning", "disconnected", text, { broker: endpoint.address, error });
      },
    };
    const finder = new RouteFinder(nameServers, options.events);
    this.routes = new Routes(
      (topic) => finder.find(topic, { timeout: options.requestTimeout }),
      {
        onChanged: (route) => this.#routeChanged(route),
        onFailed: (topic, error) => {
          const text = `cannot refresh the route of topic "${topic}", keeping the one from before`;
          options.events.emit("warning", "disconnected", text, { topic, error });
        },
      },
    );
    this.membership = new Membership({
      clientId: this.clientId,
      timeout: options.requestTimeout,
      onFailed: (broker, error) => {
        if (error instanceof NetworkError) return; // the connection that broke, or was not made, was told of
        const name = this.brokerAt(broker.address);
        const text = `broker ${name} does not take our heartbeat, going on trying`;
        options.events.emit("warning", "disconnected", text, { broker: broker.address, error });
      },
      brokers: (mastersOnly) => this.#allBrokers(mastersOnly),
    });
    this.routes.start(options.routeInterval);
    this.membership.start(options.heartbeatInterval);
  }

  /** Reports changes of the cluster until the returned function is called. */
  watch(watcher: ClusterWatcher): () => void {
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  }

  /** The shared endpoint of an address. */
  endpoint(address: string): Endpoint {
    let endpoint = this.#endpoints.get(address);
    if (endpoint === undefined) {
      endpoint = new Endpoint(address, this.#endpointOptions);
      if (this.#closed !== undefined) endpoint.close();
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
  broker(broker: string, brokerId = 0, strict = false): Endpoint {
    const addresses = this.routes.brokers().get(broker);
    const address = addresses?.get(brokerId) ?? (strict ? undefined : addresses?.values().next().value);
    if (address === undefined) {
      throw new BrokerNotAvailableError(
        `Cannot find an address of broker "${broker}": no known route names ${
          strict && addresses !== undefined ? `its replica ${brokerId}` : "it"
        }; it may be down, or not registered with this name server`,
        broker,
      );
    }
    return this.endpoint(address);
  }

  /** Makes a request to a broker's master, or to a replica while no master is known. */
  call<S extends RequestSpec>(broker: string, spec: S, header: HeaderOf<S["header"]>): Promise<Answer<S>> {
    return this.broker(broker).call(spec, header, { timeout: this.options.requestTimeout });
  }

  /** Whether a `host:port` is our own on a connection to a broker, of now or before. */
  isOwnAddress(address: string): boolean {
    for (const endpoint of this.#endpoints.values()) if (endpoint.isOwnAddress(address)) return true;
    return false;
  }

  /** The name of the broker at an address; the address itself if no route names it. */
  brokerAt(address: string): string {
    for (const [name, addresses] of this.routes.brokers()) {
      for (const known of addresses.values()) if (known === address) return name;
    }
    return address;
  }

  /**
   * Notes a consumer or producer, which is closed with the cluster, until {@linkcode Cluster.detach}.
   *
   * @throws {RocketMQError} `CLIENT_CLOSED` if the cluster is closing
   */
  attach(user: ClusterUser): void {
    if (this.#closed !== undefined) {
      throw new RocketMQError("Cannot use the client: it is closed", { code: "CLIENT_CLOSED" });
    }
    this.#users.add(user);
  }

  /** Forgets a consumer or producer that has closed. */
  detach(user: ClusterUser): void {
    this.#users.delete(user);
  }

  /** Closes consumers and producers, then ends heartbeats and refreshes and closes all connections. */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    const failed = this.options.events.failureOf("disconnected", "a step of closing");
    await inAnyCase([
      () => Promise.all([...this.#users].map((user) => inAnyCase([() => user.close()], failed))),
      () => this.#closing.abort(),
      () => this.routes.stop(),
      () => this.membership.stop(),
      () => this.#nameServers.close(),
      () => {
        for (const endpoint of this.#endpoints.values()) endpoint.close();
      },
    ], failed);
  }

  #allBrokers(mastersOnly: boolean): readonly Endpoint[] {
    const addresses = new Set<string>();
    for (const replicas of this.routes.brokers().values()) {
      for (const [id, address] of replicas) if (id === 0 || !mastersOnly) addresses.add(address);
    }
    return [...addresses].map((address) => this.endpoint(address));
  }

  #connected(endpoint: Endpoint, again: boolean): void {
    const name = this.brokerAt(endpoint.address);
    const text = `connected to broker ${name} at ${endpoint.address}${again ? " again" : ""}`;
    this.options.events.emit("info", "connected", text, { broker: endpoint.address });
    if (!again && !this.#hasForgotten) return;
    const about = { broker: endpoint.address };
    inBackground(
      this.#comeBack(endpoint, name),
      this.options.events.failureOf("disconnected", `registering anew with broker ${name}`, about),
    );
  }

  /** The broker forgot this client with the connection: without a heartbeat others would get our queues. */
  async #comeBack(endpoint: Endpoint, name: string): Promise<void> {
    this.#comingBack.get(endpoint)?.abort(); // what is tried for an older connection is of no use
    const newer = new AbortController();
    this.#comingBack.set(endpoint, newer);
    const signal = AbortSignal.any([newer.signal, this.#closing.signal]);
    while (endpoint.isOpen && !signal.aborted && !await this.#reintroduce(endpoint, name, signal)) {
      await delay(COME_BACK_INTERVAL, { signal }).catch(() => {});
    }
    if (this.#comingBack.get(endpoint) === newer) this.#comingBack.delete(endpoint);
  }

  async #reintroduce(endpoint: Endpoint, name: string, signal: AbortSignal): Promise<boolean> {
    try {
      await this.membership.beatTo(endpoint);
      this.health.answered(name, 0);
      if (signal.aborted) return true;
      for (const watcher of this.#watchers) watcher.onBrokerBack(name);
      return true;
    } catch (error) {
      if (!endpoint.isOpen || signal.aborted) return false; // that was told already
      const text = `broker ${name} does not take our heartbeat, trying again in ${COME_BACK_INTERVAL} ms`;
      this.options.events.emit("warning", "disconnected", text, { broker: endpoint.address, error });
      return false;
    }
  }

  #routeChanged(route: TopicRoute): void {
    const text = `route of topic "${route.topic}" changed: ${route.readQueues.length} queues to read`;
    this.options.events.emit("info", "routeChanged", text, { topic: route.topic });
    this.#forgetGone();
    inBackground(this.membership.registerMissing(), unheard); // brokers that are new must know this client
    for (const watcher of this.#watchers) watcher.onRouteChanged(route);
  }

  /** Closes what no route names any more: a broker that has moved leaves its old address behind. */
  #forgetGone(): void {
    const named = new Set<string>();
    for (const replicas of this.routes.brokers().values()) for (const address of replicas.values()) named.add(address);
    for (const [address, endpoint] of this.#endpoints) {
      if (named.has(address)) continue;
      this.#endpoints.delete(address);
      this.membership.forget(address);
      this.#hasForgotten = true;
      endpoint.close();
    }
  }
}
