import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { EmbeddedBroker } from "../../src/embedded/mod.ts";
import { NetworkError, ProducerError, ResponseError } from "../../src/errors.ts";
import type { Producer } from "../../src/producer/mod.ts";
import { eventually } from "../transport/waiting.ts";
import { connectTo, joinRoutes, messagesIn, type TestCluster, watchSends } from "./setup.ts";

const topics = { orders: { queues: 1 } };
const message = { topic: "orders", body: "hello" };
/** Three attempts of 500 ms: none is shorter. */
const SHORT = { sendTimeout: 1_500 };
/** With no retries, so that none of the attempts may count as one. */
const PATIENT = { sendTimeout: 60_000, retries: 0 };

/** Each way to send one message. */
const ways: Record<string, (producer: Producer) => Promise<unknown>> = {
  "send()": (producer) => producer.send(message),
  "send() with an orderingKey": (producer) => producer.send(message, { orderingKey: "k" }),
  "sendBatch()": (producer) => producer.sendBatch([message]),
  "sendOneway()": (producer) => producer.sendOneway(message),
};

/** Kills a broker; what is sent from now on does not leave. */
async function kill(broker: EmbeddedBroker, { cluster }: TestCluster): Promise<void> {
  await broker.kill();
  await eventually(() => !cluster.broker(broker.brokerName).isOpen, "the client notices");
}

Deno.test("send() makes another attempt when one is not answered in its part of the time", async () => {
  await using broker = await EmbeddedBroker.start({ topics });
  await using client = await connectTo(broker);
  const producer = await client.producer(SHORT);
  const seen = watchSends(broker);
  broker.faults.answer("SendMessage", "drop");
  const { messageId } = await producer.send(message);
  assertEquals(seen.map(({ uniqueKey }) => uniqueKey), [messageId, messageId]);
  assertEquals(broker.maxOffset("orders", 0), 1);
});

Deno.test("send() accepts a late answer, also while another attempt is in flight", async () => {
  await using broker = await EmbeddedBroker.start({ topics });
  await using client = await connectTo(broker);
  const producer = await client.producer({ sendTimeout: 15_000, retries: 29 });
  for (const options of [{}, { signal: new AbortController().signal }]) {
    const before = broker.maxOffset("orders", 0);
    const slow = broker.faults.answer("SendMessage", "delayAnswer");
    const second = broker.faults.answer("SendMessage", "drop");
    const sent = producer.send(message, options);
    await second.reached();
    slow.release();
    assertEquals((await sent).queueOffset, before);
    assertEquals(broker.maxOffset("orders", 0), before + 1);
  }
});

Deno.test("a silent broker costs one attempt, and all producers of the client go to others for a while", async () => {
  await using a = await EmbeddedBroker.start({ topics });
  await using b = await EmbeddedBroker.start({ topics, brokerName: "broker-b" });
  joinRoutes([a, b], "orders");
  await using client = await connectTo(a);
  const [one, other] = [await client.producer(SHORT), await client.producer(SHORT)];
  const silent = a.faults.answer("SendMessage", "drop", { times: Infinity });

  for (let i = 0; i < 2; i++) assertEquals((await one.send(message)).queue.broker, "broker-b");
  for (let i = 0; i < 4; i++) {
    for (const producer of [one, other]) assertEquals((await producer.send(message)).queue.broker, "broker-b");
  }
  assertEquals(a.faults.received("SendMessage"), 1);

  silent.remove();
  client.cluster.health.answered("broker-a", 1); // as its next answer would
  const used = [await one.send(message), await one.send(message)].map(({ queue }) => queue.broker);
  assertEquals(used.sort(), ["broker-a", "broker-b"]);
});

Deno.test("producers go on in turn when all brokers are slow", async () => {
  await using a = await EmbeddedBroker.start({ topics });
  await using b = await EmbeddedBroker.start({ topics, brokerName: "broker-b" });
  joinRoutes([a, b], "orders");
  await using client = await connectTo(a);
  const producer = await client.producer();
  for (let i = 0; i < 6; i++) {
    for (const broker of ["broker-a", "broker-b"]) client.cluster.health.answered(broker, 2_000);
    await producer.send(message);
  }
  assertEquals([a.maxOffset("orders", 0), b.maxOffset("orders", 0)], [3, 3]);
});

for (const [name, sendBy] of Object.entries(ways)) {
  Deno.test(`${name} waits for a broker that is unavailable for a while`, async () => {
    await using broker = await EmbeddedBroker.start({ topics });
    await using client = await connectTo(broker);
    const producer = await client.producer(PATIENT);
    await producer.send(message);
    await kill(broker, client);
    const sent = sendBy(producer);
    await eventually(() => !client.cluster.health.isGood, "an attempt that failed");
    await broker.revive();
    await sent;
    await eventually(() => broker.maxOffset("orders", 0) === 2, "the message");
  });
}

for (const [name, sendBy] of Object.entries(ways).slice(0, 3)) {
  Deno.test(`${name} waits for a broker that has no room`, async () => {
    await using broker = await EmbeddedBroker.start({ topics });
    await using client = await connectTo(broker);
    const producer = await client.producer({ retries: 0 });
    const request = name === "sendBatch()" ? "SendBatch" : "SendMessage";
    const answers = [
      { code: 2, remark: "[OVERLOAD]system busy, start flow control for a while" },
      { code: 215, remark: "[FLOW]client flow control is enabled" },
      { code: 1, remark: "[PC_SYNCHRONIZED]broker busy, start flow control for a while" },
    ];
    for (const answer of answers) {
      const busy = broker.faults.answer(request, answer, { times: Infinity });
      const sent = sendBy(producer);
      await busy.reached(6); // with the pauses between them 310 ms at least
      busy.remove();
      await sent;
    }
    assertEquals(broker.maxOffset("orders", 0), 3);
  });
}

