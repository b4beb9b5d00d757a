/** Every option of consumers and POP consumers: what it may be, what it is without being told, and from plain JSON. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { averageByCircle, consistentHash } from "../../src/consumer/allocation/allocate.ts";
import type { ConsumerOptions } from "../../src/consumer/options.ts";
import { checkConsumerOptions, type CheckedConsumerOptions } from "../../src/consumer/options_check.ts";
import { type CheckedPopOptions, checkPopOptions, type PopConsumerOptions } from "../../src/consumer/pop/options.ts";
import { sql, tag } from "../../src/consumer/subscriptions/selector.ts";
import { ConfigError, InvalidSelectorError } from "../../src/errors.ts";
import { MemoryOffsetStore } from "../../src/offsets/memory.ts";
import { TRACE_TOPIC } from "../../src/wire/codes.ts";
import { fromJavaScript } from "../untyped.ts";

const MIB = 1024 * 1024;
const needed = { group: "billing", topics: "orders" };

/** Values that no number, flag or text of a list can be; undefined is the default. */
const neither = [null, [], {}, () => 1, Symbol.iterator, 1n, NaN];

/** One option: its default, some values that it takes, some that it does not. */
interface Row {
  readonly fallback: unknown;
  readonly good: readonly unknown[];
  readonly bad: readonly unknown[];
  /** What it is checked together with. */
  readonly beside?: Record<string, unknown>;
}

/** A whole number in a range. */
function integer(fallback: unknown, min: number, max: number): Row {
  const bad = [min - 1, max + 1, min + 0.5, String(min), -Infinity, true, new Date(), ...neither];
  return { fallback, good: [min, min + 1, max - 1, max], bad };
}

function oneOf(fallback: string, ...others: string[]): Row {
  return { fallback, good: [fallback, ...others], bad: ["", fallback.toUpperCase(), "other", 0, true, ...neither] };
}

const flag = (fallback: boolean): Row => ({ fallback, good: [true, false], bad: ["true", 0, 1, "", ...neither] });

/** A name of at most so many characters. */
function name(fallback: string, longest: number): Row {
  const bad = ["", "a b", "ä", "a/b", "x".repeat(longest + 1), 1, true, ...neither];
  return { fallback, good: ["b", "%RETRY%|a-Z_0", "x".repeat(longest)], bad };
}

const times: Row = {
  fallback: 16,
  good: [0, 1, 0x7fffffff, Infinity],
  bad: [-1, 0x80000000, 1.5, -Infinity, "16", "infinity", true, ...neither],
};

const trace: Row = {
  fallback: undefined,
  good: [],
  bad: ["true", 1, "topic", null, [], () => 1, new Date(), { other: 1 }, { topic: 1 }, { topic: "a b" }, { topic: "" }],
};

const rows: Record<Exclude<keyof ConsumerOptions, "topics">, Row> = {
  group: { ...name("billing", 255), bad: [...name("", 255).bad, undefined, "DEFAULT_CONSUMER"] },
  model: oneOf("clustering", "broadcasting"),
  ordering: oneOf("concurrent", "orderly", "byKey"),
  orderingKey: {
    fallback: undefined,
    good: [() => "a"],
    bad: ["key", 1, null, {}],
    beside: { ordering: "byKey" },
  },
  maxSubscriptions: integer(1_000, 1, 1_000_000),
  consumeFrom: {
    fallback: "last",
    good: ["last", "first", new Date(0), new Date("2026-01-01T00:00:00Z")],
    bad: [
      "",
      "LAST",
      "yesterday",
      "first1",
      "last-1",
      "12",
      "March 7",
      0,
      1_700_000_000_000,
      new Date(NaN),
      ...neither,
    ],
  },
  missingTopic: oneOf("error", "wait"),
  allocation: {
    fallback: "AVG",
    good: [averageByCircle(), consistentHash(), { name: "OWN", allocate: () => [] }],
    bad: ["", "AVG", "Average", "toString", "machineRoom", 1, { name: "OWN" }, { allocate() {} }, ...neither],
  },
  autoAck: flag(true),
  batchSize: integer(32, 1, 1_024),
  pullBatchSize: integer(32, 1, 1_024),
  pullBatchBytes: integer(262_144, 1_024, 16 * MIB),
  pullHold: integer(15_000, 1_000, 60_000),
  pullInterval: integer(0, 0, 65_535),
  maxBufferedPerQueue: integer(1_000, 1, 65_535),
  maxBufferedBytesPerQueue: integer(100 * MIB, 64 * 1_024, 1_024 * MIB),
  maxBufferedMessages: integer(50_000, 1, 10_000_000),
  maxBufferedBytes: integer(64 * MIB, 64 * 1_024, 16 * 1_024 * MIB),
  maxSpan: integer(2_000, 1, 65_535),
  maxReconsumeTimes: times,
  suspendQueue: integer(1_000, 10, 30_000),
  consumeTimeout: integer(900_000, 1_000, 0x7fffffff),
  lockTimeout: integer(30_000, 10_000, 50_000),
  rebalanceInterval: integer(20_000, 1_000, 60_000),
  persistInterval: integer(5_000, 100, 60_000),
  offsetStore: {
    fallback: undefined,
    good: [new MemoryOffsetStore(), { read() {}, write() {}, close() {} }],
    bad: ["kv", 1, { read() {} }, { read() {}, write() {}, close() {}, open: true }, {
      ...MemoryOffsetStore.prototype,
      open: true,
    }, ...neither],
  },
  instance: { ...name("default", 127), beside: { model: "broadcasting" } },
  trace,
  closeTimeout: integer(20_000, 0, 600_000),
};

