/**
 * What a user of the npm package does first, by its public names: a program for other runtimes, that prints a line.
 *
 * No `using`: Node 20 does not have it.
 */

import { connect } from "@denorocket/rocketmq";
import { MemoryOffsetStore } from "@denorocket/rocketmq/consumer";
import { EmbeddedBroker } from "@denorocket/rocketmq/embedded";
import { retryTopic } from "@denorocket/rocketmq/wire";

const broker = await EmbeddedBroker.start({ topics: { orders: { queues: 2 } } });
const mq = await connect(broker.nameServer);
const producer = await mq.producer();
for (const body of ["a", "b", "c"]) await producer.send({ topic: "orders", body });

const consumer = await mq.consumer({ group: "billing", topics: { orders: "*" }, consumeFrom: "first" });
const seen: string[] = [];
for await (const batch of consumer.batches({ signal: AbortSignal.timeout(10_000) })) {
  seen.push(...batch.messages.map((message) => message.text()));
  await batch.ack();
  if (seen.length >= 3) break;
}
await mq.close();
const committed = broker.committed("billing", "orders");
await broker.close();

console.log(JSON.stringify({
  seen: seen.sort(),
  committed,
  others: [new MemoryOffsetStore().kind, retryTopic("billing")],
}));
