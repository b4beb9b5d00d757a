/** What users read when nothing arrives: `explain()`, `health()`, `lag()`, and the events of `close()`. */

import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { type Client, connect, type ConnectOptions, InvalidTopicError, type StatusEvent } from "../../../mod.ts";
import { EmbeddedBroker } from "../../../src/embedded/mod.ts";
import { waitUntil } from "../../behaviour/harness.ts";

/** A broker, and clients of it with their events. */
class World implements AsyncDisposable {
  readonly broker: EmbeddedBroker;
  readonly clients: Client[] = [];
  readonly #reading: Promise<void>[] = [];

  constructor(broker: EmbeddedBroker) {
    this.broker = broker;
  }

  static async make(queues = 1): Promise<World> {
    return new World(await EmbeddedBroker.start({ topics: { orders: { queues } } }));
  }

  async connect(options: ConnectOptions = {}): Promise<{ mq: Client; events: StatusEvent[] }> {
    const mq = await connect({ nameServers: this.broker.nameServer, logger: false, ...options });
    const events: StatusEvent[] = [];
    const status = mq.status();
    this.#reading.push((async () => {
      for await (const event of status) events.push(event);
    })());
    this.clients.push(mq);
    return { mq, events };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.clients.map((mq) => mq.close()));
    await Promise.all(this.#reading);
    await this.broker.close();
  }
}

/** Waits for an event whose text matches. */
async function textOf(
  events: readonly StatusEvent[] | (() => readonly StatusEvent[]),
  type: string,
  text: RegExp,
  timeout?: number,
): Promise<string> {
  const all = () => typeof events === "function" ? events() : events;
  const found = () => all().find((event) => event.type === type && text.test(event.text));
  await waitUntil(() => found() !== undefined, { what: `${type} ${text}`, ...(timeout && { timeout }) });
  return found()!.text;
}

const group = "billing";

Deno.test("explain(): the group began at the end, with what is before it", async () => {
  await using world = await World.make();
  await world.broker.publish("orders", ["a", "b", "c"]);
  const { mq } = await world.connect();
  const consumer = await mq.consumer({ group, topics: "orders" });
  await waitUntil(async () => (await consumer.lag()).every(({ isOpen }) => isOpen), { what: "it is open" });
  const found = await consumer.explain();
  assertEquals(found.map(({ code }) => code), ["startsAtEnd"]);
  assertMatch(
    String(found),
    /^startsAtEnd: 3 messages of topic "orders" are stored before the position.*\n {2}→ .*consumeFrom: "first"/,
  );
});

Deno.test("explain(): the filter lets none pass, with the tags that were seen", async () => {
  await using world = await World.make();
  const { mq } = await world.connect();
  const producer = await mq.producer();
  for (const tags of ["Paid", "Paid", "refunded"]) await producer.send({ topic: "orders", tags, body: "x" });
  const consumer = await mq.consumer({ group, topics: { orders: "paid" }, consumeFrom: "first" });
  const reader = await mq.reader({ topic: "orders", filter: "paid", from: "earliest" });
  for (const each of [consumer, reader]) {
    await waitUntil(async () => (await each.lag()).every(({ isOpen, lag }) => isOpen && lag === 0), {
      what: "the end",
    });
    assertMatch(
      String(await each.explain()),
      /filtered: none of the last 3 messages of topic "orders" has passed the filter "paid"; they have the tags "Paid" \(2\), "refunded" \(1\)/,
    );
  }
});

Deno.test("explain(): paused, nobody asks, up to date, closed", async () => {
  await using world = await World.make();
  const { mq } = await world.connect();
  const consumer = await mq.consumer({ group, topics: "orders" });
  const isOpen = async () => (await consumer.lag()).every(({ isOpen }) => isOpen);
  await waitUntil(isOpen, { what: "it is open" });
  assertMatch(String(await consumer.explain()), /^upToDate: all 2 queues are consumed up to their end/);
  consumer.pause();
  assertMatch(String(await consumer.explain()), /^paused: 1 of 1 queues are paused: orders\/.*\n {2}→ call resume\(\)/);
  assertEquals(mq.health().ok, true, "a pause is no fault");
  consumer.resume();
  await world.broker.publish("orders", ["a"]);
  await waitUntil(() => consumer.stats().buffered === 1, { what: "it is here" });
  assertMatch(String(await consumer.explain()), /^nobodyAsks: 1 messages are buffered and no loop requests a batch/);
  await consumer.close();
  assertMatch(String(await consumer.explain()), /^closed: the consumer of group "billing" is closed/);
});

