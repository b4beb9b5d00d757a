/**
 * A whole RocketMQ in this process: for tests, demos and development.
 *
 * @module
 */

import { InvalidTopicError } from "../errors.ts";
import type { MessageQueue } from "../message.ts";
import { defaultTransport } from "../transport/default.ts";
import { assemble, brokerRoutes } from "./assemble.ts";
import { type Faults, FaultTable } from "./faults.ts";
import { nameServerRoutes } from "./handlers/name_server.ts";
import { handlerOf, registryOf } from "./name_server.ts";
import { checkOptions, checkTopic, type EmbeddedBrokerOptions, type TopicOptions } from "./options.ts";
import type { Parts } from "./parts.ts";
import { publishAll, type PublishedMessage, type PublishOptions, toMessages } from "./publish.ts";
import { type RegisteredBroker, Registry } from "./registry.ts";
import { resetOffset } from "./reset.ts";
import { type PauseOptions, Server } from "./server.ts";
import { Timetable } from "./timetable.ts";
import type { TopicConfig } from "./topics.ts";

/** Where a queue begins and ends. */
export interface QueueStats {
  /** The queue's number. */
  readonly queueId: number;
  /** The smallest offset that it holds. */
  readonly minOffset: number;
  /** The offset that its next message gets. */
  readonly maxOffset: number;
}

/**
 * A name server and a broker on one real TCP port, in memory and bounded; with `nameServers` a broker only.
 *
 * It speaks the remoting protocol as RocketMQ 5.3.3 does, so that clients in any language can use it, by pull and by
 * POP. It has no transactions; requests for them are answered as by a broker that has them switched off.
 *
 * @example
 * ```ts
 * import { EmbeddedBroker } from "@denorocket/rocketmq/embedded";
 *
 * await using broker = await EmbeddedBroker.start({ topics: { orders: { queues: 1 } } });
 * await broker.publish("orders", ["first", "second"]);
 * broker.maxOffset("orders", 0); // 2
 * ```
 */
export class EmbeddedBroker {
  /** What goes wrong on purpose, and how often the broker was asked what. */
  readonly faults: Faults;
  #parts: Parts;
  #server: Server;
  #timetable: Timetable;
  /** The queue, by turns, of the next message that is published. */
  #turn = 0;

  private constructor(parts: Parts, server: Server, timetable: Timetable, faults: Faults) {
    this.#parts = parts;
    this.#server = server;
    this.#timetable = timetable;
    this.faults = faults;
  }

