import { assert, assertEquals, assertThrows } from "@std/assert";
import { NetworkError } from "../../src/errors.ts";
import { decodeHeader, encodeHeader, type Fields, headerJson, type HeaderText } from "../../src/wire/fields.ts";
import { decodeFrame, encodeBinaryFrame, encodeFrame } from "../../src/wire/frame.ts";

const table = {
  topic: "text",
  note: "text?",
  queueId: "int",
  level: "int?",
  offset: "long",
  time: "long?",
  order: "bool",
  batch: "bool?",
} as const satisfies Fields;

const short = {
  producerGroup: "text=a",
  queueId: "int=e",
  properties: "text?=i",
  batch: "bool?=m",
} as const satisfies Fields;

const all = {
  topic: "orders",
  note: "",
  queueId: 3,
  level: -1,
  offset: 9_007_199_254_740_991,
  time: -9_007_199_254_740_991,
  order: true,
  batch: false,
};
const required: HeaderText = { topic: "orders", queueId: "3", offset: "12", order: "false" };

/** Header text as JSON brings it: nobody has checked the values. */
function unchecked(values: object): HeaderText {
  return JSON.parse(JSON.stringify(values));
}

/** Asserts that text is refused, and that the error names the header and the field. */
function assertRefused(fields: Fields, text: HeaderText, words: string): void {
  const error = assertThrows(() => decodeHeader(fields, text, "Test answer"), NetworkError, words);
  assertEquals([error.code, error.message.startsWith("Cannot read Test answer: field ")], ["MALFORMED_FRAME", true]);
}

Deno.test("encodeHeader() writes text as Java prints it, under the names of the wire", () => {
  assertEquals({ ...encodeHeader(table, all) }, {
    topic: "orders",
    note: "",
    queueId: "3",
    level: "-1",
    offset: "9007199254740991",
    time: "-9007199254740991",
    order: "true",
    batch: "false",
  });
  const header = { producerGroup: "g", queueId: 0, properties: "k\u0001v", batch: true };
  assertEquals({ ...encodeHeader(short, header) }, { a: "g", e: "0", i: "k\u0001v", m: "true" });
});

Deno.test("encodeHeader() leaves out what is undefined or not in the table", () => {
  const header = { topic: "t", note: undefined, queueId: 0, offset: 0, order: false, more: "x" };
  assertEquals({ ...encodeHeader(table, header) }, { topic: "t", queueId: "0", offset: "0", order: "false" });
  assertEquals({ ...encodeHeader({}, {}) }, {});
});

Deno.test("encodeHeader() returns an object without prototype: no field is mistaken for something inherited", () => {
  assertEquals(Object.getPrototypeOf(encodeHeader(table, all)), null);
});

Deno.test("headerJson() writes the JSON of what encodeHeader() returns", () => {
  assertEquals(headerJson(table, all), JSON.stringify(encodeHeader(table, all)));
  const odd = { ...all, topic: '"\\\u0001\u2028ä\ud800', note: undefined };
  assertEquals(headerJson(table, odd), JSON.stringify(encodeHeader(table, odd)));
  assertEquals(headerJson({}, {}), "{}");
});

Deno.test("decodeHeader() reads what encodeHeader() writes, through both header encodings", () => {
  for (const encode of [encodeFrame, encodeBinaryFrame]) {
    const { fields } = decodeFrame(encode({ code: 0, opaque: 0, fields: encodeHeader(table, all) }));
    assertEquals(decodeHeader(table, fields, "Test answer"), all);
    const header = { producerGroup: "é日😀", queueId: 2, properties: "", batch: true };
    const { fields: other } = decodeFrame(encode({ code: 0, opaque: 0, fields: encodeHeader(short, header) }));
    assertEquals(decodeHeader(short, other, "Test answer"), header);
  }
});

