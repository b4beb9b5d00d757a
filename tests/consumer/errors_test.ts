/** Each error of a consumer, made by a situation in which it happens: its code, its fields, and what caused it. */

import { assert, assertEquals, assertInstanceOf, assertRejects, assertStringIncludes } from "@std/assert";
import * as door from "../../mod.ts";
import {
  type AllocationStrategy,
  average,
  BrokerNotAvailableError,
  type Client,
  ConfigError,
  connect,
  type ConnectOptions,
  type Consumer,
  ConsumerError,
  type ConsumerOptions,
  ConsumerShutdownError,
  ConsumerStartError,
  ConsumerStateError,
  InvalidConsumeResultError,
  InvalidSelectorError,
  InvalidTopicError,
  MessageConsumeError,
  MessagePullError,
  type MessageQueue,
  NameServerError,
  NetworkError,
  OffsetError,
  OffsetFetchError,
  RebalanceError,
  ResponseError,
  RocketMQError,
  sql,
  type StatusEvent,
  type StatusEventType,
  SubscribeError,
  SubscriptionConflictError,
  SubscriptionDataError,
  SubscriptionError,
  SubscriptionLimitExceededError,
  TimeoutError,
  TopicNotSubscribedError,
  UnsupportedError,
  ValidationError,
} from "../../mod.ts";
import { EmbeddedBroker, type EmbeddedBrokerOptions, type FaultRequest } from "../../src/embedded/mod.ts";
import { filesBelow, root } from "../../tools/testing/files.ts";
import { nextBatch, waitUntil } from "../behaviour/harness.ts";
import { fromJavaScript } from "../untyped.ts";

const [group, topic] = ["billing", "orders"];
const queue: MessageQueue = { topic, broker: "broker-a", queueId: 0 };
const no = { code: 1, remark: "no" };

/** A broker with one topic of one queue, a client, and what it tells. */
class World {
  readonly broker: EmbeddedBroker;
  readonly mq: Client;
  readonly events: StatusEvent[] = [];
  #reading: Promise<void>;

  private constructor(broker: EmbeddedBroker, mq: Client) {
    this.broker = broker;
    this.mq = mq;
    this.#reading = this.#read();
  }

  static async make(options: ConnectOptions = {}, broker: EmbeddedBrokerOptions = {}): Promise<World> {
    const embedded = await EmbeddedBroker.start({ topics: { [topic]: { queues: 1 } }, ...broker });
    return new World(embedded, await connect({ nameServers: embedded.nameServer, logger: false, ...options }));
  }

  consumer(some: Partial<ConsumerOptions> = {}): Promise<Consumer> {
    return this.mq.consumer({
      group,
      topics: topic,
      consumeFrom: "first",
      persistInterval: 60_000,
      closeTimeout: 0,
      ...some,
    });
  }

  /** A consumer whose queue is open. */
  async open(some: Partial<ConsumerOptions> = {}): Promise<Consumer> {
    const consumer = await this.consumer(some);
    const isOpen = async () => (await consumer.lag()).some((each) => each.isOpen && each.queue.topic === topic);
    await waitUntil(isOpen, { what: "the queue is open" });
    return consumer;
  }

  /** Has requests about one topic fail until the fault is removed. */
  fail(request: string, about: string = topic, answer: typeof no | "drop" = no) {
    return this.broker.faults.answer(request, answer, { times: Infinity, match: isAbout(about) });
  }

  event(type: StatusEventType, matches: (event: StatusEvent) => boolean = () => true): Promise<StatusEvent> {
    return waitUntil(() => this.events.find((event) => event.type === type && matches(event)), {
      what: () => `an event "${type}"; there were ${this.events.map((event) => event.type)}`,
    });
  }

  async #read(): Promise<void> {
    for await (const event of this.mq.status()) this.events.push(event);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.broker.faults.clear();
    await this.mq.close();
    await this.#reading;
    await this.broker.close();
  }
}

function isAbout(about: string): (request: FaultRequest) => boolean {
  return ({ fields }) => fields.topic === about;
}

type ErrorClass<E> = abstract new (...args: never[]) => E;

