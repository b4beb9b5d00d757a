/** What operators do to a consumer, through its broker. */

import { assert, assertEquals } from "@std/assert";
import { connect } from "../../../mod.ts";
import { EmbeddedBroker } from "../../../src/embedded/mod.ts";
import { waitUntil } from "../../behaviour/harness.ts";

Deno.test("a reset that a 4.9 broker tells of moves the queues that are assigned, and voids what is in flight", async () => {
  const broker = await EmbeddedBroker.start({ dialect: "4.9", topics: { orders: { queues: 1 } } });
  const mq = await connect({ nameServers: broker.nameServer, logger: false });
  try {
    await broker.publish("orders", ["a", "b", "c"]);
    const consumer = await mq.consumer({ group: "billing", topics: "orders", consumeFrom: "first", autoAck: false });
    const events = mq.status();
    const batches = consumer.batches();
    const inFlight = (await batches.next()).value!;
    const { signal } = inFlight;
    broker.resetOffset("billing", { topic: "orders", queueId: 0 }, 1);
    await waitUntil(() => signal.aborted, { what: "the batch void" });
    await inFlight.ack();
    const again = (await batches.next()).value!;
    assertEquals(again.messages.map((message) => message.text()), ["b", "c"]);
    assertEquals(broker.committed("billing", "orders"), 1);
    await again.ack();
    const types: string[] = [];
    for await (const event of events) {
      types.push(event.type);
      if (event.type === "offsetReset") break;
    }
    assert(types.includes("offsetReset"));
  } finally {
    await mq.close();
    await broker.close();
  }
});
