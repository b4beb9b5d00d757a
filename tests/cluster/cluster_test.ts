import { assert, assertEquals, assertMatch, assertRejects, assertStringIncludes, assertThrows } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import type { Brokers } from "../../src/cluster/brokers.ts";
import { Cluster } from "../../src/cluster/cluster.ts";
import { EmbeddedBroker } from "../../src/embedded/mod.ts";
import {
  BrokerNotAvailableError,
  NameServerError,
  NetworkError,
  ResponseError,
  RocketMQError,
} from "../../src/errors.ts";
import { EventHub } from "../../src/events.ts";
import { denoTransport } from "../../src/transport/deno.ts";
import { getMaxOffset, heartbeat } from "../../src/wire/requests.ts";
import { freeAddress, type Script, ScriptedServer } from "../transport/scripted_server.ts";
import { eventually, turns, Unheard } from "../transport/waiting.ts";
import { FakeTransport } from "./fake_transport.ts";
import {
  consumerData,
  routeOver,
  ScriptedBroker,
  ScriptedNameServer,
  take,
  TestCluster,
  WatcherLog,
} from "./scripted_cluster.ts";

const LONG = { timeout: 20_000 };
const queue = { topic: "orders", queueId: 0 };

/** A name server with one topic on one broker. */
function orders(broker: ScriptedServer): ScriptedNameServer {
  return new ScriptedNameServer({ orders: routeOver({ a: { 0: broker.address } }) });
}

Deno.test("connect() makes an id for every client, with the address that the name server sees", async () => {
  await using names = new ScriptedNameServer();
  await using first = await TestCluster.connect(names.address);
  await using second = await TestCluster.connect(names.address);
  const ids = [first.cluster.clientId, second.cluster.clientId];
  for (const id of ids) assertMatch(id, /^127\.0\.0\.1@[0-9a-f]{16}$/);
  assertEquals(new Set(ids).size, 2);
});

Deno.test("connect() that fails leaves nothing open", async () => {
  using unheard = new Unheard();
  await using wrong = new ScriptedServer((asked, peer) => peer.answer(asked, { code: 3 }));
  const transport = new FakeTransport();
  const error = await assertRejects(() => TestCluster.connect(wrong.address, { transport }), NameServerError);
  assertEquals(error.code, "NOT_A_NAME_SERVER");
  await wrong.untilOpen(0);
  assertEquals([transport.open, unheard.reasons], [0, []]);
});

Deno.test("connect() with a signal that aborts leaves nothing open, and no rejection unheard", async () => {
  using unheard = new Unheard();
  await using silent = new ScriptedServer();
  const transport = new FakeTransport();
  const options = {
    nameServers: [silent.address],
    transport,
    mapAddress: (address: string) => address,
    startTimeout: 20_000,
    requestTimeout: 20_000,
    heartbeatInterval: 60_000,
    routeInterval: 60_000,
    events: new EventHub(false),
  };
  await assertRejects(
    () => Cluster.connect(options, AbortSignal.abort(new RangeError("enough"))),
    RangeError,
    "enough",
  );
  const stop = new AbortController();
  const connecting = Cluster.connect(options, stop.signal);
  await silent.untilRequests(1);
  stop.abort(new RangeError("enough"));
  await assertRejects(() => connecting, RangeError, "enough");
  await silent.untilOpen(0);
  await turns();
  assertEquals([transport.open, transport.dialed.length, unheard.reasons], [0, 1, []]);
});

Deno.test("Brokers.get() finds brokers by name and replica in the known routes", async () => {
  await using names = new ScriptedNameServer({
    orders: routeOver({ a: { 0: "10.0.0.1:1", 1: "10.0.0.2:1" }, b: { 2: "10.0.0.3:1" } }),
  });
  await using client = await TestCluster.connect(names.address);
  const { cluster } = client;
  const unknown = assertThrows(() => cluster.brokers.get("a"), BrokerNotAvailableError, 'address of broker "a"');
  assertEquals([unknown.code, unknown.broker, unknown.retriable], ["BROKER_NOT_AVAILABLE", "a", true]);
  await cluster.routes.get("orders");
  const addressOf = (...args: Parameters<Brokers["get"]>) => cluster.brokers.get(...args).address;
  assertEquals([addressOf("a"), addressOf("a", 1), addressOf("a", 5)], ["10.0.0.1:1", "10.0.0.2:1", "10.0.0.1:1"]);
  assertEquals([addressOf("b"), addressOf("b", 2, true)], ["10.0.0.3:1", "10.0.0.3:1"]);
  assertThrows(() => cluster.brokers.get("b", 0, true), BrokerNotAvailableError, "names its replica 0");
  assert(cluster.brokers.get("a") === cluster.brokers.at("10.0.0.1:1"));
  assertEquals([cluster.brokers.nameOf("10.0.0.2:1"), cluster.brokers.nameOf("10.9.9.9:1")], ["a", "10.9.9.9:1"]);
});

