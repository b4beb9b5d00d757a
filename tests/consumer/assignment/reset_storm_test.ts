/** Brokers of 4.9 send a reset to all members: two hundred a second must not keep one from joining, or from closing. */

import { assertEquals, assertLess, assertLessOrEqual } from "@std/assert";
import { connect, type StatusEvent } from "../../../mod.ts";
import { EmbeddedBroker } from "../../../src/embedded/mod.ts";
import { waitUntil, within } from "../../behaviour/harness.ts";

const [QUEUES, STORM] = [2, 2_000];
/** Resets of a queue are paced to five a second; each stores an offset and pulls anew. Twice that is room. */
const PER_SECOND = 2 * 5 * QUEUES;
const LATEST = 3_000;

Deno.test("a member follows the last of many resets a second: it joins, asks little, and closes in time", async () => {
  await using broker = await EmbeddedBroker.start({ dialect: "4.9", topics: { orders: { queues: QUEUES } } });
  await using mq = await connect({ nameServers: broker.nameServer, logger: false });
  const events: StatusEvent[] = [];
  const status = mq.status();
  const reading = (async () => {
    for await (const event of status) events.push(event);
  })();
  const options = { group: "billing", topics: "orders", consumeFrom: "first", pullHold: 1_000 } as const;
  const consumer = await mq.consumer(options);
  await broker.publish("orders", Array.from({ length: 20 }, (_, i) => `${i}`));
  const seen: string[] = [];
  const loop = consumer.runEach((message) => void seen.push(message.text()));
  await waitUntil(() => seen.length === 20, { what: "all messages" });
  await consumer.commit();

  const requests = () => broker.faults.received("UpdateConsumerOffset") + broker.faults.received("PullMessage");
  const before = requests();
  let resets = 0;
  const storm = setInterval(() => {
    resets++;
    for (let queueId = 0; queueId < QUEUES; queueId++) {
      broker.resetOffset("billing", { topic: "orders", queueId }, resets % 10);
    }
  }, 5);
  try {
    const since = performance.now();
    const other = await within(mq.consumer({ ...options, group: "shipping" }), "the join of another group", LATEST);
    await waitUntil(() => performance.now() - since > STORM && resets >= 100, { what: "a hundred resets" });
    const seconds = (performance.now() - since) / 1_000;
    assertLessOrEqual(requests() - before, 40 + 4 * PER_SECOND * seconds);
    const told = events.filter(({ type }) => type === "offsetReset").length;
    assertLessOrEqual(told, 10 + PER_SECOND * seconds);
    const closing = performance.now();
    await within(Promise.all([consumer.close(), other.close()]), "the end of close()");
    assertLess(performance.now() - closing, LATEST);
    await loop;
  } finally {
    clearInterval(storm);
  }

  const next = await mq.consumer(options);
  const batches = next.batches();
  const again = batches.next();
  broker.resetOffset("billing", { topic: "orders", queueId: 0 }, 0);
  assertEquals((await within(again, "messages after the storm")).value!.messages[0]!.queueOffset, 0);
  await batches.return!();
  await next.close();
  await mq.close();
  await reading;
});
