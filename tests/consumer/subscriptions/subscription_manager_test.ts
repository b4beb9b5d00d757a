import { assertEquals, assertRejects } from "@std/assert";
import { sql, tag } from "../../../src/consumer/subscriptions/selector.ts";
import {
  SubscriptionManager,
  type SubscriptionManagerOptions,
} from "../../../src/consumer/subscriptions/subscription_manager.ts";
import {
  InvalidSelectorError,
  SubscriptionConflictError,
  SubscriptionDataError,
  SubscriptionLimitExceededError,
  TopicNotSubscribedError,
  ValidationError,
} from "../../../src/errors.ts";

function managed(options: SubscriptionManagerOptions = {}): { manager: SubscriptionManager; changes: string[] } {
  const changes: string[] = [];
  const manager = new SubscriptionManager({ ...options, onChanged: (topics) => changes.push(topics.join()) });
  return { manager, changes };
}

Deno.test("SubscriptionManager.subscribe() adds once, and refuses another selector for the same topic", async () => {
  const { manager, changes } = managed();
  await manager.subscribe("orders", "paid || refunded");
  await manager.subscribe("orders", tag("refunded", "paid"));
  const error = await assertRejects(() => manager.subscribe("orders", "*"), SubscriptionConflictError);
  assertEquals([error.topic, error.current, error.wanted], ["orders", "paid || refunded", "*"]);
  assertEquals([manager.count, manager.isSubscribed("orders"), manager.isSubscribed("other")], [1, true, false]);
  assertEquals(changes, ["orders"]);
});

Deno.test("SubscriptionManager.updateSelector() changes what is wanted, and tells only of changes", async () => {
  const { manager, changes } = managed();
  await assertRejects(() => manager.updateSelector("orders", "*"), TopicNotSubscribedError);
  await manager.subscribe("orders");
  await manager.updateSelector("orders", "*");
  await manager.updateSelector("orders", sql("price > 10"));
  assertEquals(manager.get("orders")?.selector, { type: "SQL92", expression: "price > 10" });
  assertEquals(changes, ["orders", "orders"]);
});

Deno.test("SubscriptionManager keeps inactive subscriptions, and drops unsubscribed ones", async () => {
  const { manager, changes } = managed();
  await manager.subscribe("a");
  await manager.subscribe("b");
  await manager.deactivate("a");
  await manager.deactivate("a");
  assertEquals([manager.isSubscribed("a"), manager.count], [false, 2]);
  await manager.activate("a");
  await manager.unsubscribe("b");
  assertEquals(manager.getAll().map(({ topic, active }) => [topic, active]), [["a", true]]);
  assertEquals(changes, ["a", "b", "a", "a", "b"]);
  for (const call of ["unsubscribe", "activate", "deactivate"] as const) {
    await assertRejects(() => manager[call]("b"), TopicNotSubscribedError);
  }
});

Deno.test("SubscriptionManager refuses one more than allowed, also when two come at once", async () => {
  const { manager } = managed({ maxSubscriptions: 2, check: () => Promise.resolve() });
  const results = await Promise.allSettled(["a", "b", "c"].map((topic) => manager.subscribe(topic)));
  assertEquals(results.map((result) => result.status), ["fulfilled", "fulfilled", "rejected"]);
  const error = await assertRejects(() => manager.subscribe("d"), SubscriptionLimitExceededError);
  assertEquals([error.limit, manager.count], [2, 2]);
});

Deno.test("SubscriptionManager changes nothing when the cluster refuses", async () => {
  const refusal = new InvalidSelectorError("no such column", "x >");
  const { manager, changes } = managed({
    check: (_topic, selector) => selector.type === "SQL92" ? Promise.reject(refusal) : Promise.resolve(),
  });
  await assertRejects(() => manager.subscribe("orders", sql("x >")), InvalidSelectorError);
  await manager.subscribe("orders");
  await assertRejects(() => manager.updateSelector("orders", sql("x >")), InvalidSelectorError);
  await assertRejects(
    () =>
      manager.import([{ topic: "a", type: "TAG", expression: "*" }, { topic: "b", type: "SQL92", expression: "x" }]),
    InvalidSelectorError,
  );
  assertEquals([manager.export(), changes], [
    [{ topic: "orders", type: "TAG", expression: "*", active: true }],
    ["orders"],
  ]);
});

Deno.test("SubscriptionManager.import() takes what export() gave, through JSON, and replaces what is there", async () => {
  const { manager } = managed();
  await manager.subscribe("a", "x || y");
  await manager.subscribe("b", sql("c = 'd'"));
  await manager.deactivate("b");
  const { manager: other, changes } = managed();
  await other.subscribe("a", "z");
  await other.import(JSON.parse(JSON.stringify(manager.export())));
  assertEquals(other.export(), manager.export());
  assertEquals(changes, ["a", "a,b"]);
});

Deno.test("SubscriptionManager.import() names everything that is wrong, and takes nothing", async () => {
  const { manager } = managed();
  const data = [
    { topic: "bad name", type: "TAG", expression: "*" },
    { topic: "a", type: "XPATH", expression: "*" },
    { topic: "b", type: "TAG", expression: "c = 1" },
    null,
    { topic: "c", type: "TAG", expression: "*", active: 1 },
  ];
  const error = await assertRejects(() => manager.import(data as never), SubscriptionDataError);
  assertEquals(error.problems.map((problem) => problem.field), [
    "0.topic",
    "1.expression",
    "2.expression",
    "3.topic",
    "3.expression",
    "4.active",
  ]);
  await assertRejects(() => manager.import({} as never), SubscriptionDataError);
  assertEquals(manager.count, 0);
});

Deno.test("SubscriptionManager refuses names that no topic can have", async () => {
  const { manager } = managed();
  for (const topic of ["", "a b", "ä", "x".repeat(128)]) {
    await assertRejects(() => manager.subscribe(topic), ValidationError);
  }
});
