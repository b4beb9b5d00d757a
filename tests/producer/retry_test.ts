import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { EmbeddedBroker } from "../../src/embedded/mod.ts";
import { NetworkError, ProducerError, ResponseError, TimeoutError } from "../../src/errors.ts";
import { connectTo, joinRoutes, messagesIn, watchSends } from "./setup.ts";

const topics = { orders: { queues: 1 } };
const message = { topic: "orders", body: "hello" };

Deno.test("send() tries another broker after each retriable code, with one unique key", async () => {
  await using a = await EmbeddedBroker.start({ topics });
  await using b = await EmbeddedBroker.start({ topics, brokerName: "broker-b" });
  joinRoutes([a, b], "orders");
  await using client = await connectTo(a);
  const producer = await client.producer();
  const [atA, atB] = [watchSends(a), watchSends(b)];

  for (const code of [1, 2, 14, 16, 17, 204, 205]) {
    a.faults.answer("SendMessage", { code }, { times: 1 });
    b.faults.answer("SendMessage", { code }, { times: 1 });
    const { messageId, queue } = await producer.send(message);
    const sends = [...atA.splice(0), ...atB.splice(0)];
    assertEquals(sends.map(({ uniqueKey }) => uniqueKey), [messageId, messageId, messageId], String(code));
    assertEquals(sends.filter(({ header }) => header.brokerName === queue.broker).length, 2, String(code));
  }
  assertEquals(a.maxOffset("orders", 0) + b.maxOffset("orders", 0), 7);
});

Deno.test("send() tries the broker again if it is the only one", async () => {
  await using broker = await EmbeddedBroker.start({ topics: { orders: { queues: 2 } } });
  await using client = await connectTo(broker);
  const producer = await client.producer();
  const seen = watchSends(broker);
  broker.faults.answer("SendMessage", { code: 2, remark: "[OVERLOAD]" }, { times: 2 });

  const { messageId } = await producer.send(message);

  assertEquals(seen.map(({ uniqueKey }) => uniqueKey), [messageId, messageId, messageId]);
  assertEquals(new Set(seen.map(({ properties }) => JSON.stringify([...properties]))).size, 1);
});

Deno.test("send() survives a lost connection, and says with one unique key that there may be two", async () => {
  await using broker = await EmbeddedBroker.start({ topics });
  await using client = await connectTo(broker);
  const producer = await client.producer();
  broker.faults.answer("SendMessage", "cutAnswer");

  const { messageId, queue } = await producer.send(message);

  const stored = await messagesIn(client.cluster, queue);
  assertEquals(stored.map((each) => each.messageId), [messageId, messageId]);
});

Deno.test("send() uses the remaining broker when one is unavailable", async () => {
  await using a = await EmbeddedBroker.start({ topics });
  await using b = await EmbeddedBroker.start({ topics, brokerName: "broker-b" });
  joinRoutes([a, b], "orders");
  await using client = await connectTo(a);
  const producer = await client.producer();
  await b.kill();

  for (let i = 0; i < 4; i++) assertEquals((await producer.send(message)).queue.broker, "broker-a");
});

Deno.test("send() fails after its retries, and names the attempts", async () => {
  await using a = await EmbeddedBroker.start({ topics });
  await using b = await EmbeddedBroker.start({ topics, brokerName: "broker-b" });
  joinRoutes([a, b], "orders");
  await using client = await connectTo(a);
  const producer = await client.producer({ retries: 1 });
  for (const each of [a, b]) each.faults.answer("SendMessage", { code: 14, remark: "disk full" }, { times: 3 });

  const error = await assertRejects(() => producer.send(message), ProducerError);

  assert(error.cause instanceof ResponseError);
  assertEquals([error.code, error.retriable, error.cause.responseCode], ["SEND_FAILED", true, 14]);
  assertStringIncludes(error.message, 'Cannot send to topic "orders" within 3000 ms: 2 attempts failed (');
  assertStringIncludes(error.message, "broker-a queue 0: RESPONSE_14");
  assertStringIncludes(error.message, "broker-b queue 0: RESPONSE_14");
  assertStringIncludes(error.message, "disk full");
  assertEquals(a.faults.received("SendMessage") + b.faults.received("SendMessage"), 2);
});

Deno.test("send() says what to do if a broker does not have the topic that its route promises", async () => {
  await using broker = await EmbeddedBroker.start({ topics });
  await using client = await connectTo(broker);
  const producer = await client.producer({ retries: 0 });
  broker.faults.answer("SendMessage", { code: 17, remark: "topic[orders] not exist" });
  const error = await assertRejects(() => producer.send(message), ProducerError);
  assertEquals(error.code, "TOPIC_NOT_FOUND");
  assertStringIncludes(error.message, "create the topic first");
});

