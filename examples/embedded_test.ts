/**
 * How a team tests its own consumer: against a broker inside the test's process, over real sockets. Run it with
 *
 *     deno test --allow-net examples/embedded_test.ts
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { connect, type Consumer } from "@denorocket/rocketmq";
import { EmbeddedBroker, type PublishedMessage } from "@denorocket/rocketmq/embedded";

/** The JSON of a message. */
interface Order {
  readonly customer: string;
  readonly total: number;
}

/** The code under test: the team's own subscription … */
const subscription = { group: "billing", topics: { orders: "paid" }, consumeFrom: "first", maxReconsumeTimes: 2 };

/** … and loop. An order of a customer without an account fails. */
async function bill(consumer: Consumer<Order>, accounts: Map<string, number>, signal: AbortSignal): Promise<void> {
  for await (const batch of consumer.batches({ signal })) {
    for (const message of batch) {
      const { customer, total } = message.json();
      const balance = accounts.get(customer);
      if (balance === undefined) await batch.retry(message, { delayLevel: 1 });
      else accounts.set(customer, balance + total);
    }
  }
}

Deno.test("bill() adds up what each customer has paid, and nothing else", async () => {
  await using broker = await EmbeddedBroker.start({ topics: { orders: { queues: 2 } } });
  const accounts = new Map([["ada", 0], ["bob", 0]]);
  await broker.publish("orders", [
    order("paid", { customer: "ada", total: 10 }),
    order("paid", { customer: "bob", total: 20 }),
    order("open", { customer: "ada", total: 1_000 }),
    order("paid", { customer: "ada", total: 30 }),
  ]);

  await billUntil(broker, accounts, () => broker.committed("billing", "orders") === 4);

  assertEquals(accounts, new Map([["ada", 40], ["bob", 20]]));
});

Deno.test("bill() retries a failed order, then moves it to the dead letter queue", async () => {
  // Level 1 is 10 ms here, so that a retry is not waited for, and a second on a real broker.
  await using broker = await EmbeddedBroker.start({ topics: { orders: { queues: 2 } }, delayLevels: [10] });
  await broker.publish("orders", [order("paid", { customer: "nobody", total: 10 })]);

  await billUntil(broker, new Map(), () => broker.maxOffset("%DLQ%billing", 0) === 1);

  assertEquals(broker.maxOffset("%RETRY%billing", 0), 2);
});

function order(tags: string, content: Order): PublishedMessage {
  return { tags, body: JSON.stringify(content) };
}

/** Runs `bill` until the broker shows the expected state, for 10 seconds at most. */
async function billUntil(broker: EmbeddedBroker, accounts: Map<string, number>, done: () => boolean): Promise<void> {
  await using mq = await connect({ nameServers: broker.nameServer, logger: false });
  await using consumer = await mq.consumer<Order>({ ...subscription, persistInterval: 100 });
  const stop = new AbortController();
  const billing = bill(consumer, accounts, stop.signal);
  for (const end = Date.now() + 10_000; !done() && Date.now() < end;) {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  stop.abort();
  await billing;
  assert(done(), "what is expected did not come in time");
}
