import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { readRoute, type TopicRoute } from "../../src/cluster/routes.ts";
import { NetworkError, ProducerError, ResponseError } from "../../src/errors.ts";
import { Deadline } from "../../src/sending/deadline.ts";
import { PublishRoutes, queuesOfNewTopic } from "../../src/sending/publish_routes.ts";

/** A route with `[broker, perm, read, write, hasMaster]` each. */
function routeOf(topic: string, ...brokers: [string, number, number, number, boolean?][]): TopicRoute {
  return readRoute(topic, {
    queueDatas: brokers.map(([brokerName, perm, readQueueNums, writeQueueNums]) => ({
      brokerName,
      perm,
      readQueueNums,
      writeQueueNums,
    })),
    brokerDatas: brokers.map(([brokerName, , , , hasMaster = true]) => ({
      cluster: "c",
      brokerName,
      brokerAddrs: { [hasMaster ? 0 : 1]: `${brokerName}:10911` },
    })),
  });
}

/** Routes that a name server tells; those in `held` are known here already. */
class FakeRoutes {
  told = new Map<string, TopicRoute>();
  held = new Map<string, TopicRoute>();
  asked: string[] = [];
  failure: unknown;

  known(topic: string): TopicRoute | undefined {
    return this.held.get(topic);
  }

  get(topic: string): Promise<TopicRoute | undefined> {
    const route = this.held.get(topic);
    return route === undefined ? this.refresh(topic) : Promise.resolve(route);
  }

  refresh(topic: string): Promise<TopicRoute | undefined> {
    this.asked.push(topic);
    if (this.failure !== undefined) return Promise.reject(this.failure);
    const route = this.told.get(topic);
    if (route !== undefined) this.held.set(topic, route);
    return Promise.resolve(this.held.get(topic));
  }
}

const names = (queues: readonly { broker: string; queueId: number }[] | undefined) =>
  queues?.map(({ broker, queueId }) => `${broker}${queueId}`).join(" ");
const soon = () => new Deadline(10_000);

Deno.test("find() requests the route once, known() has it then", async () => {
  const routes = new FakeRoutes();
  routes.told.set("orders", routeOf("orders", ["a", 6, 2, 2], ["b", 4, 2, 2], ["c", 6, 2, 2, false]));
  const publish = new PublishRoutes(routes, 30_000);

  assertEquals(publish.known("orders"), undefined);
  assertEquals(names(await publish.find("orders", soon())), "a0 a1");
  assertEquals(names(publish.known("orders")), "a0 a1");
  assertEquals(routes.asked, ["orders"]);
});

Deno.test("find() expects queues as brokers will create them for a topic that does not exist", async () => {
  const routes = new FakeRoutes();
  routes.told.set("TBW102", routeOf("TBW102", ["a", 7, 8, 8], ["b", 7, 2, 8], ["c", 5, 8, 8]));
  const publish = new PublishRoutes(routes, 30_000);

  const queues = await publish.find("orders", soon());

  assertEquals(names(queues), "a0 a1 a2 a3 b0 b1");
  assert(queues.every(({ topic }) => topic === "orders"));
  assertEquals(names(publish.known("orders")), names(queues));
  assertEquals(routes.asked, ["orders", "TBW102"]);
});

Deno.test("known() forgets what was expected when the routes are refreshed, or a broker disagrees", async () => {
  const routes = new FakeRoutes();
  routes.told.set("TBW102", routeOf("TBW102", ["a", 7, 8, 8]));
  const short = new PublishRoutes(routes, 0);
  await short.find("orders", soon());
  assertEquals(short.known("orders"), undefined);

  const publish = new PublishRoutes(routes, 30_000);
  await publish.find("orders", soon());
  publish.invalidateAfter("orders", new ResponseError("SendMessage", 2, "a:10911", "busy"));
  assertEquals(names(publish.known("orders")), "a0 a1 a2 a3");
  publish.invalidateAfter("orders", new ResponseError("SendMessage", 29, "a:10911", "illegal queue"));
  assertEquals(publish.known("orders"), undefined);

  await publish.find("orders", soon());
  routes.held.set("orders", routeOf("orders", ["a", 6, 1, 1]));
  assertEquals(names(publish.known("orders")), "a0");
});

Deno.test("invalidateAfter() requests the route in the background and reports no failure of it", async () => {
  const routes = new FakeRoutes();
  const publish = new PublishRoutes(routes, 30_000);
  routes.failure = new NetworkError("gone", "ns:9876", "CONNECTION_LOST");
  publish.invalidateAfter("orders", new NetworkError("lost", "a:10911", "CONNECTION_LOST"));
  publish.invalidateAfter("orders", new TypeError("bug"));
  await Promise.resolve();
  assertEquals(routes.asked, ["orders"]);
});

Deno.test("find() says why there is no queue, and what to do", async () => {
  const routes = new FakeRoutes();
  const publish = new PublishRoutes(routes, 30_000);
  const unknown = await assertRejects(() => publish.find("orders", soon()), ProducerError);
  assertEquals([unknown.code, unknown.retriable], ["TOPIC_NOT_FOUND", false]);
  assertStringIncludes(unknown.message, 'Cannot send to topic "orders": no name server knows it');

  routes.told.set("orders", routeOf("orders", ["a", 4, 2, 2]));
  const readOnly = await assertRejects(() => publish.find("orders", soon()), ProducerError);
  assertEquals([readOnly.code, readOnly.retriable], ["NO_WRITABLE_QUEUE", false]);
  routes.told.set("orders", routeOf("orders", ["a", 6, 2, 2, false]));
  const noMaster = await assertRejects(() => publish.find("orders", soon()), ProducerError);
  assertEquals([noMaster.code, noMaster.retriable], ["NO_WRITABLE_QUEUE", true]);

  routes.failure = new NetworkError("gone", "ns:9876", "CONNECTION_LOST");
  const unasked = await assertRejects(() => publish.find("payments", soon()), ProducerError);
  assertEquals([unasked.code, unasked.retriable, unasked.cause], ["ROUTE_NOT_AVAILABLE", true, routes.failure]);
});

Deno.test("find() waits no longer than the deadline, and ends with the signal's reason", async () => {
  const routes = new FakeRoutes();
  routes.refresh = () => new Promise(() => {});
  const publish = new PublishRoutes(routes, 30_000);
  const late = await assertRejects(() => publish.find("orders", new Deadline(1)), ProducerError);
  assertEquals(late.code, "ROUTE_NOT_AVAILABLE");

  const stop = new AbortController();
  const found = publish.find("orders", new Deadline(10_000, stop.signal));
  stop.abort("enough");
  assertEquals(await found.catch((reason) => reason), "enough");
});

Deno.test("queuesOfNewTopic() is empty without a topic to copy", () => {
  assertEquals(queuesOfNewTopic("orders", undefined), []);
  assertEquals(queuesOfNewTopic("orders", routeOf("TBW102", ["a", 7, 8, 8, false])), []);
});
