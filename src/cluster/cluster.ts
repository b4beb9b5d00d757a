/**
 * One client's view of a cluster, shared by all its consumers and producers.
 *
 * @module
 */

import { NetworkError, TimeoutError } from "../errors.ts";
import type { EventHub } from "../events.ts";
import type { ClientHealth } from "../health.ts";
import type { PrepareStep } from "../transport/prepare.ts";
import type { TlsOptions, Transport } from "../transport/transport.ts";
import { AUTO_CREATE_TOPIC } from "../wire/codes.ts";
import { JsonFields } from "../wire/json_fields.ts";
import { getMinOffset } from "../wire/requests.ts";
import { BrokerHealth } from "./broker_health.ts";
import { BrokerRequests } from "./broker_requests.ts";
import { Brokers } from "./brokers.ts";
import { newClientId } from "./client_id.ts";
import type { Endpoint, EndpointOptions } from "./endpoint.ts";
import { Membership } from "./membership.ts";
import { NameServers } from "./name_servers.ts";
import { Recovery } from "./recovery.ts";
import { RouteFinder } from "./route_finder.ts";
import { Routes, type TopicRoute } from "./routes.ts";
import { ClusterUsers } from "./users.ts";
import { inAnyCase, inBackground, unheard } from "../owned_work.ts";
import { reasonOf } from "../plain_text.ts";

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
  /** Takes new credentials after a refusal: whether there are others. */
  readonly renewCredentials?: (() => Promise<boolean>) | undefined;
  /** Where events are reported. */
  readonly events: EventHub;
}

/** Called with changes of the cluster. */
export interface ClusterWatcher {
  /** A topic's route changed. */
  onRouteChanged(route: TopicRoute): void;
  /**
   * A broker has recovered after its connection was lost; it knows this client again.
   *
   * @returns how many of its queues go on
   */
  onBrokerRecovered(broker: string): number;
}

/** What any broker answers at once, whatever it has, and forgets. */
const PROBE = {
  name: getMinOffset.name,
  code: getMinOffset.code,
  fields: JsonFields.of(getMinOffset.header, { topic: AUTO_CREATE_TOPIC, queueId: 0 }),
};

/**
 * Name servers, routes, brokers and membership under one client id. It puts them together: who needs one of them takes
 * that, by `Pick<Cluster, …>` where it is several.
 */
export class Cluster {
  /** The checked options. */
  readonly options: ClusterOptions;
  /** Unique per client: brokers distinguish members of a group by it. */
  readonly clientId: string;
  /** Where topics live. */
  readonly routes: Routes;
  /** The brokers of the known routes, and the connections to them. */
  readonly brokers: Brokers;
  /** The groups of this client, and their heartbeats. */
  readonly membership: Membership;
  /** Requests that brokers make to this client. */
  readonly requests = new BrokerRequests();
  /** Which brokers producers should avoid for now. */
  readonly health = new BrokerHealth();
  /** The consumers and producers. */
  readonly users = new ClusterUsers();
  #nameServers: NameServers;
  #recovery: Recovery;
  #watchers = new Set<ClusterWatcher>();
  /** Whether an address was forgotten: from then on a new connection may be to a broker that was here before. */
  #hasForgotten = false;
  #closed: Promise<void> | undefined;

