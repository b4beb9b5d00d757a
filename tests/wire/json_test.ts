import { assert, assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import { NetworkError } from "../../src/errors.ts";
import { type JsonValue, pairsOf, parseJson } from "../../src/wire/json.ts";
import { SeededRandom } from "./seeded_random.ts";

/** Gives objects their usual prototype, so that they can be compared with literals. */
function usual(value: JsonValue | undefined): unknown {
  if (Array.isArray(value)) return value.map(usual);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, usual(member)]));
}

function parse(text: string): unknown {
  return usual(parseJson(text));
}

Deno.test("parseJson() reads ordinary JSON", () => {
  const text =
    ` { "a" : [ 1 , -2.5e3 , 0 , true , false , null ] ,\t"b":{"":"x"},\r\n"c":"é\\u00e9\\n\\\\\\"\\/😀\\ud83d\\ude00" } `;
  assertEquals(parse(text), JSON.parse(text));
  for (const plain of ["[]", "{}", '""', "0", "1E+2", "0.1", "[[[]]]", '"\\b\\f\\r\\t"', " null "]) {
    assertEquals(parse(plain), JSON.parse(plain), plain);
  }
});

Deno.test("parseJson() reads keys without quotes", () => {
  assertEquals(parse('{0:"10.0.0.1:10911",-1:2, 10 : 3,"4":5}'), { 0: "10.0.0.1:10911", "-1": 2, 10: 3, 4: 5 });
  assertEquals(parse('{"brokerAddrs":{0:"a"}}'), { brokerAddrs: { 0: "a" } });
});

Deno.test("parseJson() reads maps with objects as keys as pairs", () => {
  const text = '{"offsetTable":{{"brokerName":"b","queueId":0}:{"offset":5}, {"brokerName":"b","queueId":1} : 6}}';
  const { offsetTable } = parseJson(text) as Record<string, JsonValue>;
  assertEquals(usual(offsetTable), [
    [{ brokerName: "b", queueId: 0 }, { offset: 5 }],
    [{ brokerName: "b", queueId: 1 }, 6],
  ]);
  assertEquals(pairsOf(offsetTable).map(([key, value]) => [key["queueId"], usual(value)]), [[0, { offset: 5 }], [
    1,
    6,
  ]]);
});

Deno.test("pairsOf() gives none for an empty or missing map", () => {
  assertEquals(pairsOf(parseJson("{}")), []);
  assertEquals(pairsOf(undefined), []);
});

Deno.test("parseJson() keeps integers exact", () => {
  assertEquals(parseJson("[9007199254740991,9007199254740992,-9007199254740992,-9223372036854775808]"), [
    9007199254740991,
    9007199254740992n,
    -9007199254740992n,
    -9223372036854775808n,
  ]);
  assertEquals(parseJson("1e300"), 1e300);
  assertEquals(parseJson("9007199254740993.0"), 9007199254740992);
  assertThrows(() => parseJson("1".repeat(1_000_000)), NetworkError, "an integer of 1000000 characters");
});

Deno.test("parseJson() gives objects that inherit nothing", () => {
  const object = parseJson('{"__proto__":{"polluted":1},"constructor":2,"a":1,"a":3}') as Record<string, JsonValue>;
  assertStrictEquals(Object.getPrototypeOf(object), null);
  assertEquals(Object.keys(object), ["__proto__", "constructor", "a"]);
  assertEquals(object["a"], 3);
  assertEquals(usual(object["__proto__"]), { polluted: 1 });
  assertStrictEquals(({} as Record<string, unknown>)["polluted"], undefined);
  assertStrictEquals(object["toString"], undefined);
});

