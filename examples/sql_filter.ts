/**
 * Consumes only the orders whose properties satisfy an SQL92 expression: the broker evaluates it, the others are
 * not even sent. A real broker has to run with `enablePropertyFilter=true`. Sends the orders itself. Run it with
 *
 *     deno run --allow-net --allow-env=NAMESRV_ADDR examples/sql_filter.ts [--name-server HOST:PORT]
 *
 * @module
 */

import { connect, InvalidSelectorError, sql } from "@denorocket/rocketmq";
import { exitPlainly, nameServer } from "./name_server.ts";

await using mq = await connect(nameServer).catch(exitPlainly);
await using producer = await mq.producer();
const run = Date.now();
const orders = [
  { name: "book", properties: { price: "12.50", region: "eu" } },
  { name: "pen", properties: { price: "2", region: "eu" } },
  { name: "lamp", properties: { price: "40", region: "us" } },
  { name: "desk", properties: { price: "300", region: "eu" } },
  { name: "gift", properties: { region: "eu" } }, // no price: the comparison is neither true nor false
  { name: "sofa", properties: { price: "900", region: "eu", blocked: "yes" } },
];
for (const { name, properties } of orders) {
  await producer.send({ topic: "priced-orders", keys: `${run}-${name}`, body: name, properties });
}

const options = { group: "eu-sales", consumeFrom: "first", missingTopic: "wait" } as const;
try {
  await mq.consumer({ ...options, topics: { "priced-orders": sql("price >") } });
} catch (error) {
  if (!(error instanceof InvalidSelectorError)) throw error;
  console.log(`refused before anything starts: ${error.selector}`);
}

// 10.0 and not 10: properties are texts, read as the kind of number that they are compared with.
const wanted = sql("price > 10.0 AND region = 'eu' AND blocked IS NULL");
await using consumer = await mq.consumer({ ...options, topics: { "priced-orders": wanted } });
const seen: string[] = [];
for await (const batch of consumer) {
  for (const message of batch) {
    console.log(`${message.text()} costs ${message.property("price")}`);
    if (message.keys[0]?.startsWith(`${run}-`)) seen.push(message.text()); // others are of an earlier run
  }
  if (seen.length < 2) continue;
  await batch.ack();
  break;
}

console.log(`${seen.length} of ${orders.length} orders selected: ${seen.sort().join(", ")}`);
