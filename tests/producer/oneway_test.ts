import { assert, assertEquals, assertRejects } from "@std/assert";
import { EmbeddedBroker } from "../../src/embedded/mod.ts";
import { ConfigError, ProducerError, ValidationError } from "../../src/errors.ts";
import { connectTo, joinRoutes, messagesIn, watchSends } from "./setup.ts";

const topics = { orders: { queues: 1 } };
const message = { topic: "orders", body: "hello" };

Deno.test("sendOneway() stores a message as send() does, and waits for no answer", async () => {
  await using broker = await EmbeddedBroker.start({ topics: { orders: { queues: 2 } } });
  await using client = await connectTo(broker);
  const producer = await client.producer();
  const queue = { topic: "orders", broker: "broker-a", queueId: 1 };
  const held = broker.faults.answer("SendMessage", "dropAnswer", { times: Infinity });

  await producer.sendOneway({ ...message, tags: "paid", keys: "42", properties: { price: "10" } }, { queue });
  await held.reached();

  const [stored] = await messagesIn(client.cluster, queue);
  assertEquals([stored?.text(), stored?.tags, stored?.keys], ["hello", "paid", ["42"]]);
  assertEquals([stored?.property("price"), stored?.messageId.length], ["10", 32]);
});

Deno.test("sendOneway() in a loop loses nothing and has no more in flight than a broker's queue holds", async () => {
  await using broker = await EmbeddedBroker.start({ topics });
  await using client = await connectTo(broker);
  const producer = await client.producer({ sendTimeout: 60_000 });
  await producer.send(message);
  const seen = watchSends(broker);
  const held = broker.faults.answer("SendMessage", "delay", { times: Infinity });
  let written = 0;
  const loop = (async () => {
    for (; written < 2_000; written++) await producer.sendOneway({ topic: "orders", body: String(written) });
  })();

  await held.reached(512);
  await messagesIn(client.cluster, { topic: "orders", broker: "broker-a", queueId: 0 }); // passes what was written
  const counts = [written, held.hits, seen.length];
  held.remove();
  await loop;
  assertEquals(counts, [512, 512, 512]);
  await producer.send({ topic: "orders", body: "last" }); // comes after all that was written

  assertEquals(broker.maxOffset("orders", 0), 2_002);
  assertEquals(seen.map(({ body }) => new TextDecoder().decode(body)), [
    ...Array.from({ length: 2_000 }, (_, i) => String(i)),
    "last",
  ]);
});

Deno.test("sendOneway() continues when answers to it are lost", async () => {
  await using broker = await EmbeddedBroker.start({ topics });
  await using client = await connectTo(broker);
  const producer = await client.producer({ sendTimeout: 60_000 });
  broker.faults.answer("SendMessage", "dropAnswer", { times: Infinity });
  const asksForAnAnswer = (i: number) => i < 512 && i % 64 === 63;
  for (let i = 0; i < 1_000; i++) await producer.sendOneway(message, { timeout: asksForAnAnswer(i) ? 500 : 60_000 });
  await broker.faults.whenReceived("SendMessage", 1_000);
});

Deno.test("sendOneway() goes to another broker if the first one cannot be reached", async () => {
  await using a = await EmbeddedBroker.start({ topics });
  await using b = await EmbeddedBroker.start({ topics, brokerName: "broker-b" });
  joinRoutes([a, b], "orders");
  await using client = await connectTo(a);
  const producer = await client.producer();
  await b.kill();
  for (let i = 0; i < 4; i++) await producer.sendOneway(message);
  await producer.send(message);
  assertEquals(a.maxOffset("orders", 0), 5);
});

Deno.test("sendOneway() says why nothing could leave", async () => {
  await using broker = await EmbeddedBroker.start({ topics, autoCreateTopics: false });
  await using client = await connectTo(broker);
  const producer = await client.producer({ retries: 0 });
  await assertRejects(() => producer.sendOneway({ topic: "orders", body: "" }), ValidationError);
  await assertRejects(() => producer.sendOneway(message, { delayLevel: 0 }), ConfigError);
  const unknown = await assertRejects(() => producer.sendOneway({ topic: "ordesr", body: "x" }), ProducerError);
  assertEquals(unknown.code, "TOPIC_NOT_FOUND");
  const reason = new TypeError("early");
  const aborted = producer.sendOneway(message, { signal: AbortSignal.abort(reason) });
  assert(await aborted.catch((error) => error) === reason);

  await producer.sendOneway(message);
  await broker.kill();
  const error = await assertRejects(() => producer.sendOneway(message, { timeout: 1_000 }), ProducerError);
  assert(error.code === "SEND_FAILED" || error.code === "SEND_TIMEOUT", error.code);
  await producer.close();
  const closed = await assertRejects(() => producer.sendOneway(message), ProducerError);
  assertEquals(closed.code, "PRODUCER_CLOSED");
});

Deno.test("sendOneway() rejects with the signal's reason while a broker is behind", async () => {
  await using broker = await EmbeddedBroker.start({ topics });
  await using client = await connectTo(broker);
  const producer = await client.producer({ sendTimeout: 60_000 });
  const held = broker.faults.answer("SendMessage", "delay", { times: Infinity });
  for (let i = 0; i < 512; i++) await producer.sendOneway(message);
  const stop = new AbortController();
  const behind = producer.sendOneway(message, { signal: stop.signal });
  stop.abort("enough");
  assertEquals(await behind.then(() => "sent", (reason) => reason), "enough");
  held.remove();
});
