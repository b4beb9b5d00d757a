/** What a member notices of its group: other subscriptions, and clients of the same id. */

import { assertEquals, assertMatch } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { GroupWatch } from "../../../src/consumer/group/watch.ts";
import { parseSelector, sql, subscriptionData } from "../../../src/consumer/subscriptions/selector.ts";
import { EventHub, type StatusEvent } from "../../../src/events.ts";
import { statusEvent } from "../../../src/status_event.ts";
import type { ConsumerConnection, SubscriptionData } from "../../../src/wire/bodies.ts";
import { settleMicrotasks } from "../fakes.ts";
import { standIn } from "../../untyped.ts";

/** A watch over two brokers. */
class Bench {
  readonly events: StatusEvent[] = [];
  readonly watch: GroupWatch;
  ours: SubscriptionData[] = [data("orders", "a || b")];
  /** What each broker says; undefined is no answer. */
  views: Record<string, ConsumerConnection | undefined> = { one: view(["me"], "a || b"), two: view(["me"], "a || b") };
  /** Our own addresses, of now and before. */
  own = ["here:0"];
  looks = 0;
  hold: Promise<void> | undefined;

  constructor() {
    const hub = new EventHub(false);
    hub.emit = (level, type, text, details) => this.events.push(statusEvent(level, type, text, details));
    this.watch = new GroupWatch({
      group: "billing",
      clientId: "me",
      events: hub,
      subscriptions: () => this.ours,
      brokers: () => Object.keys(this.views),
      isOwnAddress: (address) => this.own.includes(address),
      connections: async (broker) => {
        this.looks++;
        await this.hold;
        return this.views[broker] ?? Promise.reject(new Error("no answer"));
      },
    });
  }

  get types(): string[] {
    return this.events.map(({ type }) => type);
  }
}

function data(topic: string, expression: string): SubscriptionData {
  return subscriptionData(topic, expression.startsWith("price") ? sql(expression) : parseSelector(expression), 1);
}

function view(clients: string[], expression: string): ConsumerConnection {
  return standIn<ConsumerConnection>({
    connectionSet: clients.map((clientId, at) => ({
      clientId,
      clientAddr: `here:${at}`,
      language: "JAVA",
      version: 0,
    })),
    subscriptionTable: { orders: data("orders", expression) },
  });
}

Deno.test("GroupWatch tells of another subscription once, and again after it was over", async () => {
  const bench = new Bench();
  await bench.watch.check();
  assertEquals(bench.types, []);
  bench.views.one = view(["me", "other"], "c");
  for (let i = 0; i < 3; i++) await bench.watch.check();
  const [event] = bench.events;
  assertEquals([bench.types, event?.level, event?.group, event?.topic], [
    ["mixedSubscriptions"],
    "warning",
    "billing",
    "orders",
  ]);
  assertMatch(event!.text, /TAG "a \|\| b" here.*TAG "c"/);
  bench.views.one = view(["me"], "a || b");
  await bench.watch.check();
  bench.views.two = view(["me", "other"], "c");
  await bench.watch.check();
  assertEquals(bench.types, ["mixedSubscriptions", "mixedSubscriptions"]);
});

const others = [{ clientId: "other", clientAddr: "there:0", language: "JAVA", version: 0 }];

Deno.test("GroupWatch compares tags whatever their order, expressions by their kind, and topics that one side lacks", async () => {
  const bench = new Bench();
  bench.views = { one: view(["me", "other"], "b||a") };
  await bench.watch.check();
  assertEquals(bench.types, []);
  bench.views = { one: view(["me", "other"], "price > 1") };
  await bench.watch.check();
  assertMatch(bench.events[0]!.text, /TAG "a \|\| b" here.*SQL92 "price > 1"/);
  bench.views = { one: standIn<ConsumerConnection>({ connectionSet: others, subscriptionTable: {} }) };
  bench.ours = [data("orders", "a || b"), data("refunds", "*")];
  await bench.watch.check();
  assertEquals(bench.events.slice(1).map(({ topic }) => topic), ["refunds"], "of orders it was told already");
  bench.ours = [];
  bench.views = { one: view(["me", "other"], "*") };
  await bench.watch.check();
  assertEquals(bench.events.length, 2);
  bench.views = {
    one: standIn<ConsumerConnection>({
      connectionSet: others,
      subscriptionTable: { payments: data("payments", "*") },
    }),
  };
  await bench.watch.check();
  assertMatch(bench.events.at(-1)!.text, /"payments" is subscribed with nothing here.*TAG "\*"/);
});

Deno.test("GroupWatch tells of another client with its id at the second look: the first may be a lost connection", async () => {
  const bench = new Bench();
  bench.views.one = view(["me", "me"], "a || b");
  await bench.watch.check();
  assertEquals(bench.types, []);
  bench.views.one = view(["me"], "a || b");
  await bench.watch.check();
  bench.views.two = view(["me", "other", "me"], "a || b");
  await bench.watch.check();
  assertEquals(bench.types, []);
  for (let i = 0; i < 3; i++) await bench.watch.check();
  assertEquals(bench.types, ["duplicateClientId"]);
  bench.views.two = view(["me"], "a || b");
  await bench.watch.check();
  bench.views.two = view(["me", "me"], "a || b");
  await bench.watch.check();
  await bench.watch.check();
  assertEquals(bench.types, ["duplicateClientId", "duplicateClientId"]);
});

Deno.test("GroupWatch leaves out brokers that do not answer; without any answer nothing is over", async () => {
  const bench = new Bench();
  bench.views = { one: undefined, two: view(["me", "me", "other"], "c") };
  await bench.watch.check();
  await bench.watch.check();
  assertEquals(bench.types, ["mixedSubscriptions", "duplicateClientId"]);
  bench.views = { one: undefined, two: undefined };
  await bench.watch.check();
  bench.views = { one: undefined, two: view(["me", "me", "other"], "c") };
  await bench.watch.check();
  await bench.watch.check();
  assertEquals(bench.types.length, 2, "it was told of, and was never seen to be over");
});

Deno.test("GroupWatch looks at its interval, one look at a time, and tells nothing once it has stopped", async () => {
  using time = new FakeTime();
  const bench = new Bench();
  const { promise, resolve } = Promise.withResolvers<void>();
  bench.watch.start(1_000);
  time.tick(1_000);
  await settleMicrotasks();
  assertEquals(bench.looks, 2);
  bench.hold = promise;
  bench.views.one = view(["me", "me", "other"], "c");
  time.tick(3_000);
  await settleMicrotasks();
  assertEquals(bench.looks, 4, "the look before is not over");
  bench.watch.stop();
  resolve();
  await settleMicrotasks();
  time.tick(5_000);
  await settleMicrotasks();
  assertEquals([bench.looks, bench.types], [4, []]);
});

Deno.test("GroupWatch finds no other subscription in a group of one, and one before the join in a group of others", async () => {
  const bench = new Bench();
  bench.views = { one: view(["me"], "c") };
  await bench.watch.check();
  assertEquals(bench.types, []);
  bench.views = { one: view(["other"], "c") };
  await bench.watch.checkBeforeJoin();
  assertEquals(bench.types, ["mixedSubscriptions"]);
  bench.views = { one: view(["me", "other"], "a || b") }; // from the join on brokers have ours
  await bench.watch.check();
  assertEquals([bench.types.length, bench.watch.findings.map(({ code }) => code)], [1, ["mixedSubscriptions"]]);
  bench.views = { one: view(["me"], "a || b") };
  await bench.watch.check();
  assertEquals(bench.watch.findings, []);
});