Deno.test("call() asks a broker's master, at the address that mapAddress returns", async () => {
  await using broker = new ScriptedBroker();
  await using names = new ScriptedNameServer({ orders: routeOver({ a: { 0: "10.0.0.1:10911" } }) });
  const mapAddress = (address: string) => address.replace("10.0.0.1:10911", broker.address);
  await using client = await TestCluster.connect(names.address, { mapAddress });
  await client.cluster.routes.get("orders");
  assertEquals((await client.cluster.brokers.call("a", getMaxOffset, queue)).header.offset, 12);
  const { text, broker: where, level } = await client.event("connected");
  assertEquals([text, where, level], ["connected to broker a at 10.0.0.1:10911", "10.0.0.1:10911", "info"]);
});

Deno.test("heartbeats go to all brokers of the known routes, at an interval", async () => {
  await using a = new ScriptedBroker();
  await using slave = new ScriptedBroker();
  await using b = new ScriptedBroker();
  await using names = new ScriptedNameServer({
    orders: routeOver({ a: { 0: a.address, 1: slave.address } }),
    payments: routeOver({ b: { 0: b.address } }),
  });
  await using client = await TestCluster.connect(names.address, { heartbeatInterval: 10 });
  const { cluster } = client;
  await cluster.routes.get("orders");
  await cluster.routes.get("payments");
  cluster.membership.addConsumer("billing", () => consumerData("billing"));
  for (const broker of [a, slave, b]) await broker.untilRequests(3);
  const body = a.heartbeats[0]!;
  assertEquals(body, {
    clientID: cluster.clientId,
    producerDataSet: [],
    consumerDataSet: [consumerData("billing")],
    heartbeatFingerprint: 0,
    withoutSub: false,
  });
  for (const broker of [a, slave, b]) {
    assertEquals([broker.heartbeats[0], broker.peers.length], [body, 1]);
    await eventually(() => cluster.membership.version(broker.address) === 479, "the broker's version");
  }
});

Deno.test("the embedded broker knows a member by its heartbeat, and forgets it when it leaves", async () => {
  await using broker = await EmbeddedBroker.start({ topics: { orders: { queues: 1 } } });
  await using client = await TestCluster.connect(broker.nameServer);
  const { cluster } = client;
  await cluster.routes.get("orders");
  cluster.membership.addConsumer("billing", () => consumerData("billing"));
  assertEquals(await cluster.membership.beat(), true);
  assertEquals(broker.members("billing"), [cluster.clientId]);
  assertEquals(cluster.membership.version(broker.nameServer), 479);
  await cluster.membership.removeConsumer("billing");
  assertEquals(broker.members("billing"), []);
});

Deno.test("a producer group is registered at once, also with a broker that knows this client already", async () => {
  await using broker = new ScriptedBroker();
  await using names = orders(broker);
  await using client = await TestCluster.connect(names.address);
  const { cluster } = client;
  await cluster.routes.get("orders");
  await cluster.membership.registerProducer("senders");
  await cluster.membership.registerProducer("payers");
  assertEquals(broker.heartbeats.map(({ producerDataSet }) => producerDataSet.map(({ groupName }) => groupName)), [
    ["senders"],
    ["senders", "payers"],
  ]);
});

Deno.test("a broker that was lost receives a heartbeat before anything else, then its recovery is reported, once", async () => {
  await using broker = new ScriptedBroker();
  await using names = orders(broker);
  await using client = await TestCluster.connect(names.address);
  const { cluster } = client;
  const [billing, audit] = [new WatcherLog(), new WatcherLog()];
  await cluster.routes.get("orders");
  cluster.membership.addConsumer("billing", () => consumerData("billing"));
  const unlisten = cluster.watch(billing);
  cluster.watch(audit);
  await cluster.brokers.call("a", getMaxOffset, queue);
  assertEquals([broker.codes(0), billing.lines], [[getMaxOffset.code], []]);

  (await broker.peer(0)).close();
  const lost = await client.event("disconnected");
  assertEquals([lost.level, lost.broker], ["warning", broker.address]);
  assertStringIncludes(lost.text, `lost broker a at ${broker.address}: Lost the connection to ${broker.address}`);
  assert(lost.error instanceof NetworkError);

  await Promise.all([1, 2, 3].map(() => cluster.brokers.call("a", getMaxOffset, queue)));
  await Promise.all([billing.until(1), audit.until(1)]);
  await turns();
  assertEquals([broker.codes(1)[0], broker.heartbeats.length], [heartbeat.code, 1]);
  assertEquals([billing.lines, audit.lines], [["back a"], ["back a"]]);
  assertEquals((await client.event("connected", 1)).text, `connected to broker a at ${broker.address} again`);
  unlisten();

  (await broker.peer(1)).close();
  await client.event("disconnected", 1);
  await cluster.brokers.call("a", getMaxOffset, queue);
  await audit.until(2);
  assertEquals([billing.lines.length, audit.lines], [1, ["back a", "back a"]]);
  assertMatch(
    (await client.event("revived")).text,
    new RegExp(`^broker a at ${broker.address} recovered after \\d+ ms, 10 queues resumed$`),
  );
  assertEquals(client.logged.length, 2, "the second loss and its end came within the minute");
});

