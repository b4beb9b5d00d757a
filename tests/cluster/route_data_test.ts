import { assertEquals, assertStringIncludes } from "@std/assert";
import { readOrderConf } from "../../src/cluster/order_conf.ts";
import { parseRoute } from "../../src/cluster/route_data.ts";
import { ShortList } from "../../src/cluster/route_limits.ts";
import { lacking, uniteRoutes } from "../../src/cluster/route_union.ts";
import { readRoute } from "../../src/cluster/routes.ts";
import type { TopicRouteData } from "../../src/wire/bodies.ts";
import { routeOver } from "./scripted_cluster.ts";

const utf8 = new TextEncoder();

/** Reads a route that is given as the text of its members. */
function parse(
  body: string,
): { queues: string[]; written: string[]; brokers: unknown; leftOut: string; count: number } {
  const { data, leftOut } = parseRoute(utf8.encode(body));
  const { readQueues, writeQueues, brokers } = readRoute("t", uniteRoutes([data]).data);
  const names = (queues: typeof readQueues) => queues.map(({ broker, queueId }) => `${broker}${queueId}`);
  const addresses = Object.fromEntries([...brokers].map(([name, at]) => [name, Object.fromEntries(at)]));
  return {
    queues: names(readQueues),
    written: names(writeQueues),
    brokers: addresses,
    leftOut: `${leftOut}`,
    count: leftOut.count,
  };
}

const goodQueue = '{"brokerName":"a","perm":6,"readQueueNums":1,"writeQueueNums":1}';
const goodBroker = '{"brokerName":"a","cluster":"c","brokerAddrs":{"0":"h:1"}}';
const other = '{"brokerName":"b","cluster":"c","brokerAddrs":{"0":"h:2"}}';

Deno.test("parseRoute() leaves out a queue data that makes no sense, and says which and why", () => {
  const cases: [string, string][] = [
    ["null", "it is null"],
    ["5", "it is 5"],
    ["{}", "brokerName is undefined"],
    ['{"brokerName":null,"perm":6,"readQueueNums":1,"writeQueueNums":1}', "brokerName is null"],
    ['{"brokerName":"b","readQueueNums":1,"writeQueueNums":1}', 'perm of broker "b" is undefined'],
    ...["1000000000", "65537", "-1", "1.5", '"4"', "null", "99999999999999999999"].map((count): [string, string] => [
      `{"brokerName":"b","perm":6,"readQueueNums":${count},"writeQueueNums":1}`,
      'readQueueNums of broker "b" is ',
    ]),
    ['{"brokerName":"b","perm":6,"readQueueNums":1,"writeQueueNums":-5}', 'writeQueueNums of broker "b" is -5'],
  ];
  for (const [entry, why] of cases) {
    const route = parse(`{"queueDatas":[${entry},${goodQueue}],"brokerDatas":[${goodBroker},${other}]}`);
    assertEquals([route.queues, route.written, route.count], [["a0"], ["a0"], 1], entry);
    assertStringIncludes(route.leftOut, `queueDatas[0]: ${why}`);
  }
});

