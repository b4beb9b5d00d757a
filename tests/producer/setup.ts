/** A cluster and producers over embedded brokers, for tests of the producer. */

import { Cluster } from "../../src/cluster/cluster.ts";
import type { EmbeddedBroker } from "../../src/embedded/mod.ts";
import { EventHub } from "../../src/events.ts";
import type { MessageQueue } from "../../src/message.ts";
import { createProducer, type Producer, type ProducerOptions } from "../../src/producer/mod.ts";
import { defaultTransport } from "../../src/transport/default.ts";
import type { TopicRouteData } from "../../src/wire/bodies.ts";
import { decodeHeader } from "../../src/wire/fields.ts";
import type { Command } from "../../src/wire/frame.ts";
import { decodeRecords, type StoredMessage } from "../../src/wire/record.ts";
import { getRoute, pullMessage, sendHeader } from "../../src/wire/requests.ts";

/** A cluster that closes itself. */
export interface TestCluster extends AsyncDisposable {
  /** The cluster. */
  readonly cluster: Cluster;
  /** Makes a producer that is closed with the cluster. */
  producer(options?: ProducerOptions): Promise<Producer>;
}

/** Connects to a broker's name server. */
export async function connectTo(broker: EmbeddedBroker): Promise<TestCluster> {
  const cluster = await Cluster.connect({
    nameServers: [broker.nameServer],
    transport: await defaultTransport(),
    mapAddress: (address) => address,
    startTimeout: 5_000,
    requestTimeout: 3_000,
    heartbeatInterval: 30_000,
    routeInterval: 30_000,
    events: new EventHub(false),
  });
  const producers: Producer[] = [];
  return {
    cluster,
    async producer(options?: ProducerOptions): Promise<Producer> {
      const producer = await createProducer(cluster, options);
      producers.push(producer);
      return producer;
    },
    async [Symbol.asyncDispose](): Promise<void> {
      await Promise.all(producers.map((producer) => producer.close()));
      cluster.close();
    },
  };
}

/** Has the first broker's name server tell that a topic lives on all these brokers. */
export function joinRoutes(brokers: readonly [EmbeddedBroker, ...EmbeddedBroker[]], topic: string, queues = 1): void {
  const route: TopicRouteData = {
    brokerDatas: brokers.map(({ brokerName, nameServer }) => ({
      cluster: "DefaultCluster",
      brokerName,
      brokerAddrs: { 0: nameServer },
    })),
    queueDatas: brokers.map(({ brokerName }) => ({
      brokerName,
      perm: 6,
      readQueueNums: queues,
      writeQueueNums: queues,
    })),
  };
  const body = new TextEncoder().encode(JSON.stringify(route));
  const match = (request: { fields: Readonly<Record<string, string>> }) => request.fields.topic === topic;
  brokers[0].faults.answer(getRoute.name, { code: 0, body }, { times: Infinity, match });
}

/** Reads what a queue holds. */
export async function messagesIn(cluster: Cluster, queue: MessageQueue): Promise<readonly StoredMessage[]> {
  await cluster.routes.refresh(queue.topic);
  const header = {
    consumerGroup: "reader",
    topic: queue.topic,
    queueId: queue.queueId,
    queueOffset: 0,
    maxMsgNums: 1_024,
    sysFlag: 0,
    commitOffset: 0,
    suspendTimeoutMillis: 0,
    subVersion: 0,
  };
  const { body } = await cluster.broker(queue.broker).call(pullMessage, header, { timeout: 3_000 });
  return decodeRecords(body, { queue });
}

/** Collects the headers of sends as a `match` of a fault that happens to none of them. */
export function spyOnSends(broker: EmbeddedBroker, request = "SendMessage"): SpiedSend[] {
  const seen: SpiedSend[] = [];
  const match = (command: Pick<Command, "fields">): boolean => {
    const header = decodeHeader(sendHeader, command.fields as Command["fields"], "send");
    seen.push({ queueId: header.queueId, properties: header.properties ?? "", batch: header.batch === true });
    return false;
  };
  broker.faults.answer(request, { code: 1 }, { times: Infinity, match });
  return seen;
}

/** What {@linkcode spyOnSends} keeps. */
export interface SpiedSend {
  /** The queue that was asked for. */
  readonly queueId: number;
  /** The properties in the header. */
  readonly properties: string;
  /** Whether it was a batch. */
  readonly batch: boolean;
}
