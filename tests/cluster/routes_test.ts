import { assert, assertEquals, assertNotEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { readRoute, Routes, type TopicRoute } from "../../src/cluster/routes.ts";
import type { BrokerData, QueueData, TopicRouteData } from "../../src/wire/bodies.ts";
import { Unheard } from "../transport/waiting.ts";

function brokerData(brokerName: string, brokerAddrs: Record<number, string>): BrokerData {
  return { cluster: "c", brokerName, brokerAddrs };
}

function queueData(brokerName: string, perm: number, readQueueNums: number, writeQueueNums: number): QueueData {
  return { brokerName, perm, readQueueNums, writeQueueNums };
}

/** A route over one broker. */
function simple(queues: number, address = "10.0.0.1:10911"): TopicRouteData {
  return { queueDatas: [queueData("a", 6, queues, queues)], brokerDatas: [brokerData("a", { 0: address })] };
}

/** Queues as `broker/number`, in the order of the route. */
function ids(queues: TopicRoute["readQueues"]): string[] {
  return queues.map(({ broker, queueId }) => `${broker}/${queueId}`);
}

/** A table of routes that asks the test, and what it reported. */
class Bench {
  readonly answers = new Map<string, TopicRouteData | undefined | Error>();
  readonly asked: string[] = [];
  readonly changed: TopicRoute[] = [];
  readonly failed: [string, unknown][] = [];
  readonly routes: Routes;
  /** Holds all asks back while it is set. */
  gate: Promise<void> | undefined;

  constructor(answers: Record<string, TopicRouteData | Error> = {}) {
    for (const [topic, answer] of Object.entries(answers)) this.answers.set(topic, answer);
    const ask = async (topic: string) => {
      this.asked.push(topic);
      await this.gate;
      const answer = this.answers.get(topic);
      if (answer instanceof Error) throw answer;
      return answer;
    };
    this.routes = new Routes(ask, {
      onChanged: (route) => this.changed.push(route),
      onFailed: (topic, error) => this.failed.push([topic, error]),
    });
  }
}

Deno.test("readRoute() makes queues of the bits of perm", () => {
  const route = (perm: number) => {
    const data = { queueDatas: [queueData("a", perm, 2, 1)], brokerDatas: [brokerData("a", { 0: "h:1" })] };
    const { readQueues, writeQueues } = readRoute("t", data);
    return [readQueues.length, writeQueues.length];
  };
  assertEquals([0, 1, 2, 3, 4, 5, 6, 7, 8].map(route), [
    [0, 0],
    [0, 0],
    [0, 1],
    [0, 1],
    [2, 0],
    [2, 0],
    [2, 1],
    [2, 1],
    [0, 0],
  ]);
});

Deno.test("readRoute() sorts queues by broker name and number: all members of a group must agree", () => {
  const names = ["b", "a10", "a2", "B", "é"];
  const data = {
    queueDatas: names.map((name) => queueData(name, 6, 11, 2)),
    brokerDatas: names.map((name) => brokerData(name, { 0: `${name}:1` })),
  };
  const { readQueues, writeQueues } = readRoute("t", data);
  const order = ["B", "a10", "a2", "b", "é"];
  assertEquals(ids(readQueues), order.flatMap((name) => Array.from({ length: 11 }, (_, i) => `${name}/${i}`)));
  assertEquals(ids(writeQueues), order.flatMap((name) => [`${name}/0`, `${name}/1`]));
  assert(readQueues.every((queue) => queue.topic === "t"));
});

Deno.test("readRoute() lets queues be read, not written, on a broker without a master", () => {
  const data = {
    queueDatas: [queueData("a", 6, 2, 2), queueData("b", 6, 1, 1)],
    brokerDatas: [brokerData("a", { 1: "h:1", 2: "h:2" }), brokerData("b", { 0: "h:3", 1: "h:4" })],
  };
  const { readQueues, writeQueues, brokers } = readRoute("t", data);
  assertEquals([ids(readQueues), ids(writeQueues)], [["a/0", "a/1", "b/0"], ["b/0"]]);
  assertEquals(brokers, new Map([["a", new Map([[1, "h:1"], [2, "h:2"]])], ["b", new Map([[0, "h:3"], [1, "h:4"]])]]));
});

Deno.test("readRoute() leaves out queues of brokers that the route does not know, and brokers without queues stay", () => {
  const data = {
    queueDatas: [queueData("gone", 6, 4, 4), queueData("a", 6, 1, 1)],
    brokerDatas: [brokerData("a", { 0: "h:1" }), brokerData("idle", { 0: "h:2" })],
  };
  const { readQueues, writeQueues, brokers } = readRoute("t", data);
  assertEquals([ids(readQueues), ids(writeQueues), [...brokers.keys()]], [["a/0"], ["a/0"], ["a", "idle"]]);
});

Deno.test("readRoute() reads data with members missing", () => {
  for (const data of [{}, { queueDatas: [] }, { brokerDatas: [] }, { brokerDatas: [{ brokerName: "a" }] }]) {
    const { readQueues, writeQueues } = readRoute("t", JSON.parse(JSON.stringify(data)));
    assertEquals([readQueues, writeQueues], [[], []]);
  }
});

Deno.test("get() asks once, whoever asks at the same time, and remembers", async () => {
  const bench = new Bench({ orders: simple(2) });
  const [first, second] = await Promise.all([bench.routes.get("orders"), bench.routes.get("orders")]);
  assertStrictEquals(first, second);
  assertStrictEquals(await bench.routes.get("orders"), first);
  assertStrictEquals(bench.routes.known("orders"), first);
  assertEquals([bench.asked, ids(first!.readQueues)], [["orders"], ["a/0", "a/1"]]);
});

Deno.test("get() is undefined for an unknown topic, and asks again the next time", async () => {
  const bench = new Bench();
  assertEquals([await bench.routes.get("orders"), await bench.routes.get("orders")], [undefined, undefined]);
  bench.answers.set("orders", simple(1));
  assertEquals([ids((await bench.routes.get("orders"))!.readQueues), bench.asked.length], [["a/0"], 3]);
  assertEquals(bench.changed, []);
});

Deno.test("refresh() reports other queues, addresses, brokers and masters", async () => {
  const two = [queueData("a", 6, 2, 2), queueData("b", 6, 1, 1)];
  const all = [brokerData("a", { 0: "10.0.0.1:10911" }), brokerData("b", { 0: "10.0.0.2:10911" })];
  const changes: TopicRouteData[] = [
    simple(3),
    simple(2),
    { ...simple(2), orderTopicConf: "a:1" },
    simple(2, "10.0.0.9:10911"),
    { queueDatas: [queueData("a", 4, 2, 2)], brokerDatas: [brokerData("a", { 0: "10.0.0.9:10911" })] },
    { queueDatas: two, brokerDatas: all },
    { queueDatas: two, brokerDatas: [all[0]!, brokerData("b", { 1: "10.0.0.2:10911" })] },
    {},
  ];
  const bench = new Bench({ orders: simple(2) });
  let before = await bench.routes.get("orders");
  for (const [i, data] of changes.entries()) {
    bench.answers.set("orders", data);
    const route = await bench.routes.refresh("orders");
    assertEquals(bench.changed.length, i + 1);
    assertStrictEquals(bench.changed[i], route);
    assertStrictEquals(bench.routes.known("orders"), route);
    assertNotEquals(route, before);
    before = route;
  }
});

Deno.test("refresh() reports nothing if only the order of things has changed", async () => {
  const queues = [queueData("a", 6, 2, 2), queueData("b", 6, 1, 1)];
  const brokers = [brokerData("a", { 0: "h:1", 1: "h:2" }), brokerData("b", { 0: "h:3" })];
  const bench = new Bench({ orders: { queueDatas: queues, brokerDatas: brokers } });
  const before = await bench.routes.get("orders");
  const extra = { orderTopicConf: "", filterServerTable: {} };
  bench.answers.set("orders", { queueDatas: queues.toReversed(), brokerDatas: brokers.toReversed(), ...extra });
  assertStrictEquals(await bench.routes.refresh("orders"), before);
  assertEquals(bench.changed, []);
});

Deno.test("refresh() keeps the route when no name server knows the topic any more, and when asking fails", async () => {
  const bench = new Bench({ orders: simple(2) });
  const before = await bench.routes.get("orders");
  bench.answers.set("orders", undefined);
  assertStrictEquals(await bench.routes.refresh("orders"), before);
  bench.answers.set("orders", new RangeError("no answer"));
  await assertRejects(() => bench.routes.refresh("orders"), RangeError, "no answer");
  assertStrictEquals(bench.routes.known("orders"), before);
  assertEquals([bench.changed, bench.failed], [[], []]);
  bench.answers.set("orders", simple(4));
  assertEquals(ids((await bench.routes.refresh("orders"))!.readQueues).length, 4);
});

/** Lets a table that refreshes every 30 s run for some intervals; answers come in between. */
async function pass(time: FakeTime, intervals: number): Promise<void> {
  for (let second = 0; second < 30 * intervals; second++) await time.tickAsync(1_000);
}

Deno.test("start() refreshes every topic that somebody holds at an interval until stop(), and reports which failed", async () => {
  using unheard = new Unheard();
  using time = new FakeTime();
  const bench = new Bench({ a: simple(1), b: simple(1), c: simple(1) });
  bench.routes.hold(["a", "b", "c", "unknown"]);
  for (const topic of ["a", "b", "c", "unknown"]) await bench.routes.get(topic);
  const error = new RangeError("no answer");
  bench.answers.set("b", error).set("c", simple(2));
  bench.asked.length = 0;
  bench.routes.start(30_000);
  await pass(time, 1);
  assertEquals(bench.asked.sort(), ["a", "b", "c"]);
  assertEquals([bench.failed, bench.changed.map(({ topic }) => topic)], [[["b", error]], ["c"]]);
  await pass(time, 20);
  assertEquals(bench.asked.length, 3 * 21);
  bench.routes.stop();
  await pass(time, 1);
  assertEquals([bench.asked.length, unheard.reasons], [3 * 21, []]);
});

Deno.test("start() does not ask again while an answer is outstanding", async () => {
  using time = new FakeTime();
  const bench = new Bench({ orders: simple(1) });
  bench.routes.hold(["orders"]);
  await bench.routes.get("orders");
  let open!: () => void;
  bench.gate = new Promise((resolve) => open = resolve);
  bench.routes.start(30_000);
  time.tick(30_000 * 5);
  assertEquals(bench.asked.length, 2);
  open();
  await time.runMicrotasks();
  time.tick(30_000);
  assertEquals(bench.asked.length, 3);
  bench.routes.stop();
});

Deno.test("start() spreads the refreshes of many topics over the interval", async () => {
  using time = new FakeTime();
  const topics = Array.from({ length: 300 }, (_, i) => `orders-${i}`);
  const bench = new Bench(Object.fromEntries(topics.map((topic) => [topic, simple(1)])));
  bench.routes.hold(topics);
  for (const topic of topics) await bench.routes.get(topic);
  bench.routes.start(30_000);
  let most = 0;
  for (let second = 0; second < 60; second++) {
    bench.asked.length = 0;
    await time.tickAsync(1_000);
    most = Math.max(most, bench.asked.length);
  }
  assertEquals(most, 10);
  bench.routes.stop();
});

Deno.test("a route that nobody holds or asks for is refreshed once more, then kept for a while, then forgotten", async () => {
  using time = new FakeTime();
  const bench = new Bench({ orders: simple(1, "h:1") });
  const letGo = [bench.routes.hold(["orders"]), bench.routes.hold(["orders"])];
  await bench.routes.get("orders");
  bench.routes.start(30_000);
  await pass(time, 20);
  letGo[0]!();
  letGo[0]!(); // once is enough
  await pass(time, 20);
  assertEquals(bench.asked.length, 41);
  letGo[1]!();
  await pass(time, 8);
  assertEquals([bench.asked.length, bench.routes.brokers().size], [42, 0]);
  assertEquals(bench.routes.known("orders")?.readQueues.length, 1); // somebody wants it after all
  assertEquals(bench.routes.brokers().size, 1);
  await pass(time, 1);
  assertEquals(bench.asked.length, 43);
  await pass(time, 11);
  assertEquals([bench.asked.length, bench.routes.brokers().size], [44, 0]);
  assertEquals((await bench.routes.get("orders"))?.readQueues.length, 1);
  bench.routes.stop();
});

Deno.test("brokers() names the brokers of all known routes", async () => {
  const other = { brokerDatas: [brokerData("b", { 0: "h:2", 1: "h:3" })], queueDatas: [queueData("b", 6, 1, 1)] };
  const bench = new Bench({ orders: simple(1, "h:1"), payments: other });
  assertEquals(bench.routes.brokers(), new Map());
  await bench.routes.get("orders");
  assertEquals(bench.routes.brokers(), new Map([["a", new Map([[0, "h:1"]])]]));
  await bench.routes.get("payments");
  const both = new Map([["a", new Map([[0, "h:1"]])], ["b", new Map([[0, "h:2"], [1, "h:3"]])]]);
  assertEquals(bench.routes.brokers(), both);
});

Deno.test("brokers() believes the newest route, not that of a topic that is gone", async () => {
  for (const order of [["orders", "gone"], ["gone", "orders"]]) {
    const bench = new Bench({ orders: simple(1, "old:1"), gone: simple(1, "old:1") });
    for (const topic of order) await bench.routes.get(topic);
    bench.answers.set("orders", simple(1, "new:1")).set("gone", undefined);
    for (const topic of order) await bench.routes.refresh(topic);
    assertEquals(bench.routes.brokers().get("a"), new Map([[0, "new:1"]]));
    for (const topic of order) await bench.routes.refresh(topic);
    assertEquals(bench.routes.brokers().get("a"), new Map([[0, "new:1"]]));
  }
});

Deno.test("brokers() is right already when a change is reported", async () => {
  const answers = new Map([["orders", simple(1, "old:1")]]);
  const seen: unknown[] = [];
  const routes = new Routes((topic) => Promise.resolve(answers.get(topic)), {
    onChanged: () => seen.push(routes.brokers().get("a")?.get(0), ids(routes.known("orders")!.readQueues).length),
    onFailed: () => {},
  });
  await routes.get("orders");
  answers.set("orders", simple(3, "new:1"));
  await routes.refresh("orders");
  assertEquals(seen, ["new:1", 3]);
});