/** An error of a class and all above it, with its code, and whether it is worth another try. */
function assertError<E extends RocketMQError>(
  error: unknown,
  Class: ErrorClass<E>,
  code: string,
  retriable: boolean,
  Above: ErrorClass<RocketMQError> = RocketMQError,
): E {
  assertInstanceOf(error, Class);
  assertInstanceOf(error, Above);
  assertInstanceOf(error, RocketMQError);
  assertEquals([error.name, error.code, error.retriable], [Class.name, code, retriable]);
  return error;
}

/** The error that a call rejects with. */
async function rejection(work: () => Promise<unknown>): Promise<unknown> {
  return await assertRejects(work);
}

Deno.test("ConfigError and ValidationError name each field that is wrong", async () => {
  await using world = await World.make();
  const config = assertError(
    await rejection(() => world.consumer({ batchSize: 0 })),
    ConfigError,
    "INVALID_OPTIONS",
    false,
    ValidationError,
  );
  assertEquals(config.problems, [{ field: "batchSize", value: 0, allowed: "an integer from 1 to 1024" }]);
  const { subscriptions } = await world.consumer();
  const invalid = assertError(
    await rejection(() => subscriptions.subscribe("a b")),
    ValidationError,
    "INVALID_VALUE",
    false,
  );
  assertEquals(invalid.problems.map(({ field, value }) => [field, value]), [["topic", "a b"]]);
});

Deno.test("NetworkError, TimeoutError and ResponseError tell which server failed how", async () => {
  await using world = await World.make({ requestTimeout: 1_000 });
  const consumer = await world.open();
  const seek = () => consumer.seek(consumer.assignment().find((queue) => queue.topic === topic)!, "latest");
  const answer = world.fail("GetMaxOffset");
  const refused = assertError(await rejection(seek), ResponseError, "RESPONSE_1", true);
  assertEquals(
    [refused.request, refused.responseCode, refused.remark, refused.address],
    ["GetMaxOffset", 1, "no", world.broker.nameServer],
  );
  answer.remove();
  const silence = world.fail("GetMaxOffset", topic, "drop");
  const late = assertError(await rejection(seek), TimeoutError, "TIMEOUT", true);
  assertEquals(late.timeout, 1_000);
  silence.remove();
  await world.broker.kill();
  const lost = assertError((await world.event("disconnected")).error, NetworkError, "CONNECTION_LOST", true);
  assertEquals(lost.address, world.broker.nameServer);
  await world.broker.revive();
});

Deno.test("NameServerError: nobody answers at the name server's address", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const nameServers = `127.0.0.1:${listener.addr.port}`;
  listener.close();
  const error = await rejection(() => connect({ nameServers, startTimeout: 100, logger: false }));
  const { cause } = assertError(error, NameServerError, "NAME_SERVER_UNREACHABLE", true);
  assertError(cause, NetworkError, "CONNECT_FAILED", true);
});

Deno.test("UnsupportedError: POP with a broker before 5.0, SQL with a broker that does not filter by it", async () => {
  await using old = await World.make({}, { dialect: "4.9" });
  assertError(
    await rejection(() => old.mq.popConsumer({ group, topics: topic })),
    UnsupportedError,
    "UNSUPPORTED",
    false,
  );
  const off = old.broker.faults.answer("CheckClientConfig", { code: 1, remark: "The broker does not support it" });
  const error = await rejection(() => old.consumer({ topics: { [topic]: sql("a > 1") } }));
  const { message, cause } = assertError(error, UnsupportedError, "UNSUPPORTED", false);
  assertStringIncludes(message, "The broker does not support it");
  assertError(cause, ResponseError, "RESPONSE_1", true);
  assertEquals(off.hits, 1);
});

