/**
 * A broker, with or without a name server, in this process: for tests, demos and development.
 *
 * @module
 */

import { InvalidTopicError } from "../errors.ts";
import type { MessageQueue } from "../message.ts";
import { defaultTransport } from "../transport/default.ts";
import { BrokerServer } from "./broker_server.ts";
import type { Faults } from "./faults.ts";
import { nameServerHandlers } from "./handlers/name_server.ts";
import type { Members } from "./members.ts";
import { registryOf } from "./name_server.ts";
import { checkOptions, type EmbeddedBrokerOptions } from "./options.ts";
import type { Parts } from "./parts.ts";
import { publishAll, type PublishedMessage, type PublishOptions, toMessages } from "./publish.ts";
import { Registry } from "./registry.ts";
import { resetOffset } from "./reset.ts";
import type { PauseOptions } from "./server.ts";
import { checkTopic, type TopicOptions } from "./topic_options.ts";
import type { TopicConfig } from "./topics.ts";

/**
 * The range of offsets of a queue.
 *
 * @category Test
 */
export interface QueueStats {
  /** The queue's number. */
  readonly queueId: number;
  /** The smallest offset that it holds. */
  readonly minOffset: number;
  /** The offset of the next message. */
  readonly maxOffset: number;
}

/**
 * A name server and a broker on one real TCP port, in memory and bounded; with `nameServers` a broker only.
 *
 * It speaks the remoting protocol as RocketMQ 5.3.3 does, so clients in any language can use it, by pull and by POP. It
 * has no transactions: requests for them are answered as by a broker that rejects them.
 *
 * @example
 * ```ts
 * import { EmbeddedBroker } from "@denorocket/rocketmq/embedded";
 *
 * await using broker = await EmbeddedBroker.start({ topics: { orders: { queues: 1 } } });
 * await broker.publish("orders", ["first", "second"]);
 * broker.maxOffset("orders", 0); // 2
 * ```
 *
 * @category Test
 */
export class EmbeddedBroker {
  #broker: BrokerServer;
  /** The queue of the next message that is published: the queues take turns. */
  #turn = 0;

  private constructor(broker: BrokerServer) {
    this.#broker = broker;
  }

  /**
   * Starts a broker. Its port is open when this resolves.
   *
   * @throws {ConfigError} if an option is not allowed
   * @throws {NetworkError} `CONNECT_FAILED` if the port cannot be opened
   */
  static async start(options: EmbeddedBrokerOptions = {}): Promise<EmbeddedBroker> {
    const checked = checkOptions(options);
    const own = checked.nameServers === undefined ? [new Registry()] : [];
    const registries = checked.nameServers?.map(registryOf) ?? own;
    const transport = checked.transport ?? await defaultTransport();
    return new EmbeddedBroker(
      await BrokerServer.start(checked, transport, registries, own.flatMap(nameServerHandlers)),
    );
  }

  /** The faults to inject, and the number of requests that have been received. */
  get faults(): Faults {
    return this.#broker.faults;
  }

  /** The `host:port` of its name server, which is its own address; with `nameServers` theirs, joined by `;`. */
  get nameServer(): string {
    return this.#parts.options.nameServers?.map(({ address }) => address).join(";") ?? this.address;
  }

  /** The broker's own `host:port`; {@linkcode move} changes it. */
  get address(): string {
    return this.#broker.port.address;
  }

  /** The broker's name in routes and queues. */
  get brokerName(): string {
    return this.#parts.options.brokerName;
  }

  /** The number of open client connections. */
  get connections(): number {
    return this.#broker.port.connections;
  }

  /** The number of pulls that are held open. */
  get heldPulls(): number {
    return this.#parts.heldPulls.length;
  }

  /** The number of pops that are held open. */
  get heldPops(): number {
    return this.#parts.pop.held.length;
  }

  /** The number of popped messages that are not acknowledged, without those that are popped in order. */
  get poppedMessages(): number {
    return this.#parts.pop.deliveries.length;
  }

  /** The number of delayed messages that are not visible yet. */
  get delayedMessages(): number {
    return this.#parts.delays.length;
  }

  /** The names of all topics, the broker's system topics included. */
  get topics(): readonly string[] {
    return this.#parts.topics.names;
  }

  /**
   * Creates a topic, or changes its options. Clients see a change when they refresh the route.
   *
   * @throws {ValidationError} if the name or an option is not allowed
   */
  createTopic(name: string, options: TopicOptions = {}): void {
    const { queues, permission } = checkTopic(name, options);
    this.#parts.topics.put(name, queues, queues, permission);
  }

  /**
   * Stores messages directly, in order. Consumers can pull them when this resolves.
   *
   * An unknown topic is created with 4 queues, unless `autoCreateTopics` is false.
   *
   * @throws {InvalidTopicError} if the topic does not exist and is not created
   * @throws {ValidationError} if a message or the queue is not allowed; nothing is stored then
   * @throws {RocketMQError} `DELAY_REFUSED` if there are too many delayed messages; the messages before it are stored
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

  /** The sum of the offsets that a group has committed for the queues of a topic; 0 without a commit. */
  committed(group: string, topic: string): number {
    return this.#parts.offsets.sum(group, topic);
  }