Deno.test("explain() of a POP consumer: nobody asks, paused, no topic", async () => {
  await using world = await World.make();
  const { mq } = await world.connect();
  const topics = ["orders", "nowhere"];
  const consumer = await mq.popConsumer({ group, topics, missingTopic: "wait" });
  consumer.pause();
  assertEquals((await consumer.explain()).map(({ code }) => code), ["missingTopic", "paused", "nobodyAsks"]);
  const [health] = mq.health().consumers;
  assertEquals([health?.kind, health?.ok, health?.queues], ["popConsumer", false, 1]);
});

Deno.test("standstills are events: no ack, handlers that hang, nobody iterates, no queue", async () => {
  await using world = await World.make();
  await world.broker.publish("orders", Array.from({ length: 200 }, (_, at) => `${at}`));
  const { mq, events } = await world.connect();
  const common = { topics: "orders", consumeFrom: "first", maxBufferedPerQueue: 64, closeTimeout: 100 } as const;
  const unacked = await mq.consumer({ ...common, group: "unacked" });
  const hung = await mq.consumer({ ...common, group: "hung" });
  await mq.consumer({ ...common, group: "unread" });
  const { mq: other, events: told } = await world.connect();
  await mq.consumer({ ...common, group: "shared" });
  await other.consumer({ ...common, group: "shared" });
  const { promise: never, resolve } = Promise.withResolvers<void>();
  const streamed = (async () => { // readable() never acknowledges by itself
    for await (const _ of unacked.readable());
  })();
  const handled = hung.run(() => never, { concurrency: 1 });
  const timeout = 16_000;
  const unsettled = /"unacked".* messages in flight.*1 of 2 queues have reached a limit.*readable\(\)/;
  const withoutQueues = /"shared": no queue.*2 members share the queues \(1 of topic "orders"\).*create more queues/;
  await Promise.all([
    textOf(events, "stalled", unsettled, timeout),
    textOf(events, "stalled", /"hung".*1 batches with 32 messages in flight/, timeout),
    textOf(events, "stalled", /"unread".*64 messages are buffered and no loop requests a batch/, timeout),
    textOf(() => [...events, ...told], "stalled", withoutQueues, timeout),
  ]);
  assertEquals(mq.health().ok, false);
  resolve();
  await textOf(events, "revived", /"hung": continues/);
  await Promise.all(world.clients.map((each) => each.close()));
  await Promise.all([streamed, handled]);
});

Deno.test("lag() counts queues that are not open yet, and one broker that fails costs its queues only", async () => {
  await using world = await World.make(2);
  await world.broker.publish("orders", Array.from({ length: 20 }, (_, at) => `${at}`));
  const { mq } = await world.connect({ requestTimeout: 500 });
  const held = world.broker.faults.answer("QueryConsumerOffset", { code: 1, remark: "not now" }, { times: Infinity });
  const consumer = await mq.consumer({ group, topics: "orders", consumeFrom: "first" });
  const unknown = (await consumer.lag()).filter(({ queue }) => queue.topic === "orders");
  assertEquals(unknown.map(({ isOpen, maxOffset, lag }) => [isOpen, maxOffset, lag]), [[false, 10, undefined], [
    false,
    10,
    undefined,
  ]]);
  assertMatch(unknown[0]!.reason!, /not now/);
  held.remove();
  const known = (await consumer.lag()).filter(({ queue }) => queue.topic === "orders");
  assertEquals(known.map(({ lag }) => lag), [10, 10]);
  const match = ({ fields }: { fields: Readonly<Record<string, string>> }) =>
    fields.queueId === "1" && fields.topic === "orders";
  world.broker.faults.answer("GetMaxOffset", { code: 1, remark: "no disk" }, { match, times: Infinity });
  const lags = (await consumer.lag()).filter(({ queue }) => queue.topic === "orders");
  assertEquals(lags.map(({ lag }) => lag).sort(), [10, undefined]);
  assertMatch(lags.find(({ lag }) => lag === undefined)!.reason!, /no disk/);
  assertMatch(
    String(await consumer.explain()),
    /brokerUnreachable: broker .* has 1 of 3 queues, does not answer: .*no disk/,
  );
});