Deno.test("parseRoute() leaves out a broker or an address that makes no sense, and says which and why", () => {
  const broker = (addresses: string) => `{"brokerName":"b","cluster":"c","brokerAddrs":${addresses}}`;
  const cases: [string, string, unknown][] = [
    ["null", "brokerDatas[0]: it is null", {}],
    ['{"brokerAddrs":{"0":"h:2"}}', "brokerDatas[0]: brokerName is undefined", {}],
    [broker("null"), 'brokerDatas[0]: brokerAddrs of broker "b" is null', {}],
    [broker('["h:2"]'), 'brokerDatas[0]: brokerAddrs of broker "b" is an array', {}],
    [broker('{"-1":"h:2","1":"h:3"}'), 'brokerDatas[0].brokerAddrs: id "-1"', { b: { 1: "h:3" } }],
    [broker('{"x":"h:2","0":"h:3"}'), 'brokerDatas[0].brokerAddrs: id "x"', { b: { 0: "h:3" } }],
    [broker('{"0":5,"1":"h:3"}'), "brokerDatas[0].brokerAddrs: 0 is 5", { b: { 1: "h:3" } }],
    [broker('{"0":"h","1":"h:3"}'), 'brokerDatas[0].brokerAddrs: 0 is "h"', { b: { 1: "h:3" } }],
    [broker('{"0":"h:0","1":"h:3"}'), 'brokerDatas[0].brokerAddrs: 0 is "h:0"', { b: { 1: "h:3" } }],
  ];
  for (const [entry, why, left] of cases) {
    const route = parse(`{"queueDatas":[${goodQueue}],"brokerDatas":[${entry},${goodBroker}]}`);
    assertEquals(
      [route.queues, route.brokers, route.count],
      [["a0"], { ...left as object, a: { 0: "h:1" } }, 1],
      entry,
    );
    assertStringIncludes(route.leftOut, why);
  }
});

Deno.test("parseRoute() makes no queue twice: of two datas of one broker the larger counts", () => {
  const larger = goodQueue.replaceAll(":1", ":3");
  for (const datas of [[goodQueue, larger], [larger, goodQueue], [larger, larger]]) {
    const route = parse(`{"queueDatas":[${datas}],"brokerDatas":[${goodBroker}]}`);
    assertEquals([route.queues, route.written], [["a0", "a1", "a2"], ["a0", "a1", "a2"]]);
    assertEquals(route.leftOut, 'queueDatas[1]: broker "a" is named twice');
  }
});

Deno.test("parseRoute() takes a broker that is named twice for one", () => {
  const again = '{"brokerName":"a","brokerAddrs":{"0":"h:8","1":"h:9"}}';
  const route = parse(`{"queueDatas":[${goodQueue}],"brokerDatas":[${goodBroker},${again}]}`);
  assertEquals([route.queues, route.brokers], [["a0"], { a: { 0: "h:1", 1: "h:9" } }]);
  assertEquals(route.leftOut, 'brokerDatas[1]: broker "a" is named twice');
});

Deno.test("parseRoute() names the first few entries that it leaves out, shortened, and counts the others", () => {
  const many = Array.from({ length: 50_000 }, () => "null");
  const route = parse(
    `{"queueDatas":[${many}],"brokerDatas":[{"brokerName":5},{"brokerName":"${"x".repeat(9_999)}"}]}`,
  );
  assertEquals(route.count, 50_002);
  assertStringIncludes(route.leftOut, " and 49997 more");
  assertEquals(route.leftOut.length < 1_000, true);
});

Deno.test("readOrderConf() reads what can be read, each broker once", () => {
  const read = (text: string) => {
    const leftOut = new ShortList();
    const brokers = readOrderConf(text, leftOut).map(({ broker, queues }) => `${broker}${queues}`).join(" ");
    return [brokers, leftOut.count];
  };
  assertEquals(read("b:4;a:2"), ["b4 a2", 0]);
  assertEquals(read("b:4;;a:2;"), ["b4 a2", 0]);
  assertEquals(read("a:2:9"), ["a2", 0]); // as Java
  assertEquals(read("a:0;b:1"), ["a0 b1", 0]);
  assertEquals(read("a;b:x;:3;c:-1;d: 4;e:1.5;f:1"), ["f1", 6]);
  assertEquals(read("a:4;a:5;b:1"), ["a4 b1", 1]);
  assertEquals(read("a:65536;b:1"), ["a65536", 1]);
  assertEquals(read("a:99999999999;b:9999999999;c:65536"), ["c65536", 2]);
  assertEquals(read(Array.from({ length: 1_030 }, (_, i) => `b${i}:1`).join(";"))[1], 6);
});

