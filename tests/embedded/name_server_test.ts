import { assertEquals } from "@std/assert";
import { EmbeddedBroker } from "../../src/embedded/mod.ts";
import { createTopic, getClusterInfo, getKvConfig, getRoute, getTopicList } from "../../src/wire/requests.ts";
import { jsonOf, Peer, textOf } from "./peer.ts";

Deno.test("GetRoute answers where a topic lives, in strict JSON", async () => {
  await using broker = await EmbeddedBroker.start({ topics: { orders: { queues: 3 } } });
  await using peer = await Peer.connect(broker);

  const answer = await peer.ask(getRoute, { topic: "orders" });

  assertEquals(answer.code, 0);
  assertEquals(jsonOf(answer), {
    brokerDatas: [{ brokerAddrs: { 0: broker.nameServer }, brokerName: "broker-a", cluster: "DefaultCluster" }],
    filterServerTable: {},
    queueDatas: [{ brokerName: "broker-a", perm: 6, readQueueNums: 3, topicSysFlag: 0, writeQueueNums: 3 }],
  });
});

Deno.test("GetRoute leaves the broker ids unquoted for clients before 4.9.4, unless they request strict JSON", async () => {
  await using broker = await EmbeddedBroker.start({ topics: { orders: {} } });
  await using peer = await Peer.connect(broker);
  const loose = `"brokerAddrs":{0:"${broker.nameServer}"}`;
  const strict = `"brokerAddrs":{"0":"${broker.nameServer}"}`;
  const route = async (version: number, acceptStandardJsonOnly?: boolean) =>
    textOf(await peer.ask(getRoute, { topic: "orders", acceptStandardJsonOnly }, { version }));

  assertEquals((await route(400)).includes(loose), true);
  assertEquals((await route(401)).includes(strict), true);
  assertEquals((await route(400, true)).includes(strict), true);
});

Deno.test("GetRoute answers 17 for an unknown topic, and has the topic that others are copied from", async () => {
  await using broker = await EmbeddedBroker.start();
  await using peer = await Peer.connect(broker);

  const unknown = await peer.ask(getRoute, { topic: "orders" });
  assertEquals([unknown.code, unknown.remark], [17, "No topic route info in name server for the topic: orders"]);
  assertEquals((await peer.ask(getRoute, { topic: "TBW102" })).code, 0);
});

Deno.test("GetRoute does not have TBW102 without autoCreateTopics", async () => {
  await using broker = await EmbeddedBroker.start({ autoCreateTopics: false });
  await using peer = await Peer.connect(broker);

  assertEquals((await peer.ask(getRoute, { topic: "TBW102" })).code, 17);
});

Deno.test("GetClusterInfo never quotes broker ids", async () => {
  await using broker = await EmbeddedBroker.start({ brokerName: "b", clusterName: "c" });
  await using peer = await Peer.connect(broker);

  const data = `{"brokerAddrs":{0:"${broker.nameServer}"},"brokerName":"b","cluster":"c"}`;
  assertEquals(
    textOf(await peer.ask(getClusterInfo, {})),
    `{"brokerAddrTable":{"b":${data}},"clusterAddrTable":{"c":["b"]}}`,
  );
});

Deno.test("GetTopicList lists all topics, GetKvConfig has no value", async () => {
  await using broker = await EmbeddedBroker.start({ topics: { orders: {} } });
  await using peer = await Peer.connect(broker);

  const { topicList } = jsonOf(await peer.ask(getTopicList, {})) as { topicList: string[] };
  assertEquals(topicList, [...broker.topics]);
  assertEquals(["orders", "TBW102", "SCHEDULE_TOPIC_XXXX"].every((topic) => topicList.includes(topic)), true);
  assertEquals((await peer.ask(getKvConfig, { namespace: "ORDER_TOPIC_CONFIG", key: "orders" })).code, 22);
});

Deno.test("CreateTopic makes and changes topics, and refuses bad names with 29", async () => {
  await using broker = await EmbeddedBroker.start();
  await using peer = await Peer.connect(broker);
  const create = async (topic: string, queues: number) => {
    const header = { topic, readQueueNums: queues, writeQueueNums: queues, perm: 6, order: false };
    return (await peer.ask(createTopic, { ...header, defaultTopic: "TBW102", topicFilterType: "SINGLE_TAG" })).code;
  };

  assertEquals(await create("orders", 2), 0);
  assertEquals(broker.topicStats("orders").length, 2);
  assertEquals(await create("orders", 5), 0);
  assertEquals(broker.topicStats("orders").length, 5);
  assertEquals(await create("or ders", 1), 29);
  assertEquals(await create("x".repeat(128), 1), 29);
  assertEquals(await create("TBW102", 1), 29);
});

Deno.test("a request without a handler is answered with 3, a header that lacks a field with 1", async () => {
  await using broker = await EmbeddedBroker.start();
  await using peer = await Peer.connect(broker);

  assertEquals((await peer.askText({ name: "PeekMessage", code: 200052 }, {})).code, 3);
  assertEquals((await peer.askText(getRoute, {})).code, 1);
});
