/** Functions of users that throw, reject, or return what they should not: at every call, whatever calls them. */

import { assert, assertEquals, assertInstanceOf, assertRejects, assertStringIncludes } from "@std/assert";
import {
  average,
  type Client,
  connect,
  type ConnectOptions,
  type ConsumerOptions,
  OffsetError,
  RocketMQError,
} from "../../mod.ts";
import { MemoryOffsetStore, type OffsetStore } from "../../src/consumer/mod.ts";
import { EmbeddedBroker } from "../../src/embedded/mod.ts";
import { queueKey } from "../../src/message.ts";
import { waitUntil } from "../behaviour/harness.ts";
import { Unheard } from "../transport/waiting.ts";

/** What functions of users may do instead of what they should. */
const hostile = {
  throws: () => {
    throw new RangeError("on purpose");
  },
  rejects: () => Promise.reject(new RangeError("on purpose")),
  "throws what has no text": () => {
    throw Object.create(null);
  },
  "returns a promise": () => Promise.resolve("127.0.0.1:1"),
  "returns nonsense": () => Symbol("nonsense"),
  "returns a thenable": () => ({
    then: () => {
      throw new RangeError("on purpose");
    },
  }),
} as const;

type Hostile = (...args: unknown[]) => never;

/** A client of a broker; what nobody has heard of is looked at in the end. */
class Bench {
  readonly broker: EmbeddedBroker;
  readonly mq: Client;
  readonly unheard = new Unheard();

  private constructor(broker: EmbeddedBroker, mq: Client) {
    this.broker = broker;
    this.mq = mq;
  }

  static async open(options: ConnectOptions = {}): Promise<Bench> {
    const broker = await EmbeddedBroker.start({ topics: { orders: { queues: 2 } } });
    return new Bench(broker, await connect({ nameServers: broker.nameServer, logger: false, ...options }));
  }

  /** Consumes all that is published, whatever happens on the way. */
  async consumes(options: Partial<ConsumerOptions>, count = 20): Promise<void> {
    const consumer = await this.mq.consumer({
      group: "billing",
      topics: "orders",
      consumeFrom: "first",
      suspendQueue: 10,
      rebalanceInterval: 1_000,
      persistInterval: 100,
      ...options,
    });
    const wanted = new Set(Array.from({ length: count }, (_, i) => `${i}`));
    const stop = new AbortController();
    const running = consumer.runEach((message) => void wanted.delete(message.text()), { signal: stop.signal });
    await this.broker.publish("orders", [...wanted]);
    await waitUntil(() => wanted.size === 0, { what: () => `${[...wanted]} consumed` });
    stop.abort();
    await running;
    await consumer.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.mq.close();
    await this.broker.close();
    const reasons = await this.unheard.reported();
    this.unheard[Symbol.dispose]();
    assertEquals(reasons, []);
  }
}

