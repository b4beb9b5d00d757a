/**
 * A name server in this process, for embedded brokers.
 *
 * @module
 */

import { defaultTransport } from "../transport/default.ts";
import { given, requireOptions } from "./checks.ts";
import { type Faults, FaultTable } from "./faults.ts";
import { nameServerHandlers } from "./handlers/name_server.ts";
import { type Forgotten, Registry } from "./registry.ts";
import { requestHandler } from "./router.ts";
import { type PauseOptions, Server } from "./server.ts";
import {
  type CheckedServerOptions,
  type EmbeddedServerOptions,
  serverChecks,
  serverDefaults,
} from "./server_options.ts";

/**
 * Options of {@linkcode EmbeddedNameServer.start}.
 *
 * @category Test
 */
export type EmbeddedNameServerOptions = EmbeddedServerOptions;

const registries = new WeakMap<EmbeddedNameServer, Registry>();

/** The registry of a name server: where brokers register. */
export function registryOf(nameServer: EmbeddedNameServer): Registry {
  return registries.get(nameServer)!;
}

/**
 * A name server on a real TCP port, for the embedded brokers that are started with it.
 *
 * Its routes follow every change of its brokers at once; real name servers learn of changes within 30 seconds. A broker
 * that is killed leaves its routes at once, and one that is paused after 120 seconds.
 *
 * @example
 * ```ts
 * import { EmbeddedBroker, EmbeddedNameServer } from "@denorocket/rocketmq/embedded";
 *
 * await using names = await EmbeddedNameServer.start();
 * await using broker = await EmbeddedBroker.start({ nameServers: [names] });
 * broker.nameServer === names.address; // true
 * ```
 *
 * @category Test
 */
export class EmbeddedNameServer {
  /** The faults to inject, and the number of requests that have been received. */
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
   * Starts a name server. Its port is open when this resolves.
   *
   * @throws {ConfigError} if an option is not allowed
   * @throws {NetworkError} `CONNECT_FAILED` if the port cannot be opened
   */
  static async start(options: EmbeddedNameServerOptions = {}): Promise<EmbeddedNameServer> {
    requireOptions("start an embedded name server", options, serverChecks);
    const checked: CheckedServerOptions = { ...serverDefaults, ...given(options) };
    const faults = new FaultTable();
    const registry = new Registry();
    const server = new Server(checked.transport ?? await defaultTransport(), checked);
    const onRequest = requestHandler(nameServerHandlers(registry), [faults.filter], checked.dialect);
    server.serve({ onRequest, onClosed: () => {} });
    await server.open(checked.port);
    return new EmbeddedNameServer(server, registry, faults);
  }

  /** Its `host:port`; {@linkcode move} changes it. */
  get address(): string {
    return this.#server.address;
  }

  /** The number of open connections. */
  get connections(): number {
    return this.#server.connections;
  }

  /**
   * Removes a broker, a topic, or one topic of one broker from all answers, until {@linkcode remember}. Without
   * arguments it removes everything, later topics and brokers included.
   */
  forget(what: Forgotten = {}): void {
    this.#registry.forget({ ...what });
  }

  /** Ends the effect of all calls of {@linkcode forget}. */
  remember(): void {
    this.#registry.remember();
  }

  /**
   * Sets the `orderTopicConf` of a topic, which its routes carry then: `"broker-a:4;broker-b:4"`.
   *
   * @param order undefined removes it
   */
  setOrderTopic(topic: string, order: string | undefined): void {
    this.#registry.setOrder(topic, order);
  }

  /** Stops it as a crash does: the port and all connections close. Its brokers stay registered. */
  kill(): Promise<void> {
    return this.#server.close();
  }

  /**
   * Starts it again on the same port; does nothing while it runs.
   *
   * @throws {NetworkError} `CONNECT_FAILED` if the port cannot be opened
   */
  async revive(): Promise<void> {
    if (!this.#server.isOpen) await this.#server.reopen();
  }

  /**
   * Stops it and starts it on another port, as a new deployment does. Clients are not notified.
   *
   * @param port 0 selects a free one
   */
  async move(port = 0): Promise<void> {
    await this.#server.close();
    await this.#server.open(port);
  }

  /** Pauses it, as SIGSTOP does a process, until {@linkcode resume}: the port stays open, and nothing is answered. */
  pause(options: PauseOptions = {}): void {
    this.#server.pause(options);
  }

  /** Resumes it, as SIGCONT does a process. Requests that have arrived during the pause are handled. */
  resume(): Promise<void> {
    return this.#server.resume();
  }

  /** Stops it and removes all faults; no socket or port stays open. May be called repeatedly. */
  async close(): Promise<void> {
    this.faults.clear();
    await this.#server.close();
  }

  /** Stops it, as {@linkcode close} does. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
