/**
 * The running broker: its parts behind a port, from start to end.
 *
 * @module
 */

import type { Transport } from "../transport/transport.ts";
import { assemble, brokerHandlers } from "./assemble.ts";
import { credentialsFilter } from "./credentials.ts";
import { FaultTable } from "./faults.ts";
import type { CheckedOptions } from "./options.ts";
import type { Parts } from "./parts.ts";
import type { RegisteredBroker, Registry } from "./registry.ts";
import { type Handler, requestHandler } from "./router.ts";
import { Scheduler } from "./scheduler.ts";
import { type PauseOptions, Server } from "./server.ts";

/** A broker, registered with the registries of its name servers. */
export class BrokerServer {
  /** Its parts. */
  readonly parts: Parts;
  /** Its faults. */
  readonly faults: FaultTable;
  /** Its port. */
  readonly port: Server;
  #scheduler: Scheduler;

  private constructor(parts: Parts, port: Server, scheduler: Scheduler, faults: FaultTable) {
    this.parts = parts;
    this.port = port;
    this.#scheduler = scheduler;
    this.faults = faults;
  }

  /** Opens the port. `others` are handlers of another server on the same port. */
  static async start(
    options: CheckedOptions,
    transport: Transport,
    registries: readonly Registry[],
    others: readonly Handler[],
  ): Promise<BrokerServer> {
    const port = new Server(transport, options);
    await port.open(options.port);
    const scheduler = new Scheduler();
    const parts = assemble(options, port.address, registries, scheduler);
    const faults = new FaultTable();
    const filters = [faults.filter];
    const { credentials, dialect } = options;
    const ofNameServer = new Set(others.map(({ code }) => code));
    if (credentials.length > 0) filters.push(credentialsFilter(credentials, ofNameServer, dialect));
    const { heldPulls, pop, consumerGroups, producerGroups } = parts;
    port.serve({
      onRequest: requestHandler([...brokerHandlers(parts), ...others], filters, options.dialect),
      onClosed: (connection) => {
        for (const part of [heldPulls, pop.held, consumerGroups, producerGroups]) part.dropConnection(connection);
      },
    });
    scheduler.start();
    const broker = new BrokerServer(parts, port, scheduler, faults);
    for (const registry of registries) registry.register(broker.#registration());
    return broker;
  }

  /** Closes the port, and loses members, locks and the offsets that are not persisted. */
  async kill(): Promise<void> {
    await this.#close();
    this.parts.offsets.revert();
  }

  /** Closes the port, and loses members and locks. */
  async stop(): Promise<void> {
    await this.#close();
    this.parts.offsets.persist();
  }

  /** Opens the same port again; does nothing while it is open. */
  async revive(): Promise<void> {
    if (this.port.isOpen) return;
    await this.port.reopen();
    this.#scheduler.start();
  }

  /** Stops, and opens another port. */
  async move(port: number): Promise<void> {
    await this.stop();
    await this.port.open(port);
    this.parts.store.moveTo(this.port.address);
    this.#scheduler.start();
  }

  /** Stops all activity until {@linkcode resume}. */
  pause(options: PauseOptions): void {
    this.#scheduler.stop();
    this.port.pause(options);
  }

  /** Resumes. */
  async resume(): Promise<void> {
    await this.port.resume();
    if (this.port.isOpen) this.#scheduler.start();
  }

  async #close(): Promise<void> {
    this.#scheduler.stop();
    await this.port.close();
    this.parts.consumerGroups.clear();
    this.parts.producerGroups.clear();
    this.parts.locks.clear();
  }

  /** What name servers read of it: the address and the time are the current ones. */
  #registration(): RegisteredBroker {
    const { topics, options } = this.parts;
    const { port } = this;
    return {
      brokerName: options.brokerName,
      clusterName: options.clusterName,
      topics,
      get address() {
        return port.address;
      },
      get seenAt() {
        return port.seenAt;
      },
    };
  }
}