Deno.test("ConsumerStartError: the client is a member already, or the queues cannot be divided", async () => {
  await using world = await World.make({ startTimeout: 100 });
  const consumer = await world.consumer();
  const twice = await rejection(() => world.consumer());
  assertError(twice, ConsumerStartError, "GROUP_IN_USE", false, ConsumerError);
  await consumer.close();
  const fault = world.broker.faults.answer("GetConsumerList", no, { times: Infinity });
  const error = await rejection(() => world.consumer());
  const start = assertError(error, ConsumerStartError, "REBALANCE_FAILED", true, ConsumerError);
  const cause = assertError(start.cause, RebalanceError, "REBALANCE_FAILED", true, ConsumerError);
  assert(cause.group === group && [topic, `%RETRY%${group}`].includes(cause.topic), cause.message);
  assertError(cause.cause, ResponseError, "RESPONSE_1", true);
  fault.remove();
  await (await world.consumer()).close();
});

Deno.test("RebalanceError: an allocation strategy throws, at the start and later", async () => {
  await using world = await World.make({ startTimeout: 100 });
  const broken = new RangeError("no share for us");
  let isBroken = true;
  const allocation: AllocationStrategy = {
    name: "OWN",
    allocate(context) {
      if (isBroken) throw broken;
      return average().allocate(context);
    },
  };
  const start = await rejection(() => world.consumer({ allocation }));
  const { cause } = assertError(start, ConsumerStartError, "REBALANCE_FAILED", true);
  assertEquals(assertError(cause, RebalanceError, "REBALANCE_FAILED", true).cause, broken);
  isBroken = false;
  const consumer = await world.consumer({ allocation, rebalanceInterval: 1_000 });
  const owned = () => consumer.assignment().filter((each) => each.topic === topic).length;
  assertEquals(owned(), 1);
  isBroken = true;
  const { error, group: about } = await world.event("stalled", (event) => event.topic === topic);
  const rebalance = assertError(error, RebalanceError, "REBALANCE_FAILED", true, ConsumerError);
  assertEquals([about, rebalance.group, rebalance.topic, rebalance.cause], [group, group, topic, broken]);
  assertStringIncludes(rebalance.message, `the allocation strategy "OWN" failed`);
  await waitUntil(() => owned() === 0, { what: "the queue revoked" });
  isBroken = false;
  await waitUntil(() => owned() === 1, { what: "the queue back" });
});

Deno.test("RebalanceError: an allocation strategy gives what it must not give", async () => {
  await using world = await World.make({ startTimeout: 100 });
  const foreign = { topic, broker: "broker-a", queueId: 7 };
  for (const given of [undefined, "all", [null], [foreign], [queue, { ...queue }]]) {
    const allocation: AllocationStrategy = {
      name: "OWN",
      allocate: ({ queues }) => queues[0]?.topic === topic ? fromJavaScript(given) : queues,
    };
    const { cause } = assertError(
      await rejection(() => world.consumer({ allocation })),
      ConsumerStartError,
      "REBALANCE_FAILED",
      true,
    );
    const error = assertError(cause, RebalanceError, "REBALANCE_FAILED", true);
    assertEquals(error.topic, topic);
    assertStringIncludes(error.message, "no list of queues of the topic");
  }
});

Deno.test("ConsumerStateError: the consumer, the queue or the batch is not what the call needs", async () => {
  await using world = await World.make();
  await world.broker.publish(topic, ["a", "b"]);
  const consumer = await world.open({ batchSize: 1 });
  const foreign = await rejection(() => consumer.seek({ ...queue, queueId: 7 }, 0));
  assertError(foreign, ConsumerStateError, "QUEUE_NOT_ASSIGNED", false, ConsumerError);
  const batches = consumer.batches();
  const first = await nextBatch(batches);
  const [message] = first.messages;
  const second = await nextBatch(batches);
  for (const settle of ["ack", "retry", "deadLetter"] as const) {
    const other = await rejection(() => second[settle](message!));
    assertError(other, ConsumerStateError, "NOT_IN_BATCH", false);
  }
  const waiting = batches.next();
  assertError(await rejection(() => batches.next()), ConsumerStateError, "ASKED_AHEAD", false);
  await consumer.seek(queue, 0);
  assertEquals((await waiting).done, false);
  await batches.return!();
  const third = await nextBatch(consumer.batches());
  const { signal } = third;
  await consumer.seek(queue, 0);
  assertError(signal.reason, ConsumerStateError, "BATCH_VOID", false);
  await consumer.close();
  for (const call of [() => consumer.seek(queue, 0), () => consumer.drain()]) {
    assertError(await rejection(call), ConsumerStateError, "CONSUMER_CLOSED", false);
  }
});

