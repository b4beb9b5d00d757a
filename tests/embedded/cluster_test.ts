import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  EmbeddedBroker,
  EmbeddedCluster,
  type EmbeddedClusterOptions,
  EmbeddedNameServer,
} from "../../src/embedded/mod.ts";
import { ConfigError, InvalidTopicError, ValidationError } from "../../src/errors.ts";
import { defaultTransport } from "../../src/transport/default.ts";
import type { TopicRouteData } from "../../src/wire/bodies.ts";
import { NO_FIELDS } from "../../src/wire/json_fields.ts";
import {
  getClusterInfo,
  getConsumerList,
  getKvConfig,
  getMaxOffset,
  getRoute,
  getTopicList,
  queryAssignment,
} from "../../src/wire/requests.ts";
import { jsonOf, Peer, subscription, textOf } from "./peer.ts";
import { FakeTime } from "@std/testing/time";

const topics = { orders: { queues: 2 } };
const brokerName = "any";

/** A connection to one server of a cluster. */
function peerOf(server: EmbeddedBroker | EmbeddedNameServer): Promise<Peer> {
  return Peer.connect({ nameServer: server.address, brokerName });
}

/** A member that sends its heartbeat to a paused broker, and closes its connection before the broker reads it. */
async function leaveGhost(broker: EmbeddedBroker, clientId: string): Promise<void> {
  const ghost = await peerOf(broker);
  const joined = ghost.join("billing", [subscription("orders")], { clientId }).catch(() => {});
  await ghost.connection.sendOneway({ name: "GetTopicList", code: getTopicList.code, fields: NO_FIELDS }); // both are out
  await ghost[Symbol.asyncDispose]();
  await joined;
}

/** The addresses in a topic's route, from a name server; undefined for an unknown topic. */
async function routed(names: EmbeddedNameServer, topic = "orders"): Promise<string[] | undefined> {
  await using peer = await peerOf(names);
  const answer = await peer.ask(getRoute, { topic });
  if (answer.code !== 0) return undefined;
  const { brokerDatas = [] } = jsonOf(answer) as TopicRouteData;
  return brokerDatas.map(({ brokerAddrs }) => brokerAddrs[0]!);
}

Deno.test("EmbeddedCluster.start() names every option that is not allowed", async () => {
  const bad: [EmbeddedClusterOptions, string][] = [
    [{ brokers: 0 }, "brokers"],
    [{ brokers: 27 }, "brokers"],
    [{ nameServers: 0 }, "nameServers"],
    [{ maxMessages: 0 }, "maxMessages"],
    [{ topics: { orders: { queues: 0 } } }, "topics.orders.queues"],
    [{ port: 1 } as EmbeddedClusterOptions, "port"],
  ];
  for (const [options, field] of bad) {
    const error = await assertRejects(() => EmbeddedCluster.start(options), ConfigError);
    assertEquals(error.problems.map((problem) => problem.field), [field]);
  }
});

Deno.test("every broker of a cluster is registered with every name server", async () => {
  await using cluster = await EmbeddedCluster.start({ brokers: 3, nameServers: 2, topics });
  const addresses = cluster.brokers.map(({ address }) => address);

  assertEquals(cluster.brokers.map(({ brokerName }) => brokerName), ["broker-a", "broker-b", "broker-c"]);
  assertEquals(new Set([...addresses, ...cluster.nameServers]).size, 5);
  assertEquals(cluster.nameServer, cluster.nameServers.join(";"));
  assertEquals(cluster.brokers[1]!.nameServer, cluster.nameServer);
  for (const names of cluster.names) assertEquals(await routed(names), addresses);
  await using peer = await peerOf(cluster.names[1]!);
  const { clusterAddrTable } = JSON.parse(textOf(await peer.ask(getClusterInfo, {})).replaceAll("{0:", '{"0":'));
  assertEquals(clusterAddrTable, { DefaultCluster: ["broker-a", "broker-b", "broker-c"] });
});

