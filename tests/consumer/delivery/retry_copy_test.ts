/** Copies for retry topics: to which broker they go, under which header, and how they fail. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { RetryCopies } from "../../../src/consumer/delivery/retry_copy.ts";
import { retryReader } from "../../../src/consumer/delivery/retry_reader.ts";
import { EmbeddedBroker } from "../../../src/embedded/mod.ts";
import { ProducerError, ResponseError, TimeoutError } from "../../../src/errors.ts";
import { decodeRecords, type StoredMessage } from "../../../src/wire/record.ts";
import { connectTo, joinRoutes, watchSends } from "../../producer/setup.ts";
import { plainRecord } from "../../wire/plain_record.ts";
import { queue } from "../fakes.ts";

const group = "billing";
const retries = "%RETRY%billing";
const how = { group, delayLevel: 5, maxReconsumeTimes: 16 };

/** A message of "orders" as the group reads it. */
function message(): StoredMessage {
  const reader = retryReader(group, { topics: () => ["orders"], selector: () => "*" });
  const record = plainRecord({ topic: "orders", body: new Uint8Array([1]) });
  return decodeRecords(record, { ...queue, topic: "orders" }, undefined, reader).messages[0]!;
}

/** Two brokers that have the retry topic, and copies over a client of both. */
async function setUp(requestTimeout = 3_000) {
  const stack = new AsyncDisposableStack();
  const topics = { [retries]: { queues: 2 } };
  const a = stack.use(await EmbeddedBroker.start({ topics }));
  const b = stack.use(await EmbeddedBroker.start({ topics, brokerName: "broker-b" }));
  joinRoutes([a, b], retries);
  const { cluster } = stack.use(await connectTo(a, { requestTimeout }));
  return { a, b, copies: new RetryCopies(cluster, "billing"), [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

Deno.test("RetryCopies.send() states the message's times and birth, under the clients' own producer group", async () => {
  await using given = await setUp();
  const [atA, atB] = [watchSends(given.a), watchSends(given.b)];
  const original = message();

  await given.copies.send(original, how);

  const [sent, ...more] = [...atA, ...atB];
  assertEquals(more, []);
  const { producerGroup, topic, bornTimestamp, reconsumeTimes, maxReconsumeTimes, batch } = sent!.header;
  assertEquals([producerGroup, topic, batch], ["billing", retries, false]);
  assertEquals([bornTimestamp, reconsumeTimes, maxReconsumeTimes], [original.bornAt.getTime(), 1, 16]);
  assertEquals([sent!.properties.get("RETRY_TOPIC"), sent!.properties.get("DELAY")], ["orders", "5"]);
});

Deno.test("RetryCopies.send() avoids a broker while there is another, whatever becomes of the copy", async () => {
  await using given = await setUp();
  for (let i = 0; i < 4; i++) await given.copies.send(message(), how, "broker-a");
  assertEquals([given.a.faults.received("SendMessage"), given.b.faults.received("SendMessage")], [0, 4]);
  given.b.faults.answer("SendMessage", { code: 14, remark: "disk full" });
  const error = await assertRejects(() => given.copies.send(message(), how, "broker-a"), ProducerError, "disk full");
  assert(error.cause instanceof ResponseError);
  assertEquals([given.a.faults.received("SendMessage"), given.b.faults.received("SendMessage")], [0, 5]);
});

Deno.test("RetryCopies.send() takes the broker to avoid if no other has the topic", async () => {
  await using broker = await EmbeddedBroker.start({ topics: { [retries]: { queues: 1 } } });
  await using client = await connectTo(broker);
  await new RetryCopies(client.cluster, "billing").send(message(), how, "broker-a");
  assertEquals(broker.faults.received("SendMessage"), 1);
});

Deno.test("RetryCopies.send() gives each broker one attempt, and fails when all have refused", async () => {
  await using given = await setUp();
  const { a, b, copies } = given;
  for (const broker of [a, b]) broker.faults.answer("SendMessage", { code: 2 }, { times: 1 });
  await assertRejects(() => copies.send(message(), how), ProducerError, "2 attempts failed");
  assertEquals([a.faults.received("SendMessage"), b.faults.received("SendMessage")], [1, 1]);
  await b.kill();
  for (let i = 0; i < 4; i++) await copies.send(message(), how);
  assertEquals(a.faults.received("SendMessage"), 5);
  const error = await assertRejects(() => copies.send(message(), how, "broker-a"), ProducerError);
  assertEquals([error.code, error.maybeStored], ["SEND_FAILED", false]);
});

Deno.test("RetryCopies.send() waits for a silent broker no longer than a request, and fails without the topic", async () => {
  await using given = await setUp(600);
  for (const broker of [given.a, given.b]) broker.faults.answer("SendMessage", "drop", { times: Infinity });
  const error = await assertRejects(() => given.copies.send(message(), how), ProducerError, "within 600 ms");
  assert(error.cause instanceof TimeoutError);
  assertEquals([error.code, error.maybeStored], ["SEND_TIMEOUT", true]);
  const missing = { ...how, group: "nobody" };
  const unknown = await assertRejects(() => given.copies.send(message(), missing), ProducerError, "no name server");
  assertEquals(unknown.code, "TOPIC_NOT_FOUND");
});
