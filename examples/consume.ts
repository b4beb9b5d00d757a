/**
 * Consumes the topic "orders" as a member of the group "billing" until Ctrl-C. Start it twice to see the queues shared;
 * examples/produce.ts sends to it. Run it with
 *
 *     deno run --allow-net --allow-env=NAMESRV_ADDR examples/consume.ts [--name-server HOST:PORT]
 *
 * @module
 */

import { connect } from "@denorocket/rocketmq";
import { exitPlainly, nameServer } from "./name_server.ts";

/** The JSON of a message. */
interface Order {
  readonly order: number;
  readonly total: number;
}

const stop = new AbortController();
Deno.addSignalListener("SIGINT", () => stop.abort());

await using mq = await connect(nameServer).catch(exitPlainly);
await using consumer = await mq.consumer<Order>({
  group: "billing",
  topics: { orders: "paid || refunded" }, // these tags only; "*" takes all
  consumeFrom: "first", // where a group without offsets begins
  missingTopic: "wait", // the first order creates the topic, perhaps later
});
console.log("Waiting for orders, Ctrl-C ends it");

let count = 0;
for await (const batch of consumer.batches({ signal: stop.signal })) {
  for (const message of batch) {
    const { order, total } = message.json();
    console.log(`order ${order} (${message.tags}): ${total}`);
    count++;
  }
} // requesting the next batch acknowledges this one; so does the last request, which ends the loop

// Leaving the scope commits the offsets and leaves the group: other members take the queues over at once.
console.log(`${count} orders consumed`);
