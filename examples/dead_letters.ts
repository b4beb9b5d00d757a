/**
 * What becomes of messages that cannot be handled: one fails until it is dead-lettered, one is unreadable. A second
 * group repairs what is in the dead letter queue and sends it again. Sends the payments itself. Run it with
 *
 *     deno run --allow-net --allow-env=NAMESRV_ADDR examples/dead_letters.ts [--name-server HOST:PORT]
 *
 * @module
 */

import { connect, json } from "@denorocket/rocketmq";
import { exitPlainly, nameServer } from "./name_server.ts";

/** The JSON of a message. */
interface Payment {
  readonly account: string;
  readonly amount: number;
}

const GROUP = "payment-booking";

await using mq = await connect({ ...(nameServer === undefined ? {} : { nameServers: nameServer }), logger: false })
  .catch(exitPlainly);
await using producer = await mq.producer();
const run = Date.now();
const payments = new Map<string, string>([
  [`${run}-good`, JSON.stringify({ account: "ada", amount: 10 })],
  [`${run}-unknown`, JSON.stringify({ account: "nobody", amount: 20 })],
  [`${run}-broken`, "{ account: bob"],
]);
for (const [key, body] of payments) await producer.send({ topic: "account-payments", keys: key, body });

await using consumer = await mq.consumer<Payment>({
  group: GROUP,
  topics: "account-payments",
  consumeFrom: "first",
  missingTopic: "wait",
  maxReconsumeTimes: 1, // the second failure is the last one
});
await using letters = await mq.consumer({
  group: `${GROUP}-repair`, // a group like any other
  topics: `%DLQ%${GROUP}`, // created by the first dead letter
  consumeFrom: "first",
  missingTopic: "wait",
});

const accounts = new Map([["ada", 0], ["bob", 0]]);
const booked = new Set<string>();
const done = new AbortController();
await Promise.all([book(done.signal), repair(done.signal)]);

console.log(`${booked.intersection(new Set(payments.keys())).size} of ${payments.size} payments booked`);

/** Books payments: retries what may succeed later, dead-letters what never will. */
async function book(signal: AbortSignal): Promise<void> {
  for await (const batch of consumer.batches({ signal })) {
    for (const message of batch) {
      const [key = ""] = message.keys;
      const payment = parse(message.text());
      const balance = accounts.get(payment?.account ?? "");
      if (payment === undefined) {
        console.log(`${key} cannot be read: to the dead letter queue`);
        await batch.deadLetter(message);
      } else if (balance === undefined) {
        console.log(`${key} fails: no account "${payment.account}", attempt ${message.reconsumeTimes + 1}`);
        await batch.retry(message, { delayLevel: 1 }); // redelivered in a second; after maxReconsumeTimes dead-lettered
      } else {
        accounts.set(payment.account, balance + payment.amount);
        console.log(`${key} is booked`);
        booked.add(key);
      }
    }
    if (payments.keys().every((key) => booked.has(key))) done.abort();
  }
}

/** Repairs dead letters and sends them again to their original topic. */
async function repair(signal: AbortSignal): Promise<void> {
  for await (const batch of letters.batches({ signal })) {
    for (const message of batch) {
      const topic = message.property("RETRY_TOPIC") ?? "account-payments"; // the original topic; message.topic is %DLQ%…
      const amount = parse(message.text())?.amount ?? 30;
      await producer.send({ topic, keys: message.keys, body: json({ account: "bob", amount }) });
      console.log(`${message.keys[0]} is repaired, and sent to ${topic}`);
      await batch.ack(message); // only now: if the send fails, the letter is redelivered
    }
  }
}

function parse(text: string): Payment | undefined {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