Deno.test("a broker whose first connection failed is one that is back", async () => {
  const address = freeAddress();
  await using names = new ScriptedNameServer({ orders: routeOver({ a: { 0: address } }) });
  await using client = await TestCluster.connect(names.address);
  const { cluster } = client;
  const watched = new WatcherLog();
  cluster.watch(watched);
  cluster.membership.addConsumer("billing", () => consumerData("billing"));
  await cluster.routes.get("orders");
  await assertRejects(() => cluster.brokers.call("a", getMaxOffset, queue), NetworkError, "Cannot connect");
  await using broker = new ScriptedBroker(undefined, { port: Number(address.split(":")[1]) });
  await cluster.brokers.call("a", getMaxOffset, queue);
  await watched.until(1);
  assertEquals([watched.lines, broker.codes(0)[0]], [["back a"], heartbeat.code]);
});

/** Refuses heartbeats while `refusals` are left. */
function refusing(refusals: { left: number }): Script {
  return (asked, peer) => {
    if (asked.code !== heartbeat.code || refusals.left <= 0) return;
    refusals.left--;
    take(asked);
    peer.answer(asked, { code: 2, remark: "[OVERLOAD]" });
  };
}

Deno.test("a broker that has recovered and refuses heartbeats receives more until it takes one: its recovery is reported then", async () => {
  const refusals = { left: 0 };
  await using broker = new ScriptedBroker(refusing(refusals));
  await using names = orders(broker);
  await using client = await TestCluster.connect(names.address);
  const { cluster } = client;
  const watched = new WatcherLog();
  cluster.watch(watched);
  cluster.membership.addConsumer("billing", () => consumerData("billing"));
  await cluster.routes.get("orders");
  await cluster.brokers.call("a", getMaxOffset, queue);
  (await broker.peer(0)).close();
  await client.event("disconnected");

  using time = new FakeTime();
  refusals.left = 2;
  const back = cluster.brokers.call("a", getMaxOffset, queue);
  await eventually(async () => {
    await time.tickAsync(100);
    return watched.lines.length === 1;
  }, "the broker is back");
  await back;
  assertEquals([watched.lines, broker.heartbeats.length], [["back a"], 3]);
  const told = client.events.filter(({ type, error }) => type === "disconnected" && error instanceof ResponseError);
  assertEquals(told.length, 2);
  assertStringIncludes(told[0]!.text, "does not take our heartbeat");
});

Deno.test("a connection that is lost during the heartbeat leaves the next one its own heartbeat, at once", async () => {
  let cuts = 0;
  await using broker = new ScriptedBroker((asked, peer) => {
    if (asked.code !== heartbeat.code || cuts === 0) return;
    cuts--;
    take(asked);
    peer.close();
  });
  await using names = orders(broker);
  await using client = await TestCluster.connect(names.address);
  const { cluster } = client;
  const watched = new WatcherLog();
  cluster.watch(watched);
  cluster.membership.addConsumer("billing", () => consumerData("billing"));
  await cluster.routes.get("orders");
  await cluster.brokers.call("a", getMaxOffset, queue);
  cuts = 2;
  (await broker.peer(0)).close();
  for (let lost = 0; lost < 3; lost++) {
    await client.event("disconnected", lost);
    await cluster.brokers.call("a", getMaxOffset, queue).catch(() => {});
  }
  await watched.until(1);
  await turns();
  assertEquals([broker.codes(1)[0], broker.codes(2)[0], broker.codes(3)[0]], Array(3).fill(heartbeat.code));
  assertEquals(watched.lines, ["back a"]);
  assertEquals(client.types, [
    "connected",
    ...Array.from({ length: 3 }, () => ["disconnected", "connected"]).flat(),
    "revived",
  ]);
});