Deno.test("parseJson() says where the text stops being JSON", () => {
  const cases: [string, number, string][] = [
    ["", 0, "a value, found the end"],
    ["{", 1, "a key, found the end"],
    ["[1,]", 3, 'a value, found "]"'],
    ['{"a":1,}', 7, 'a key, found "}"'],
    ['{"a" 1}', 5, '":", found "1"'],
    ['{"a":1 "b":2}', 7, '"," or "}", found'],
    ["[1 2]", 3, '"," or "]", found "2"'],
    ["1 2", 2, 'the end, found "2"'],
    ["01", 1, "the end"],
    ["-", 0, "a value"],
    ["1.", 1, "the end"],
    ["tru", 0, "a value"],
    ["nulls", 4, "the end"],
    ["{a:1}", 1, "a key"],
    ["{'a':1}", 1, "a key"],
    ["{01:1}", 2, '":"'],
    ["{1.5:1}", 2, '":"'],
    ["{[]:1}", 1, "a key"],
    ['"a', 2, "the rest of a string, found the end"],
    ['"a\nb"', 2, 'the rest of a string, found "\\n"'],
    ['"\\x"', 2, 'an escape, found "x"'],
    ['"\\u12g4"', 3, "four hexadecimal digits"],
    ['{{"a":1}:2,"b":3}', 11, "an object as key"],
    ["{{}}", 3, '":"'],
    ["{{}:1,}", 6, "an object as key"],
    ["\ufeff1", 0, "a value"],
    ["NaN", 0, "a value"],
  ];
  for (const [text, position, problem] of cases) {
    const error = assertThrows(() => parseJson(text), NetworkError, problem, text);
    assert(error.message.includes(`at position ${position}:`), `${text}: ${error.message}`);
    assertEquals(error.code, "MALFORMED_FRAME");
  }
});

Deno.test("parseJson() allows 100 levels and not one more", () => {
  const nested = (open: string, close: string, depth: number) => open.repeat(depth) + "1" + close.repeat(depth);
  assert(Array.isArray(parseJson(nested("[", "]", 99))));
  assertThrows(() => parseJson(nested("[", "]", 100)), NetworkError, "nested more than 100 deep");
  for (const open of ["[", "{1:", "{", '{"a":']) {
    assertThrows(() => parseJson(open.repeat(1_000_000)), NetworkError, "nested more than 100 deep");
  }
});

Deno.test("parseJson() takes linear time", () => {
  const texts = [
    `[${"1,".repeat(300_000)}1]`,
    `{${Array.from({ length: 100_000 }, (_, i) => `${i}:"${i}"`).join(",")}}`,
    `{${Array.from({ length: 50_000 }, (_, i) => `{"queueId":${i}}:${i}`).join(",")}}`,
    `"${"\\n".repeat(500_000)}"`,
    `"${"x".repeat(2_000_000)}"`,
    " ".repeat(2_000_000) + "1",
    `1.${"1".repeat(1_000_000)}`,
  ];
  for (const text of texts) parseJson(text);
});

Deno.test("parseJson() agrees with JSON.parse() on random values", () => {
  const random = new SeededRandom(9);
  const value = (depth: number): unknown => {
    const members = () => Array.from({ length: random.below(4) });
    switch (random.below(depth > 4 ? 4 : 6)) {
      case 0:
        return random.pick([true, false, null]);
      case 1:
        return random.below(2 ** 31) * random.pick([1, -1, 0.001, 1e-9, 1e6]);
      case 2:
      case 3:
        return random.text(12);
      case 4:
        return members().map(() => value(depth + 1));
      default:
        return Object.fromEntries(members().map(() => [random.text(6), value(depth + 1)]));
    }
  };
  for (let i = 0; i < 500; i++) {
    const text = JSON.stringify(value(0), null, random.pick([0, 2]));
    assertEquals(parse(text), JSON.parse(text), text);
  }
});

Deno.test("parseJson() ends with a value or a NetworkError, whatever the input", () => {
  const random = new SeededRandom(10);
  const alphabet = [...'{}{}[]:,"\\u0129-.eE tfn', "true", "null", '"a"', '{"a":1}'];
  for (let i = 0; i < 20_000; i++) {
    const text = random.text(16, alphabet);
    let ours: unknown;
    try {
      ours = parse(text);
    } catch (error) {
      if (!(error instanceof NetworkError)) throw error;
      assertThrows(() => JSON.parse(text), SyntaxError); // we refuse nothing that is JSON
      continue;
    }
    try {
      assertEquals(ours, JSON.parse(text), text);
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
      assert(text.includes("{"), text); // what we read beyond JSON is keys
    }
  }
});
