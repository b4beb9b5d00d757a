/** Work that is done for a group, a client or a broker, and not for each topic or reader. */

import { assertEquals, assertLessOrEqual, assertRejects } from "@std/assert";
import { connect } from "../../../mod.ts";
import { joinGroup } from "../../../src/consumer/group_consumer.ts";
import { joinPopGroup } from "../../../src/consumer/pop/group_pop_consumer.ts";
import { openReader } from "../../../src/consumer/reader/topic_reader.ts";
import { EmbeddedBroker } from "../../../src/embedded/mod.ts";
import { nextBatch, waitUntil } from "../../behaviour/harness.ts";
import { TestCluster } from "../../cluster/scripted_cluster.ts";

Deno.test("a consumer of 200 topics asks once for its group what others ask for a topic", async () => {
  const topics = Array.from({ length: 200 }, (_, i) => `orders-${i}`);
  const options = { topics: Object.fromEntries(topics.map((topic) => [topic, { queues: 1 }])) };
  await using broker = await EmbeddedBroker.start(options);
  await using mq = await connect({ nameServers: broker.nameServer, logger: false });
  const received = () => ["Heartbeat", "GetConsumerList", "GetRoute"].map(broker.faults.received, broker.faults);
  await using consumer = await mq.consumer({
    group: "billing",
    topics,
    rebalanceInterval: 1_000,
    consumeFrom: "first",
  });
  const batches = consumer.batches();
  for (const topic of ["orders-0", "orders-199"]) {
    await broker.publish(topic, ["x"]);
    assertEquals((await nextBatch(batches)).topic, topic);
  }
  const [beats = 0, lists = 0, routes = 0] = received();
  assertLessOrEqual(beats, 4);
  assertLessOrEqual(lists, 4);
  assertLessOrEqual(routes, topics.length + 4);
  await batches.return!();
  await waitUntil(() => received()[1]! >= lists + 2, { what: "two more rebalances" });
  assertLessOrEqual(received()[0]! - beats, 1);
});

Deno.test("consumers and readers hold the routes of their topics until they close, or could not start", async () => {
  await using broker = await EmbeddedBroker.start({ topics: { orders: { queues: 1 }, payments: { queues: 1 } } });
  await using client = await TestCluster.connect(broker.nameServer);
  const { cluster } = client;
  const held: string[] = [];
  const hold = cluster.routes.hold.bind(cluster.routes);
  cluster.routes.hold = (topics) => {
    const each = [...topics];
    const letGo = hold(each);
    held.push(...each);
    return () => {
      letGo();
      for (const topic of each.splice(0)) held.splice(held.indexOf(topic), 1);
    };
  };
  const topics = ["orders", "payments"];
  const consumer = await joinGroup(cluster, { group: "billing", topics });
  const popped = await joinPopGroup(cluster, { group: "popping", topics });
  const reader = await openReader(cluster, { topic: "orders", from: "earliest" });
  assertEquals(held.toSorted(), ["%RETRY%billing", "orders", "orders", "orders", "payments", "payments"]);
  await consumer.subscriptions.unsubscribe("payments");
  await Promise.all([consumer, popped, reader].map((each) => each.close()));
  assertEquals(held, []);
  await assertRejects(() => joinGroup(cluster, { group: "billing", topics: "unknown" }));
  await assertRejects(() => joinPopGroup(cluster, { group: "popping", topics: ["orders", "unknown"] }));
  await assertRejects(() => openReader(cluster, { topic: "unknown", from: "earliest" }));
  assertEquals(held, []);
});
