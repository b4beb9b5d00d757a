import { assertEquals, assertGreater, assertLess, assertRejects, assertStringIncludes } from "@std/assert";
import { connect } from "../../mod.ts";
import { NameServers } from "../../src/cluster/name_servers.ts";
import { RouteFinder } from "../../src/cluster/route_finder.ts";
import { NameServerError, NetworkError, ProducerError, SubscribeError } from "../../src/errors.ts";
import { EventHub, type StatusEvent } from "../../src/events.ts";
import { denoTransport } from "../../src/transport/deno.ts";
import type { TopicRouteData } from "../../src/wire/bodies.ts";
import { deadAddress, type Script, ScriptedServer } from "../transport/scripted_server.ts";
import { eventually, turns, Unheard } from "../transport/waiting.ts";
import { routeOver, ScriptedBroker, ScriptedNameServer, take, TestCluster } from "./scripted_cluster.ts";

const LONG = { timeout: 20_000 };
const utf8 = new TextEncoder();

const a = routeOver({ a: { 0: "h:1" } }, 2);
const ab = routeOver({ a: { 0: "h:1" }, b: { 0: "h:2" } }, 2);

/** A finder over name servers that closes with the test, and what it reported. */
class Bench {
  readonly names: NameServers;
  readonly finder: RouteFinder;
  #hub = new EventHub(false);
  #events = this.#hub.read();