Deno.test("ConsumerShutdownError: the last commit fails", async () => {
  await using world = await World.make();
  await world.broker.publish(topic, ["a"]);
  const consumer = await world.open();
  const batch = await nextBatch(consumer.batches());
  await batch.ack();
  const fault = world.fail("UpdateConsumerOffset");
  await consumer.close();
  const ends = () => world.events.filter(({ error }) => error instanceof ConsumerShutdownError);
  await waitUntil(() => ends().length > 0, { what: "the event of the last commit" });
  const { error, level, group: about } = ends()[0]!;
  const shutdown = assertError(error, ConsumerShutdownError, "LAST_COMMIT_FAILED", false, ConsumerError);
  const offset = assertError(shutdown.cause, OffsetError, "OFFSET_STORE_FAILED", true);
  assertError(offset.cause, ResponseError, "RESPONSE_1", true);
  assertEquals([level, about, ends().length], ["warning", group, 1]);
  fault.remove();
  const again = await nextBatch((await world.consumer()).batches());
  assertEquals(again.messages.map((message) => message.text()), ["a"]);
});

Deno.test("SubscribeError: the cluster cannot be asked about a subscription, and nothing changes", async () => {
  await using world = await World.make({ requestTimeout: 1_000 });
  world.broker.createTopic("refunds", { queues: 1 });
  const { subscriptions } = await world.consumer();
  const before = subscriptions.export();
  const record = { topic: "refunds", type: "TAG", expression: "*" } as const;
  const fault = world.fail("GetRoute", "refunds", "drop");
  for (const change of [() => subscriptions.subscribe("refunds"), () => subscriptions.import([record])]) {
    const error = assertError(await rejection(change), SubscribeError, "SUBSCRIBE_FAILED", true, ConsumerError);
    assertEquals(error.topic, "refunds");
    assertError(error.cause, TimeoutError, "TIMEOUT", true);
  }
  assertEquals(subscriptions.export(), before);
  fault.remove();
  await subscriptions.import([record]);
  const busy = { code: 2, remark: "[REJECTREQUEST]" };
  const checks = world.broker.faults.answer("CheckClientConfig", busy, { times: Infinity });
  for (
    const change of [
      () => subscriptions.updateSelector("refunds", sql("a > 1")),
      () => subscriptions.import([{ ...record, type: "SQL92", expression: "a > 1" }]),
    ]
  ) {
    const error = assertError(await rejection(change), SubscribeError, "SUBSCRIBE_FAILED", true);
    assertError(error.cause, ResponseError, "RESPONSE_2", true);
  }
  assertEquals(subscriptions.get("refunds")?.selector.expression, "*");
  checks.remove();
  await subscriptions.updateSelector("refunds", sql("a > 1"));
  const away = world.broker.faults.answer("CheckClientConfig", "cut", { times: Infinity });
  const lost = assertError(await rejection(() => subscriptions.validate()), SubscribeError, "SUBSCRIBE_FAILED", true);
  assertInstanceOf(lost.cause, NetworkError);
  away.remove();
  await subscriptions.validate();
});

Deno.test("SubscribeError: a consumer that starts cannot ask about a topic; no broker of it is known", async () => {
  await using world = await World.make({ requestTimeout: 1_000 });
  const fault = world.fail("GetRoute", topic, "drop");
  const error = assertError(await rejection(() => world.consumer()), SubscribeError, "SUBSCRIBE_FAILED", true);
  assertError(error.cause, TimeoutError, "TIMEOUT", true);
  fault.remove();
  const nobody = new TextEncoder().encode(`{"queueDatas":[],"brokerDatas":[]}`);
  world.broker.faults.answer("GetRoute", { code: 0, body: nobody }, { match: isAbout(topic) });
  const alone = await rejection(() => world.consumer({ topics: { [topic]: sql("a > 1") } }));
  const { cause } = assertError(alone, SubscribeError, "SUBSCRIBE_FAILED", true);
  assertError(cause, BrokerNotAvailableError, "BROKER_NOT_AVAILABLE", true);
});

