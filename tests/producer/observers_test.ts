/** What observers of sends receive, and that nothing which they do changes a send. */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  ConfigError,
  connect,
  json,
  type ObservedMessage,
  type ObservedSend,
  type OutgoingMessage,
  ProducerError,
  type ProducerObserver,
  type ProducerOptions,
  type SendAttempt,
  SendBatchError,
  type SendEnd,
  type SendListener,
  TimeoutError,
  ValidationError,
} from "../../mod.ts";
import { EmbeddedBroker } from "../../src/embedded/mod.ts";
import { EventHub, type StatusEvent } from "../../src/events.ts";
import { createProducer } from "../../src/producer/mod.ts";
import { eventually } from "../transport/waiting.ts";
import { connectTo, messagesIn, watchSends } from "./setup.ts";
import { fromJavaScript } from "../untyped.ts";

const topics = { orders: { queues: 1 }, payments: { queues: 1 } };
const queue = { topic: "orders", broker: "broker-a", queueId: 0 };
const message = { topic: "orders", body: "hello" };

/** Keeps all that it receives, and calls `onSend` if it is set. */
class Recorder implements ProducerObserver {
  readonly sends: ObservedSend[] = [];
  readonly attempts: SendAttempt[] = [];
  readonly ends: SendEnd[] = [];
  readonly before: (send: ObservedSend) => void;

  constructor(before: (send: ObservedSend) => void = () => {}) {
    this.before = before;
  }

  onSend(send: ObservedSend): SendListener {
    this.sends.push(send);
    this.before(send);
    return {
      onAttempt: (attempt) => {
        this.attempts.push(attempt);
      },
      onEnd: (end) => {
        this.ends.push(end);
      },
    };
  }

  /** The errors of the attempts, by their names. */
  get errors(): (string | undefined)[] {
    return this.attempts.map(({ error }) => error instanceof Error ? error.name : undefined);
  }
}

/** A producer with observers over an embedded broker. */
async function setUp(observers: readonly ProducerObserver[], options: ProducerOptions = {}) {
  await using stack = new AsyncDisposableStack();
  const broker = stack.use(await EmbeddedBroker.start({ topics }));
  const hub = new EventHub(false);
  const { cluster } = stack.use(await connectTo(broker, { events: hub }));
  const producer = stack.use(await createProducer(cluster, options, observers));
  const events: StatusEvent[] = [];
  const reading = (async () => {
    for await (const event of hub.read()) if (event.type === "observerFailed") events.push(event);
  })();
  stack.defer(async () => {
    hub.close();
    await reading;
  });
  const moved = stack.move();
  const stored = () => messagesIn(cluster, queue);
  return { broker, producer, events, stored, [Symbol.asyncDispose]: () => moved.disposeAsync() };
}

/** Adds a number to each message. */
function number(send: ObservedSend): void {
  send.messages.forEach((each, i) => assert(each.addProperty("number", `n${i}`)));
}

Deno.test("onSend() receives the message and may add properties; the attempts and the receipt follow", async () => {
  const observer = new Recorder(number);
  await using given = await setUp([observer], { group: "shop" });
  const { broker, producer } = given;
  broker.faults.answer("SendMessage", { code: 1 }, { times: 1 });
  const began = Date.now();
  const own = { topic: "orders", body: json({ a: "é" }), tags: "t", keys: ["k1", "k2"], properties: { user: "u" } };

  const receipt = await producer.send(own, { orderingKey: "k", delayLevel: 1 }).catch(() => producer.send(own));

  const [first, second] = observer.sends;
  assertEquals([first!.method, first!.group, first!.orderingKey, first!.delayLevel], ["send", "shop", "k", 1]);
  assertEquals([second!.orderingKey, second!.delayLevel], [undefined, undefined]);
  const seen = second!.messages[0]!;
  assertEquals([seen.topic, seen.messageId, seen.tags], ["orders", receipt.messageId, "t"]);
  assertEquals([seen.keys, seen.bodySize], [["k1", "k2"], 10]);
  assertEquals([seen.property("user"), seen.property("number"), seen.property("KEYS")], ["u", "n0", "k1 k2"]);
  assertEquals(observer.errors, ["ResponseError", undefined]);
  for (const { queue: tried, address, startTime, endTime } of observer.attempts) {
    assertEquals([tried, address], [queue, broker.nameServer]);
    assert(startTime >= began - 50 && endTime >= startTime && endTime <= Date.now() + 50);
  }
  const [failed, stored] = observer.ends;
  assertEquals([failed!.receipts, failed!.error instanceof ProducerError], [[undefined], true]);
  assertEquals([stored!.receipts, stored!.error], [[receipt], undefined]);
  const [record] = await given.stored();
  assertEquals([record!.property("number"), record!.property("user")], ["n0", "u"]);
  assertEquals([record!.messageId, record!.tags, record!.text()], [receipt.messageId, "t", '{"a":"é"}']);
});

