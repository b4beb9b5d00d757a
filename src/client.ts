/**
 * The client: one per cluster and process, shared by consumers and producers.
 *
 * @module
 */

import { checkConnectOptions, type ConnectOptions, connectOptionsOf } from "./connect_options.ts";
import { Cluster } from "./cluster/cluster.ts";
import { Signer } from "./cluster/credentials.ts";
import type { Consumer } from "./consumer/consumer.ts";
import { joinGroup } from "./consumer/group_consumer.ts";
import type { ConsumerOptions } from "./consumer/options.ts";
import type { PopConsumer } from "./consumer/pop/consumer.ts";
import { joinPopGroup } from "./consumer/pop/group_pop_consumer.ts";
import type { PopConsumerOptions } from "./consumer/pop/options.ts";
import type { ReaderOptions } from "./consumer/reader/options.ts";
import type { Reader } from "./consumer/reader/reader.ts";
import { openReader } from "./consumer/reader/topic_reader.ts";
import { EventHub, type StatusEvent } from "./events.ts";
import type { ClientHealth } from "./health.ts";
import type { Observer } from "./telemetry/observer.ts";
import { createProducer, type Producer, type ProducerOptions } from "./producer/mod.ts";

/**
 * A connection to a cluster: one socket per broker, shared by all consumers and producers.
 *
 * @category Start
 */
