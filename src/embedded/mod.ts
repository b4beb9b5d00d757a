/**
 * RocketMQ in this process: a name server and a broker on a real TCP port, for tests, demos and development.
 *
 * @example
 * ```ts
 * import { EmbeddedBroker } from "@denorocket/rocketmq/embedded";
 *
 * await using broker = await EmbeddedBroker.start({ topics: { orders: { queues: 2 } } });
 * await broker.publish("orders", [{ body: "paid", tags: "paid", keys: ["42"] }]);
 * broker.nameServer; // "127.0.0.1:" and a port, for connect()
 * ```
 *
 * @module
 */

export { EmbeddedBroker, type QueueStats } from "./broker.ts";
export { type ClusterTopicOptions, EmbeddedCluster } from "./cluster.ts";
export type { EmbeddedAccount } from "./credentials.ts";
export type { Fault, FaultAction, FaultOptions, FaultReply, FaultRequest, Faults } from "./faults.ts";
export { EmbeddedNameServer, type EmbeddedNameServerOptions } from "./name_server.ts";
export type { EmbeddedBrokerOptions, EmbeddedClusterOptions } from "./options.ts";
export type { PublishedMessage, PublishOptions } from "./publish.ts";
export type { Forgotten } from "./registry.ts";
export type { PauseOptions } from "./server.ts";
export type { EmbeddedServerOptions } from "./server_options.ts";
export type { TopicOptions } from "./topic_options.ts";
export type { ConnectSocketOptions, Listener, Socket, TlsOptions, Transport } from "../transport/transport.ts";
export type { MessageQueue } from "../message.ts";
