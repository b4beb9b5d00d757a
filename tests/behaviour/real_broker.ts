/**
 * A real broker as scenarios see it.
 *
 * @module
 */

import { readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { defaultTransport } from "../../src/transport/default.ts";
import { type RocketMQVersion, startRocketMQ } from "../../tools/rocketmq/cluster.ts";
import { clusterInfo, registerNow } from "../../tools/rocketmq/probe.ts";
import { type TestBroker, waitUntil } from "./harness.ts";
import { RawBroker } from "./raw_broker.ts";
import { RawPeer } from "./raw_peer.ts";
import type { StartedBroker } from "./suite.ts";

/** The size of a file of the commit log, in bytes: old messages go with their file. */
const LOG_FILE_SIZE = 8 * 1024 * 1024;
/** The bytes of the messages that fill such files. */
const FILLER_SIZE = 1024 * 1024;
const FILLER_TOPIC = "filler";

/** How long a broker may take to start, in milliseconds. */
const START_TIMEOUT = 60_000;

/** Starts a name server and a broker of a release. */
export async function startReal(version: RocketMQVersion): Promise<StartedBroker> {
  const cluster = await startRocketMQ({ version, brokerConfig: { mappedFileSizeCommitLog: String(LOG_FILE_SIZE) } });
  const process = cluster.brokers[0]!;
  const transport = await defaultTransport();
  const raw = new RawBroker(transport, cluster.nameServer, process.address);
  const port = portOf(process.address);
  const store = join(cluster.folder, process.name, "store");
  const namesPort = portOf(cluster.nameServer);
  const untilOpen = async (): Promise<{ openedAt: number }> => {
    const peer = new RawPeer(transport, process.address);
    await waitUntil(() => peer.accepts(), { what: `${process.address} accepts connections`, timeout: START_TIMEOUT });
    const openedAt = performance.now();
    await peer.close();
    return { openedAt };
  };
  const broker: TestBroker = {
    name: version,
    line: version.startsWith("5") ? 5 : 4,
    nameServer: cluster.nameServer,
    address: process.address,
    brokerNames: [process.name],
    raw: raw.broker,
    createTopic: (topic, queues) => raw.createTopic(topic, queues),
    publish: (topic, messages, options) => raw.publish(topic, messages, options),
    consumerList: (group) => raw.consumerList(group),
    committed: (group, queue) => raw.committed(group, queue),
    maxOffset: (queue) => raw.maxOffset(queue),
    minOffset: (queue) => raw.minOffset(queue),
    kill: async () => {
      await raw.close();
      await process.kill();
    },
    restart: async () => {
      await raw.close();
      await process.stop();
      await process.start();
    },
    expire: async (topic) => {
      const queues = await raw.queuesOf(topic);
      const filler = new Uint8Array(FILLER_SIZE).fill(0x2e);
      // Behind two files more than now, what is old is in none of the last two, and what comes now is.
      const count = 2 * LOG_FILE_SIZE / FILLER_SIZE + 1;
      await raw.createTopic(FILLER_TOPIC, 1);
      for (let i = 0; i < count; i++) await raw.publish(FILLER_TOPIC, [{ body: filler }]);
      for (let queueId = 0; queueId < queues; queueId++) await raw.publish(topic, ["survivor"], { queueId });
      // The broker deletes files by itself, but not in its first minute.
      await untilOffsetsAreWritten(join(store, "config", "consumerOffset.json"));
      await broker.kill(); // much quicker than to end in order
      const log = join(store, "commitlog");
      const files = (await readdir(log)).sort();
      for (const file of files.slice(0, -2)) await rm(join(log, file));
      await process.start();
    },
    names: {
      kill: async () => {
        await raw.close();
        await cluster.names[0]!.kill();
      },
      revive: async () => {
        await cluster.names[0]!.start();
        await registerNow(port); // by itself it would take up to ten seconds
        await waitUntil(async () => (await clusterInfo(namesPort)).includes(process.address), {
          what: "the broker at the name server",
        });
      },
    },
    revive: async () => {
      const [, opened] = await Promise.all([process.start(), untilOpen()]);
      return opened;
    },
  };
  return {
    broker,
    stop: async () => {
      await raw.close();
      await cluster.stop();
    },
  };
}

/** Waits until the broker has written its table of offsets, which it does every second once it is ten seconds old. */
async function untilOffsetsAreWritten(file: string): Promise<void> {
  const now = Date.now();
  const isWritten = () => stat(file).then(({ mtimeMs }) => mtimeMs > now, () => false);
  await waitUntil(isWritten, { what: `${file} is written` });
}

function portOf(address: string): number {
  return Number(address.slice(address.lastIndexOf(":") + 1));
}