for (const [how, call] of Object.entries(hostile)) {
  const act = call as Hostile;
  const isSlow = how !== "throws" && how !== "rejects"; // what takes seconds is tried with two kinds

  if (!isSlow) {
    Deno.test(`a logger that ${how} takes nothing down`, async () => {
      await using bench = await Bench.open({ logger: { warn: act, error: act } });
      const refused = bench.broker.faults.answer("UpdateConsumerOffset", { code: 1, remark: "no" }, { times: 2 });
      await bench.consumes({});
      await refused.reached(1);
    });
  }

  Deno.test(`a mapAddress that ${how} is a typed error, and when it works again consumption goes on`, async () => {
    await assertRejects(
      () => connect({ nameServers: "127.0.0.1:1", logger: false, startTimeout: 200, mapAddress: act }),
      RocketMQError,
    );
    let calls = 0;
    const mapAddress = (address: string) => [1, 2].includes(++calls) ? act() : address;
    await using bench = await Bench.open({ mapAddress });
    await bench.consumes({});
    assert(calls > 2, `${calls} calls`);
  });

  if (!isSlow) {
    Deno.test(`an allocation strategy that ${how} is a typed error of the start, or is asked again`, async () => {
      await using bench = await Bench.open({ startTimeout: 2_000 });
      const always = { name: "HOSTILE", allocate: act };
      const error = await assertRejects(() => bench.consumes({ allocation: always }), RocketMQError);
      assertStringIncludes(error.message, "HOSTILE");
      assertEquals(bench.broker.members("billing"), []);
    });
  }

  Deno.test(`an allocation strategy that ${how} at first`, async () => {
    await using bench = await Bench.open();
    let calls = 0;
    const strategy = average();
    await bench.consumes({
      allocation: {
        name: strategy.name,
        allocate: (context) => ++calls <= 2 ? act() : strategy.allocate(context),
      },
    });
  });

  Deno.test(`an orderingKey that ${how} makes messages without a key`, async () => {
    await using bench = await Bench.open();
    await bench.consumes({ ordering: "byKey", orderingKey: act });
  });

  Deno.test(`an offset store whose every method ${how} lets no consumer start, and leaves none behind`, async () => {
    await using bench = await Bench.open();
    if (how === "throws" || how === "rejects" || how === "returns a thenable") {
      const store = hostileStore(["open", "read", "write", "close"], act);
      const error = await assertRejects(
        () => bench.consumes({ model: "broadcasting", offsetStore: store }),
        OffsetError,
        "on purpose",
      );
      assertInstanceOf(error.cause, RangeError);
    }
    assertEquals(bench.broker.members("billing"), []);
    await bench.consumes({ model: "broadcasting", offsetStore: new MemoryOffsetStore() });
  });

  Deno.test(`an offset store that ${how} while it runs, and when it is closed, holds nothing up`, async () => {
    await using bench = await Bench.open();
    let calls = 0;
    const atFirst: Hostile = (...args) => ++calls <= 6 ? act(...args) : undefined as never;
    const moody = hostileStore(["read", "write"], atFirst);
    await bench.consumes({ model: "broadcasting", offsetStore: moody });
    assert(calls > 6, `${calls} calls`);
    await bench.consumes({ model: "clustering", offsetStore: hostileStore(["close"], act) });
    assertEquals(bench.broker.members("billing"), []);
  });
}

Deno.test("an offset store whose writes of progress never end holds up no message and no close()", async () => {
  await using bench = await Bench.open();
  const offsets = new Map<string, number>();
  let hanging = 0;
  await bench.consumes({
    closeTimeout: 200,
    offsetStore: {
      read: (queue) => offsets.get(queueKey(queue)),
      write: (written) => {
        if (written.some(({ offset }) => offset > 0)) return new Promise(() => hanging++);
        for (const { queue, offset } of written) offsets.set(queueKey(queue), offset);
      },
      close: () => {},
    },
  });
  assertEquals([hanging, bench.broker.members("billing")], [1, []]);
});

/** A user's store some of whose methods do what they should not. */
function hostileStore(names: readonly (keyof OffsetStore)[], act: Hostile): OffsetStore {
  const offsets = new Map<string, number>();
  const good: Required<OffsetStore> = {
    open: () => {},
    read: (queue) => offsets.get(queueKey(queue)),
    write: (written) => written.forEach(({ queue, offset }) => offsets.set(queueKey(queue), offset)),
    close: () => {},
  };
  const hostile = (name: keyof OffsetStore) => (...args: never[]) =>
    act(...args) ?? Reflect.apply(good[name], good, args);
  return { ...good, ...Object.fromEntries(names.map((name) => [name, hostile(name)])) };
}

Deno.test("handlers that throw and reject, in every kind of order, lose nothing", async () => {
  await using bench = await Bench.open();
  for (const ordering of ["concurrent", "orderly", "byKey"] as const) {
    const consumer = await bench.mq.consumer({
      group: `billing-${ordering}`,
      topics: "orders",
      suspendQueue: 10,
      batchSize: 4,
      ordering,
    });
    const wanted = new Set(Array.from({ length: 20 }, (_, i) => `${ordering}-${i}`));
    let calls = 0;
    const stop = new AbortController();
    const running = consumer.run((batch) => {
      if (++calls % 3 === 1) throw new RangeError("on purpose");
      if (calls % 3 === 2 && ordering !== "concurrent") return Promise.reject(new RangeError("on purpose"));
      for (const message of batch) wanted.delete(message.text());
    }, { signal: stop.signal });
    await bench.broker.publish("orders", [...wanted]);
    await waitUntil(() => wanted.size < 20 && calls >= 3, { what: "some are consumed" });
    stop.abort();
    await running;
    await consumer.close({ timeout: 0 });
  }
});

