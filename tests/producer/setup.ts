/** A cluster and producers over embedded brokers, for tests of the producer. */

import { Cluster, type ClusterOptions } from "../../src/cluster/cluster.ts";
import type { EmbeddedBroker, FaultRequest } from "../../src/embedded/mod.ts";
import { EventHub } from "../../src/events.ts";
import type { MessageQueue } from "../../src/message.ts";
import { createProducer, type Producer, type ProducerOptions } from "../../src/producer/mod.ts";
import { defaultTransport } from "../../src/transport/default.ts";
import type { TopicRouteData } from "../../src/wire/bodies.ts";
import { PullSysFlag } from "../../src/wire/codes.ts";
import { decodeHeader, type HeaderOf } from "../../src/wire/fields.ts";
import { parseProperties } from "../../src/wire/properties.ts";
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
export async function connectTo(
  broker: Pick<EmbeddedBroker, "nameServer">,
  options: Partial<ClusterOptions> = {},
): Promise<TestCluster> {
  const cluster = await Cluster.connect({
    nameServers: [broker.nameServer],
    transport: await defaultTransport(),
    mapAddress: (address) => address,
    startTimeout: 5_000,
    requestTimeout: 3_000,
    heartbeatInterval: 30_000,
    routeInterval: 30_000,
    events: new EventHub(false),
    ...options,
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
  const match = (request: FaultRequest) => request.fields.topic === topic;
  brokers[0].faults.answer(getRoute.name, { code: 0, body }, { times: Infinity, match });
}

/** Reads what a queue holds; the cluster must have sent to its broker. */
export async function messagesIn(cluster: Cluster, queue: MessageQueue): Promise<readonly StoredMessage[]> {
  const messages: StoredMessage[] = [];
  for (let queueOffset = 0;;) {
    const header = {
      consumerGroup: "reader",
      topic: queue.topic,
      queueId: queue.queueId,
      queueOffset,
      maxMsgNums: 1_024,
      sysFlag: PullSysFlag.SUBSCRIPTION,
      commitOffset: 0,
      suspendTimeoutMillis: 0,
      subscription: "*",
      subVersion: 0,
    };
    const answer = await cluster.broker(queue.broker).call(pullMessage, header, { timeout: 3_000 });
    messages.push(...decodeRecords(answer.body, queue).messages);
    queueOffset = answer.header.nextBeginOffset; // brokers have a limit of their own
    if (queueOffset >= answer.header.maxOffset) return messages;
  }
}

/** Collects the sends that a broker receives, in order. */
export function watchSends(broker: EmbeddedBroker, request: "SendMessage" | "SendBatch" = "SendMessage"): SeenSend[] {
  const seen: SeenSend[] = [];
  const match = (command: FaultRequest): boolean => {
    const header = decodeHeader(sendHeader, command.fields as Record<string, string>, "send");
    const properties = parseProperties(header.properties ?? "");
    seen.push({ header, properties, uniqueKey: properties.get("UNIQ_KEY"), body: command.body.slice() });
    return false; // so that it happens to none of them
  };
  broker.faults.answer(request, { code: 1 }, { times: Infinity, match });
  return seen;
}

/** What {@linkcode watchSends} keeps of a send. */
export interface SeenSend {
  /** The header. */
  readonly header: HeaderOf<typeof sendHeader>;
  /** The properties in it. */
  readonly properties: ReadonlyMap<string, string>;
  /** The unique key among them. */
  readonly uniqueKey: string | undefined;
  /** The body. */
  readonly body: Uint8Array;
}
