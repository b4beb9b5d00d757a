import { assert, assertEquals, assertRejects } from "@std/assert";
import { BrokerNotAvailableError, ProducerError } from "../../src/errors.ts";
import { createProducer } from "../../src/producer/mod.ts";
import { javaHashCode } from "../../src/wire/codes.ts";
import { sendMessage } from "../../src/wire/requests.ts";
import { routeOver, ScriptedBroker, ScriptedNameServer, take, TestCluster } from "../cluster/scripted_cluster.ts";

/** A broker that stores every message. */
function storing(): ScriptedBroker {
  return new ScriptedBroker((asked, peer) => {
    if (asked.code !== sendMessage.code) return;
    take(asked);
    peer.answer(asked, { fields: { msgId: "x", queueId: asked.fields["e"]!, queueOffset: "0" } });
  });
}

const sends = (broker: ScriptedBroker) => broker.requests.filter(({ code }) => code === sendMessage.code).length;

/** A key of which Java's hash, divided by `count`, leaves `rest`. */
function keyOf(rest: number, count: number): string {
  for (let i = 0;; i++) if (Math.abs(javaHashCode(`k${i}`) % count) === rest) return `k${i}`;
}

Deno.test("send() puts the keys of an order topic where its operator says, with or without `linger`", async () => {
  await using a = storing();
  await using b = storing();
  const orders = { ...routeOver({ a: { 0: a.address }, b: { 0: b.address } }, 8), orderTopicConf: "b:2;a:1" };
  await using names = new ScriptedNameServer({ orders });
  await using client = await TestCluster.connect(names.address);
  for (const linger of [0, 5]) {
    await using producer = await createProducer(client.cluster, { group: `linger-${linger}`, linger });
    const placed: string[] = [];
    for (const rest of [0, 1, 2]) {
      const { queue } = await producer.send({ topic: "orders", body: "x" }, { orderingKey: keyOf(rest, 3) });
      placed.push(`${queue.broker}${queue.queueId}`);
    }
    assertEquals(placed, ["b0", "b1", "a0"]);
  }
  assertEquals([sends(a), sends(b)], [2, 4]);
});

Deno.test("send() with a key fails while its queue's broker is unavailable, in every way that it can be", async () => {
  await using a = storing();
  const orderTopicConf = "b:2;a:2";
  const routes = [
    routeOver({ a: { 0: a.address } }, 2), // not registered
    routeOver({ a: { 0: a.address }, b: { 1: "127.0.0.1:1" } }, 2), // no master
  ];
  for (const route of routes) {
    await using names = new ScriptedNameServer({ orders: { ...route, orderTopicConf } });
    await using client = await TestCluster.connect(names.address);
    await using producer = await createProducer(client.cluster);
    const [before, message] = [sends(a), { topic: "orders", body: "x" }];
    const error = await assertRejects(() => producer.send(message, { orderingKey: keyOf(1, 4) }), ProducerError);
    assert(error.cause instanceof BrokerNotAvailableError, `${error.cause}`);
    assertEquals([error.cause.broker, sends(a) - before], ["b", 0]);

    // Without a key it is round robin over the listed queues, and another broker where one fails.
    const queues = new Set<string>();
    for (let i = 0; i < 8; i++) {
      const { queue } = await producer.send(message);
      queues.add(`${queue.broker}${queue.queueId}`);
    }
    assertEquals([...queues].sort(), ["a0", "a1"]);
  }
});
