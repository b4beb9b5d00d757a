/**
 * The embedded broker as scenarios see it.
 *
 * @module
 */

import { EmbeddedBroker } from "../../src/embedded/mod.ts";
import { defaultTransport } from "../../src/transport/default.ts";
import type { TestBroker } from "./harness.ts";
import { RawBroker } from "./raw_broker.ts";
import type { StartedBroker } from "./suite.ts";

/** The delay levels of the real brokers that the tools start: they are short. */
const DELAY_LEVELS = [...Array(5).fill(1_000), ...Array(13).fill(2_000)] as readonly number[];
/** How often the real brokers that the tools start write their offsets to files. */
const OFFSET_PERSIST_INTERVAL = 1_000;

/** Starts an embedded broker. */
export async function startEmbedded(): Promise<StartedBroker> {
  const embedded = await EmbeddedBroker.start({
    delayLevels: DELAY_LEVELS,
    offsetPersistInterval: OFFSET_PERSIST_INTERVAL,
  });
  const raw = new RawBroker(await defaultTransport(), embedded.nameServer, embedded.nameServer);
  const broker: TestBroker = {
    name: "embedded",
    line: 5,
    nameServer: embedded.nameServer,
    address: embedded.nameServer,
    brokerNames: [embedded.brokerName],
    raw: raw.broker,
    faults: embedded.faults,
    createTopic: async (topic, queues) => {
      embedded.createTopic(topic, { queues });
      await raw.untilRouted(topic, queues);
    },
    publish: (topic, messages, options) => raw.publish(topic, messages, options),
    consumerList: (group) => raw.consumerList(group),
    committed: (group, queue) => raw.committed(group, queue),
    maxOffset: (queue) => raw.maxOffset(queue),
    minOffset: (queue) => raw.minOffset(queue),
    kill: async () => {
      await raw.close();
      await embedded.kill();
    },
    revive: async () => {
      await embedded.revive();
      return { openedAt: performance.now() };
    },
    restart: async () => {
      await raw.close();
      await embedded.restart();
    },
    expire: async (topic) => {
      for (const { queueId, maxOffset } of embedded.topicStats(topic)) {
        await raw.publish(topic, ["survivor"], { queueId });
        embedded.deleteUntil(topic, queueId, maxOffset);
      }
    },
  };
  return {
    broker,
    stop: async () => {
      await raw.close();
      await embedded.close();
    },
  };
}
