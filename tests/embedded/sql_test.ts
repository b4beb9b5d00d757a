import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { EmbeddedBroker, type PublishedMessage } from "../../src/embedded/mod.ts";
import { SqlError, type SqlErrorCode } from "../../src/embedded/sql/errors.ts";
import { Expressions } from "../../src/embedded/sql/expressions.ts";
import { parseDouble, parseNumber } from "../../src/embedded/sql/numbers.ts";
import { MAX_DEPTH, MAX_LENGTH } from "../../src/embedded/sql/parser.ts";
import { retryTopic } from "../../src/wire/codes.ts";
import { checkClientConfig, getMaxOffset } from "../../src/wire/requests.ts";
import { messages, REFUSED, rows } from "../broker/sql_table.ts";
import { outcome, Peer, subscription } from "./peer.ts";

const topics = { orders: { queues: 1 } };
const SQL92 = { expressionType: "SQL92" };
const SUSPEND = 6;

/** Whether an expression of 5.x matches a message; an error if it is refused. */
function matches(expression: string, properties: Record<string, string> = {}): boolean {
  const read = new Expressions(true).read(expression);
  if (read instanceof SqlError) throw read;
  return read((name) => Object.hasOwn(properties, name) ? properties[name] : undefined);
}

/** The error that an expression of 5.x is refused with. */
function refusal(expression: string): SqlError {
  const read = new Expressions(true).read(expression);
  assert(read instanceof SqlError, expression);
  return read;
}

/** Messages with one property each, whose bodies are its values. */
function priced(...prices: string[]): PublishedMessage[] {
  return prices.map((price) => ({ body: price, properties: { price } }));
}

function sql(topic: string, expression: string, subVersion: number) {
  return { ...subscription(topic, "*", subVersion), subString: expression, ...SQL92 };
}

/** Requests of one connection are served in order: when this is answered, what was sent before has been served. */
async function served(peer: Peer): Promise<void> {
  await peer.ask(getMaxOffset, { topic: "orders", queueId: 0 });
}

for (const isV5 of [true, false]) {
  Deno.test(`expressions match as the table of real brokers says, ${isV5 ? "5.x" : "4.9"}`, () => {
    const expressions = new Expressions(isV5);
    const added = { UNIQ_KEY: "k", CLUSTER: "DefaultCluster", ...(isV5 ? { MSG_REGION: "r", TRACE_ON: "true" } : {}) };
    for (const [expression, in5, in49 = in5] of rows) {
      const read = expressions.read(expression);
      const found = read instanceof SqlError ? REFUSED : Object.entries(messages).filter(([, own]) => {
        const properties = new Map(Object.entries({ ...added, ...own }));
        return read((name) => properties.get(name));
      }).map(([name]) => name).join(" ");
      assertEquals(found, isV5 || in49 === undefined ? in5 : in49, expression);
    }
  });
}

Deno.test("an expression binds OR, AND, equality, order, signs: from the loosest to the tightest", () => {
  assert(matches("a = 1 OR a = 2 AND b = 3", { a: "1", b: "0" }));
  assert(!matches("(a = 1 OR a = 2) AND b = 3", { a: "1", b: "0" }));
  assert(matches("a > 1 = TRUE", { a: "2" }));
  assert(matches("TRUE = a > 1", { a: "2" }));
  assert(matches("NOT (a > 1) = FALSE", { a: "2" }));
  assert(matches("a BETWEEN 1 AND 3 AND b = 'x'", { a: "2", b: "x" }));
  assert(matches("a = 1 <> FALSE IS NOT NULL", { a: "1" }));
});

Deno.test("an expression knows true, false and null, and only true matches", () => {
  const table: [string, boolean][] = [
    ["no = 1 AND TRUE", false],
    ["(no = 1 AND TRUE) IS NULL", true],
    ["(no = 1 AND FALSE) IS NULL", false],
    ["(no = 1 OR TRUE) IS NULL", false],
    ["(no = 1 OR FALSE) IS NULL", true],
    ["(NOT (no = 1)) IS NULL", true],
    ["(no BETWEEN 1 AND 2) IS NULL", true],
    ["(no IN ('x')) IS NULL", true],
    ["(no CONTAINS 'x') IS NULL", false],
    ["(NULL) IS NULL", true],
  ];
  for (const [expression, expected] of table) assertEquals(matches(expression), expected, expression);
});