const popRows: Record<Exclude<keyof PopConsumerOptions, "topics">, Row> = {
  group: rows.group,
  maxSubscriptions: rows.maxSubscriptions,
  consumeFrom: { ...oneOf("last", "first"), bad: ["LAST", new Date(), "2026-01-01", 0, ...neither] },
  missingTopic: rows.missingTopic,
  invisibleTime: integer(60_000, 5_000, 300_000),
  autoAck: rows.autoAck,
  batchSize: integer(32, 1, 32),
  pullHold: rows.pullHold,
  maxBufferedMessages: integer(1_000, 1, 65_535),
  maxReconsumeTimes: rows.maxReconsumeTimes,
  rebalanceInterval: rows.rebalanceInterval,
  closeTimeout: rows.closeTimeout,
  trace,
};

type Check = (options: never) => CheckedConsumerOptions | CheckedPopOptions;

const kinds: [name: string, check: Check, rows: Record<string, Row>][] = [
  ["ConsumerOptions", checkConsumerOptions as Check, rows],
  ["PopConsumerOptions", checkPopOptions as Check, popRows],
];

/** The fields that a check complains of. */
function problemsOf(check: Check, options: unknown): string[] {
  const { problems, message } = assertThrows(() => check(options as never), ConfigError);
  for (const { field, allowed, problem = allowed } of problems) {
    assert(message.includes(field) && message.includes(problem), message);
  }
  return problems.map(({ field }) => field).sort();
}

function show(value: unknown): string {
  return typeof value === "string"
    ? `"${value.slice(0, 20)}"`
    : typeof value === "object"
    ? JSON.stringify(value)
    : String(value);
}

