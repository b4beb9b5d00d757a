/** POP with several brokers, one of which does not answer. */

import { assertEquals, assertGreater, assertLess } from "@std/assert";
import { type Scenario, type TestCluster, textOf, texts, waitUntil, within } from "../harness.ts";
import { receive } from "../received.ts";
import { type ClusterScene, QUEUES, QUICK } from "./cluster.ts";

/** How long `close()` may wait, and the second that it takes after that at most, with room for a slow machine. */
const [CLOSE_TIMEOUT, LATEST] = [1_000, 3_500];

export const scenarios: readonly Scenario<TestCluster>[] = [
  {
    name: "cluster pop: close() returns what it took ahead to the brokers that answer, whichever is silent",
    alone: true,
    on: ({ line }) => line === 5,
    async run(t: ClusterScene) {
      const [a, b] = t.broker.brokers;
      const topic = await t.topic(QUEUES);
      const ofFirst = texts(100, "a");
      await a.publish(topic, ofFirst);
      await b.publish(topic, texts(100, "b"));
      const group = t.name("group"); // the silent broker keeps the member for two minutes
      const options = { group, topics: topic, consumeFrom: "first", invisibleTime: 300_000 } as const;
      const consumer = await (await t.connect(QUICK)).popConsumer({ ...options, closeTimeout: CLOSE_TIMEOUT });
      const other = await (await t.connect(QUICK)).popConsumer(options);
      const batches = consumer.batches();
      const first = (await batches.next()).value!;
      await first.ack();
      await waitUntil(() => consumer.stats().ready >= 32, { what: "an answer of each broker ahead" });
      assertGreater(consumer.stats().ready, 0);
      b.pause();
      t.finally(() => b.resume());
      const started = performance.now();
      await within(consumer.close(), "the end of close()");
      assertLess(performance.now() - started, LATEST);
      const acked = Array.from(first, textOf);
      const received = receive(t, other);
      await received.until(ofFirst.filter((text) => !acked.includes(text)));
      assertEquals(received.seen.filter((text) => acked.includes(text)), []);
    },
  },
];
