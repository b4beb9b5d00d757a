/**
 * Books payments of many customers concurrently, and those of one customer in order: order per key, not per queue.
 * Sends the payments itself. Run it with
 *
 *     deno run --allow-net --allow-env=NAMESRV_ADDR examples/by_key.ts [--name-server HOST:PORT]
 *
 * @module
 */

import { connect, json } from "@denorocket/rocketmq";
import { exitPlainly, nameServer } from "./name_server.ts";

/** The JSON of a message. */
interface Payment {
  readonly customer: string;
  readonly number: number;
}

const CUSTOMERS = 8;
const PAYMENTS = 5;

await using mq = await connect(nameServer).catch(exitPlainly);
await using producer = await mq.producer();
const run = Date.now();
const customers = Array.from({ length: CUSTOMERS }, (_, i) => `${run}-${i}`);
for (let number = 1; number <= PAYMENTS; number++) {
  await Promise.all(customers.map((customer) => {
    const body = json({ customer, number });
    return producer.send({ topic: "payments", body }, { orderingKey: customer });
  }));
}

await using consumer = await mq.consumer<Payment>({
  group: "booking",
  topics: "payments",
  ordering: "byKey", // the key is the orderingKey of send(); `orderingKey: (message) => …` takes another
  consumeFrom: "first",
  missingTopic: "wait",
});

const booked = new Map(customers.map((customer) => [customer, [] as number[]]));
const stop = new AbortController();
let [atWork, most] = [0, 0];
await consumer.runEach(async (message) => {
  const { customer, number } = message.json();
  most = Math.max(most, ++atWork);
  await new Promise((resolve) => setTimeout(resolve, Math.random() * 20)); // work of different length
  atWork--;
  booked.get(customer)?.push(number); // messages of an earlier run have other customers
  if ([...booked.values()].every((numbers) => numbers.length >= PAYMENTS)) stop.abort();
}, { concurrency: CUSTOMERS, signal: stop.signal });

console.log(`up to ${most} payments were booked at a time`);
const inOrder = [...booked.values()].filter((numbers) => numbers.every((number, i) => number === i + 1));
console.log(`${inOrder.length} of ${CUSTOMERS} customers had their ${PAYMENTS} payments booked in order`);
