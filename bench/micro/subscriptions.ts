/**
 * A SubscriptionManager that holds 10 000 subscriptions: every operation has to stay under a millisecond.
 *
 * Run it with the others by `deno task bench:micro`.
 *
 * @module
 */

import { SubscriptionManager } from "../../src/consumer/subscriptions/subscription_manager.ts";

const COUNT = 10_000;
const topics = Array.from({ length: COUNT }, (_, i) => `topic-${i}`);
const manager = new SubscriptionManager({ maxSubscriptions: COUNT + 1 });
for (const topic of topics) await manager.subscribe(topic, "paid || refunded");
const records = manager.export();
let next = 0;
let found = 0;

/** Another topic each time. */
function someTopic(): string {
  next = (next + 7_919) % COUNT;
  return topics[next]!;
}

Deno.bench("subscribe() and unsubscribe() one more", { group: "10 000 subscriptions" }, async () => {
  await manager.subscribe("one-more", "paid || refunded");
  await manager.unsubscribe("one-more");
});

Deno.bench("subscribe() again what is there", { group: "10 000 subscriptions" }, async () => {
  await manager.subscribe(someTopic(), "paid || refunded");
});

Deno.bench("updateSelector()", { group: "10 000 subscriptions" }, async () => {
  await manager.updateSelector("topic-0", ++next % 2 === 0 ? "paid" : "refunded");
});

Deno.bench("get() and isSubscribed()", { group: "10 000 subscriptions" }, () => {
  const topic = someTopic();
  if (manager.isSubscribed(topic) && manager.get(topic) !== undefined) found++;
});

Deno.bench("getAll()", { group: "10 000 subscriptions" }, () => {
  found += manager.getAll().length;
});

Deno.bench("export()", { group: "10 000 subscriptions" }, () => {
  found += manager.export().length;
});

Deno.bench("import() of all 10 000 into an empty one", { group: "10 000 subscriptions" }, async () => {
  await new SubscriptionManager({ maxSubscriptions: COUNT }).import(records);
});