Deno.test("MessageConsumeError: a handler throws; InvalidConsumeResultError: it returns a result of Java's", async () => {
  await using world = await World.make({}, { delayLevels: Array(18).fill(0) });
  await world.broker.publish(topic, ["a"]);
  const consumer = await world.open();
  const thrown = new RangeError("cannot handle it");
  let failures = 0;
  const running = consumer.run(() => {
    if (failures++ === 0) throw thrown;
    return failures === 2 ? "RECONSUME_LATER" : undefined;
  });
  const failed = (await world.event("handlerFailed")).error;
  const error = assertError(failed, MessageConsumeError, "HANDLER_FAILED", true, ConsumerError);
  assertEquals([error.topic, error.messageIds.length, error.cause], [topic, 1, thrown]);
  const second = await world.event("handlerFailed", (event) => event.error !== failed);
  const { cause } = assertError(second.error, MessageConsumeError, "HANDLER_FAILED", true);
  const invalid = assertError(cause, InvalidConsumeResultError, "INVALID_CONSUME_RESULT", false, ConsumerError);
  assertEquals(invalid.result, "RECONSUME_LATER");
  await waitUntil(() => failures === 3, { what: "the message comes a third time" });
  await consumer.close();
  await running;
});

Deno.test("MessagePullError: a pull fails, or the broker asks for less", async () => {
  await using world = await World.make();
  const consumer = await world.open();
  const full = world.broker.faults.answer("PullMessage", { code: 215, remark: "slow down" }, { match: isAbout(topic) });
  await world.broker.publish(topic, ["wakes the pull that is held"]);
  await full.reached();
  const throttled = await world.event("throttled");
  await world.broker.publish(topic, ["ends the pull that is held, after one was refused"]);
  await waitUntil(() => consumer.stats().buffered === 2, { what: "pulls go on" });
  world.broker.faults.answer("PullMessage", no, { match: isAbout(topic) });
  await world.broker.publish(topic, ["wakes it again"]);
  const stalled = await world.event("stalled");
  for (
    const [{ error, queue: about, group: whose }, code] of [[throttled, "RESPONSE_215"], [
      stalled,
      "RESPONSE_1",
    ]] as const
  ) {
    const pull = assertError(error, MessagePullError, "PULL_FAILED", true, ConsumerError);
    assertEquals([about, whose, { topic: pull.topic, broker: pull.broker, queueId: pull.queueId }], [
      queue,
      group,
      queue,
    ]);
    assertError(pull.cause, ResponseError, code, true);
  }
});

Deno.test("MessagePullError: a pop fails, asked for and in a loop", async () => {
  await using world = await World.make();
  const consumer = await world.mq.popConsumer({ group, topics: topic });
  const fault = world.broker.faults.answer("PopMessage", no, { times: Infinity });
  const check = (error: unknown) => {
    const { topic: about, broker, queueId, cause } = assertError(
      error,
      MessagePullError,
      "PULL_FAILED",
      true,
      ConsumerError,
    );
    assertEquals([about, broker, queueId], [topic, "broker-a", -1]);
    assertError(cause, ResponseError, "RESPONSE_1", true);
  };
  check(await rejection(() => consumer.pop()));
  const waiting = consumer.batches().next();
  check((await world.event("stalled")).error);
  fault.remove();
  await consumer.close();
  assertEquals((await waiting).done, true);
});

Deno.test("RebalanceError: a POP consumer cannot find out its brokers", async () => {
  await using world = await World.make({ requestTimeout: 1_000 });
  const consumer = await world.mq.popConsumer({ group, topics: topic, missingTopic: "wait", rebalanceInterval: 1_000 });
  let asked = 0; // the check of the new topic is answered, the look at its brokers is not
  world.broker.faults.answer("GetRoute", no, {
    times: Infinity,
    match: ({ fields }) => fields.topic === "later" && ++asked > 1,
  });
  await consumer.subscriptions.subscribe("later");
  const { error } = await world.event("stalled", (event) => event.topic === "later");
  const rebalance = assertError(error, RebalanceError, "REBALANCE_FAILED", true);
  assertEquals([rebalance.group, rebalance.topic], [group, "later"]);
  assertError(rebalance.cause, ResponseError, "RESPONSE_1", true);
});