  constructor(...servers: readonly { readonly address: string }[]) {
    this.names = new NameServers(servers.map(({ address }) => address), {
      transport: denoTransport,
      connectTimeout: 20_000,
      mapAddress: (address) => address,
    });
    this.finder = new RouteFinder(this.names, this.#hub);
  }

  /** The brokers that hold a topic now: `"a b"`. */
  async brokers(topic = "orders", options = LONG): Promise<string | undefined> {
    const route = await this.finder.find(topic, options);
    return route?.brokerDatas?.map(({ brokerName }) => brokerName).join(" ");
  }

  /** All events, once the test is over. */
  async events(): Promise<StatusEvent[]> {
    this.#hub.close();
    return await Array.fromAsync(this.#events);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.names.close();
    await turns();
  }
}

/** Name servers of a test. */
function servers(...routes: (TopicRouteData | undefined)[]): ScriptedNameServer[] {
  return routes.map((route) => new ScriptedNameServer(route === undefined ? {} : { orders: route }));
}

const counts = (all: readonly ScriptedServer[]) => all.map(({ requests }) => requests.length);

Deno.test("find() finds a topic that only one name server knows, whichever is asked first", async () => {
  const [first, second, third] = servers(undefined, ab, undefined);
  await using _1 = first!;
  await using _2 = second!;
  await using _3 = third!;
  for (let i = 0; i < 12; i++) {
    await using bench = new Bench(first!, second!, third!);
    assertEquals(await bench.brokers(), "a b");
    const [event, ...others] = await bench.events();
    assertEquals([event!.type, event!.level, event!.topic, others], ["partialRoute", "warning", "orders", []]);
    assertStringIncludes(event!.text, `${first!.address} lacks the topic, ${third!.address} lacks the topic`);
  }
});

Deno.test("find() is undefined only if all name servers say that they do not know the topic", async () => {
  const [first, second] = servers(undefined, undefined);
  await using _1 = first!;
  await using _2 = second!;
  await using both = new Bench(first!, second!);
  assertEquals(await both.brokers(), undefined);
  assertEquals(counts([first!, second!]), [1, 1]);

  await using busy = new ScriptedServer((asked, peer) => peer.answer(asked, { code: 1, remark: "not ready" }));
  for (const other of [{ address: deadAddress() }, busy]) {
    await using bench = new Bench(first!, other);
    const error = await assertRejects(() => bench.brokers(), NameServerError);
    assertEquals([error.code, error.retriable], ["TOPIC_UNCONFIRMED", true]);
    assertStringIncludes(error.message, `exists: ${first!.address} does not know it`);
    assertStringIncludes(error.message, other.address);
  }
});

Deno.test("find() rejects as one that cannot be asked when no name server answers", async () => {
  await using bench = new Bench({ address: deadAddress() }, { address: deadAddress() });
  const error = await assertRejects(() => bench.brokers(), NetworkError);
  assertEquals(error.code, "CONNECT_FAILED");
});

Deno.test("find() has what any name server has, the same at all members", async () => {
  const [first, second] = servers(
    routeOver({ a: { 0: "h:1" }, b: { 0: "h:2" } }, 2),
    routeOver({ c: { 0: "h:3" }, b: { 0: "h:2" } }, 4),
  );
  await using _1 = first!;
  await using _2 = second!;
  const texts = new Set<string>();
  for (let i = 0; i < 6; i++) {
    await using bench = new Bench(...i % 2 === 0 ? [first!, second!] : [second!, first!]);
    texts.add(JSON.stringify(await bench.finder.find("orders", LONG)));
    const [event] = await bench.events();
    assertStringIncludes(event!.text, `${first!.address} lacks broker "c", queues of broker "b" (2/2 of 4/4)`);
    assertStringIncludes(event!.text, `${second!.address} lacks broker "a"`);
  }
  assertEquals(texts.size, 1);
});

Deno.test("a refresh asks one name server, each in turn, while they agree", async () => {
  const all = servers(ab, ab, ab);
  await using _1 = all[0]!;
  await using _2 = all[1]!;
  await using _3 = all[2]!;
  await using bench = new Bench(...all);
  for (let i = 0; i < 10; i++) assertEquals(await bench.brokers(), "a b");
  assertEquals(counts(all), [4, 4, 4]);
  assertEquals(await bench.events(), []);
});

Deno.test("a refresh asks all when one has changed: at the latest when it was the turn of each", async () => {
  const all = servers(a, a);
  await using _1 = all[0]!;
  await using _2 = all[1]!;
  await using bench = new Bench(...all);
  const turn = async () => {
    await bench.brokers();
    return await bench.brokers();
  };
  assertEquals(await bench.brokers(), "a");
  all[1]!.routes.set("orders", ab);
  assertEquals(await turn(), "a b");

  const before = counts(all);
  for (let i = 0; i < 4; i++) assertEquals(await bench.brokers(), "a b"); // whoever is asked
  assertEquals(counts(all), before.map((count) => count + 2)); // one request each, also while they disagree
  all[0]!.routes.set("orders", ab);
  assertEquals(await turn(), "a b");
  all[0]!.routes.delete("orders");
  assertEquals(await turn(), "a b");
  all[1]!.routes.set("orders", a);
  assertEquals(await turn(), "a");
  const events = (await bench.events()).map(({ level, type }) => `${level} ${type}`);
  assertEquals(events, ["warning partialRoute", "info partialRoute", "warning partialRoute"]);
});

Deno.test("what only a name server has that is gone does not count any more", async () => {
  const all = servers(ab, a);
  await using _1 = all[0]!;
  await using _2 = all[1]!;
  await using bench = new Bench(...all);
  assertEquals(await bench.brokers(), "a b");
  await all[0]![Symbol.asyncDispose]();
  const turns = [await bench.brokers(), await bench.brokers(), await bench.brokers()];
  assertEquals(turns.at(-1), "a");
});

Deno.test("a queue or broker that no name server has any more is gone with the next refresh that sees it", async () => {
  const all = servers(ab, ab);
  await using _1 = all[0]!;
  await using _2 = all[1]!;
  await using bench = new Bench(...all);
  await bench.brokers();
  for (const server of all) server.routes.set("orders", a);
  assertEquals(await bench.brokers(), "a");
  for (const server of all) server.routes.set("orders", routeOver({ a: { 0: "h:1" } }, 1));
  const route = await bench.finder.find("orders", LONG);
  assertEquals(route!.queueDatas!.map(({ readQueueNums }) => readQueueNums), [1]);
  assertEquals(await bench.events(), []);
});

Deno.test("a topic that is gone costs one request per refresh, and is found when it is there again", async () => {
  const all = servers(a, a);
  await using _1 = all[0]!;
  await using _2 = all[1]!;
  await using bench = new Bench(...all);
  await bench.brokers();
  for (const server of all) server.routes.delete("orders");
  assertEquals(await bench.brokers(), undefined);
  const before = counts(all);
  for (let i = 0; i < 4; i++) assertEquals(await bench.brokers(), undefined);
  assertEquals(counts(all), before.map((count) => count + 2));
  all[1]!.routes.set("orders", ab);
  await bench.brokers();
  assertEquals(await bench.brokers(), "a b");
});

Deno.test("an entry that makes no sense is an event, once until it is over", async () => {
  let odd = true;
  await using names = new ScriptedNameServer({ orders: ab }, (asked, peer) => {
    if (!odd) return;
    take(asked);
    const body = JSON.stringify({ ...ab, brokerDatas: [...ab.brokerDatas!, { brokerName: "c", brokerAddrs: null }] });
    peer.answer(asked, { body: utf8.encode(body) });
  });
  await using bench = new Bench(names);
  for (let i = 0; i < 3; i++) assertEquals(await bench.brokers(), "a b");
  odd = false;
  await bench.brokers();
  odd = true;
  await bench.brokers();
  const events = await bench.events();
  const levels = events.map(({ level, type }) => `${level} ${type}`);
  assertEquals(levels, ["warning brokenRoute", "info brokenRoute", "warning brokenRoute"]);
  const [first] = events;
  assertEquals(first!.topic, "orders");
  assertStringIncludes(first!.text, `${names.address} has: brokerDatas[2]: brokerAddrs of broker "c" is null`);
});

Deno.test("a silent name server is waited for once, not by every refresh or new topic", async () => {
  await using silent = new ScriptedServer();
  await using good = new ScriptedNameServer({ orders: ab, payments: a, retries: a });
  await using bench = new Bench(silent, good);
  const options = { timeout: 8_000 };
  assertEquals(await bench.brokers("orders", options), "a b"); // waits a part of the timeout for the silent one
  const started = performance.now();
  for (let i = 0; i < 10; i++) assertEquals(await bench.brokers("orders", options), "a b");
  assertEquals([await bench.brokers("payments", options), await bench.brokers("retries", options)], ["a", "a"]);
  assertLess(performance.now() - started, 1_000);
  assertEquals(await bench.events(), []);
});

Deno.test("a name server that answers again counts again", async () => {
  let hold = true;
  await using late = new ScriptedNameServer({ orders: ab }, (asked) => hold && take(asked));
  await using good = new ScriptedNameServer({ orders: a });
  await using bench = new Bench(late, good);
  assertEquals(await bench.brokers("orders", { timeout: 400 }), "a");
  hold = false;
  await eventually(async () => await bench.brokers("orders", { timeout: 5_000 }) === "a b", "both are compared");
});

Deno.test("find() keeps to its timeout and its signal, whatever is silent, and leaves nothing behind", async () => {
  using unheard = new Unheard();
  await using silent = new ScriptedServer();
  await using other = new ScriptedServer();
  await using unknowing = new ScriptedNameServer();
  for (const all of [[silent, other], [silent, unknowing], [unknowing, silent]]) {
    await using bench = new Bench(...all);
    const started = performance.now();
    await assertRejects(() => bench.brokers("orders", { timeout: 500 }));
    const took = performance.now() - started;
    assertGreater(took, 100);
    assertLess(took, 1_500);
    const stop = new AbortController();
    const reason = { why: "stop" };
    const finding = bench.finder.find("orders", { ...LONG, signal: stop.signal });
    stop.abort(reason);
    assertEquals(await finding.catch((error) => error), reason);
  }
  await turns();
  assertEquals(unheard.reasons, []);
});

Deno.test("twenty silent name servers and one that answers: it is found within the timeout, a few at a time", async () => {
  await using silent = new ScriptedServer();
  await using good = new ScriptedNameServer({ orders: ab });
  const holes = Array.from({ length: 20 }, (_, i) => ({ address: `127.0.1.${i + 1}:${silent.port}` }));
  const [transport, open] = [{ ...denoTransport }, new Set<string>()];
  transport.connect = (host, port, options) => {
    if (port !== silent.port) return denoTransport.connect(host, port, options);
    open.add(host);
    return new Promise((_, reject) => options.signal.addEventListener("abort", () => reject(options.signal.reason)));
  };
  const names = new NameServers([...holes, good].map(({ address }) => address), {
    transport,
    connectTimeout: 20_000,
    mapAddress: (address) => address,
  });
  const started = performance.now();
  const { data } = await names.first("orders", { timeout: 6_000 });
  assertEquals(data?.brokerDatas?.length, 2);
  assertLess(performance.now() - started, 6_500);
  const before = open.size;
  await names.first("orders", { timeout: 6_000 }); // the one that answered last
  assertEquals(open.size, before);
  names.close();
  await turns();
});

Deno.test("connect() fails within startTimeout with 10 000 addresses that never answer, and asks few of them", async () => {
  using unheard = new Unheard();
  const nameServers = Array.from({ length: 10_000 }, (_, i) => `10.${i >> 8}.${i & 255}.1:9876`);
  const asked = new Set<string>();
  const transport = { ...denoTransport };
  transport.connect = (host, _port, { signal }) => {
    asked.add(host);
    return new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
  };
  const started = performance.now();
  const options = { nameServers, transport, startTimeout: 600, requestTimeout: 500 };
  const error = await assertRejects(() => connect(options), NameServerError);
  assertLess(performance.now() - started, 1_600);
  assertEquals(error.code, "NAME_SERVER_UNREACHABLE");
  assertLess(error.message.length, 1_000);
  assertLess(asked.size, 200);
  await turns();
  assertEquals(unheard.reasons, []);
});

/** A client whose second name server does not answer about topics, while the first knows only these. */
async function withDeafOther(
  routes: Record<string, TopicRouteData>,
  use: (client: TestCluster) => Promise<void>,
): Promise<void> {
  await using first = new ScriptedNameServer(routes);
  const other = deadAddress();
  await using client = await TestCluster.connect(first.address, { nameServers: [first.address, other] });
  await use(client);
}

Deno.test("what is not known while a name server is down is retriable for producers, unless brokers make topics", async () => {
  const { createProducer } = await import("../../src/producer/mod.ts");
  await withDeafOther({}, async ({ cluster }) => {
    await using producer = await createProducer(cluster);
    const error = await assertRejects(() => producer.send({ topic: "orders", body: "x" }), ProducerError);
    assertEquals([error.code, error.retriable], ["ROUTE_NOT_AVAILABLE", true]);
    assertStringIncludes(error.message, "not all name servers could be asked");
  });
  await using broker = new ScriptedBroker((asked, peer) => {
    if (asked.flag !== 0) return;
    take(asked);
    peer.answer(asked, { fields: { msgId: "x", queueId: "0", queueOffset: "7" } });
  });
  await withDeafOther({ TBW102: routeOver({ a: { 0: broker.address } }) }, async ({ cluster }) => {
    await using producer = await createProducer(cluster);
    const receipt = await producer.send({ topic: "orders", body: "x" });
    assertEquals([receipt.queue.broker, receipt.queueOffset], ["a", 7]);
  });
});

Deno.test("what is not known while a name server is down is no missing topic for a consumer, and is waited for", async () => {
  const silent: Script = (asked, peer) => peer.answer(asked, { code: 1, remark: "name server not ready" });
  await using down = new ScriptedServer(silent);
  await using first = new ScriptedNameServer();
  await using mq = await connect({ nameServers: [first.address, down.address], logger: false });
  const options = { group: "billing", topics: "orders" } as const;
  const error = await assertRejects(() => mq.consumer(options), SubscribeError);
  assertEquals(error.retriable, true);
  const events = mq.status();
  await using _consumer = await mq.consumer({ ...options, missingTopic: "wait" });
  for await (const { type, topic } of events) if (type === "missingTopic" && topic === "orders") break;
});
