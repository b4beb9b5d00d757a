/**
 * A name server in this process, for brokers in this process.
 *
 * @module
 */

import { defaultTransport } from "../transport/default.ts";
import type { RequestHandler } from "../transport/connection.ts";
import type { Transport } from "../transport/transport.ts";
import { PROTOCOL_VERSION } from "../wire/codes.ts";
import { dialectCheck, placeChecks, requireOptions } from "./checks.ts";
import { type Faults, FaultTable } from "./faults.ts";
import { nameServerRoutes } from "./handlers/name_server.ts";
import { type Forgotten, Registry } from "./registry.ts";
import { type Route, router } from "./routes.ts";
import { type PauseOptions, Server, type ServerLimits } from "./server.ts";

/** The version that a 4.9 server says it has: 4.9.7. */
const VERSION_4_9 = 407;

/** Options of {@linkcode EmbeddedNameServer.start}. */
export interface EmbeddedNameServerOptions {
  /**
   * The TCP port, 0 to 65535; 0 takes a free one.
   *
   * @default {0}
   */
  port?: number;
  /**
   * The IP address that the port is opened on.
   *
   * @default {"127.0.0.1"}
   */
  host?: string;
  /**
   * Which line of name servers is imitated.
   *
   * @default {"5.x"}
   */
  dialect?: "5.x" | "4.9";
  /**
   * Where sockets come from.
   *
   * @default the runtime's own TCP
   */
  transport?: Transport;
}

const registries = new WeakMap<EmbeddedNameServer, Registry>();

/** What a name server knows: where brokers register. */
export function registryOf(nameServer: EmbeddedNameServer): Registry {
  return registries.get(nameServer)!;
}

/** Serves routes, under the version that servers of a line say they have. */
export function handlerOf(routes: readonly Route[], dialect: "5.x" | "4.9"): RequestHandler {
  const serve = router(routes);
  const version = dialect === "5.x" ? PROTOCOL_VERSION : VERSION_4_9;
  return async (command, connection) => {
    const reply = { version, language: "JAVA", ...await serve(command, connection) };
    return reply;
  };
}

/** What clients may take of a name server, as of a broker that nobody has told otherwise. */
const LIMITS: ServerLimits = { maxConnections: 10_000, maxUnreadBytes: 67_108_864 };

/**
 * A name server on a real TCP port, which knows the embedded brokers that were started with it.
 *
 * It knows at once what its brokers have, where real ones tell it within 30 seconds. A broker that is killed leaves its
 * answers at once, one that is paused after 120 seconds.
 *
 * @example
 * ```ts
 * import { EmbeddedBroker, EmbeddedNameServer } from "@denorocket/rocketmq/embedded";
 *
 * await using names = await EmbeddedNameServer.start();
 * await using broker = await EmbeddedBroker.start({ nameServers: [names] });
 * broker.nameServer === names.address; // true
 * ```
 */
export class EmbeddedNameServer {
  /** What goes wrong on purpose, and how often the name server was asked what. */
  readonly faults: Faults;
  #server: Server;
  #registry: Registry;

  private constructor(server: Server, registry: Registry, faults: Faults) {
    this.#server = server;
    this.#registry = registry;
    this.faults = faults;
    registries.set(this, registry);
  }

  /**
   * Starts a name server; its port is open when this resolves.
   *
   * @throws {ConfigError} if an option is not allowed
   * @throws {NetworkError} `CONNECT_FAILED` if the port cannot be opened
   */
  static async start(options: EmbeddedNameServerOptions = {}): Promise<EmbeddedNameServer> {
    requireOptions("start an embedded name server", options, { ...placeChecks, dialect: dialectCheck });
    const { port = 0, host = "127.0.0.1", dialect = "5.x", transport } = options;
    const faults = new FaultTable();
    const registry = new Registry();
    const server = new Server(transport ?? await defaultTransport(), host, LIMITS);
    server.serve({ onRequest: faults.wrap(handlerOf(nameServerRoutes(registry), dialect)), onClosed: () => {} });
    await server.open(port);
    return new EmbeddedNameServer(server, registry, faults);
  }

  /** Its `host:port`; another one after {@linkcode move}. */
  get address(): string {
    return this.#server.address;
  }

  /** How many connections are open. */
  get connections(): number {
    return this.#server.connections;
  }

  /**
   * Forgets a broker, a topic, or one topic of one broker, until {@linkcode remember}: routes lack them. Without
   * arguments it forgets everything, also what brokers make later.
   */
  forget(what: Forgotten = {}): void {
    this.#registry.forget({ ...what });
  }

  /** Knows again what it forgot. */
  remember(): void {
    this.#registry.remember();
  }

  /**
   * Sets the queues of an ordered topic, which its routes then carry: `"broker-a:4;broker-b:4"`.
   *
   * @param order undefined makes it an ordinary topic again
   */
  setOrderTopic(topic: string, order: string | undefined): void {
    this.#registry.setOrder(topic, order);
  }

  /** Ends it as a crash does: the port refuses, all connections are cut. What brokers have it knows again later. */
  kill(): Promise<void> {
    return this.#server.close();
  }

  /**
   * Opens the same port again; does nothing while it runs.
   *
   * @throws {NetworkError} `CONNECT_FAILED` if somebody else has taken the port
   */
  async revive(): Promise<void> {
    if (!this.#server.isOpen) await this.#server.reopen();
  }

  /**
   * Goes to another port, as after a new deployment: the old one refuses. Clients are not told.
   *
   * @param port 0 takes a free one
   */
  async move(port = 0): Promise<void> {
    await this.#server.close();
    await this.#server.open(port);
  }

  /** Does nothing any more, as a process after SIGSTOP, until {@linkcode resume}: the port stays open. */
  pause(options: PauseOptions = {}): void {
    this.#server.pause(options);
  }

  /** Goes on, as a process after SIGCONT: what was sent meanwhile is served now. */
  resume(): Promise<void> {
    return this.#server.resume();
  }

  /** Ends it; no socket or port is left. May be called twice. */
  async close(): Promise<void> {
    this.faults.clear();
    await this.#server.close();
  }

  /** Ends it, as {@linkcode close} does. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
