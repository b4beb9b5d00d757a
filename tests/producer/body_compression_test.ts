import { clearImmediate, setImmediate } from "node:timers";
import { assert, assertEquals, assertRejects } from "@std/assert";
import { EmbeddedBroker } from "../../src/embedded/mod.ts";
import { ProducerError } from "../../src/errors.ts";
import type { ProducerOptions, SendOptions } from "../../src/producer/mod.ts";
import { LARGE_BODY_SIZE } from "../../src/wire/pack.ts";
import { eventually } from "../transport/waiting.ts";
import { words } from "../wire/lz4_frames.ts";
import { connectTo, messagesIn } from "./setup.ts";

const MIB = 1024 * 1024;
const topics = { orders: { queues: 1 } };
const large = words(4 * MIB);
const queue = { topic: "orders", broker: "broker-a", queueId: 0 };

/** A producer of a client that knows where its topic is. */
async function open(broker: EmbeddedBroker, options: ProducerOptions = {}) {
  const client = await connectTo(broker);
  const producer = await client.producer({ sendTimeout: 60_000, ...options });
  await producer.send({ topic: "orders", body: "first" });
  return { ...client, producer };
}

Deno.test("send() compresses a large body without holding the event loop", async () => {
  await using broker = await EmbeddedBroker.start({ topics });
  await using client = await open(broker);
  let turns = 0;
  const count = () => {
    turns++;
    turning = setImmediate(count);
  };
  let turning = setImmediate(count);
  await client.producer.send({ topic: "orders", body: large });
  clearImmediate(turning);
  assert(turns >= 50, `the event loop has turned ${turns} times`);
  const message = (await messagesIn(client.cluster, queue))[1]!;
  assertEquals(message.sysFlag & 0x301, 0x301);
  assert(message.body.every((byte, i) => byte === large[i]));
});

Deno.test("send() and sendOneway() send a large body as it is if compression does not make it smaller", async () => {
  await using broker = await EmbeddedBroker.start({ topics });
  await using client = await open(broker);
  const body = new Uint8Array(3 * LARGE_BODY_SIZE);
  for (let at = 0; at < body.length; at += 65_536) crypto.getRandomValues(body.subarray(at, at + 65_536));
  await client.producer.send({ topic: "orders", body });
  await client.producer.sendOneway({ topic: "orders", body: large });
  await eventually(() => broker.maxOffset("orders", 0) === 3, "the oneway send is stored");
  const messages = await messagesIn(client.cluster, queue);
  assertEquals(messages.map(({ sysFlag }) => sysFlag & 1), [0, 0, 1]);
  assertEquals(messages[1]!.body, body);
});

for (const linger of [0, 20]) {
  for (const order of [{ orderingKey: "k" }, { queue }] as SendOptions[]) {
    Deno.test(`sends with ${Object.keys(order)} are not overtaken while a large body is compressed, linger ${linger}`, async () => {
      await using broker = await EmbeddedBroker.start({ topics });
      await using client = await open(broker, { linger });
      const bodies = [large, "a", large.subarray(0, 2 * MIB), "b", large.subarray(0, 100_000), "c", "d"];
      await Promise.all(bodies.map((body) => client.producer.send({ topic: "orders", body }, order)));
      const stored = await messagesIn(client.cluster, queue);
      assertEquals(stored.slice(1).map(({ body }) => body.length), bodies.map(({ length }) => length));
    });
  }
}

Deno.test("sends with another key, or without any, do not wait for a large one", async () => {
  await using broker = await EmbeddedBroker.start({ topics });
  await using client = await open(broker);
  const ended: string[] = [];
  const send = (body: string | Uint8Array, options?: SendOptions) =>
    client.producer.send({ topic: "orders", body }, options).then(() => ended.push(options?.orderingKey ?? "none"));
  await Promise.all([send(large, { orderingKey: "large" }), send("a", { orderingKey: "small" }), send("b")]);
  assertEquals(ended.at(-1), "large");
});

Deno.test("a send whose time is over, or whose signal aborts, while its body is compressed has sent nothing", async () => {
  await using broker = await EmbeddedBroker.start({ topics });
  await using client = await open(broker);
  const stop = new AbortController();
  const late = client.producer.send({ topic: "orders", body: large }, { timeout: 1, orderingKey: "k" });
  const aborted = client.producer.send({ topic: "orders", body: large }, { signal: stop.signal });
  const behind = client.producer.send({ topic: "orders", body: "b" }, { orderingKey: "k" });
  setImmediate(() => stop.abort(new RangeError("enough")));
  const [error] = await Promise.all([
    assertRejects(() => late, ProducerError, "still being compressed; nothing of it was sent"),
    assertRejects(() => aborted, RangeError, "enough"),
    behind,
  ]);
  assertEquals([error.code, error.retriable, error.maybeStored], ["SEND_TIMEOUT", true, false]);
  assertEquals(broker.maxOffset("orders", 0), 2);
});

Deno.test("close() waits for a large body that is being compressed, and flushes what lingers", async () => {
  for (const linger of [0, 1_000]) {
    await using broker = await EmbeddedBroker.start({ topics });
    await using client = await open(broker, { linger });
    const sent = client.producer.send({ topic: "orders", body: large }, { orderingKey: "k" });
    await client.producer.close();
    assertEquals((await sent).queueOffset, 1);
  }
});