Deno.test("linger waits for a broker that is unavailable for a while, or has no room", async () => {
  await using broker = await EmbeddedBroker.start({ topics });
  await using client = await connectTo(broker);
  const producer = await client.producer({ ...PATIENT, linger: 10 });
  await producer.send(message);
  await kill(broker, client);
  const sent = Promise.all([producer.send(message), producer.send(message), producer.send(message)]);
  await eventually(() => !client.cluster.health.isGood, "an attempt that failed");
  const busy = broker.faults.answer("SendBatch", { code: 2 }, { times: 3 });
  await broker.revive();
  assertEquals((await sent).map(({ queueOffset }) => queueOffset), [1, 2, 3]);
  assertEquals(busy.hits, 3);
});

Deno.test("send() waits for a route while name servers fail, and no longer than its time", async () => {
  await using broker = await EmbeddedBroker.start({ topics: { ...topics, payments: { queues: 1 } } });
  await using client = await connectTo(broker);
  const producer = await client.producer(PATIENT);
  broker.faults.answer("GetRoute", { code: 1, remark: "starting" }, { times: 3 });
  assertEquals((await producer.send(message)).queueOffset, 0);

  for (const fault of [{ code: 1, remark: "starting" }, "drop"] as const) {
    const failing = broker.faults.answer("GetRoute", fault, { times: Infinity });
    const sent = producer.send({ topic: "payments", body: "x" }, { timeout: 100 });
    const error = await assertRejects(() => sent, ProducerError);
    assertEquals([error.code, error.maybeStored, error.retriable], ["ROUTE_NOT_AVAILABLE", false, true]);
    if (fault !== "drop") assertStringIncludes(error.message, "starting");
    failing.remove();
  }
});

Deno.test("GO_AWAY costs a send one more request, and its neighbours nothing", async () => {
  await using broker = await EmbeddedBroker.start({ topics });
  await using client = await connectTo(broker);
  const producer = await client.producer(PATIENT);
  const held = broker.faults.answer("SendMessage", "delayAnswer", { times: 2 });
  const neighbours = [producer.send(message), producer.send(message, { orderingKey: "k" })];
  await held.reached(2);
  broker.faults.answer("SendMessage", { code: 1500, remark: "please go away" }, { times: 3 });

  const refused = await Promise.all([1, 2, 3].map(() => producer.send(message)));
  assertEquals(refused.map(({ queueOffset }) => queueOffset).sort(), [2, 3, 4]);
  held.release();
  assertEquals((await Promise.all(neighbours)).map(({ queueOffset }) => queueOffset).sort(), [0, 1]);
  assertEquals([broker.maxOffset("orders", 0), broker.faults.received("SendMessage")], [5, 8]);
});

Deno.test("an error says whether the message may be stored", async () => {
  await using broker = await EmbeddedBroker.start({ topics });
  await using client = await connectTo(broker);
  const producer = await client.producer({ retries: 0, sendTimeout: 200 });
  const maybeStored = async () => {
    const errors = [];
    for (const way of ["send()", "send() with an orderingKey", "sendBatch()"]) {
      errors.push(await assertRejects(() => ways[way]!(producer), ProducerError));
    }
    const [first] = errors;
    assert(errors.every((error) => error.maybeStored === first!.maybeStored), "one of them says another thing");
    assertEquals(first!.message.includes("may be stored nevertheless"), first!.maybeStored);
    return first!.maybeStored;
  };
  for (
    const [fault, expected] of [["drop", true], ["dropAnswer", true], [{ code: 1 }, true], [{ code: 13 }, false], [{
      code: 2,
    }, false]] as const
  ) {
    const faults = ["SendMessage", "SendBatch"].map((name) => broker.faults.answer(name, fault, { times: Infinity }));
    assertEquals(await maybeStored(), expected, JSON.stringify(fault));
    for (const each of faults) each.remove();
  }
  await kill(broker, client);
  assertEquals(await maybeStored(), false, "no way to the broker");
});

Deno.test("maybeStored stays when other attempts have followed the silent one", async () => {
  await using broker = await EmbeddedBroker.start({ topics });
  await using client = await connectTo(broker);
  const producer = await client.producer(SHORT);
  broker.faults.answer("SendMessage", "drop");
  broker.faults.answer("SendMessage", { code: 13, remark: "illegal" });
  const error = await assertRejects(() => producer.send(message), ProducerError);
  assert(error.cause instanceof ResponseError);
  assertEquals([error.code, error.retriable, error.maybeStored], ["SEND_FAILED", false, true]);
});

Deno.test("an error names the innermost cause, however long was waited", async () => {
  await using broker = await EmbeddedBroker.start({ topics });
  await using client = await connectTo(broker);
  const producer = await client.producer({ sendTimeout: 1_200 });
  await producer.send(message);
  await kill(broker, client);
  for (const way of ["send()", "sendOneway()"]) {
    const error = await assertRejects(() => ways[way]!(producer), ProducerError);
    assert(error.cause instanceof NetworkError);
    assertEquals([error.code, error.maybeStored], ["SEND_FAILED", false]);
    assertStringIncludes(error.message.toLowerCase(), "connection refused");
    assert(error.message.length < 700, error.message);
  }
});

Deno.test("a send whose attempt was overdue stores its message again only over another attempt", async () => {
  await using broker = await EmbeddedBroker.start({ topics });
  await using client = await connectTo(broker);
  const producer = await client.producer(SHORT);
  broker.faults.answer("SendMessage", "dropAnswer");
  const { messageId, queue } = await producer.send(message);
  const stored = await messagesIn(client.cluster, queue);
  assertEquals(stored.map((each) => each.messageId), [messageId, messageId]);
});