for (const [name, check, table] of kinds) {
  for (const [option, { fallback, good, bad, beside = {} }] of Object.entries(table)) {
    Deno.test(`${name}.${option}: default, bounds, and what it cannot be`, () => {
      const of = (value: unknown) => ({ ...needed, ...beside, [option]: value });
      const checked = (options: unknown) => Reflect.get(check(fromJavaScript(options)), option);
      const given = checked({ ...needed, ...beside });
      if (option === "allocation") assertEquals((given as { name: string }).name, fallback);
      else if (option === "orderingKey") assertEquals(typeof given, "function");
      else assertEquals(given, fallback);
      for (const value of good) assertEquals(checked(of(value)), value, show(value));
      for (const value of bad) {
        assertEquals(problemsOf(check, of(value)), [option === "trace" ? traceField(value) : option], show(value));
      }
    });
  }

  Deno.test(`${name}: what is not known, or is no object, is refused; nothing is read from prototypes`, () => {
    assertEquals(problemsOf(check, { ...needed, batchsize: 1, toString: 2, "": 3 }), ["", "batchsize", "toString"]);
    for (const options of [undefined, null, "orders", 1, [needed]]) {
      assertEquals(problemsOf(check, options), ["options"]);
    }
    assertEquals(problemsOf(check, Object.create({ ...needed, batchSize: 0 })).includes("known"), false);
  });

  Deno.test(`${name}: all problems are in one error`, () => {
    const bad = Object.fromEntries(Object.entries(table).map(([option, row]) => [option, row.bad[0]]));
    const fields = Object.keys(table).map((option) => option === "trace" ? traceField(bad.trace) : option);
    assertEquals(problemsOf(check, { ...bad, topics: [], more: 1 }), [...fields, "topics", "more"].sort());
  });

  Deno.test(`${name}.topics: a name, names, names with selectors; at most maxSubscriptions`, () => {
    const topics = (topics: unknown, more = {}) => [...check({ ...needed, topics, ...more } as never).topics];
    const all = { type: "TAG", expression: "*", tags: new Set() };
    const paid = { type: "TAG", expression: "paid || late", tags: new Set(["paid", "late"]) };
    assertEquals(topics("a") as unknown, [["a", all]]);
    assertEquals(topics(["a", "b", "a"]) as unknown, [["a", all], ["b", all]]);
    assertEquals(topics({ a: "*", b: "paid || late", c: tag("paid", "late"), d: sql("x > 1") }) as unknown, [
      ["a", all],
      ["b", paid],
      ["c", paid],
      ["d", { type: "SQL92", expression: "x > 1" }],
    ]);
    assertEquals(topics({ a: { type: "TAG", expression: "paid || late" } }) as unknown, [["a", paid]]);
    assertEquals(topics({ a: { type: "SQL92", expression: "x > 1" } }) as unknown, [["a", sql("x > 1")]]);
    for (
      const bad of [undefined, null, 1, true, [], {}, ["a", "b c"], [1], "", "x".repeat(128), new Map([["a", "*"]])]
    ) {
      assertEquals([...new Set(problemsOf(check, { ...needed, topics: bad }))], ["topics"], show(bad));
    }
    for (
      const bad of [1, null, [], {}, { type: "TAG" }, { type: "XPATH", expression: "*" }, {
        type: "SQL92",
        expression: 1,
      }]
    ) {
      assertEquals(problemsOf(check, { ...needed, topics: { orders: bad } }), ["topics.orders"], show(bad));
    }
    const many = (count: number) => Array.from({ length: count }, (_, i) => `t${i}`);
    assertEquals(topics(many(1_000)).length, 1_000);
    assertEquals(problemsOf(check, { ...needed, topics: many(1_001) }), ["topics"]);
    assertEquals(topics(many(2), { maxSubscriptions: 2 }).length, 2);
    assertEquals(problemsOf(check, { ...needed, topics: many(3), maxSubscriptions: 2 }), ["topics"]);
  });

  Deno.test(`${name}.topics: a tag expression that cannot be one says why`, () => {
    for (const expression of ["price > 1", "||", "a IN ('b')"]) {
      assertThrows(() => check({ ...needed, topics: { orders: expression } } as never), InvalidSelectorError);
      const selector = { type: "TAG", expression };
      assertThrows(() => check({ ...needed, topics: { orders: selector } } as never), InvalidSelectorError);
    }
    assertThrows(
      () => check({ ...needed, topics: { a: { type: "SQL92", expression: " " } } } as never),
      InvalidSelectorError,
    );
  });

  Deno.test(`${name}.trace: the usual topic, or another one`, () => {
    const topics = [false, true, {}, { topic: "traces" }, { topic: undefined }];
    assertEquals(topics.map((trace) => check({ ...needed, trace } as never).trace), [
      undefined,
      TRACE_TOPIC,
      TRACE_TOPIC,
      "traces",
      TRACE_TOPIC,
    ]);
  });
}

/** The name under which a trace is complained of. */
function traceField(value: unknown): string {
  return typeof value === "object" && value !== null && "topic" in value ? "trace.topic" : "trace";
}

Deno.test("ConsumerOptions: every option of the table exists, and there is no other", () => {
  const { allowed } = assertThrows(() => checkConsumerOptions({ ...needed, x: 1 } as never), ConfigError).problems[0]!;
  const known = allowed.replace("one of the options ", "").split(", ").sort();
  assertEquals(known, [...Object.keys(rows), "topics"].sort());
  const pop = assertThrows(() => checkPopOptions({ ...needed, x: 1 } as never), ConfigError).problems[0]!.allowed;
  assertEquals(pop.replace("one of the options ", "").split(", ").sort(), [...Object.keys(popRows), "topics"].sort());
});

