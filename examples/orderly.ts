/**
 * Follows three orders in order: a step that fails is redelivered before those behind it. Sends the steps itself; while
 * it runs no other member of the group is assigned a queue that it has locked. Run it with
 *
 *     deno run --allow-net --allow-env=NAMESRV_ADDR examples/orderly.ts [--name-server HOST:PORT]
 *
 * @module
 */

import { connect, json } from "@denorocket/rocketmq";
import { exitPlainly, nameServer } from "./name_server.ts";

/** The JSON of a message. */
interface Step {
  readonly order: string;
  readonly step: string;
}

const STEPS = ["placed", "paid", "packed", "delivered"];

await using mq = await connect(nameServer).catch(exitPlainly);
await using producer = await mq.producer();
const orders = new Map(["a", "b", "c"].map((name) => [`${Date.now()}-${name}`, [] as string[]]));
for (const step of STEPS) {
  for (const order of orders.keys()) {
    // The same key, the same queue: order is kept per queue.
    await producer.send({ topic: "order-steps", body: json({ order, step }) }, { orderingKey: order });
  }
}

await using consumer = await mq.consumer<Step>({
  group: "order-tracking",
  topics: "order-steps",
  ordering: "orderly", // the next batch of a queue is delivered when the last one is settled
  consumeFrom: "first",
  missingTopic: "wait",
});

let failed = false;
for await (const batch of consumer) {
  for (const message of batch) {
    const { order, step } = message.json();
    if (step === "paid" && !failed) {
      failed = true;
      console.log(`${order}: ${step} fails, and is redelivered in half a second`);
      // It is requeued with those behind it; those before it are acknowledged. So this batch is settled.
      await batch.retry(message, { delay: 500 });
      break;
    }
    console.log(`${order}: ${step}`);
    orders.get(order)?.push(step); // messages of an earlier run belong to other orders
  }
  if ([...orders.values()].some((steps) => steps.length < STEPS.length)) continue;
  await batch.ack();
  break;
}

const inOrder = [...orders.values()].filter((steps) => steps.join() === STEPS.join());
console.log(`${inOrder.length} of ${orders.size} orders went through their ${STEPS.length} steps in order`);