Deno.test("readRoute() writes to the queues of an order topic as they are listed, whatever brokers there are", () => {
  const data = {
    ...routeOver({ a: { 0: "h:1" }, b: { 1: "h:2" }, d: { 0: "h:4" } }, 3),
    orderTopicConf: "c:1;b:2;a:1",
  };
  const { readQueues, writeQueues } = readRoute("t", data);
  assertEquals(writeQueues.map(({ broker, queueId }) => `${broker}${queueId}`), ["c0", "b0", "b1", "a0"]);
  assertEquals(readQueues.length, 9); // order is about writing
});

Deno.test("parseRoute() takes an order of which nothing can be read for none, and keeps what can", () => {
  const of = (conf: string) =>
    parse(`{"orderTopicConf":${conf},"queueDatas":[${goodQueue}],"brokerDatas":[${goodBroker}]}`);
  for (const none of ["null", '""', '";"']) assertEquals([of(none).written, of(none).count], [["a0"], 0], none);
  for (const bad of ["5", '"x"', '"a:b"']) assertEquals([of(bad).written, of(bad).count], [["a0"], 1], bad);
  assertEquals([of('"x;z:2"').written, of('"x;z:2"').leftOut], [
    ["z0", "z1"],
    'entry "x" of orderTopicConf: it is not of the form broker:number',
  ]);
});

const a = routeOver({ a: { 0: "h:1" } }, 4);
const ab = routeOver({ b: { 0: "h:2", 1: "h:3" }, a: { 0: "h:1" } }, 4);
const bc = routeOver({ b: { 0: "h:2" }, c: { 0: "h:4" } }, 8);

Deno.test("uniteRoutes() has every broker, replica and queue of any answer, in whatever order they come", () => {
  const united = uniteRoutes([ab, bc]).data;
  assertEquals(united, uniteRoutes([bc, ab]).data);
  assertEquals(JSON.stringify(united), JSON.stringify(uniteRoutes([bc, a, ab]).data));
  const counts = united.queueDatas!.map(({ brokerName, readQueueNums }) => `${brokerName}${readQueueNums}`);
  assertEquals(counts, ["a4", "b8", "c8"]);
  assertEquals(united.brokerDatas!.map(({ brokerAddrs }) => Object.keys(brokerAddrs).length), [1, 2, 1]);
});

Deno.test("uniteRoutes() counts no queues that an answer's perm does not allow", () => {
  const withPerm = (perm: number, queues: number): TopicRouteData => ({
    ...a,
    queueDatas: [{ brokerName: "a", perm, readQueueNums: queues, writeQueueNums: queues }],
  });
  const [data] = uniteRoutes([withPerm(4, 8), withPerm(2, 2), withPerm(0, 50)]).data.queueDatas!;
  assertEquals(data, { brokerName: "a", perm: 6, readQueueNums: 8, writeQueueNums: 2 });
});

Deno.test("uniteRoutes() chooses the longest order of an order topic, the same at every client", () => {
  const orders = ["a:1", "b:2;a:2", "a:2;b:2"].map((orderTopicConf) => ({ ...ab, orderTopicConf }));
  assertEquals(uniteRoutes([...orders, ab]).data.orderTopicConf, "a:2;b:2");
  assertEquals(uniteRoutes([ab, ...orders.toReversed()]).data.orderTopicConf, "a:2;b:2");
  assertEquals(uniteRoutes([ab]).data.orderTopicConf, undefined);
});

Deno.test("uniteRoutes() bounds queues and brokers in sum, whoever names them", () => {
  const names = (count: number) => Array.from({ length: count }, (_, i) => `b${String(i).padStart(4, "0")}`);
  const wide = (count: number, queues: number) =>
    routeOver(Object.fromEntries(names(count).map((name) => [name, { 0: "h:1" }])), queues);
  const many = uniteRoutes([wide(1_100, 1)]);
  assertEquals([many.data.brokerDatas!.length, many.data.queueDatas!.length, many.leftOut.count], [1_024, 1_024, 1]);
  const large = uniteRoutes([wide(3, 32_768)]);
  assertEquals(readRoute("t", large.data).readQueues.length, 65_536);
  assertEquals(`${large.leftOut}`, '32768 queues of broker "b0002": a route has 65536 at most');
});

