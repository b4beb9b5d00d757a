import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { ValidationError } from "../../src/errors.ts";
import { encodeProperties, findProperty, parseProperties } from "../../src/wire/properties.ts";
import { readable } from "../../src/wire/utf8.ts";
import { SeededRandom } from "./seeded_random.ts";

const encoder = new TextEncoder();

/** Writes 0x01 as `=` and 0x02 as `;`. */
function raw(text: string): string {
  return text.replaceAll("=", "\u0001").replaceAll(";", "\u0002");
}

function find(text: string, name: string): string | undefined {
  const bytes = encoder.encode(`;${text}TAGS=behind;`);
  return findProperty(readable(bytes), 1, 1 + encoder.encode(text).length, encoder.encode(name));
}

Deno.test("encodeProperties() writes pairs in order and leaves out empty values", () => {
  assertEquals(encodeProperties([["TAGS", "a"], ["KEYS", ""], ["city", "Zürich"]]), raw("TAGS=a;city=Zürich;"));
  assertEquals(encodeProperties([]), "");
  assertEquals(encodeProperties(new Map([["a", "b"]])), raw("a=b;"));
});

Deno.test("encodeProperties() refuses what could not be read again, all of it at once", () => {
  const error = assertThrows(
    () => encodeProperties([["", "x"], ["a\u0001", "x"], ["b", "x\u0002y"], ["\u0002", ""]]),
    ValidationError,
  );
  assertEquals(error.problems.map((problem) => problem.value), ["", "a\u0001", "x\u0002y", "\u0002"]);
  assertStringIncludes(error.message, "Cannot encode properties");
});

Deno.test("encodeProperties() allows 32 767 bytes and not one more", () => {
  assertEquals(encodeProperties([["a", "x".repeat(32_764)]]).length, 32_767);
  assertThrows(() => encodeProperties([["a", "x".repeat(32_765)]]), ValidationError, "32768");
  assertEquals(encodeProperties([["a", "é".repeat(16_382)]]).length, 16_385);
  assertThrows(() => encodeProperties([["a", "é".repeat(16_383)]]), ValidationError, "32769");
});

Deno.test("parseProperties() reads as RocketMQ does", () => {
  const cases: [string, [string, string][]][] = [
    ["", []],
    ["a=b;", [["a", "b"]]],
    ["a=b", [["a", "b"]]], // the last separator may be missing
    ["a=b;c=d", [["a", "b"], ["c", "d"]]],
    ["a=b;a=c;", [["a", "c"]]], // the last value counts
    ["a=;b=c;", [["b", "c"]]], // no value
    ["=x;b=c;", [["b", "c"]]], // no name
    ["x;b=c;", [["b", "c"]]], // no pair
    [";;;b=c;;;", [["b", "c"]]],
    ["a=b=c;", [["a", "b=c"]]], // only the first separator of a pair counts
    ["a==;", [["a", "="]]],
    ["x;y;z", []],
  ];
  for (const [text, pairs] of cases) {
    const expected = new Map(pairs.map(([name, value]) => [name, raw(value)]));
    assertEquals(parseProperties(raw(text)), expected, text);
  }
});

Deno.test("parseProperties() takes linear time for hostile text", () => {
  assertEquals(parseProperties(`${"\u0002".repeat(2_000_000)}a\u0001b`).size, 1);
  assertEquals(parseProperties("x\u0002".repeat(1_000_000)).size, 0);
  assertEquals(parseProperties("\u0001".repeat(2_000_000)).size, 0);
});

Deno.test("findProperty() finds the value that parseProperties() keeps, and decodes only it", () => {
  assertEquals(find(raw("TAGS=a;KEYS=b;"), "TAGS"), "a");
  assertEquals(find(raw("KEYS=b;TAGS=a"), "TAGS"), "a");
  assertEquals(find(raw("TAGS=a;TAGS=b;x=y;"), "TAGS"), "b");
  assertEquals(find(raw("TAGS=a;TAGS=;"), "TAGS"), "a");
  assertEquals(find(raw("XTAGS=a;TAGSX=b;TAG=c;x=TAGS;"), "TAGS"), undefined);
  assertEquals(find(raw("TAGS=größer als sechzehn;"), "TAGS"), "größer als sechzehn");
  assertEquals(find("", "TAGS"), undefined);
});

Deno.test("findProperty() agrees with parseProperties() on random bytes", () => {
  const random = new SeededRandom(3);
  const alphabet = ["a", "b", "é", "\u0001", "\u0002", "\u0001", "\u0002"];
  for (let i = 0; i < 20_000; i++) {
    const text = random.text(24, alphabet);
    const parsed = parseProperties(text);
    for (const name of ["a", "b", "ab", "é"]) {
      assertEquals(find(text, name), parsed.get(name), JSON.stringify([text, name]));
    }
  }
});

Deno.test("encodeProperties() and parseProperties() are each other's inverse", () => {
  const random = new SeededRandom(4);
  for (let i = 0; i < 1_000; i++) {
    const entries = new Map(
      Array.from({ length: random.below(8) }, () => [`n${random.text(9)}`, `v${random.text(40)}`]),
    );
    assertEquals(parseProperties(encodeProperties(entries)), entries);
  }
});