Deno.test("a changed route is reported, to watchers too, and brokers that are new receive a heartbeat", async () => {
  await using a = new ScriptedBroker();
  await using b = new ScriptedBroker();
  await using names = orders(a);
  await using client = await TestCluster.connect(names.address, { routeInterval: 10 });
  const { cluster } = client;
  const watched = new WatcherLog();
  cluster.watch(watched);
  cluster.membership.addConsumer("billing", () => consumerData("billing"));
  cluster.routes.hold(["orders"]);
  await cluster.routes.get("orders");
  await names.untilRequests(4);
  assertEquals([watched.lines, client.types, b.requests.length], [[], [], 0]);

  names.routes.set("orders", routeOver({ a: { 0: a.address }, b: { 0: b.address } }, 3));
  await watched.until(1);
  await b.untilRequests(1);
  const event = await client.event("routeChanged");
  assertEquals([event.level, event.topic], ["info", "orders"]);
  assertStringIncludes(event.text, 'route of topic "orders" changed: 6 queues to read');
  assertEquals([b.codes(0), watched.lines], [[heartbeat.code], ["route orders"]]);
  names.routes.delete("orders");
  const asked = names.requests.length;
  await names.untilRequests(asked + 3);
  assertEquals([cluster.routes.known("orders")!.readQueues.length, watched.lines.length], [6, 1]);
});

Deno.test("a route that cannot be refreshed is reported, and the one from before stays", async () => {
  await using broker = new ScriptedBroker();
  let fails = false;
  await using names = new ScriptedNameServer({ orders: routeOver({ a: { 0: broker.address } }) }, (asked, peer) => {
    if (!fails) return;
    take(asked);
    peer.answer(asked, { code: 1, remark: "name server not ready" });
  });
  await using client = await TestCluster.connect(names.address, { routeInterval: 10 });
  const { cluster } = client;
  cluster.routes.hold(["orders"]);
  const route = await cluster.routes.get("orders");
  fails = true;
  const event = await client.event("disconnected");
  assertEquals([event.level, event.topic], ["warning", "orders"]);
  assertStringIncludes(event.text, 'cannot refresh the route of topic "orders"');
  assert(event.error instanceof ResponseError);
  assert(cluster.routes.known("orders") === route);
});

Deno.test("close() closes users first, then everything else, once, and nothing is open afterwards; failures are events", async () => {
  using unheard = new Unheard();
  await using broker = new ScriptedBroker((asked) => asked.fields["queueId"] === "9" && take(asked));
  await using names = orders(broker);
  const transport = new FakeTransport();
  const client = await TestCluster.connect(names.address, { transport, routeInterval: 10, heartbeatInterval: 10 });
  const { cluster } = client;
  const closed: string[] = [];
  const health = () => ({ kind: "producer", group: "shop", ok: true, inFlight: 0 } as const);
  cluster.users.attach({
    health,
    close: async () => {
      await cluster.brokers.call("a", getMaxOffset, queue);
      closed.push("good");
    },
  });
  cluster.users.attach({ health, close: () => Promise.reject(new RangeError("cannot close")) });
  const gone = { health, close: () => Promise.resolve(void closed.push("gone")) };
  cluster.users.attach(gone);
  cluster.users.detach(gone);
  cluster.membership.addConsumer("billing", () => consumerData("billing"));
  cluster.routes.hold(["orders"]);
  await cluster.routes.get("orders");
  await broker.untilRequests(2);
  const pending = assertRejects(
    () => cluster.brokers.call("a", getMaxOffset, { ...queue, queueId: 9 }),
    NetworkError,
    "was closed",
  );
  await broker.untilRequests(3);
  await Promise.all([cluster.close(), cluster.close()]);
  assertEquals(closed, ["good"]);
  await pending;
  await Promise.all([broker.untilOpen(0), names.untilOpen(0)]);
  assertEquals([transport.open, client.types], [0, ["connected", "disconnected"]]);
  assertEquals(client.logged, ["[rocketmq] disconnected: a step of closing failed: cannot close"]);

  const refused = assertThrows(() => cluster.users.attach(gone), RocketMQError, "it is closed");
  assertEquals(refused.code, "CLIENT_CLOSED");
  await assertRejects(() => cluster.brokers.call("a", getMaxOffset, queue), NetworkError, "was closed");
  const other = cluster.brokers.at(names.address);
  await assertRejects(() => other.call(getMaxOffset, queue, LONG), NetworkError, "was closed");
  await client[Symbol.asyncDispose]();
  assertEquals([transport.open, unheard.reasons], [0, []]);
});