Deno.test("decodeHeader() leaves optional fields out that are missing or null, and ignores unknown ones", () => {
  const text = unchecked({ ...required, note: null, more: "x" });
  assertEquals(
    decodeHeader(table, text, "Test answer"),
    { topic: "orders", queueId: 3, offset: 12, order: false } as never,
  );
});

Deno.test("decodeHeader() refuses required fields that are missing or null", () => {
  for (const name of ["topic", "queueId", "offset", "order"]) {
    const { [name]: _, ...rest } = required;
    assertRefused(table, rest, `field "${name}" is missing`);
    assertRefused(table, unchecked({ ...required, [name]: null }), `field "${name}" is missing`);
  }
  assertRefused(short, { producerGroup: "g", queueId: "0" }, 'field "a" is missing');
});

Deno.test("decodeHeader() reads booleans as Java does", () => {
  const read = (order: unknown) => decodeHeader(table, unchecked({ ...required, order }), "Test answer").order;
  assertEquals(["true", "TRUE", "True", true].map(read), [true, true, true, true]);
  assertEquals(["false", "", "1", "yes", " true", false, 1].map(read), [
    false,
    false,
    false,
    false,
    false,
    false,
    false,
  ]);
});

Deno.test("decodeHeader() takes numbers and booleans that are no text in JSON", () => {
  const text = unchecked({ topic: 7, queueId: 3, offset: 12, order: true });
  assertEquals(decodeHeader(table, text, "Test answer"), { topic: "7", queueId: 3, offset: 12, order: true } as never);
});

Deno.test("decodeHeader() refuses numbers that are none, have a fraction or are not safe", () => {
  const bad = [
    "",
    "x",
    "1.5",
    "NaN",
    "Infinity",
    "12abc",
    "1,000",
    "9007199254740992",
    "-9223372036854775808",
    1.5,
    1e300,
  ];
  for (const value of bad) {
    for (const name of ["queueId", "level", "offset", "time"]) {
      const text = { ...required, [name]: value } as HeaderText;
      assertRefused(table, text, `field "${name}" is "${value}", not an integer`);
    }
  }
});

Deno.test("decodeHeader() finds no field in a prototype", () => {
  const inherited = Object.assign(Object.create(required), { topic: "own" }) as HeaderText;
  assertRefused(table, inherited, 'field "queueId" is missing');
  assertRefused({ toString: "text" as const }, JSON.parse("{}"), 'field "toString" is missing');
  assertRefused({ ["__proto__"]: "text" as const }, JSON.parse("{}"), 'field "__proto__" is missing');
});

Deno.test("decodeHeader() refuses a number that is blank or of another type: it must not read as 0", () => {
  for (const value of [" ", "\t\n", "\u00a0", false, true, [], [5], { toString: 1 }]) {
    assertThrows(
      () => decodeHeader({ offset: "long" }, unchecked({ offset: value }), "Test answer"),
      NetworkError,
      'field "offset"',
      JSON.stringify(value),
    );
  }
});

Deno.test("decodeHeader() refuses a number that Java would not read", () => {
  for (const value of ["0x10", "0b1", "0o7", "1e3", " 5", "5 "]) {
    assertRefused({ offset: "long" }, { offset: value }, "not an integer");
  }
});

Deno.test("decodeHeader() refuses a field that is an object", () => {
  for (const value of [{ toString: 1 }, { toString: null, valueOf: null }, { a: 1 }]) {
    for (const kind of ["text", "long", "bool"] as const) {
      assertRefused({ field: kind }, unchecked({ field: value }), 'field "field"');
    }
  }
});

Deno.test("decodeHeader() shows the beginning of a value that is none, without what terminals obey", () => {
  const fields = { queueId: `\u001b${"x".repeat(5_000)}` };
  const error = assertThrows(() => decodeHeader({ queueId: "int" }, fields, "Test answer"), NetworkError);
  assert(error.message.length < 300 && error.message.includes("\\u001bx"), error.message);
});