Deno.test("observers receive each attempt of a send, also to a message whose body is compressed", async () => {
  const observer = new Recorder(number);
  await using given = await setUp([observer]);
  const { broker, producer } = given;
  broker.faults.answer("SendMessage", { code: 2 }, { times: 2 });
  for (const body of ["x".repeat(5_000), "y".repeat(1_000_000)]) {
    await producer.send({ topic: "orders", body });
    assertEquals(observer.sends.at(-1)!.messages[0]!.bodySize, body.length);
  }
  assertEquals(observer.errors, ["ResponseError", "ResponseError", undefined, undefined]);
  const stored = await given.stored();
  assertEquals(stored.map((each) => [each.property("number"), each.body.length]), [["n0", 5_000], ["n0", 1_000_000]]);
});

Deno.test("an attempt without an answer in its time is reported once, also when its answer ends the send", async () => {
  const observer = new Recorder();
  await using given = await setUp([observer], { sendTimeout: 30_000, retries: 20 });
  const { broker, producer } = given;
  const late = broker.faults.answer("SendMessage", "delay", { times: Infinity });
  const sent = producer.send(message);
  await late.reached(2);
  late.remove();
  await sent;
  const errors = observer.attempts.map(({ error }) => error instanceof TimeoutError);
  assert(errors[0], "the first attempt was overdue");
  assertEquals(observer.ends.map(({ error }) => error), [undefined]);
  assert(observer.attempts.length <= broker.faults.received("SendMessage"));
});

Deno.test("sendBatch() is one send of several messages, each with properties and a receipt of its own", async () => {
  const observer = new Recorder(number);
  await using given = await setUp([observer]);
  const { broker, producer } = given;
  const messages = ["a", "b", "c"].map((body) => ({ topic: body === "b" ? "payments" : "orders", body }));

  const receipts = await producer.sendBatch(messages);

  assertEquals(observer.sends.map((send) => [send.method, send.messages.length]), [["sendBatch", 3]]);
  assertEquals(observer.sends[0]!.messages.map(({ messageId }) => messageId), receipts.map((each) => each.messageId));
  assertEquals(observer.attempts.map((attempt) => attempt.queue.topic).toSorted(), ["orders", "payments"]);
  assertEquals(observer.ends.map((end) => [end.receipts, end.error]), [[receipts, undefined]]);
  assertEquals((await given.stored()).map((each) => each.property("number")), ["n0", "n2"]);

  const refused = (topic: string) => ({
    match: ({ fields }: { fields: Readonly<Record<string, string>> }) => fields.b === topic,
  });
  broker.faults.answer("SendBatch", { code: 13 }, { times: 1, ...refused("payments") });
  const error = await assertRejects(() => producer.sendBatch(messages), SendBatchError);
  assertEquals(observer.ends[1]!.error, error);
  assertEquals(observer.ends[1]!.receipts, error.receipts);
  assertEquals(await producer.sendBatch([]), []);
  assertEquals(observer.sends.length, 2);
});

Deno.test("sendOneway() ends without a receipt", async () => {
  const observer = new Recorder(number);
  await using given = await setUp([observer]);
  await given.producer.sendOneway(message);
  assertEquals([observer.sends[0]!.method, observer.errors], ["sendOneway", [undefined]]);
  assertEquals(observer.ends.map((end) => [end.receipts, end.error]), [[[undefined], undefined]]);
  await eventually(async () => (await given.stored()).length === 1, "it is stored");
  assertEquals((await given.stored())[0]!.property("number"), "n0");
});

