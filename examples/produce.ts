/**
 * Sends ten orders to the topic "orders": one by itself, a batch, and two that have to stay in order. Run it with
 *
 *     deno run --allow-net --allow-env=NAMESRV_ADDR examples/produce.ts [--name-server HOST:PORT]
 *
 * @module
 */

import { connect, json } from "@denorocket/rocketmq";
import { exitPlainly, nameServer } from "./name_server.ts";

await using mq = await connect(nameServer).catch(exitPlainly);
await using producer = await mq.producer();

// Resolves when a broker has stored it. Without an answer it is retried, under the same message id.
const receipt = await producer.send({
  topic: "orders",
  tags: "paid",
  keys: "order-1",
  body: json({ order: 1, total: 9.9 }),
});
console.log(`${receipt.messageId} is stored at offset ${receipt.queueOffset} of queue ${receipt.queue.queueId}`);

// One request. If it fails, a SendBatchError says which messages are stored.
const batch = [2, 3, 4, 5, 6, 7, 8].map((order) => ({
  topic: "orders",
  tags: order % 2 === 0 ? "paid" : "refunded",
  keys: `order-${order}`,
  body: json({ order, total: order * 10 }),
}));
const receipts = await producer.sendBatch(batch);
console.log(`${receipts.length} more are stored by one request`);

// The same key means the same queue, so that both are consumed in this order.
for (const order of [9, 10]) {
  const message = { topic: "orders", tags: "paid", keys: `order-${order}`, body: json({ order, total: 5 }) };
  await producer.send(message, { orderingKey: "customer-7" });
}

console.log("10 orders sent");
