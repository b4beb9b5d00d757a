import { assertEquals } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { EmbeddedBroker } from "../../src/embedded/mod.ts";
import { getProducerConnections, unregisterClient } from "../../src/wire/requests.ts";
import { jsonOf, outcome, Peer, subscription } from "./peer.ts";

Deno.test("Heartbeat adds a client to its producer groups, apart from consumer groups of the same name", async () => {
  await using broker = await EmbeddedBroker.start();
  await using peer = await Peer.connect(broker);

  await peer.join("billing", [subscription("orders")], { clientId: "consumer" });
  await peer.joinProducers("producer", "billing", "shipping");

  assertEquals(broker.members("billing"), ["consumer"]);
  assertEquals([broker.producers("billing"), broker.producers("shipping")], [["producer"], ["producer"]]);
  assertEquals([broker.producers("nobody"), broker.topics.includes("%RETRY%shipping")], [[], false]);
  assertEquals(peer.notified, ["billing"]); // producers are not notified
});

Deno.test("GetProducerConnections lists the members of a group, and answers 1 without any", async () => {
  await using broker = await EmbeddedBroker.start();
  await using peer = await Peer.connect(broker);
  const list = () => peer.ask(getProducerConnections, { producerGroup: "billing" });

  assertEquals(outcome(await list()), [1, "the producer group[billing] not exist"]);
  await peer.joinProducers("one", "billing");
  const { localHost, localPort } = peer.connection;
  assertEquals(jsonOf(await list()), {
    connectionSet: [{ clientId: "one", clientAddr: `${localHost}:${localPort}`, language: "OTHER", version: 479 }],
  });
});

Deno.test("a producer leaves its group by UnregisterClient, or when its connection ends", async () => {
  await using broker = await EmbeddedBroker.start();
  await using one = await Peer.connect(broker);
  await using two = await Peer.connect(broker);
  await one.joinProducers("one", "billing", "shipping");
  await two.joinProducers("two", "billing");
  assertEquals(broker.producers("billing"), ["one", "two"]);

  await one.ask(unregisterClient, { clientID: "one", producerGroup: "billing" });
  assertEquals([broker.producers("billing"), broker.producers("shipping")], [["two"], ["one"]]);
  two.connection.close();
  while (broker.connections > 1) await one.pull({ topic: "orders" });
  assertEquals(broker.producers("billing"), []);
  await broker.restart();
  assertEquals(broker.producers("shipping"), []);
});

Deno.test("a producer without a heartbeat expires after 120 seconds, and its connection is closed", async () => {
  using time = new FakeTime();
  await using broker = await EmbeddedBroker.start();
  await using silent = await Peer.connect(broker);
  await using active = await Peer.connect(broker);
  await silent.joinProducers("silent", "billing");
  time.tick(60_000);
  await active.joinProducers("active", "billing");

  time.tick(60_000);

  await silent.connection.closed;
  assertEquals(broker.producers("billing"), ["active"]);
});