Deno.test("with linger each send has its observers, and the attempts of the request that it shares", async () => {
  const observer = new Recorder(number);
  await using given = await setUp([observer], { linger: 50 });
  const { broker, producer } = given;
  const seen = watchSends(broker, "SendBatch");
  const bodies = ["a", "b", "c", "d"];
  const receipts = await Promise.all([
    ...bodies.map((body) => producer.send({ topic: "orders", body })),
    producer.send({ topic: "orders", body: "e" }, { delayLevel: 1 }),
  ]);
  assertEquals(observer.sends.map(({ method }) => method), Array(5).fill("send"));
  assertEquals([seen.length, observer.attempts.length], [1, 5]);
  const stored = observer.ends.map((end) => end.receipts[0]!.messageId);
  assertEquals(stored.toSorted(), receipts.map((each) => each.messageId).toSorted());
  assertEquals((await given.stored()).map((each) => each.property("number")), Array(4).fill("n0"));
  const stop = new AbortController();
  const stuck = broker.faults.answer("SendMessage", "drop");
  const sent = producer.send(message, { signal: stop.signal });
  await stuck.reached();
  stop.abort("stop");
  assertEquals(await sent.catch((reason) => reason), "stop");
  assertEquals([observer.ends.at(-1)!.error, observer.attempts.at(-1)!.error], ["stop", "stop"]);
});

Deno.test("an observer that throws or rejects is an event, and changes nothing", async () => {
  const last = new Recorder(number);
  const listeners: (() => SendListener | undefined)[] = [
    () => {
      throw new RangeError("before");
    },
    () => ({
      onAttempt: () => {
        throw new RangeError("attempt");
      },
    }),
    () => ({ onEnd: () => Promise.reject(new RangeError("end")) }),
    () => undefined,
  ];
  const failing = listeners.map((listener): ProducerObserver => ({
    onSend(send) {
      for (const each of send.messages) each.addProperty("added", "x");
      return listener();
    },
  }));
  const patient: ProducerObserver = {
    onSend(send) {
      send.messages[0]!.addProperty("late", "x");
      return fromJavaScript(Promise.reject(new RangeError("promise")));
    },
  };
  await using given = await setUp([failing[0]!, patient, ...failing.slice(1), last]);
  const { producer, events } = given;
  await producer.send(message);
  await producer.sendBatch([message, message]);
  await eventually(() => events.length === 8, "all failures are events");
  const reasons = events.map(({ text }) => /failed: (?:Cannot use what onSend)?(\w*)/.exec(text)![1]);
  assertEquals(reasons.filter((reason) => reason === "").length, 2);
  for (const reason of ["before", "attempt", "end"]) {
    assertEquals(reasons.filter((each) => each === reason).length, 2, reason);
  }
  assertEquals(events[0]!.group, "denorocket-producer");
  assertEquals([last.sends.length, last.ends.length], [2, 2]);
  for (const each of await given.stored()) {
    assertEquals([each.property("late"), each.property("added")], [undefined, "x"]);
    assert(each.property("number") !== undefined);
  }
});

Deno.test("addProperty() keeps to the rules of properties, and to what the message has", async () => {
  let kept: ObservedMessage | undefined;
  const observer = new Recorder(({ messages: [each] }) => {
    kept = each;
    for (const [name, value] of [["", "v"], ["TAGS", "v"], ["a\x01", "v"], ["a", ""], ["a", "\x02"]] as const) {
      assertThrows(() => each!.addProperty(name, value), ValidationError);
    }
    assertThrows(() => each!.addProperty("large", "é".repeat(16_400)), ValidationError);
    assertEquals(each!.addProperty("user", "other"), false);
    assertEquals(each!.addProperty("new", "1"), true);
    assertEquals(each!.addProperty("new", "2"), false);
  });
  await using given = await setUp([observer]);
  await given.producer.send({ ...message, properties: { user: "u" } });
  assertThrows(() => kept!.addProperty("after", "v"), TypeError);
  const [stored] = await given.stored();
  assertEquals([stored!.property("user"), stored!.property("new"), given.events], ["u", "1", []]);
  const invalid = { topic: "orders", body: "" } satisfies OutgoingMessage;
  await assertRejects(() => given.producer.send(invalid), ValidationError);
  await assertRejects(() => given.producer.sendBatch([invalid]), ValidationError);
  assertEquals(observer.sends.length, 1);
});

Deno.test("connect() passes its observers to all producers", async () => {
  await using broker = await EmbeddedBroker.start({ topics });
  const observer = new Recorder();
  const options = { nameServers: broker.nameServer, logger: false } as const;
  await using mq = await connect({ ...options, observers: [observer, {}] });
  for (const group of ["a", "b"]) {
    await using producer = await mq.producer({ group });
    await producer.send(message);
  }
  assertEquals(observer.sends.map(({ group }) => group), ["a", "b"]);
});

Deno.test("connect() refuses what is no observer", async () => {
  for (const observers of [{}, [1], [null], [{ onSend: 3 }]]) {
    await assertRejects(() => connect({ observers: fromJavaScript(observers) }), ConfigError, "observers");
  }
});