Deno.test("a broker of a cluster is no name server, and a name server no broker", async () => {
  await using cluster = await EmbeddedCluster.start({ topics });
  await using broker = await peerOf(cluster.brokers[0]!);
  await using names = await peerOf(cluster.names[0]!);

  assertEquals((await broker.ask(getRoute, { topic: "orders" })).code, 3);
  assertEquals((await names.ask(getMaxOffset, { topic: "orders", queueId: 0 })).code, 3);
});

Deno.test("publish() spreads over the brokers that have the topic, or over one queue number of them", async () => {
  await using cluster = await EmbeddedCluster.start({ topics });
  const [a, b] = cluster.brokers;
  cluster.createTopic("bills", { queues: 1, brokers: ["broker-b"] });

  await cluster.publish("orders", ["1", "2", "3", "4", "5"]);
  await cluster.publish("orders", ["6", "7"], { queueId: 1 });
  await cluster.publish("bills", ["1", "2"]);

  assertEquals([a!, b!].map((broker) => [broker.maxOffset("orders", 0), broker.maxOffset("orders", 1)]), [[2, 2], [
    1,
    2,
  ]]);
  assertEquals([a!.topicStats("bills"), b!.maxOffset("bills", 0)], [[], 2]);
  await assertRejects(() => cluster.publish("unknown", ["1"]), InvalidTopicError, "no broker");
  assertThrows(() => cluster.createTopic("bills", { brokers: ["broker-z"] }), ValidationError, "broker-a, broker-b");
});

Deno.test("a killed broker leaves all routes; one that is revived or moved is in them with its address", async () => {
  await using cluster = await EmbeddedCluster.start({ topics });
  const [a, b] = cluster.brokers;
  const [first, second] = cluster.names;
  const old = b!.address;
  const both = async () => [await routed(first!), await routed(second!)];

  await b!.kill();
  assertEquals(await both(), [[a!.address], [a!.address]]);
  await b!.revive();
  assertEquals(await both(), [[a!.address, old], [a!.address, old]]);
  await b!.move();

  assertEquals(await both(), [[a!.address, b!.address], [a!.address, b!.address]]);
  assertEquals(b!.address === old, false);
  await assertRejects(() => Peer.connect({ nameServer: old, brokerName }));
  await using peer = await peerOf(b!);
  const { fields } = await peer.send({ topic: "orders" });
  const port = Number(b!.address.split(":")[1]);
  assertEquals(parseInt(fields.msgId!.slice(8, 16), 16), port, "ids name the new port");
});

Deno.test("a name server is killed, revived and moved", async () => {
  await using cluster = await EmbeddedCluster.start({ topics });
  const names = cluster.names[0]!;
  const old = names.address;

  await names.kill();
  await assertRejects(() => routed(names));
  await names.revive();
  await names.revive();
  assertEquals((await routed(names))?.length, 2);
  await names.move();
  assertEquals([(await routed(names))?.length, names.address === old], [2, false]);
  assertEquals(cluster.nameServers[0], names.address);
});

Deno.test("forget() removes a broker, a topic or everything from one name server until remember()", async () => {
  await using cluster = await EmbeddedCluster.start({ topics });
  const [a = "", b = ""] = cluster.brokers.map(({ address }) => address);
  const [first, second] = cluster.names;
  cluster.createTopic("bills");
  const known = async () => [await routed(first!), await routed(first!, "bills")];

  first!.forget({ broker: "broker-a" });
  assertEquals(await known(), [[b], [b]]);
  first!.remember();
  first!.forget({ topic: "bills" });
  assertEquals(await known(), [[a, b], undefined]);
  first!.remember();
  first!.forget({ broker: "broker-b", topic: "orders" });
  assertEquals(await known(), [[a], [a, b]]);
  first!.forget();
  assertEquals(await known(), [undefined, undefined]);
  await using peer = await peerOf(first!);
  assertEquals(jsonOf(await peer.ask(getTopicList, {})), { topicList: [] });

  assertEquals([await routed(second!), await routed(second!, "bills")], [[a, b], [a, b]]);
  first!.remember();
  assertEquals(await known(), [[a, b], [a, b]]);
});