export interface Client {
  /** Unique per client: brokers and tools know it by this name. Nothing durable depends on it. */
  readonly clientId: string;
  /**
   * Joins a group; resolves when the brokers know this member and its first queues are known.
   *
   * @throws {ConfigError} for options that are not allowed, all of them named
   * @throws {InvalidTopicError} for a topic that no name server knows, unless `missingTopic` is `"wait"`
   * @throws {InvalidSelectorError} for a tag expression that cannot be understood
   * @throws {SubscribeError} if the cluster cannot be asked about a topic
   * @throws {ConsumerStartError} if the group cannot be joined
   *
   * @example
   * ```ts
   * import { connect } from "@denorocket/rocketmq";
   *
   * await using mq = await connect("localhost:9876");
   * await using consumer = await mq.consumer({ group: "billing", topics: { orders: "paid || refunded" } });
   * for await (const batch of consumer) {
   *   for (const message of batch) console.log(message.keys, message.text());
   * } // requesting the next batch acknowledges this one
   * ```
   */
  consumer<T = unknown>(options: ConsumerOptions): Promise<Consumer<T>>;
  /**
   * Joins a group as a worker that pops: it owns no queue, and takes what there is for a time. Brokers of 5.x only.
   *
   * @throws {ConfigError} for options that are not allowed, all of them named
   * @throws {InvalidTopicError} for a topic that no name server knows, unless `missingTopic` is `"wait"`
   * @throws {InvalidSelectorError} for a filter that cannot be understood
   * @throws {SubscribeError} if the cluster cannot be asked about a topic
   * @throws {UnsupportedError} if a broker is older than 5.0
   *
   * @example
   * ```ts
   * import { connect } from "@denorocket/rocketmq";
   *
   * await using mq = await connect("localhost:9876");
   * await using worker = await mq.popConsumer({ group: "mails", topics: "mails-to-send" });
   * const batch = await worker.pop({ max: 8, wait: 1_000 });
   * for (const message of batch) console.log(message.text());
   * await batch.ack();
   * ```
   */
  popConsumer<T = unknown>(options: PopConsumerOptions): Promise<PopConsumer<T>>;
  /**
   * Opens a reader of a topic's queues, which is in no group; resolves when the queues are known.
   *
   * @throws {ConfigError} for options that are not allowed, all of them named
   * @throws {InvalidTopicError} for a topic that no name server knows
   * @throws {InvalidSelectorError} for a filter that cannot be understood
   *
   * @example
   * ```ts
   * import { connect } from "@denorocket/rocketmq";
   *
   * await using mq = await connect("localhost:9876");
   * await using reader = await mq.reader({ topic: "orders", from: new Date(Date.now() - 3_600_000) });
   * for await (const batch of reader) {
   *   for (const message of batch) console.log(message.text());
   * } // goes on with new messages; `break` ends it
   * ```
   */
  reader<T = unknown>(options: ReaderOptions): Promise<Reader<T>>;
  /**
   * Makes a producer.
   *
   * @throws {ConfigError} for options that are not allowed, all of them named
   *
   * @example
   * ```ts
   * import { connect, json } from "@denorocket/rocketmq";
   *
   * await using mq = await connect("localhost:9876");
   * await using producer = await mq.producer();
   * const receipt = await producer.send({ topic: "orders", tags: "paid", keys: "order-42", body: json({ total: 9.9 }) });
   * console.log(receipt.messageId);
   * ```
   */
  producer(options?: ProducerOptions): Promise<Producer>;
  /**
   * Yields what happens, from this call on: connections, routes, queues, faults that are being dealt with.
   *
   * @example
   * ```ts
   * import { connect } from "@denorocket/rocketmq";
   *
   * await using mq = await connect("localhost:9876");
   * for await (const event of mq.status()) console.log(event.type, event.text);
   * ```
   */
  status(): AsyncIterableIterator<StatusEvent>;
  /**
   * Whether a name server and all brokers answer and all consumers work, and the state of each: what is known now,
   * without a request.
   *
   * @example
   * ```ts
   * import { connect } from "@denorocket/rocketmq";
   *
   * await using mq = await connect("localhost:9876");
   * const { ok, brokers } = mq.health();
   * console.log(ok, brokers.length);
   * ```
   */
  health(): ClientHealth;
  /**
   * Closes consumers and producers, then all connections.
   *
   * @example
   * ```ts
   * import { connect } from "@denorocket/rocketmq";
   *
   * const mq = await connect("localhost:9876");
   * try {
   *   console.log(mq.clientId);
   * } finally {
   *   await mq.close(); // `await using` does this at the end of its scope
   * }
   * ```
   */
  close(): Promise<void>;
  /** Closes. */
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * Connects to a cluster: `connect()`, `connect("ns1:9876;ns2:9876", options)` or `connect({ nameServers, …options })`.
 *
 * Without an address it takes the environment's `NAMESRV_ADDR`, if that may be read without asking for permission,
 * else `127.0.0.1:9876`.
 *
 * @throws {ConfigError} for options that are not allowed
 * @throws {NameServerError} if no name server answers within `startTimeout`, or at once if what answers is none
 * @example
 * ```ts
 * import { connect } from "@denorocket/rocketmq";
 *
 * await using mq = await connect({ nameServers: "ns1:9876;ns2:9876", tls: true, startTimeout: 10_000 });
 * ```
 *
 * @category Start
 */
export async function connect(
  address: string | ConnectOptions = {},
  options?: Omit<ConnectOptions, "nameServers">,
): Promise<Client> {
  const checked = await checkConnectOptions(connectOptionsOf(address, options));
  const { credentials, observers, signal, ...rest } = checked;
  const events = new EventHub(checked.logger);
  const signer = credentials === undefined ? undefined : new Signer(credentials);
  await signer?.load();
  const signing = signer && { prepare: signer.sign, renewCredentials: () => signer.renew() };
  return new RocketMQClient(await Cluster.connect({ ...rest, ...signing, events }, signal), events, observers);
}

class RocketMQClient implements Client {
  #cluster: Cluster;
  #events: EventHub;
  #observers: readonly Observer[];

  constructor(cluster: Cluster, events: EventHub, observers: readonly Observer[]) {
    this.#cluster = cluster;
    this.#events = events;
    this.#observers = observers;
  }

  get clientId(): string {
    return this.#cluster.clientId;
  }

  async consumer<T = unknown>(options: ConsumerOptions): Promise<Consumer<T>> {
    return await joinGroup<T>(this.#cluster, options, this.#observers);
  }

  async popConsumer<T = unknown>(options: PopConsumerOptions): Promise<PopConsumer<T>> {
    return await joinPopGroup<T>(this.#cluster, options, this.#observers);
  }

  async reader<T = unknown>(options: ReaderOptions): Promise<Reader<T>> {
    return await openReader<T>(this.#cluster, options, this.#observers);
  }

  async producer(options: ProducerOptions = {}): Promise<Producer> {
    return await createProducer(this.#cluster, options, this.#observers);
  }

  status(): AsyncIterableIterator<StatusEvent> {
    return this.#events.read();
  }

  health(): ClientHealth {
    return this.#cluster.currentHealth();
  }

  async close(): Promise<void> {
    try {
      await this.#cluster.close();
    } finally {
      this.#events.close();
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