Deno.test("OffsetError and OffsetFetchError: an offset cannot be stored, or not be read", async () => {
  await using world = await World.make();
  await world.broker.publish(topic, ["a"]);
  const unreadable = world.fail("QueryConsumerOffset");
  const consumer = await world.consumer();
  const { error, queue: about } = await world.event("stalled");
  const fetch = assertError(error, OffsetFetchError, "OFFSET_FETCH_FAILED", true, OffsetError);
  assertInstanceOf(fetch, ConsumerError);
  assertError(fetch.cause, ResponseError, "RESPONSE_1", true);
  assertEquals(about, queue);
  unreadable.remove();
  const batch = await nextBatch(consumer.batches());
  await batch.ack();
  const fault = world.fail("UpdateConsumerOffset");
  const stored = assertError(await rejection(() => consumer.commit()), OffsetError, "OFFSET_STORE_FAILED", true);
  assertError(stored.cause, ResponseError, "RESPONSE_1", true);
  fault.remove();
  await consumer.commit();
});

Deno.test("SubscriptionError: each of its kinds", async () => {
  await using world = await World.make();
  const { subscriptions } = await world.consumer({ maxSubscriptions: 1 });
  const missing = await rejection(() => world.mq.consumer({ group: "other", topics: "nowhere" }));
  assertEquals(assertError(missing, InvalidTopicError, "TOPIC_NOT_FOUND", false, SubscriptionError).topic, "nowhere");
  const refused = await rejection(() => subscriptions.updateSelector(topic, sql("a >")));
  const selector = assertError(refused, InvalidSelectorError, "INVALID_SELECTOR", false, SubscriptionError);
  assertEquals(selector.selector, "a >");
  assertError(selector.cause, ResponseError, "RESPONSE_23", false);
  const stranger = await rejection(() => subscriptions.unsubscribe("nowhere"));
  const unknown = assertError(stranger, TopicNotSubscribedError, "TOPIC_NOT_SUBSCRIBED", false, SubscriptionError);
  assertEquals(unknown.topic, "nowhere");
  const again = await rejection(() => subscriptions.subscribe(topic, "paid"));
  const conflict = assertError(again, SubscriptionConflictError, "SUBSCRIPTION_CONFLICT", false, SubscriptionError);
  assertEquals([conflict.topic, conflict.current, conflict.wanted], [topic, "*", "paid"]);
  const many = await rejection(() => subscriptions.subscribe("more"));
  const limit = assertError(
    many,
    SubscriptionLimitExceededError,
    "SUBSCRIPTION_LIMIT_EXCEEDED",
    false,
    SubscriptionError,
  );
  assertEquals(limit.limit, 1);
  const nonsense = await rejection(() => subscriptions.import([{ topic: "a b" }] as never));
  const data = assertError(nonsense, SubscriptionDataError, "SUBSCRIPTION_DATA", false, SubscriptionError);
  assertEquals(data.problems.map(({ field }) => field), ["0.topic", "0.expression"]);
});

Deno.test("RocketMQError: a client that is closed takes no consumer", async () => {
  await using world = await World.make();
  await world.mq.close();
  assertError(await rejection(() => world.consumer()), RocketMQError, "CLIENT_CLOSED", false);
});

Deno.test("every error that the package exports is made by some test", async () => {
  const classes = Object.values(door).filter((value) =>
    typeof value === "function" && value.prototype instanceof Error
  ) as (new (...args: never[]) => Error)[];
  assert(classes.length > 25);
  const texts = await Promise.all(filesBelow("tests", "_test.ts").map((file) => Deno.readTextFile(`${root}/${file}`)));
  const all = texts.map((text) => text.replace(/^import [^;]+;/gm, "")).join("\n");
  assertEquals(classes.map(({ name }) => name).filter((name) => !new RegExp(`\\b${name}\\b`).test(all)), []);
});