Deno.test("setOrderTopic() is in the routes of that name server, and in its configuration", async () => {
  await using cluster = await EmbeddedCluster.start({ topics });
  const [first, second] = cluster.names;
  first!.setOrderTopic("orders", "broker-a:2;broker-b:2");
  const order = async (names: EmbeddedNameServer) => {
    await using peer = await peerOf(names);
    const { orderTopicConf } = jsonOf(await peer.ask(getRoute, { topic: "orders" })) as TopicRouteData;
    const { code, fields } = await peer.ask(getKvConfig, { namespace: "ORDER_TOPIC_CONFIG", key: "orders" });
    return [orderTopicConf, code, fields.value];
  };

  assertEquals(await order(first!), ["broker-a:2;broker-b:2", 0, "broker-a:2;broker-b:2"]);
  assertEquals(await order(second!), [undefined, 22, undefined]);
  first!.setOrderTopic("orders", undefined);
  assertEquals(await order(first!), [undefined, 22, undefined]);
});

Deno.test("QueryAssignment shares the queues of all brokers", async () => {
  await using cluster = await EmbeddedCluster.start({ topics });
  await using peer = await peerOf(cluster.brokers[1]!);
  await peer.join("billing", [subscription("orders")], { clientId: "one" });
  const body = { topic: "orders", consumerGroup: "billing", clientId: "one", strategyName: "AVG" };

  const answer = await peer.ask(queryAssignment, {}, { body: { ...body, messageModel: "CLUSTERING" } });

  const { messageQueueAssignments } = jsonOf(answer) as { messageQueueAssignments: { messageQueue: object }[] };
  assertEquals(messageQueueAssignments.map(({ messageQueue }) => messageQueue), [
    ...[0, 1].map((queueId) => ({ brokerName: "broker-a", queueId, topic: "orders" })),
    ...[0, 1].map((queueId) => ({ brokerName: "broker-b", queueId, topic: "orders" })),
  ]);
});

for (const reading of [true, false]) {
  const mode = reading ? "reads" : "does not read";

  Deno.test(`a paused server that ${mode} answers nothing, and handles what has arrived when it resumes`, async () => {
    await using cluster = await EmbeddedCluster.start({ topics });
    const broker = cluster.brokers[0]!;
    await using early = await peerOf(broker);
    await early.send({ topic: "orders", queueId: 0 });
    const answers: string[] = [];
    const note = (name: string) => (answer: { code: number }) => answers.push(`${name} ${answer.code}`);

    broker.pause({ reading });
    broker.pause();
    const old = early.send({ topic: "orders", queueId: 0, body: new Uint8Array(1_000_000) }).then(note("old"));
    await using late = await peerOf(broker); // it accepts
    const fresh = late.send({ topic: "orders", queueId: 1 }).then(note("new"));
    await using neighbour = await peerOf(cluster.brokers[1]!);
    await neighbour.send({ topic: "orders" });
    assertEquals([answers, broker.maxOffset("orders", 0)], [[], 1]);
    await broker.resume();
    await Promise.all([old, fresh]);

    assertEquals(answers.sort(), ["new 0", "old 0"]);
    assertEquals([broker.maxOffset("orders", 0), broker.maxOffset("orders", 1)], [2, 1]);
  });

  Deno.test(`a broker that resumes handles heartbeats of closed connections, whose members stay; it ${mode}`, async () => {
    await using cluster = await EmbeddedCluster.start({ topics });
    const broker = cluster.brokers[0]!;
    const alive = await peerOf(broker);
    await alive.join("billing", [subscription("orders")], { clientId: "one" });

    broker.pause({ reading });
    for (let i = 0; i < 2; i++) await leaveGhost(broker, "one");
    await alive[Symbol.asyncDispose]();
    await broker.resume();
    await using peer = await peerOf(broker);
    await peer.join("billing", [subscription("orders")], { clientId: "one" });

    assertEquals(broker.members("billing"), ["one", "one", "one"]);
    const { consumerIdList } = jsonOf(await peer.ask(getConsumerList, { consumerGroup: "billing" })) as {
      consumerIdList: string[];
    };
    assertEquals(consumerIdList, ["one", "one", "one"]);
  });

  Deno.test(`a paused broker that ${mode} can be killed, and loses what has arrived`, async () => {
    await using cluster = await EmbeddedCluster.start({ topics });
    const broker = cluster.brokers[0]!;
    await using peer = await peerOf(broker);
    broker.pause({ reading });
    const sent = peer.send({ topic: "orders" });

    await broker.kill();
    await assertRejects(() => sent);
    await broker.resume();
    await broker.revive();

    assertEquals([broker.maxOffset("orders", 0), broker.maxOffset("orders", 1)], [0, 0]);
    await using again = await peerOf(broker);
    assertEquals((await again.send({ topic: "orders" })).code, 0);
  });
}