Deno.test("close() in a loop reports what it waits for, and what it has given up", async () => {
  await using world = await World.make();
  await world.broker.publish("orders", ["a", "b"]);
  const { mq, events } = await world.connect();
  const consumer = await mq.consumer({ group, topics: "orders", consumeFrom: "first" });
  for await (const _ of consumer) await consumer.close({ timeout: 1_500 });
  await textOf(
    events,
    "closing",
    /^group "billing": close\(\) waits at most 1500 ms for 1 batches with 2 messages in flight/,
  );
  await textOf(events, "closing", /still waits for 1 batches.*leave the loop by break/);
  await textOf(events, "closed", /given up after 15\d\d ms, to be redelivered: 1 batches with 2 messages/);
  const levels = events.filter(({ type }) => type === "closing" || type === "closed").map(({ level }) => level);
  assertEquals(levels, ["info", "warning", "warning"]);
});

Deno.test("a throw in a loop of a POP consumer that is disposed waits for nothing; of a batch of pop() an event reports it", async () => {
  await using world = await World.make();
  const { mq, events } = await world.connect();
  const consume = async () => {
    await using consumer = await mq.popConsumer({ group, topics: "orders" });
    const batches = consumer.batches();
    const first = batches.next();
    await world.broker.publish("orders", ["a"]);
    await first;
    await batches.return!();
    assertEquals(consumer.stats().inFlight, 0);
    throw new Error("of the loop");
  };
  await assertRejects(consume, Error, "of the loop");
  assertEquals(events.filter(({ type }) => type === "closing"), []);
  const pop = async () => {
    await using consumer = await mq.popConsumer({ group: "workers", topics: "orders", closeTimeout: 100 });
    const popped = consumer.pop({ wait: 5_000 });
    await world.broker.publish("orders", ["b"]);
    assert((await popped).length > 0);
    throw new Error("beside a loop");
  };
  await assertRejects(pop, Error, "beside a loop");
  await textOf(events, "closing", /"workers": close\(\) waits at most 100 ms for 1 batches with \d messages/);
});

Deno.test("health() makes no request, and names the servers, consumers and producers", async () => {
  await using world = await World.make();
  const { mq } = await world.connect();
  const producer = await mq.producer({ group: "shop" });
  await mq.consumer({ group, topics: "orders" });
  await mq.reader({ topic: "orders" });
  const { ok, nameServers, brokers, consumers, producers } = mq.health();
  assert(ok);
  assertEquals(nameServers.map(({ state }) => state), ["connected"]);
  assertEquals(brokers.map(({ state }) => state), ["connected"]);
  assertEquals(consumers.map(({ kind, ok }) => [kind, ok]), [["consumer", true], ["reader", true]]);
  assertEquals(producers, [{ kind: "producer", group: "shop", ok: true, inFlight: 0 }]);
  await world.broker.kill();
  await waitUntil(() => mq.health().brokers.some(({ state }) => state === "unreachable"), { what: "it is gone" });
  assertEquals(mq.health().ok, false);
  await world.broker.revive();
  await producer.close();
});

Deno.test("mixedSubscriptions is reported at the join, at both members", async () => {
  await using world = await World.make();
  const first = await world.connect();
  await first.mq.consumer({ group, topics: { orders: "paid" } });
  const second = await world.connect();
  await second.mq.consumer({ group, topics: { orders: "refunded" } });
  await textOf(
    second.events,
    "mixedSubscriptions",
    /TAG "refunded" here, by another member of the group with TAG "paid"/,
  );
  await textOf(
    first.events,
    "mixedSubscriptions",
    /TAG "paid" here, by another member of the group with TAG "refunded"/,
  );
});

Deno.test("a reader of a dead letter queue that does not exist yet says so, and may wait for it", async () => {
  await using world = await World.make();
  const { mq, events } = await world.connect();
  const topic = "%DLQ%billing";
  const open = () => mq.reader({ topic });
  await assertRejects(
    open,
    InvalidTopicError,
    'Cannot read topic "%DLQ%billing": no message of group "billing" is in its dead letter queue, which the first one ' +
      'creates; check the group, or let the reader wait for it with missingTopic: "wait"',
  );
  const reader = await mq.reader({ topic, missingTopic: "wait", from: "earliest" });
  await textOf(events, "missingTopic", /"%DLQ%billing", the reader waits for it/);
  const consumer = await mq.consumer({ group, topics: "orders", consumeFrom: "first" });
  await world.broker.publish("orders", ["a"]);
  for await (const batch of consumer) {
    await batch.deadLetter();
    break;
  }
  for await (const batch of reader) {
    assertEquals(batch.messages.map((message) => message.text()), ["a"]);
    break;
  }
});
