/**
 * A stateless worker: each HTTP request pops some orders, handles them and acknowledges them, as functions and
 * cron jobs do that may not live for longer than a request. Brokers of 5.x only. Sends the orders itself, and calls the
 * handler as a scheduler would; `Deno.serve(work)` would serve it. Run it with
 *
 *     deno run --allow-net --allow-env=NAMESRV_ADDR examples/pop_worker.ts [--name-server HOST:PORT]
 *
 * @module
 */

import { connect, json } from "@denorocket/rocketmq";
import { exitPlainly, nameServer } from "./name_server.ts";

/** The JSON of a message. */
interface Order {
  readonly order: string;
}

await using mq = await connect(nameServer).catch(exitPlainly);
await using producer = await mq.producer();
const orders = new Set(Array.from({ length: 20 }, (_, i) => `${Date.now()}-${i}`));
await producer.sendBatch([...orders].map((order) => ({ topic: "pop-orders", body: json({ order }) })));

await using consumer = await mq.popConsumer<Order>({
  group: "pop-billing",
  topics: "pop-orders",
  consumeFrom: "first",
  missingTopic: "wait",
  invisibleTime: 30_000, // how long popped messages are invisible to others; if a request dies, they are redelivered then
});

const handled = new Set<string>();

/** Handles one request. */
async function work(request: Request): Promise<Response> {
  // At most 8, and no longer than a second if there is nothing. Nothing is taken ahead of the next request.
  const batch = await consumer.pop({ max: 8, wait: 1_000, signal: request.signal });
  let [done, failed] = [0, 0];
  for (const message of batch) {
    try {
      bill(message.json(), message.reconsumeTimes);
      await batch.ack(message); // resolves when the broker has answered
      done++;
    } catch {
      await batch.retry(message, { delay: 1_000 }); // redelivered in a second or a few, perhaps to another worker
      failed++;
    }
  }
  return Response.json({ done, failed });
}

/** The work: the first attempt at one of the orders fails. */
function bill({ order }: Order, attempts: number): void {
  if (order.endsWith("-7") && attempts === 0) throw new Error("No connection to the bank");
  handled.add(order);
}

for (let requests = 1; !orders.isSubsetOf(handled); requests++) {
  const response = await work(new Request("http://localhost/work", { method: "POST" }));
  console.log(`request ${requests}:`, await response.json());
}

console.log(`${orders.intersection(handled).size} of ${orders.size} orders billed`);
