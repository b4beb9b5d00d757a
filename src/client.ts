/**
 * The client: one per cluster and process, shared by consumers and producers.
 *
 * @module
 */

import { Cluster } from "./cluster/cluster.ts";
import type { Consumer } from "./consumer/consumer.ts";
import { joinGroup } from "./consumer/group_consumer.ts";
import type { ConsumerOptions } from "./consumer/options.ts";
import { EventHub, type Logger, type StatusEvent } from "./events.ts";
import { OptionsCheck } from "./options.ts";
import { createProducer, type Producer, type ProducerOptions } from "./producer/mod.ts";
import { defaultTransport } from "./transport/default.ts";
import { parseAddress, type TlsOptions, type Transport } from "./transport/transport.ts";

const DEFAULT_NAME_SERVER = "127.0.0.1:9876";

/** Options of {@linkcode connect}. Durations are milliseconds. Unknown names are errors. */
export interface ConnectOptions {
  /**
   * The name servers: `"ns1:9876"`, several joined by `;`, or an array.
   *
   * @default {the environment's NAMESRV_ADDR if it may be read without asking, else "127.0.0.1:9876"}
   */
  nameServers?: string | readonly string[];
  /** Encrypts all connections; `true` checks certificates by the system's authorities. */
  tls?: boolean | TlsOptions;
  /**
   * How long name servers are tried at the start, 0 to 600 000 ms.
   *
   * @default {5_000}
   */
  startTimeout?: number;
  /**
   * How long a request may take, connecting included, 100 to 600 000 ms. A held pull has its hold and 15 s more.
   *
   * @default {3_000}
   */
  requestTimeout?: number;
  /**
   * Between two heartbeats, 1 000 to 60 000 ms.
   *
   * @default {30_000}
   */
  heartbeatInterval?: number;
  /**
   * Between two refreshes of the routes, 1 000 to 60 000 ms.
   *
   * @default {30_000}
   */
  routeInterval?: number;
  /** Turns an address that a name server or broker announces into one that can be reached from here. */
  mapAddress?: (address: string) => string;
  /**
   * Takes warnings and errors while nobody reads `status()`, each kind at most once a minute; `false` for none.
   *
   * @default {console}
   */
  logger?: Logger | false;
  /** Opens sockets. @default {that of the runtime} */
  transport?: Transport;
  /** Gives up connecting when it aborts. */
  signal?: AbortSignal;
}

/** A connection to a cluster: one socket per broker, shared by all consumers and producers. */
export interface Client {
  /** Unique per client: brokers and tools know it by this name. Nothing durable depends on it. */
  readonly clientId: string;
  /**
   * Joins a group; resolves when the brokers know this member and its first queues are known.
   *
   * @throws {ConfigError} for options that are not allowed, all of them named
   * @throws {InvalidTopicError} for a topic that no name server knows, unless `missingTopic` is `"wait"`
   * @throws {InvalidSelectorError} for a tag expression that cannot be understood
   * @throws {ConsumerStartError} if the group cannot be joined
   */
  consumer<T = unknown>(options: ConsumerOptions): Promise<Consumer<T>>;
  /**
   * Makes a producer.
   *
   * @throws {ConfigError} for options that are not allowed, all of them named
   */
  producer(options?: ProducerOptions): Promise<Producer>;
  /** Tells what happens, from this call on: connections, routes, queues, faults that are being dealt with. */
  status(): AsyncIterableIterator<StatusEvent>;
  /** Closes consumers and producers, then all connections. */
  close(): Promise<void>;
  /** Closes. */
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * Connects to a cluster.
 *
 * Without an address it takes the environment's `NAMESRV_ADDR`, if that may be read without asking for permission,
 * else `127.0.0.1:9876`.
 *
 * @throws {ConfigError} for options that are not allowed
 * @throws {NameServerError} if no name server answers within `startTimeout`, or at once if what answers is none
 */
export async function connect(options: string | ConnectOptions = {}): Promise<Client> {
  const given = typeof options === "string" ? { nameServers: options } : options;
  const check = new OptionsCheck("connect");
  check.known(given, names);
  const transport = given.transport ?? await defaultTransport();
  const events = new EventHub(given.logger);
  const checked = {
    transport,
    events,
    nameServers: checkNameServers(check, given.nameServers ?? transport.environment("NAMESRV_ADDR")),
    tls: given.tls === true ? {} : given.tls === false ? undefined : given.tls,
    mapAddress: given.mapAddress ?? ((address: string) => address),
    startTimeout: check.integer("startTimeout", given.startTimeout, 5_000, 0, 600_000, "ms"),
    requestTimeout: check.integer("requestTimeout", given.requestTimeout, 3_000, 100, 600_000, "ms"),
    heartbeatInterval: check.integer("heartbeatInterval", given.heartbeatInterval, 30_000, 1_000, 60_000, "ms"),
    routeInterval: check.integer("routeInterval", given.routeInterval, 30_000, 1_000, 60_000, "ms"),
  };
  check.done();
  return new RocketMQClient(await Cluster.connect(checked, given.signal), events);
}

const names: readonly (keyof ConnectOptions)[] = [
  "nameServers",
  "tls",
  "startTimeout",
  "requestTimeout",
  "heartbeatInterval",
  "routeInterval",
  "mapAddress",
  "logger",
  "transport",
  "signal",
];

function checkNameServers(check: OptionsCheck, value: unknown = DEFAULT_NAME_SERVER): readonly string[] {
  const parts: readonly unknown[] = typeof value === "string" ? value.split(/[;,]/) : Array.isArray(value) ? value : [];
  const addresses = parts.map((part) => typeof part === "string" ? part.trim() : part).filter((part) => part !== "");
  const bad = addresses.find((address) => typeof address !== "string" || parseAddress(address) === undefined);
  if (addresses.length === 0 || bad !== undefined) {
    check.add("nameServers", bad ?? value, `host:port, several joined by ";" or in an array: "ns1:9876;ns2:9876"`);
  }
  return addresses as readonly string[];
}

class RocketMQClient implements Client {
  #cluster: Cluster;
  #events: EventHub;

  constructor(cluster: Cluster, events: EventHub) {
    this.#cluster = cluster;
    this.#events = events;
  }

  get clientId(): string {
    return this.#cluster.clientId;
  }

  async consumer<T = unknown>(options: ConsumerOptions): Promise<Consumer<T>> {
    return await joinGroup<T>(this.#cluster, options);
  }

  async producer(options: ProducerOptions = {}): Promise<Producer> {
    return await createProducer(this.#cluster, options);
  }

  status(): AsyncIterableIterator<StatusEvent> {
    return this.#events.read();
  }

  async close(): Promise<void> {
    await this.#cluster.close();
    this.#events.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