Deno.test("many connections that are lost leave no timers, sockets or rejections behind", async () => {
  using unheard = new Unheard();
  await using broker = new ScriptedBroker();
  await using names = orders(broker);
  const transport = new FakeTransport();
  await using client = await TestCluster.connect(names.address, { transport });
  const { cluster } = client;
  cluster.membership.addConsumer("billing", () => consumerData("billing"));
  await cluster.routes.get("orders");
  for (let i = 0; i < 6; i++) {
    await cluster.brokers.call("a", getMaxOffset, queue);
    (await broker.peer(i)).close();
    await client.event("disconnected", i);
  }
  assertEquals([transport.open, broker.peers.length, unheard.reasons], [1, 6, []]);
});

Deno.test("a broker that refuses heartbeats, again and again, is reported: a fault must not be silent", async () => {
  await using broker = new ScriptedBroker(refusing({ left: Infinity }));
  await using names = orders(broker);
  await using client = await TestCluster.connect(names.address, { heartbeatInterval: 10 });
  const { cluster } = client;
  cluster.membership.addConsumer("billing", () => consumerData("billing"));
  await cluster.routes.get("orders");
  await broker.untilRequests(5);
  await turns();
  assert(client.events.some(({ level }) => level === "warning"), `events: ${client.types}`);
});

Deno.test("connections to addresses that no route names any more are closed", async () => {
  await using old = new ScriptedBroker();
  await using moved = new ScriptedBroker();
  await using names = orders(old);
  await using client = await TestCluster.connect(names.address, { transport: denoTransport, routeInterval: 10 });
  const { cluster } = client;
  const watched = new WatcherLog();
  cluster.watch(watched);
  cluster.routes.hold(["orders"]);
  await cluster.routes.get("orders");
  await cluster.brokers.call("a", getMaxOffset, queue);
  names.routes.set("orders", routeOver({ a: { 0: moved.address } }));
  await watched.until(1);
  await cluster.brokers.call("a", getMaxOffset, queue);
  const asked = names.requests.length;
  await names.untilRequests(asked + 10);
  assertEquals([moved.open, old.open], [1, 0]);
});

Deno.test("close() says nothing about a refresh or a heartbeat that it ends itself", async () => {
  using unheard = new Unheard();
  let hold = false;
  const script: Script = (asked) => hold && take(asked);
  await using broker = new ScriptedBroker(script);
  await using names = new ScriptedNameServer({ orders: routeOver({ a: { 0: broker.address } }) }, script);
  const client = await TestCluster.connect(names.address);
  const { cluster } = client;
  cluster.membership.addConsumer("billing", () => consumerData("billing"));
  await cluster.routes.get("orders");
  await cluster.brokers.call("a", getMaxOffset, queue);
  (await broker.peer(0)).close();
  await client.event("disconnected");
  const [asked, beats] = [names.requests.length, broker.requests.length];
  hold = true;
  const refreshing = cluster.routes.refresh("orders").catch(() => {});
  const lost = cluster.brokers.call("a", getMaxOffset, queue).catch(() => {});
  await Promise.all([names.untilRequests(asked + 1), broker.untilRequests(beats + 2)]);
  await client[Symbol.asyncDispose]();
  await Promise.all([refreshing, lost]);
  await turns();
  assertEquals([client.types, unheard.reasons], [["connected", "disconnected", "connected"], []]);
  assertEquals(client.logged.length, 1, "of the connection that was lost before");
});

Deno.test("a broker that was in no route for a while is one that is back", async () => {
  await using a = new ScriptedBroker();
  await using b = new ScriptedBroker();
  const both = routeOver({ a: { 0: a.address }, b: { 0: b.address } });
  await using names = new ScriptedNameServer({ orders: both });
  await using client = await TestCluster.connect(names.address, { routeInterval: 10 });
  const { cluster } = client;
  const watched = new WatcherLog();
  cluster.watch(watched);
  cluster.membership.addConsumer("billing", () => consumerData("billing"));
  cluster.routes.hold(["orders"]);
  await cluster.routes.get("orders");
  await cluster.brokers.call("b", getMaxOffset, queue);
  names.routes.set("orders", routeOver({ a: { 0: a.address } }));
  await watched.until(1);
  (await b.peer(0)).close();
  await b.untilOpen(0);
  names.routes.set("orders", both);
  await watched.until(2);
  await b.untilRequests(2);
  await cluster.brokers.call("b", getMaxOffset, queue);
  await turns();
  assertEquals(b.codes(1)[0], heartbeat.code);
  assertEquals(watched.lines.filter((line) => line === "back b"), ["back b"]);
});
