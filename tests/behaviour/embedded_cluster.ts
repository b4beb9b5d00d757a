/**
 * The embedded cluster as scenarios see it.
 *
 * @module
 */

import { type EmbeddedBroker, EmbeddedCluster, type EmbeddedNameServer } from "../../src/embedded/mod.ts";
import { defaultTransport } from "../../src/transport/default.ts";
import type { TestCluster, TestMember, TestServer } from "./harness.ts";
import { RawBroker } from "./raw_broker.ts";
import type { StartedBroker } from "./suite.ts";

/** Starts two embedded name servers and two embedded brokers. */
export async function startEmbeddedCluster(): Promise<StartedBroker<TestCluster>> {
  const cluster = await EmbeddedCluster.start({ brokers: 2, nameServers: 2 });
  const transport = await defaultTransport();
  const open: RawBroker[] = [];
  const member = (broker: EmbeddedBroker): TestMember => {
    let raw: RawBroker;
    const reach = () =>
      open.push(raw = new RawBroker(transport, cluster.nameServer, broker.address, broker.brokerName));
    reach();
    return {
      ...serverOf(broker),
      get address() {
        return broker.address;
      },
      name: broker.brokerName,
      publish: (topic, messages, options) => raw.publish(topic, messages, options),
      isRouted: (topic) => raw.isRouted(topic),
      consumerList: (group) => raw.consumerList(group),
      committed: (group, queue) => raw.committed(group, queue),
      move: async () => {
        await broker.move();
        reach();
      },
    };
  };
  const [a, b] = cluster.brokers;
  const [first, second] = cluster.names;
  const brokers = [member(a!), member(b!)] as const;
  return {
    broker: {
      name: "embedded",
      line: 5,
      nameServer: cluster.nameServer,
      brokers,
      names: [serverOf(first!), serverOf(second!)],
      createTopic: (topic, queues) => Promise.resolve(cluster.createTopic(topic, { queues })),
      consumerList: async (group) => (await Promise.all(brokers.map((each) => each.consumerList(group)))).flat(),
    },
    stop: async () => {
      await Promise.all(open.map((raw) => raw.close()));
      await cluster.close();
    },
  };
}

function serverOf(server: EmbeddedBroker | EmbeddedNameServer): TestServer {
  return {
    get address() {
      return server.address;
    },
    kill: () => server.kill(),
    revive: () => server.revive(),
    pause: () => server.pause(),
    resume: () => server.resume(),
    move: () => server.move(),
  };
}
