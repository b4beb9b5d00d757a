import { assertEquals, assertRejects } from "@std/assert";
import { connect, InvalidTopicError } from "../../../mod.ts";
import { EmbeddedBroker } from "../../../src/embedded/mod.ts";

Deno.test("a topic that its broker has just made is found, though name servers hear of it a moment later", async () => {
  const broker = await EmbeddedBroker.start({ topics: { orders: { queues: 1 } } });
  const mq = await connect({ nameServers: broker.nameServer, logger: false });
  try {
    const match = ({ fields }: { fields: Readonly<Record<string, string>> }) => fields.topic === "orders";
    const unknown = broker.faults.answer("GetRoute", { code: 17, remark: "not yet" }, { times: 2, match });
    const consumer = await mq.consumer({ group: "billing", topics: "orders" });
    assertEquals([unknown.hits, consumer.subscriptions.isSubscribed("orders")], [2, true]);
    await assertRejects(
      () => consumer.subscriptions.subscribe("nowhere"),
      InvalidTopicError,
      "no name server knows it",
    );
  } finally {
    await mq.close();
    await broker.close();
  }
});