Deno.test("what cannot be evaluated does not match, unless it is not reached", () => {
  const word = { a: "word" };
  for (const expression of ["a = 1", "a <> 1", "NOT (a = 1)", "a > 1 OR TRUE", "a > 1 AND FALSE", "(a = 1) IS NULL"]) {
    assert(!matches(expression, word), expression);
  }
  assert(matches("TRUE OR a > 1", word));
  assert(matches("NOT (FALSE AND a > 1)", word));
  assert(matches("NOT ((a > 1) CONTAINS '')", word));
});

Deno.test("numbers are read as Java reads them", () => {
  const whole = (text: string) => parseNumber(text, "int")?.value;
  assertEquals(["+7", "-007", "٧", "-", "", "7 ", "7.0", "2147483648"].map(whole), [
    7,
    -7,
    7,
    ...Array(5).fill(undefined),
  ]);
  assertEquals(parseNumber("-9223372036854775808", "long")?.value, -(2n ** 63n));
  assertEquals(parseNumber("9223372036854775808", "long"), undefined);
  assertEquals(parseNumber("𝟕", "int"), undefined); // beyond U+FFFF
  const read = ["\t7.5d ", ".5", "5.", "1e400", "-Infinity", "0x1.8p1", "-0x.8p1F"].map(parseDouble);
  assertEquals(read, [7.5, 0.5, 5, Infinity, -Infinity, 3, -1]);
  const refused = ["", ".", "e5", "1e", "1_0", "infinity", "0x10", "0xp1", "0x.p1", "5L", "\u00a05"];
  for (const text of refused) assertEquals(parseDouble(text), undefined, text);
  assertEquals(parseDouble("0x0.0000000000001p-1022"), 5e-324);
  assertEquals(parseDouble(`0x${"1".repeat(1_000)}p-4000`), parseDouble("0x0.11111111111111p0"));
  assertEquals([parseDouble("0x0p9999"), parseDouble("0x1p9999"), parseDouble("0x1p-9999")], [0, Infinity, 0]);
});

Deno.test("numbers are compared as Java compares them", () => {
  assert(matches("a < b", { a: "-0", b: "0" }));
  assert(matches("a > b", { a: "NaN", b: "Infinity" }));
  assert(matches("a <= b AND a >= b", { a: "NaN", b: "NaN" }));
  assert(matches("a = 9007199254740993", { a: "9007199254740993" }));
  assert(!matches("a = 9007199254740993", { a: "9007199254740992" }));
  assert(matches("9007199254740993 >= 9007199254740992.0 AND 1 < 1.5 AND 2147483648 > 1"));
  assert(matches("-2147483648 = a AND - -5 = 5 AND -1.5 < 0", { a: "-2147483648" }));
});

Deno.test("an expression is refused with its kind, the complaint and the place", () => {
  const table: [string, SqlErrorCode, string][] = [
    ["a >", "SQL_GRAMMAR", 'ParseException: Encountered "<EOF>" at line 1, column 3.'],
    ["a =\n\t= 5", "SQL_GRAMMAR", 'Encountered "=" at line 2, column 9.'],
    ["a =\r\n\r)", "SQL_GRAMMAR", 'Encountered ")" at line 3, column 1.'],
    ["a NOT 5", "SQL_GRAMMAR", 'Encountered "NOT" at line 1, column 3.'],
    ["5", "SQL_GRAMMAR", "Expression will not result in a boolean value: 5"],
    ["a ! 5", "SQL_WORD", 'Lexical error at line 1, column 3.  Encountered: "!" (33), after : ""'],
    ["a.b = 5", "SQL_WORD", 'column 3.  Encountered: "b" (98), after : "."'],
    ["a = 'b", "SQL_WORD", "Lexical error at line 1, column 7.  Encountered: <EOF>"],
    ["a > 'b'", "SQL_OPERAND", "RuntimeException: Value ''b'' cannot be compared."],
    ["(a > 1) > 2", "SQL_OPERAND", "Value '(a > 1)' cannot be compared."],
    ["a = NULL", "SQL_OPERAND", "'NULL' cannot be compared."],
    ["TRUE = 1.0", "SQL_OPERAND", "'TRUE' cannot be compared with '1.0'"],
    ["a BETWEEN 2 AND 1", "SQL_OPERAND", "left value(2) must less than or equal to right value(1)"],
    ["(a OR NOT b AND -c IS NULL) IN ('x')", "SQL_OPERAND", "got: (a || ((NOT b) && ((- c) == NULL)))"],
    ["(a IN ('x') OR a NOT CONTAINS 'y') IN ('x')", "SQL_OPERAND", "got: (a IN ( x ) || (NOT CONTAINS a))"],
    ["a = 99999999999999999999L", "SQL_NUMBER", 'For input string: "99999999999999999999"'],
  ];
  for (const [expression, code, complaint] of table) {
    const error = refusal(expression);
    assertEquals(error.code, code, expression);
    assertStringIncludes(error.remark, complaint);
  }
  assertStringIncludes(refusal("a IS 5").remark, "Was expecting one of:\n    NOT NULL");
});

