import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { SqlError, type SqlErrorCode } from "../../src/embedded/sql/errors.ts";
import { Expressions } from "../../src/embedded/sql/expressions.ts";
import { parseDouble, parseNumber } from "../../src/embedded/sql/numbers.ts";
import { MAX_DEPTH, MAX_LENGTH } from "../../src/embedded/sql/parser.ts";
import { messages, REFUSED, rows } from "../broker/sql_table.ts";

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

Deno.test("an expression is true, false or null, and only true matches", () => {
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

Deno.test("an expression is refused with its kind, the message and the position", () => {
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

Deno.test("Expressions caches the last expressions, invalid ones included", () => {
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