Deno.test("whatever a handler throws fails its messages, and nothing else", async () => {
  const revoked = Proxy.revocable({}, {});
  revoked.revoke();
  const unprintable = {
    toString() {
      throw new RangeError("on purpose");
    },
  };
  const thrown = [undefined, null, Symbol("s"), Object.create(null), unprintable, revoked.proxy];
  const odd = Object.assign(new Error(), { message: Symbol("s") });
  await using bench = await Bench.open();
  for (const ordering of ["orderly", "concurrent"] as const) {
    const events = bench.mq.status();
    const group = `billing-${ordering}`;
    const left: unknown[] = [odd, ...thrown];
    const count = left.length;
    const consumer = await bench.mq.consumer({ group, topics: "orders", batchSize: 1, suspendQueue: 10, ordering });
    const stop = new AbortController();
    let consumed = 0;
    const running = consumer.run(() => {
      if (left.length > 0) throw left.pop();
      consumed++;
    }, { signal: stop.signal });
    await bench.broker.publish("orders", Array.from({ length: count }, (_, i) => `${i}`));
    let failures = 0;
    for await (const event of events) {
      if (event.type !== "handlerFailed" || event.group !== group) continue;
      failures += 1 + (event.repeated ?? 0);
      if (failures === count) break;
    }
    if (ordering === "orderly") await waitUntil(() => consumed === count, { what: "all are consumed" });
    await waitUntil(() => consumer.stats().inFlight === 0, { what: "nothing is in flight" });
    stop.abort();
    await running;
    await consumer.close();
  }
});

Deno.test("a broker that answers nonsense about a group's members takes nothing down", async () => {
  await using bench = await Bench.open();
  const bodies = ['{"connectionSet":null}', '{"connectionSet":[null]}', '{"connectionSet":{}}', "null", "[]", "{", ""];
  const answers = bodies.map((body) =>
    bench.broker.faults.answer("GetConsumerConnections", { code: 0, body: new TextEncoder().encode(body) })
  );
  const consumer = await bench.mq.consumer({ group: "billing", topics: "orders", rebalanceInterval: 1_000 });
  await answers[2]!.reached(1); // one a second, in their order
  await bench.broker.publish("orders", ["a"]);
  for await (const batch of consumer) {
    assertEquals(batch.messages.map((message) => message.text()), ["a"]);
    break;
  }
});

Deno.test("a remark, an option and an announced address are printed without what terminals obey", async () => {
  const evil = "\u001b[2J\nfake line\u202e";
  const lines: string[] = [];
  const log = (text: string) => void lines.push(text);
  await using bench = await Bench.open({ logger: { warn: log, error: log } });
  const { faults } = bench.broker;
  const refused = faults.answer("UpdateConsumerOffset", { code: 1, remark: `${evil}${"x".repeat(5_000)}` }, {
    times: 9,
  });
  const events = bench.mq.status();
  await bench.consumes({});
  await refused.reached(1);
  for await (const event of events) {
    assertPrintable(event.text);
    for (let error = event.error; error instanceof Error; error = error.cause) assertPrintable(error.message);
    if (event.error !== undefined) break;
  }
  assert(lines.length > 0);
  for (const line of lines) assertPrintable(line);

  const wrong = await assertRejects(
    () => connect({ nameServers: `${evil}:9876`, [evil]: 1 } as ConnectOptions),
    RocketMQError,
  );
  assertPrintable(wrong.message);

  const route = {
    queueDatas: [{ brokerName: evil, readQueueNums: 1, writeQueueNums: 1, perm: 6 }],
    brokerDatas: [{ brokerName: evil, cluster: "c", brokerAddrs: { 0: `${evil}:10911` } }],
  };
  const body = new TextEncoder().encode(JSON.stringify(route));
  faults.answer("GetRoute", { code: 0, body }, { times: Infinity, match: ({ fields }) => fields.topic === "evil" });
  const more = bench.mq.status();
  const consumer = await bench.mq.consumer({ group: "audit", topics: "evil" });
  for await (const { type, text } of more) {
    assertPrintable(text);
    if (type === "brokenRoute") break;
  }
  assertEquals(consumer.assignment().filter(({ topic }) => topic === "evil"), []);
  for (const line of lines) assertPrintable(line);
});

function assertPrintable(text: string): void {
  assert(!/[\p{Cc}\p{Cs}\p{Bidi_Control}]/u.test(text), JSON.stringify(text));
}