Deno.test("an expression that is too deep or too long is refused, and costs no stack", () => {
  const deep = (open: string, inner: string, close = "") => open.repeat(MAX_DEPTH + 1) + inner + close.repeat(9_000);
  const hostile = [
    deep("(", "a = 1", ")"),
    deep("NOT ", "a"),
    `a = ${deep("- ", "1")}`,
    `a = ${deep("+", "1")}`,
    deep("a = (", "1", ")"),
    `a${" = TRUE".repeat(9_000)}`,
    `a${" IS NULL".repeat(8_000)}`,
    `${deep("(", "a = 1")}`,
    "x".repeat(MAX_LENGTH + 1),
  ];
  for (const expression of hostile) assertEquals(refusal(expression).code, "SQL_SIZE", expression.slice(0, 20));
  const within = `${"(".repeat(MAX_DEPTH - 1)}a = 1${")".repeat(MAX_DEPTH - 1)}`;
  assert(matches(within, { a: "1" }));
});

Deno.test("a long expression that is not deep is no problem", () => {
  const any = Array.from({ length: 5_000 }, (_, i) => `a = ${i}`).join(" OR ");
  assert(matches(any, { a: "4999" }));
  assert(!matches(any, { a: "5000" }));
  const none = Array.from({ length: 4_000 }, (_, i) => `a <> ${i}`).join(" AND ");
  assert(matches(none, { a: "4000" }));
  assert(matches(`a IN (${Array.from({ length: 6_000 }, (_, i) => `'${i}'`).join()})`, { a: "5999" }));
});

Deno.test("an operand of BETWEEN is evaluated once", () => {
  const nested = (inner: string) => `${"-(".repeat(200)}${inner}${") BETWEEN 1 AND 2".repeat(200)}`;
  assert(!matches(nested("a"), { a: "1" }));
  assert(!matches(`(a = 1 AND ${nested("a = 1")})`, { a: "1" }));
  assertEquals(refusal(`(${nested("a")}) > 1`).code, "SQL_OPERAND");
});

Deno.test("hostile texts take time in proportion to their length", () => {
  const size = 30_000;
  const begun = performance.now();
  const texts = [" ", "0", "9", "1e", "'", "0x0", "-", "٥", "."].flatMap((part) => {
    const many = part.repeat(size);
    return [many, `${many}x`, `x${many}`, `x${many}x`];
  });
  for (const a of texts) {
    for (const expression of ["a = 1", "a = 1.5", "a = 2147483648", "a > b", "a = TRUE"]) {
      matches(expression, { a, b: a });
    }
  }
  const words = ["'", "/*", "--", "/* *", "''", "0", "1.", "-- \n", "\n", "$"].map((part) => part.repeat(size / 2));
  for (const text of words) {
    const expressions = new Expressions(true);
    for (const expression of [text, `a = ${text}`, `a = 1 ${text}`, `${text} = 1`]) expressions.read(expression);
  }
  assert(performance.now() - begun < 10_000); // it takes a fiftieth of that
});

Deno.test("Expressions keeps what was asked for last, the broken ones too", () => {
  const expressions = new Expressions(true);
  const kept = expressions.read("kept = 1");
  const broken = expressions.read("kept =");
  for (let i = 0; i < 250; i++) {
    expressions.read(`a = ${i}`);
    assertEquals(expressions.read("kept = 1"), kept);
    assertEquals(expressions.read("kept ="), broken);
  }
  assertEquals(expressions.size, 100);
  const old = expressions.read("a = 249");
  assertEquals(expressions.read("a = 249"), old);
});

Deno.test("names of Object's own members are properties like any other", () => {
  assert(matches("constructor IS NULL AND __proto__ IS NULL AND toString IS NULL"));
  assert(matches("constructor = 'x'", { constructor: "x" }));
});