Deno.test("writes to a server that does not read block once the buffers of the system are full", async () => {
  await using names = await EmbeddedNameServer.start();
  const [host, port] = names.address.split(":");
  const socket = await (await defaultTransport()).connect(host!, Number(port), {
    signal: new AbortController().signal,
  });
  const received = socket.receive(() => {});
  names.pause({ reading: false });
  let written = 0;
  const writing = (async () => {
    const frame = new Uint8Array(1_000_000);
    new DataView(frame.buffer).setInt32(0, frame.length - 4);
    for (;;) {
      await socket.write(frame);
      written++;
    }
  })().catch(() => {});
  await using other = await peerOf(names);
  const answer = other.ask(getTopicList, {});

  await names.resume();
  await answer;
  socket.close();
  await Promise.all([received.catch(() => {}), writing]);
  assertEquals(written < 100, true);
});

Deno.test("members of closed connections expire after 120 seconds, and a paused broker leaves the routes then", async () => {
  using time = new FakeTime();
  await using cluster = await EmbeddedCluster.start({ topics });
  const [a, b] = cluster.brokers;
  a!.pause();
  await leaveGhost(a!, "one");
  await a!.resume();
  assertEquals(a!.members("billing").length, 1);
  time.tick(119_999);
  assertEquals(a!.members("billing").length, 1);
  time.tick(1);
  assertEquals(a!.members("billing").length, 0);

  a!.pause();
  time.tick(119_999);
  assertEquals(await routed(cluster.names[0]!), [a!.address, b!.address]);
  time.tick(1);
  assertEquals(await routed(cluster.names[0]!), [b!.address]);
  await a!.resume();
  assertEquals(await routed(cluster.names[0]!), [a!.address, b!.address]);
});

Deno.test("a paused broker's delays and held pulls wait until it resumes", async () => {
  await using broker = await EmbeddedBroker.start({ topics: { orders: { queues: 1 } } });
  await using peer = await peerOf(broker);
  await peer.join("billing", [subscription("orders")]);
  const held = peer.messages({ topic: "orders", sysFlag: 6 });
  await peer.ask(getMaxOffset, { topic: "orders", queueId: 0 });
  broker.pause();
  await broker.publish("orders", ["a"]);
  let answered = false;
  const messages = held.then((messages) => (answered = true, messages));
  await using other = await EmbeddedBroker.start();
  await using neighbour = await peerOf(other);
  await neighbour.ask(getTopicList, {});
  assertEquals(answered, false);

  await broker.resume();

  assertEquals((await messages).length, 1);
});