  /**
   * Starts a broker; its port is open when this resolves.
   *
   * @throws {ConfigError} if an option is not allowed
   * @throws {NetworkError} `CONNECT_FAILED` if the port cannot be opened
   */
  static async start(options: EmbeddedBrokerOptions = {}): Promise<EmbeddedBroker> {
    const checked = checkOptions(options);
    const timetable = new Timetable();
    const faults = new FaultTable();
    const server = new Server(checked.transport ?? await defaultTransport(), checked.host, checked);
    await server.open(checked.port);
    const own = checked.nameServers === undefined ? [new Registry()] : [];
    const registries = checked.nameServers?.map(registryOf) ?? own;
    const parts = assemble(checked, server.address, registries, timetable);
    const routes = [...brokerRoutes(parts), ...own.flatMap(nameServerRoutes)];
    server.serve({
      onRequest: faults.wrap(handlerOf(routes, checked.dialect)),
      onClosed: (connection) => {
        parts.longPolls.dropConnection(connection);
        parts.pop.polls.dropConnection(connection);
        parts.groups.dropConnection(connection);
      },
    });
    timetable.start();
    const broker = new EmbeddedBroker(parts, server, timetable, faults);
    for (const [name, topic] of Object.entries(checked.topics)) broker.createTopic(name, topic);
    for (const registry of registries) registry.register(broker.#registration());
    return broker;
  }

  /** The `host:port` of its name server, which is its own too; with `nameServers` theirs, joined by `;`. */
  get nameServer(): string {
    return this.#parts.options.nameServers?.map(({ address }) => address).join(";") ?? this.address;
  }

  /** The broker's own `host:port`; another one after {@linkcode move}. */
  get address(): string {
    return this.#server.address;
  }

  /** The broker's name, as routes and queues show it. */
  get brokerName(): string {
    return this.#parts.options.brokerName;
  }

  /** How many client connections are open. */
  get connections(): number {
    return this.#server.connections;
  }

  /** How many pulls are held open. */
  get heldPulls(): number {
    return this.#parts.longPolls.length;
  }

  /** How many pops are held open. */
  get heldPops(): number {
    return this.#parts.pop.polls.length;
  }

  /** How many messages are popped and not acked, but for those that are popped in order. */
  get poppedMessages(): number {
    return this.#parts.pop.deliveries.length;
  }

  /** How many messages wait for their delay to end. */
  get delayedMessages(): number {
    return this.#parts.delays.length;
  }

  /** The names of all topics, the broker's own included. */
  get topics(): readonly string[] {
    return this.#parts.topics.names;
  }

  /**
   * Makes a topic, or changes the number of its queues; clients see that when they ask for its route again.
   *
   * @throws {ValidationError} if the name or an option is not allowed
   */
  createTopic(name: string, options: TopicOptions = {}): void {
    const { queues, permission } = checkTopic(name, options);
    this.#parts.topics.put(name, queues, queues, permission);
  }

  /**
   * Puts messages straight into the store, in order; resolves when they can be pulled.
   *
   * An unknown topic is made with 4 queues, if the broker makes topics by itself.
   *
   * @throws {InvalidTopicError} if there is no such topic, and none is made
   * @throws {ValidationError} if a message or the queue is not allowed; nothing is stored then
   * @throws {RocketMQError} `DELAY_REFUSED` if too many messages wait already; those before it are stored
   */
  publish(
    topic: string,
    messages: Iterable<string | Uint8Array | PublishedMessage>,
    options: PublishOptions = {},
  ): Promise<void> {
    return new Promise((resolve) => {
      const config = this.#parts.topics.get(topic) ?? this.#autoCreate(topic);
      const given = [...messages];
      const stored = toMessages(this.#parts, config, given, options, this.#turn);
      this.#turn += given.length;
      publishAll(this.#parts, stored);
      resolve();
    });
  }

  /** The sum of the offsets that a group has committed for the queues of a topic; 0 without any. */
  committed(group: string, topic: string): number {
    return this.#parts.offsets.sum(group, topic);
  }

  /** The offset that a group has committed for one queue. */
  committedOffset(group: string, queue: Pick<MessageQueue, "topic" | "queueId">): number | undefined {
    return this.#parts.offsets.get(group, queue.topic, queue.queueId);
  }

  /** The offset that the next message of a queue gets; 0 for an unknown queue. */
  maxOffset(topic: string, queueId: number): number {
    return this.#parts.store.find(topic, queueId)?.maxOffset ?? 0;
  }

  /** The smallest offset that a queue holds; 0 for an unknown queue. */
  minOffset(topic: string, queueId: number): number {
    return this.#parts.store.find(topic, queueId)?.minOffset ?? 0;
  }

  /** Where the queues of a topic begin and end; none for an unknown topic. */
  topicStats(topic: string): QueueStats[] {
    const { readQueues = 0, writeQueues = 0 } = this.#parts.topics.get(topic) ?? {};
    return Array.from({ length: Math.max(readQueues, writeQueues) }, (_, queueId) => ({
      queueId,
      minOffset: this.minOffset(topic, queueId),
      maxOffset: this.maxOffset(topic, queueId),
    }));
  }

  /** The client ids of a group's members, in the order in which they came; none for an unknown group. */
  members(group: string): string[] {
    return [...this.#parts.groups.get(group)?.members.values() ?? []].map((member) => member.clientId);
  }

  /**
   * Sets a group's offset of a queue, as an operator does.
   *
   * The next pull is answered with code 21 and this offset, and commits until then are ignored; with the 4.9 dialect
   * the group's members are told at once, and nothing else happens.
   */
  resetOffset(group: string, queue: Pick<MessageQueue, "topic" | "queueId">, offset: number): void {
    resetOffset(this.#parts, group, queue, offset);
  }

  /** Drops a queue's messages before an offset, as brokers do with old ones. */
  deleteUntil(topic: string, queueId: number, offset: number): void {
    const queue = this.#parts.store.find(topic, queueId);
    if (queue !== undefined) this.#parts.store.deleteUntil(queue, offset);
  }

  /**
   * Ends the broker as a crash does: the port closes, all connections are cut, and offsets that were committed since
   * the last persist are forgotten. Messages, topics and older offsets stay for {@linkcode revive}.
   */
  async kill(): Promise<void> {
    await this.#down();
    this.#parts.offsets.forgetYoung();
  }

  /** Ends the broker in order: as {@linkcode kill}, but no offset is forgotten. */
  async stop(): Promise<void> {
    await this.#down();
    this.#parts.offsets.persist();
  }

  /**
   * Opens the same port again, with what was kept; does nothing while the broker runs.
   *
   * @throws {NetworkError} `CONNECT_FAILED` if somebody else has taken the port
   */
  async revive(): Promise<void> {
    if (this.#server.isOpen) return;
    await this.#server.reopen();
    this.#timetable.start();
  }

  /**
   * Stops the broker in order and opens it on another port, of which its name servers know at once.
   *
   * @param port 0 takes a free one
   * @throws {NetworkError} `CONNECT_FAILED` if the port cannot be opened; {@linkcode revive} opens the old one
   */
  async move(port = 0): Promise<void> {
    await this.stop();
    await this.#server.open(port);
    this.#parts.store.moveTo(this.address);
    this.#timetable.start();
  }

  /**
   * Does nothing any more, as a process after SIGSTOP, until {@linkcode resume}: connections stay open, new ones are
   * accepted, and nothing is answered. After 120 seconds name servers leave the broker out.
   */
  pause(options: PauseOptions = {}): void {
    this.#timetable.stop();
    this.#server.pause(options);
  }

  /**
   * Goes on, as a process after SIGCONT: what was sent meanwhile is served now, heartbeats of connections that have
   * closed meanwhile included. Their members stay in the group for 120 seconds, as in a real broker's.
   */
  async resume(): Promise<void> {
    await this.#server.resume();
    if (this.#server.isOpen) this.#timetable.start();
  }

  /** Stops the broker in order and opens it again. */
  async restart(): Promise<void> {
    await this.stop();
    await this.revive();
  }

  /** Ends the broker; no timer, socket or port is left. May be called twice. */
  async close(): Promise<void> {
    this.faults.clear();
    await this.stop();
  }

  /** Ends the broker, as {@linkcode close} does. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** What name servers know of it, as it is whenever they look. */
  #registration(): RegisteredBroker {
    const { topics, options } = this.#parts;
    const server = this.#server;
    return {
      brokerName: options.brokerName,
      clusterName: options.clusterName,
      topics,
      get address() {
        return server.address;
      },
      get seenAt() {
        return server.seenAt;
      },
    };
  }

  async #down(): Promise<void> {
    this.#timetable.stop();
    await this.#server.close();
    this.#parts.groups.clear();
    this.#parts.locks.clear();
  }

  #autoCreate(topic: string): TopicConfig {
    const { topics, options } = this.#parts;
    if (!options.autoCreateTopics) {
      throw new InvalidTopicError(`Cannot publish to topic "${topic}": the embedded broker does not have it`, topic);
    }
    this.createTopic(topic);
    return topics.get(topic)!;
  }
}