Deno.test("CheckClientConfig checks SQL, and refuses with the complaint what it cannot read", async () => {
  await using broker = await EmbeddedBroker.start({ topics });
  await using peer = await Peer.connect(broker);
  const check = async (subscriptionData?: object) =>
    outcome(await peer.ask(checkClientConfig, {}, { body: { clientId: "c", group: "billing", subscriptionData } }));

  assertEquals(await check(sql("orders", "price > 10 AND region = 'eu'", 1)), [0, undefined]);
  const [code, remark] = await check(sql("orders", "price >", 1));
  assertEquals(code, 23);
  assertStringIncludes(String(remark), 'ParseException: Encountered "<EOF>" at line 1, column 7.');
  assertEquals((await check({ ...sql("orders", "a = 1", 1), expressionType: "OTHER" }))[0], 23);
  assertEquals((await check({ topic: "orders", ...SQL92 }))[0], 23);
  assertEquals((await check({ topic: "orders", ...SQL92, subString: null }))[0], 23);
  assertEquals((await check(subscription("orders", "price >")))[0], 0);
  assertEquals((await check())[0], 0);
});

Deno.test("CheckClientConfig refuses all SQL where the property filter is off, and 4.9 what came with 5.0", async () => {
  const check = async (options: object, expression: string) => {
    await using broker = await EmbeddedBroker.start({ topics, ...options });
    await using peer = await Peer.connect(broker);
    const body = { clientId: "c", group: "billing", subscriptionData: sql("orders", expression, 1) };
    return (await peer.ask(checkClientConfig, {}, { body })).code;
  };

  assertEquals(await check({ propertyFilter: false }, "a = 1"), 1);
  assertEquals(await check({ propertyFilter: false }, "a ="), 1);
  assertEquals(await check({ dialect: "4.9" }, "a = 1"), 0);
  assertEquals(await check({ dialect: "4.9" }, "NOT (a CONTAINS 'x')"), 23);
});

Deno.test("PullMessage filters by its own SQL, and steps over what does not match", async () => {
  await using broker = await EmbeddedBroker.start({ topics });
  await using peer = await Peer.connect(broker);
  await broker.publish("orders", [...priced("5", "15", "many", "25"), "without"]);
  const pull = { topic: "orders", ...SQL92 };
  const texts = async (subscription: string, queueOffset = 0) =>
    (await peer.messages({ ...pull, subscription, queueOffset })).map((message) => message.text());

  assertEquals(await texts("price > 10"), ["15", "25"]);
  assertEquals(await texts("price > 10", 2), ["25"]);
  assertEquals(await texts("price IS NULL"), ["without"]);
  const none = await peer.pull({ ...pull, subscription: "price > 100" });
  assertEquals([...outcome(none), none.fields.nextBeginOffset], [20, "NO_MATCHED_MESSAGE", "5"]);
  assertEquals((await peer.pull({ ...pull, subscription: "" })).code, 23);
});

Deno.test("PullMessage lets everything through if its SQL cannot be read", async () => {
  await using broker = await EmbeddedBroker.start({ topics });
  await using peer = await Peer.connect(broker);
  await broker.publish("orders", priced("5", "15"));
  const count = async (header: object) => (await peer.messages({ topic: "orders", ...SQL92, ...header })).length;

  assertEquals(await count({ subscription: "price >" }), 2);
  assertEquals(await count({ subscription: "(".repeat(MAX_DEPTH + 1) }), 2);
  assertEquals(await count({ subscription: "price > 100", expressionType: "OTHER" }), 2);
});

Deno.test("PullMessage filters by properties whatever else is in a message", async () => {
  const group = "g".repeat(200);
  const topic = "t".repeat(127);
  await using broker = await EmbeddedBroker.start({ topics: { [topic]: { queues: 1 } }, delayLevels: [0] });
  await using peer = await Peer.connect(broker);
  const body = new Uint8Array(100_000).fill(1);
  await broker.publish(topic, [
    { body, tags: "paid", keys: ["a", "b"], properties: { region: "größer", note: "" } },
    { body, tags: "open", properties: { region: "x".repeat(1_000) } },
  ]);
  const [first] = await peer.messages({ topic });
  const retries = retryTopic(group); // its length has two bytes in records
  await peer.sendBack({ group, offset: first!.commitLogOffset, delayLevel: 1, originTopic: topic });
  await peer.untilMessages({ topic: retries });
  const offsets = async (subscription: string, from = topic) =>
    (await peer.messages({ topic: from, ...SQL92, subscription })).map((message) => message.queueOffset);

  assertEquals(await offsets("region = 'größer'"), [0]);
  assertEquals(await offsets("TAGS IN ('paid') AND KEYS = 'a b'"), [0]);
  assertEquals(await offsets("region STARTSWITH 'xxx'"), [1]);
  assertEquals(await offsets("UNIQ_KEY IS NOT NULL"), [0, 1]);
  assertEquals(await offsets("region = 'größer' AND TAGS = 'paid'", retries), [0]);
  assertEquals(await offsets("region IS NULL", retries), []);
});