Deno.test("lacking() names what one answer has not", () => {
  const fullest = uniteRoutes([{ ...ab, orderTopicConf: "b:4" }, bc]).data;
  assertEquals(`${lacking(undefined, fullest)}`, "the topic");
  assertEquals(`${lacking(fullest, fullest)}`, "");
  assertEquals(`${lacking(a, fullest)}`, 'broker "b", broker "c", the order "b:4"');
  assertEquals(
    `${lacking({ ...bc, orderTopicConf: "b:4" }, fullest)}`,
    'broker "a", replica 1 of broker "b"',
  );
  assertEquals(
    `${lacking(ab, uniteRoutes([ab, routeOver({ a: { 0: "h:1" } }, 6)]).data)}`,
    'queues of broker "a" (4/4 of 6/6)',
  );
});

Deno.test("uniteRoutes() bounds the brokers, replicas and queues of all answers together, and says what it left out", () => {
  const brokers = (from: number, count: number, ids: readonly number[]) =>
    Object.fromEntries(Array.from({ length: count }, (_, i) => {
      return [`b${10_000 + from + i}`, Object.fromEntries(ids.map((id) => [id, `h${id}:1`]))];
    }));
  const ids = (from: number) => Array.from({ length: 64 }, (_, i) => from + i);
  const outcome = (...routes: TopicRouteData[]) => {
    const { data: { brokerDatas = [], queueDatas = [] }, leftOut } = uniteRoutes(routes);
    const addresses = brokerDatas.map(({ brokerAddrs }) => Object.keys(brokerAddrs).length);
    return {
      brokers: brokerDatas.length,
      addresses: addresses.reduce((sum, count) => sum + count, 0),
      most: Math.max(...addresses),
      masters: brokerDatas.filter(({ brokerAddrs }) => brokerAddrs[0] !== undefined).length,
      queues: queueDatas.reduce((sum, { readQueueNums }) => sum + readQueueNums, 0),
      leftOut: leftOut.count > 0,
    };
  };
  const one = routeOver(brokers(0, 1, ids(64)), 2);
  const united = outcome(one, routeOver(brokers(0, 1, ids(0)), 2), routeOver(brokers(0, 1, ids(128)), 2));
  assertEquals(united, { brokers: 1, addresses: 64, most: 64, masters: 1, queues: 2, leftOut: true });
  const wide = outcome(routeOver(brokers(0, 1_000, ids(0)), 50), routeOver(brokers(1_000, 1_000, ids(0)), 50));
  assertEquals(wide, { brokers: 1_024, addresses: 4_096, most: 64, masters: 1_024, queues: 51_200, leftOut: true });
  const deep = outcome(routeOver(brokers(0, 10, [0]), 10_000), routeOver(brokers(10, 10, [0]), 10_000));
  assertEquals(deep, { brokers: 20, addresses: 20, most: 1, masters: 20, queues: 60_000, leftOut: true });
});

Deno.test("parseRoute() leaves out names and addresses that are too long: each queue has them", () => {
  const long = "x".repeat(256);
  const route = routeOver({ [long]: { 0: "h:1" }, a: { 0: `${long}.org:1`, 1: "h:1" } }, 2);
  const { count, brokers } = parse(JSON.stringify(route));
  assertEquals([count, brokers], [3, { a: { 1: "h:1" } }]);
  const leftOut = new ShortList();
  assertEquals([readOrderConf(`${long}:1;a:1`, leftOut).length, leftOut.count], [1, 1]);
});