  /**
   * Connects to a cluster.
   *
   * @throws {NameServerError} if no name server can be used
   */
  static async connect(options: ClusterOptions, signal?: AbortSignal): Promise<Cluster> {
    // Only addresses that servers announce are mapped: those of name servers are the user's own.
    const nameServers = new NameServers(options.nameServers, {
      ...connectionOptions(options),
      mapAddress: (address) => address,
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
    const { events, requestTimeout } = options;
    this.options = options;
    this.#nameServers = nameServers;
    this.clientId = newClientId(nameServers.localHost);
    this.routes = this.#makeRoutes();
    this.brokers = new Brokers({
      endpoint: {
        ...connectionOptions(options),
        onRequest: this.requests.serve,
        probe: PROBE,
        onConnected: (endpoint, again) => this.#connected(endpoint, again),
        onDisconnected: ({ address }, error) => {
          const name = this.brokers.nameOf(address);
          const text = `lost broker ${name} at ${address}: ${error.message}; connecting again`;
          this.#recovery.lost(name);
          events.emit("warning", "disconnected", text, { broker: address, error });
        },
      },
      requestTimeout,
      addresses: () => this.routes.brokers(),
    });
    this.membership = new Membership({
      clientId: this.clientId,
      timeout: requestTimeout,
      onFailed: ({ address }, error) => {
        if (this.#reportUnreachable(address, error)) return;
        if (error instanceof NetworkError) return; // the connection that broke was reported
        const text = `broker ${this.brokers.nameOf(address)} does not take our heartbeat, going on trying`;
        events.emit("warning", "disconnected", text, { broker: address, error });
      },
      brokers: (mastersOnly) => this.brokers.all(mastersOnly),
    });
    this.#recovery = new Recovery({
      register: async (broker) => {
        await this.membership.beatTo(broker);
        this.health.answered(this.brokers.nameOf(broker.address), 0);
      },
      nameOf: (address) => this.brokers.nameOf(address),
      onRegistered: (broker) => {
        let queues = 0;
        for (const watcher of this.#watchers) queues += watcher.onBrokerRecovered(broker);
        return queues;
      },
      events,
    });
    this.routes.start(options.routeInterval);
    this.membership.start(options.heartbeatInterval);
  }

  /** Reports changes of the cluster until the returned function is called. */
  watch(watcher: ClusterWatcher): () => void {
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  }

  /** What is known of the servers, consumers and producers, without a request. */
  currentHealth(): ClientHealth {
    const nameServers = this.#nameServers.health();
    const brokers = this.brokers.health();
    const { consumers, producers } = this.users.health();
    const ok = this.#closed === undefined && nameServers.some(({ state }) => state !== "unreachable") &&
      brokers.every(({ state }) => state !== "unreachable") && [...consumers, ...producers].every(({ ok }) => ok);
    return { ok, nameServers, brokers, consumers, producers };
  }

  /** The endpoint of a broker: {@linkcode Brokers.get}, for those who need no more of the brokers. */
  broker(broker: string, brokerId?: number, strict?: boolean): Endpoint {
    return this.brokers.get(broker, brokerId, strict);
  }

  /** Closes consumers and producers, then ends heartbeats and refreshes and closes all connections. */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    const failed = this.options.events.failureOf("disconnected", "a step of closing", {});
    await inAnyCase([
      () => this.users.close(failed),
      () => this.#recovery.stop(),
      () => this.routes.stop(),
      () => this.membership.stop(),
      () => this.#nameServers.close(),
      () => this.brokers.close(),
    ], failed);
  }

  /** A broker that was never reached: nearly always it announces an address of another network. */
  #reportUnreachable(address: string, error: unknown): boolean {
    const isUnreachable = error instanceof TimeoutError ||
      (error instanceof NetworkError && error.code === "CONNECT_FAILED");
    if (!isUnreachable || this.brokers.at(address).hadConnection) return false;
    const broker = this.brokers.nameOf(address);
    const text = `broker "${broker}" announces the address ${address}, which cannot be reached from here: ` +
      `${
        reasonOf(error)
      }; set brokerIP1 of the broker to an address that clients can reach, or mapAddress of connect()`;
    this.options.events.emit("warning", "disconnected", text, { broker: address, error });
    return true;
  }

  #makeRoutes(): Routes {
    const { events, requestTimeout: timeout } = this.options;
    const finder = new RouteFinder(this.#nameServers, events);
    return new Routes((topic) => finder.find(topic, { timeout }), {
      onChanged: (route) => this.#routeChanged(route),
      onFailed: (topic, error) => {
        const text = `cannot refresh the route of topic "${topic}", keeping the one from before`;
        events.emit("warning", "disconnected", text, { topic, error });
      },
    });
  }

  #connected(endpoint: Endpoint, again: boolean): void {
    const { address } = endpoint;
    const text = `connected to broker ${this.brokers.nameOf(address)} at ${address}${again ? " again" : ""}`;
    this.options.events.emit("info", "connected", text, { broker: address });
    if (again || this.#hasForgotten) this.#recovery.begin(endpoint);
  }

  #routeChanged(route: TopicRoute): void {
    const text = `route of topic "${route.topic}" changed: ${route.readQueues.length} queues to read`;
    this.options.events.emit("info", "routeChanged", text, { topic: route.topic });
    for (const address of this.brokers.closeUnnamed()) {
      this.membership.forget(address);
      this.#hasForgotten = true;
    }
    inBackground(this.membership.registerMissing(), unheard); // brokers that are new must know this client
    for (const watcher of this.#watchers) watcher.onRouteChanged(route);
  }
}

/** How connections to name servers and brokers are opened. */
function connectionOptions(options: ClusterOptions): EndpointOptions {
  const { transport, tls, requestTimeout, mapAddress, prepare, renewCredentials } = options;
  return { transport, tls, connectTimeout: requestTimeout, mapAddress, prepare, renewCredentials };
}