Deno.test("PullMessage filters by the SQL of its group's heartbeat", async () => {
  await using broker = await EmbeddedBroker.start({ topics });
  await using peer = await Peer.connect(broker);
  await broker.publish("orders", priced("5", "15"));
  const pull = (subVersion: number) => peer.pull({ topic: "orders", sysFlag: 0, subVersion });
  const texts = async (subVersion: number) =>
    (await peer.messages({ topic: "orders", sysFlag: 0, subVersion })).map((message) => message.text());

  await peer.join("billing", [sql("orders", "price > 10", 2)]);
  assertEquals(await texts(2), ["15"]);
  assertEquals((await pull(3)).code, 25);
  await peer.join("billing", [sql("orders", "price < 10", 2)]);
  assertEquals(await texts(2), ["15"]);
  await peer.join("billing", [sql("orders", "price < 10", 3)]);
  assertEquals(await texts(3), ["5"]);
  await peer.join("billing", [sql("orders", "price < 10", 4)]);
  assertEquals(await texts(4), ["5"]);
  await peer.join("billing", [sql("orders", "", 5)]);
  assertEquals(outcome(await pull(5)), [28, "the consumer's consumer filter data not latest"]);
  await peer.join("billing", [sql("orders", "price <", 6)]);
  const remark = "The broker's consumer filter data is not exist!Your expression may be wrong!";
  assertEquals(outcome(await pull(6)), [27, remark]);
  await peer.join("billing", [subscription("orders", "*", 7)]);
  assertEquals(await texts(7), ["5", "15"]);
});

Deno.test("a group's SQL outlives its members", async () => {
  await using broker = await EmbeddedBroker.start({ topics });
  await broker.publish("orders", priced("5", "15"));
  for (const expression of ["price > 10", "price < 10"]) {
    await using peer = await Peer.connect(broker);
    await peer.join("billing", [sql("orders", expression, 2)]);
    const found = await peer.messages({ topic: "orders", sysFlag: 0, subVersion: 2 });
    assertEquals(found.map((message) => message.text()), ["15"], "the same version is not taken over");
  }
});

Deno.test("a retry topic is not filtered by the SQL of its group", async () => {
  await using broker = await EmbeddedBroker.start({ topics });
  await using peer = await Peer.connect(broker);
  const topic = retryTopic("billing");
  await peer.join("billing", [sql("orders", "price > 10", 1), subscription(topic)]);
  await peer.send({ topic, body: "again", with: { price: "5" } });

  const [message] = await peer.messages({ topic, sysFlag: 0, subVersion: 1 });
  assertEquals(message?.text(), "again");
});

for (const own of [true, false]) {
  Deno.test(`a held pull waits for messages that ${own ? "its" : "its group's"} SQL matches`, async () => {
    await using broker = await EmbeddedBroker.start({ topics });
    await using peer = await Peer.connect(broker);
    await peer.join("billing", [sql("orders", "price > 10", 1)]);
    const subscribed = own ? { sysFlag: SUSPEND, subscription: "price > 10" } : { sysFlag: 2, subVersion: 1 };

    const held = peer.pull({ topic: "orders", ...SQL92, ...subscribed });
    await served(peer);
    for (const price of ["5", "many", "10"]) {
      await broker.publish("orders", priced(price));
      assertEquals(broker.heldPulls, 1);
    }
    await broker.publish("orders", ["without", ...priced("11", "12", "1")]);

    const answer = await held;
    assertEquals([...outcome(answer), answer.fields.nextBeginOffset], [0, "FOUND", "7"]);
    assertEquals(broker.heldPulls, 0);
  });
}

Deno.test("a held pull by SQL ends with 20 within 5 seconds of messages that do not match", async () => {
  using time = new FakeTime();
  await using broker = await EmbeddedBroker.start({ topics });
  await using peer = await Peer.connect(broker);

  const held = peer.pull({ topic: "orders", sysFlag: SUSPEND, ...SQL92, subscription: "price > 10" });
  await served(peer);
  await broker.publish("orders", priced("5"));
  time.tick(4_999);
  assertEquals(broker.heldPulls, 1);
  time.tick(1);
  const answer = await held;
  assertEquals([...outcome(answer), answer.fields.nextBeginOffset], [20, "NO_MATCHED_MESSAGE", "1"]);
});
