/**
 * Several brokers and name servers in this process: for tests of clients when one of them fails.
 *
 * @module
 */

import { InvalidTopicError, ValidationError } from "../errors.ts";
import { EmbeddedBroker } from "./broker.ts";
import { given } from "./checks.ts";
import { EmbeddedNameServer } from "./name_server.ts";
import { checkClusterOptions, type EmbeddedClusterOptions } from "./options.ts";
import type { PublishedMessage, PublishOptions } from "./publish.ts";
import type { TopicOptions } from "./topic_options.ts";

/**
 * Options of {@linkcode EmbeddedCluster.createTopic}.
 *
 * @category Test
 */
export interface ClusterTopicOptions extends TopicOptions {
  /**
   * The names of the brokers on which it is created.
   *
   * @default all brokers
   */
  brokers?: readonly string[];
}

/**
 * Brokers and name servers, each on its own real TCP port, in memory and bounded.
 *
 * Every broker registers with every name server; they share nothing else. Each of them can be killed, revived, moved to
 * another port, paused and resumed.
 *
 * @example
 * ```ts
 * import { EmbeddedCluster } from "@denorocket/rocketmq/embedded";
 *
 * await using cluster = await EmbeddedCluster.start({ brokers: 2, nameServers: 2, topics: { orders: { queues: 2 } } });
 * await cluster.publish("orders", ["a", "b", "c", "d"]); // one for each of the four queues
 * await cluster.brokers[1]!.kill(); // routes contain broker-a only
 * cluster.names[0]!.pause(); // accepts connections and answers nothing
 * ```
 *
 * @category Test
 */
export class EmbeddedCluster {
  /** The brokers, in the order of their names. */
  readonly brokers: readonly EmbeddedBroker[];
  /** The name servers. */
  readonly names: readonly EmbeddedNameServer[];
  /** The queue of the next message that is published: the queues take turns. */
  #turn = 0;

  private constructor(brokers: readonly EmbeddedBroker[], names: readonly EmbeddedNameServer[]) {
    this.brokers = brokers;
    this.names = names;
  }

  /**
   * Starts a cluster. All its ports are open when this resolves.
   *
   * @throws {ConfigError} if an option is not allowed
   * @throws {NetworkError} `CONNECT_FAILED` if a port cannot be opened; nothing is left open then
   */
  static async start(options: EmbeddedClusterOptions = {}): Promise<EmbeddedCluster> {
    checkClusterOptions(options);
    const { brokers: brokerCount = 2, nameServers: nameCount = 2, ...common } = options;
    const names: EmbeddedNameServer[] = [];
    const brokers: EmbeddedBroker[] = [];
    const cluster = new EmbeddedCluster(brokers, names);
    try {
      const { host, dialect, transport, maxConnections, maxUnreadBytes, maxUnfinishedBytes } = common;
      const server = given({ host, dialect, transport, maxConnections, maxUnreadBytes, maxUnfinishedBytes });
      for (let i = 0; i < nameCount; i++) names.push(await EmbeddedNameServer.start(server));
      for (let i = 0; i < brokerCount; i++) {
        const brokerName = `broker-${String.fromCharCode("a".charCodeAt(0) + i)}`;
        brokers.push(await EmbeddedBroker.start({ ...common, port: 0, brokerName, nameServers: [...names] }));
      }
    } catch (error) {
      await cluster.close();
      throw error;
    }
    return cluster;
  }

  /** The `host:port` of each name server. */
  get nameServers(): string[] {
    return this.names.map(({ address }) => address);
  }

  /** The addresses of the name servers, joined by `;`, for `connect()`. */
  get nameServer(): string {
    return this.nameServers.join(";");
  }

  /** The broker of a name; undefined if there is none. */
  broker(name: string): EmbeddedBroker | undefined {
    return this.brokers.find(({ brokerName }) => brokerName === name);
  }

  /**
   * Creates a topic, or changes its options, on all brokers or on those in `brokers`. Each has that many `queues`.
   *
   * @throws {ValidationError} if the name, an option or a broker's name is not allowed
   */
  createTopic(name: string, options: ClusterTopicOptions = {}): void {
    const { brokers = this.brokers.map(({ brokerName }) => brokerName), ...topic } = options;
    const chosen = brokers.map((each) => {
      const broker = this.broker(each);
      if (broker !== undefined) return broker;
      const allowed = `one of ${this.brokers.map(({ brokerName }) => brokerName).join(", ")}`;
      throw new ValidationError("create a topic", [{ field: "brokers", value: each, allowed }]);
    });
    for (const broker of chosen) broker.createTopic(name, topic);
  }

  /**
   * Stores messages directly. The queues of all brokers that have the topic take turns, or with `queueId` the queues of
   * that number. Consumers can pull the messages when this resolves. Brokers that do not run store messages too.
   *
   * @throws {InvalidTopicError} if no broker has the topic
   * @throws {ValidationError} if a message or the queue is not allowed
   */
  async publish(
    topic: string,
    messages: Iterable<string | Uint8Array | PublishedMessage>,
    options: PublishOptions = {},
  ): Promise<void> {
    const places = this.brokers.flatMap((broker) =>
      broker.topicStats(topic)
        .filter(({ queueId }) => options.queueId === undefined || options.queueId === queueId)
        .map(({ queueId }) => ({ broker, queueId, messages: new Array<string | Uint8Array | PublishedMessage>() }))
    );
    if (places.length === 0) {
      throw new InvalidTopicError(`Cannot publish to topic "${topic}": no broker of the cluster has it`, topic);
    }
    for (const message of messages) places[this.#turn++ % places.length]!.messages.push(message);
    for (const { broker, queueId, messages } of places) await broker.publish(topic, messages, { queueId });
  }

  /** The sum of the offsets that a group has committed for the queues of a topic on all brokers; 0 without a commit. */
  committed(group: string, topic: string): number {
    return this.brokers.reduce((sum, broker) => sum + broker.committed(group, topic), 0);
  }

  /** Stops all brokers and name servers; no timer, socket or port stays open. May be called repeatedly. */
  async close(): Promise<void> {
    await Promise.all([...this.brokers, ...this.names].map((each) => each.close()));
  }

  /** Stops it, as {@linkcode close} does. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