Deno.test("ConsumerOptions that need others: orderingKey only byKey, instance only in broadcasting", () => {
  const check = checkConsumerOptions as Check;
  for (const ordering of ["concurrent", "orderly"]) {
    assertEquals(problemsOf(check, { ...needed, ordering, orderingKey: () => "a" }), ["orderingKey"]);
  }
  assertEquals(problemsOf(check, { ...needed, orderingKey: () => "a" }), ["orderingKey"]);
  assertEquals(problemsOf(check, { ...needed, instance: "a" }), ["instance"]);
  assertEquals(problemsOf(check, { ...needed, instance: "a", model: "clustering" }), ["instance"]);
  const ownStore = { model: "broadcasting", offsetStore: new MemoryOffsetStore() };
  assertEquals(problemsOf(check, { ...needed, ...ownStore, instance: "a" }), ["instance"]);
});

Deno.test("ConsumerOptions.maxReconsumeTimes is 16, and without end where messages stay in their place", () => {
  const of = (more: Partial<ConsumerOptions>) => checkConsumerOptions({ ...needed, ...more }).maxReconsumeTimes;
  assertEquals(
    [of({}), of({ ordering: "orderly" }), of({ ordering: "byKey" }), of({ model: "broadcasting" })],
    [16, Infinity, Infinity, 16],
  );
  assertEquals([of({ ordering: "orderly", maxReconsumeTimes: 3 }), of({ maxReconsumeTimes: Infinity })], [3, Infinity]);
});

Deno.test("ConsumerOptions.orderingKey is the sharding key unless told", () => {
  const { orderingKey } = checkConsumerOptions({ ...needed, ordering: "byKey" });
  assertEquals(orderingKey({ property: (name: string) => `of ${name}` } as never), "of __SHARDINGKEY");
});

Deno.test("ConsumerOptions may come from a plain JSON object", () => {
  const options = {
    ...needed,
    topics: { orders: tag("paid", "late"), refunds: sql("price > 10"), payments: "*" },
    model: "broadcasting",
    instance: "left",
    consumeFrom: new Date("2026-03-04T05:06:07.890Z"),
    allocation: "consistentHash",
    maxReconsumeTimes: "Infinity",
    trace: { topic: "traces" },
    autoAck: false,
    batchSize: 7,
  };
  const plain = JSON.parse(JSON.stringify(options));
  assertEquals(typeof plain.consumeFrom, "string");
  const checked = checkConsumerOptions(plain);
  const direct = checkConsumerOptions(options as never);
  assertEquals([checked.consumeFrom, checked.maxReconsumeTimes], [options.consumeFrom, Infinity]);
  assertEquals([...checked.topics], [...direct.topics]);
  assertEquals(checked.allocation.name, consistentHash().name);
  assertEquals(
    { ...checked, topics: 0, allocation: 0, orderingKey: 0 },
    { ...direct, topics: 0, allocation: 0, orderingKey: 0 } as never,
  );
  for (const [allocation, name] of [["average", "AVG"], ["averageByCircle", "AVG_BY_CIRCLE"]] as const) {
    assertEquals(checkConsumerOptions({ ...needed, allocation }).allocation.name, name);
  }
  for (const consumeFrom of ["2026-03-04", "2026-03-04T05:06Z", "2026-03-04T05:06:07+02:00"]) {
    assertEquals(checkConsumerOptions({ ...needed, consumeFrom }).consumeFrom, new Date(consumeFrom));
  }
  // What JSON makes of Infinity is told, not taken for "no limit given".
  const lost = JSON.parse(JSON.stringify({ ...needed, maxReconsumeTimes: Infinity }));
  assertEquals(problemsOf(checkConsumerOptions as Check, lost), ["maxReconsumeTimes"]);
});

Deno.test("PopConsumerOptions may come from a plain JSON object", () => {
  const options = { ...needed, topics: { orders: tag("paid") }, maxReconsumeTimes: "Infinity", invisibleTime: 5_000 };
  const checked = checkPopOptions(JSON.parse(JSON.stringify(options)));
  assertEquals([checked.maxReconsumeTimes, checked.invisibleTime], [Infinity, 5_000]);
  assertEquals([...checked.topics], [["orders", tag("paid")]]);
});
