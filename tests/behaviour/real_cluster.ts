/**
 * A real cluster as scenarios see it.
 *
 * @module
 */

import { defaultTransport } from "../../src/transport/default.ts";
import { type RealServer, type RocketMQVersion, startRocketMQ } from "../../tools/rocketmq/cluster.ts";
import { clusterInfo, registerNow } from "../../tools/rocketmq/probe.ts";
import { type TestCluster, type TestMember, type TestServer, waitUntil } from "./harness.ts";
import { RawBroker } from "./raw_broker.ts";
import type { StartedBroker } from "./suite.ts";

/** Starts two name servers and two brokers of a release. */
export async function startRealCluster(version: RocketMQVersion): Promise<StartedBroker<TestCluster>> {
  const cluster = await startRocketMQ({ version, brokers: 2, nameServers: 2 });
  const transport = await defaultTransport();
  const [a, b] = cluster.brokers;
  const [first, second] = cluster.names;
  const raws = [a!, b!].map(({ address, name }) => new RawBroker(transport, cluster.nameServer, address, name));
  const member = (server: RealServer, raw: RawBroker): TestMember => ({
    ...serverOf(server),
    name: server.name,
    publish: (topic, messages, options) => raw.publish(topic, messages, options),
    isRouted: (topic) => raw.isRouted(topic),
    consumerList: (group) => raw.consumerList(group),
    committed: (group, queue) => raw.committed(group, queue),
  });
  const brokers = [member(a!, raws[0]!), member(b!, raws[1]!)] as const;
  const nameServer = (server: RealServer): TestServer => ({
    ...serverOf(server),
    revive: async () => {
      await server.start();
      await Promise.all(brokers.map(({ address }) => registerNow(portOf(address)))); // else it takes up to ten seconds
      await waitUntil(async () => {
        const list = await clusterInfo(portOf(server.address));
        return brokers.every(({ address }) => list.includes(`"${address}"`));
      }, { what: `all brokers at ${server.address}` });
    },
  });
  return {
    broker: {
      name: version,
      line: version.startsWith("5") ? 5 : 4,
      nameServer: cluster.nameServer,
      brokers,
      names: [nameServer(first!), nameServer(second!)],
      createTopic: async (topic, queues) => {
        await Promise.all(raws.map((raw) => raw.createTopic(topic, queues)));
      },
      consumerList: async (group) => (await Promise.all(brokers.map((each) => each.consumerList(group)))).flat(),
    },
    stop: async () => {
      await Promise.all(raws.map((raw) => raw.close()));
      await cluster.stop();
    },
  };
}

function serverOf(server: RealServer): TestServer {
  return {
    address: server.address,
    kill: () => server.kill(),
    revive: () => server.start(),
    pause: () => server.pause(),
    resume: () => Promise.resolve(server.resume()),
  };
}

function portOf(address: string): number {
  return Number(address.slice(address.lastIndexOf(":") + 1));
}