Deno.test("send() fails when the time is over, and says that the message may be stored", async () => {
  await using broker = await EmbeddedBroker.start({ topics });
  await using client = await connectTo(broker);
  const producer = await client.producer({ sendTimeout: 250 });
  await producer.send(message, { timeout: 60_000 }); // so that the route is known and the connection is open
  broker.faults.answer("SendMessage", "drop", { times: Infinity });

  for (const options of [undefined, { timeout: 200 }, { orderingKey: "k" }]) {
    const error = await assertRejects(() => producer.send(message, options), ProducerError);
    assert(error.cause instanceof TimeoutError);
    assertEquals([error.code, error.retriable], ["SEND_TIMEOUT", true]);
    assertStringIncludes(error.message, "the message may be stored nevertheless");
  }
});

Deno.test("send() pauses before it tries a busy broker again, each time longer", async () => {
  await using broker = await EmbeddedBroker.start({ topics });
  await using client = await connectTo(broker);
  const producer = await client.producer({ retries: 100 });
  await producer.send(message, { timeout: 60_000 }); // so that the route is known and the connection is open
  broker.faults.answer("SendMessage", { code: 2 }, { times: Infinity });
  const error = await assertRejects(() => producer.send(message, { timeout: 250 }), ProducerError);
  assert(["SEND_FAILED", "SEND_TIMEOUT"].includes(error.code), error.code); // the end may cut the last attempt short
  // The shortest pauses are 10, 20, 40, 80 and 160 ms, so a sixth attempt is possible only as the last pause ends with the
  // time. A slow machine has fewer.
  const attempts = broker.faults.received("SendMessage") - 1;
  assert(attempts >= 1 && attempts <= 6, `${attempts} attempts`);
});

Deno.test("send() to a queue that was given is tried again only if nothing can be stored", async () => {
  await using a = await EmbeddedBroker.start({ topics });
  await using b = await EmbeddedBroker.start({ topics, brokerName: "broker-b" });
  joinRoutes([a, b], "orders");
  await using client = await connectTo(a);
  const producer = await client.producer();
  const queue = { topic: "orders", broker: "broker-b", queueId: 0 };

  b.faults.answer("SendMessage", { code: 2 }, { times: 2 });
  assertEquals((await producer.send(message, { queue })).queue, queue);
  assertEquals(b.faults.received("SendMessage"), 3);

  for (const action of [{ code: 1 }, "cut", "cutAnswer"] as const) {
    b.faults.answer("SendMessage", action);
    const error = await assertRejects(() => producer.send(message, { queue }), ProducerError);
    assert(error.cause instanceof (typeof action === "string" ? NetworkError : ResponseError));
    assertStringIncludes(error.message, "the only attempt failed");
    assertStringIncludes(error.message, "the message may be stored nevertheless");
  }
  assertEquals([b.faults.received("SendMessage"), a.faults.received("SendMessage")], [6, 0]);
});

Deno.test("send() with an ordering key keeps to its queue while the broker cannot be reached", async () => {
  await using a = await EmbeddedBroker.start({ topics });
  await using b = await EmbeddedBroker.start({ topics, brokerName: "broker-b" });
  joinRoutes([a, b], "orders");
  await using client = await connectTo(a);
  const producer = await client.producer();
  const options = { orderingKey: "x" }; // "x" is 120, which is even: the first queue
  assertEquals((await producer.send(message, options)).queue.broker, "broker-a");
  const odd = { orderingKey: "y" };
  assertEquals((await producer.send(message, odd)).queue.broker, "broker-b");

  await b.kill();
  const error = await assertRejects(() => producer.send(message, odd), ProducerError);
  assertEquals(error.code, "SEND_FAILED");
  await b.revive();
  assertEquals((await producer.send(message, { ...odd, timeout: 10_000 })).queue.broker, "broker-b");
  assertEquals(a.faults.received("SendMessage"), 1);
});

Deno.test("send() rejects with the signal's reason: before, while waiting for the answer, and between attempts", async () => {
  await using broker = await EmbeddedBroker.start({ topics });
  await using client = await connectTo(broker);
  const producer = await client.producer({ retries: 100, sendTimeout: 60_000 });
  const reasonOf = (sent: Promise<unknown>) => sent.then(() => "sent", (reason) => reason);

  assertEquals(await reasonOf(producer.send(message, { signal: AbortSignal.abort("before") })), "before");
  assertEquals(broker.faults.received("SendMessage"), 0);

  const dropped = broker.faults.answer("SendMessage", "drop");
  const stop = new AbortController();
  const waiting = reasonOf(producer.send(message, { signal: stop.signal }));
  await dropped.reached();
  stop.abort("waiting");
  assertEquals(await waiting, "waiting");

  const busy = broker.faults.answer("SendMessage", { code: 2 }, { times: Infinity });
  const again = new AbortController();
  const pausing = reasonOf(producer.send(message, { signal: again.signal }));
  await busy.reached(3);
  again.abort("pausing");
  assertEquals(await pausing, "pausing");
  busy.remove();

  const routes = broker.faults.answer("GetRoute", "drop");
  const finding = new AbortController();
  const asking = reasonOf(producer.send({ topic: "payments", body: "x" }, { signal: finding.signal }));
  await routes.reached();
  finding.abort("asking");
  assertEquals(await asking, "asking");
});