  /** The offset that a group has committed for a queue; undefined without a commit. */
  committedOffset(group: string, queue: Pick<MessageQueue, "topic" | "queueId">): number | undefined {
    return this.#parts.offsets.get(group, queue.topic, queue.queueId);
  }

  /** The offset of the next message of a queue; 0 for an unknown queue. */
  maxOffset(topic: string, queueId: number): number {
    return this.#parts.store.find(topic, queueId)?.maxOffset ?? 0;
  }

  /** The smallest offset that a queue holds; 0 for an unknown queue. */
  minOffset(topic: string, queueId: number): number {
    return this.#parts.store.find(topic, queueId)?.minOffset ?? 0;
  }

  /** The offset ranges of the queues of a topic; an empty list for an unknown topic. */
  topicStats(topic: string): QueueStats[] {
    const { readQueues = 0, writeQueues = 0 } = this.#parts.topics.get(topic) ?? {};
    return Array.from({ length: Math.max(readQueues, writeQueues) }, (_, queueId) => ({
      queueId,
      minOffset: this.minOffset(topic, queueId),
      maxOffset: this.maxOffset(topic, queueId),
    }));
  }

  /** The client ids of the members of a consumer group, in the order in which they joined; empty without members. */
  members(group: string): string[] {
    return clientIds(this.#parts.consumerGroups.get(group)?.members);
  }

  /** The client ids of the members of a producer group, in the order in which they joined; empty without members. */
  producers(group: string): string[] {
    return clientIds(this.#parts.producerGroups.get(group));
  }

  /**
   * Resets a group's offset of a queue, as an operator does.
   *
   * The next pull is answered with code 21 and this offset, and commits until then are ignored. With the 4.9 dialect
   * the members of the group are notified instead, and commit the offset.
   */
  resetOffset(group: string, queue: Pick<MessageQueue, "topic" | "queueId">, offset: number): void {
    resetOffset(this.#parts, group, queue, offset);
  }

  /** Deletes a queue's messages before an offset, as brokers do with expired messages. */
  deleteUntil(topic: string, queueId: number, offset: number): void {
    const queue = this.#parts.store.find(topic, queueId);
    if (queue !== undefined) this.#parts.store.deleteUntil(queue, offset);
  }

  /**
   * Stops the broker as a crash does: the port and all connections close, and offsets that were committed since the
   * last persist are lost. Messages, topics and persisted offsets stay for {@linkcode revive}.
   */
  kill(): Promise<void> {
    return this.#broker.kill();
  }

  /** Stops the broker as {@linkcode kill} does, but persists all offsets. */
  stop(): Promise<void> {
    return this.#broker.stop();
  }

  /**
   * Starts the broker again on the same port, with the state that it has kept; does nothing while it runs.
   *
   * @throws {NetworkError} `CONNECT_FAILED` if the port cannot be opened
   */
  revive(): Promise<void> {
    return this.#broker.revive();
  }

  /**
   * Stops the broker and starts it on another port. Its name servers return the new address at once.
   *
   * @param port 0 selects a free one
   * @throws {NetworkError} `CONNECT_FAILED` if the port cannot be opened; {@linkcode revive} opens the old one
   */
  move(port = 0): Promise<void> {
    return this.#broker.move(port);
  }

  /**
   * Pauses the broker, as SIGSTOP does a process, until {@linkcode resume}: connections stay open, new ones are
   * accepted, and nothing is answered. After 120 seconds name servers remove the broker from routes.
   */
  pause(options: PauseOptions = {}): void {
    this.#broker.pause(options);
  }

  /**
   * Resumes the broker, as SIGCONT does a process. Requests that have arrived during the pause are handled, heartbeats
   * of closed connections included: their members stay in the group for 120 seconds, as in a real broker.
   */
  resume(): Promise<void> {
    return this.#broker.resume();
  }

  /** Stops the broker and starts it again on the same port. */
  async restart(): Promise<void> {
    await this.stop();
    await this.revive();
  }

  /** Stops the broker and removes all faults; no timer, socket or port stays open. May be called repeatedly. */
  async close(): Promise<void> {
    this.faults.clear();
    await this.stop();
  }

  /** Stops the broker, as {@linkcode close} does. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  get #parts(): Parts {
    return this.#broker.parts;
  }

  #autoCreate(topic: string): TopicConfig {
    const { topics, options } = this.#parts;
    if (!options.autoCreateTopics) {
      const reason = 'it does not exist, and "autoCreateTopics" is false';
      throw new InvalidTopicError(`Cannot publish to topic "${topic}": ${reason}`, topic);
    }
    this.createTopic(topic);
    return topics.get(topic)!;
  }
}

function clientIds(members: Members | undefined): string[] {
  return [...members?.values() ?? []].map(({ clientId }) => clientId);
}
