import { assert, assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import { NetworkError } from "../../src/errors.ts";
import {
  type JsonObject,
  type JsonValue,
  MAX_JSON_SIZE,
  MAX_VALUES,
  pairsOf,
  parseBody,
  parseJson,
} from "../../src/wire/json.ts";
import {
  getConsumerConnections,
  getConsumerList,
  getRoute,
  lockQueues,
  queryAssignment,
  queryTimeSpan,
  type RequestSpec,
  resetConsumerOffset,
} from "../../src/wire/requests.ts";
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

Deno.test("pairsOf() returns none for an empty or missing map", () => {
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

Deno.test("parseJson() returns objects that inherit nothing", () => {
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

/** Values until there are `size` bytes of them, with commas between. */
function list(size: number, value: (i: number) => string): string {
  let text = value(0);
  for (let i = 1; text.length < size; i++) text += `,${value(i)}`;
  return text;
}

const MIB = 1024 * 1024;

Deno.test("parseJson() takes texts that are long and have few values", () => {
  const texts = [
    `"${"\\n".repeat(2 * MIB)}"`,
    `"${"\\u00e9".repeat(MIB)}"`,
    `"${"x".repeat(4 * MIB)}"`,
    " ".repeat(4 * MIB) + "1",
    `1.${"1".repeat(4 * MIB)}`,
    `[${list(MIB, () => "9".repeat(20))}]`,
  ];
  for (const text of texts) parseJson(text);
});

Deno.test("parseJson() refuses more than MAX_VALUES values, whatever they are", () => {
  const texts = [
    `[${list(4 * MIB, () => "1")}]`,
    `[${list(4 * MIB, () => "{}")}]`,
    `[${list(4 * MIB, () => "[]")}]`,
    `[${list(4 * MIB, () => '""')}]`,
    `[${list(4 * MIB, () => "[".repeat(90) + "]".repeat(90))}]`,
    `{${list(4 * MIB, (i) => `${i}:1`)}}`,
    `{${list(4 * MIB, (i) => `"k${i}":1`)}}`,
    `{${list(4 * MIB, () => '"a":1')}}`,
    `{${list(4 * MIB, () => "{}:1")}}`,
  ];
  for (const text of texts) assertThrows(() => parseJson(text), NetworkError, `more than ${MAX_VALUES} values`);
  assertEquals((parseJson(`[${"1,".repeat(MAX_VALUES - 2)}1]`) as JsonValue[]).length, MAX_VALUES - 1);
});

Deno.test("parseJson() takes few objects with large numbers as names: they take memory for all numbers below", () => {
  const objects = (count: number) => `[${Array.from({ length: count }, (_, i) => `{${16 + i}:1,"17":2}`).join(",")}]`;
  const read = parseJson(objects(1_024)) as JsonObject[];
  assertEquals(usual(read[0]), { 16: 1, 17: 2 });
  assertThrows(() => parseJson(objects(1_025)), NetworkError, "more than 1024 objects with large numbers as names");
  const small = `[${list(200_000, (i) => `{${i % 16}:1}`)}]`; // as brokers have them
  assertEquals((parseJson(small) as JsonValue[]).length > 25_000, true);
  assertEquals(Object.keys(parseJson(`{${list(500_000, (i) => `${i}:1`)}}`) as JsonObject).length > 50_000, true);
});

Deno.test("parseBody() names the request in every error, and refuses what is larger than its limit", () => {
  const bytes = (text: string) => new TextEncoder().encode(text);
  const one = { name: "GetRoute" };
  assertEquals(usual(parseBody(bytes('{0:"a"}'), one)), { 0: "a" });
  assertThrows(() => parseBody(bytes("[1"), one), NetworkError, "Cannot read the body of GetRoute at position 2:");
  const long = bytes(`"${"x".repeat(MAX_JSON_SIZE)}"`);
  const text = `Cannot read the body of GetRoute: it has ${long.length} bytes, allowed are ${MAX_JSON_SIZE}`;
  assertThrows(() => parseBody(long, one), NetworkError, text);
  assertEquals((parseBody(long, { name: "LockQueues", maxJsonSize: long.length }) as string).length, MAX_JSON_SIZE);
});

Deno.test("the limits of bodies have room for a large cluster", () => {
  const queue = (queueId: number) => ({ brokerName: "broker-of-zone-a-07", queueId, topic: "orders-of-the-region" });
  const queues = Array.from({ length: 4_096 }, (_, queueId) => queue(queueId));
  const times = { minTimeStamp: 1.7e12, maxTimeStamp: 1.7e12, consumeTimeStamp: 1.7e12, delayTime: 1.7e12 };
  const subscription = { classFilterMode: false, subString: "*", tagsSet: [], codeSet: [], subVersion: 1.7e12 };
  const address = (i: number) => `broker-${i}.rocketmq.internal.example.org:10911`;
  const bodies: [RequestSpec, unknown][] = [
    [lockQueues, { lockOKMQSet: queues }],
    [queryTimeSpan, { consumeTimeSpanSet: queues.map((messageQueue) => ({ messageQueue, ...times })) }],
    [queryAssignment, {
      messageQueueAssignments: queues.map((messageQueue) => ({ messageQueue, mode: "POP", attachments: {} })),
    }],
    [resetConsumerOffset, { offsetTable: Object.fromEntries(queues.map((each) => [JSON.stringify(each), 2 ** 40])) }],
    [getConsumerList, {
      consumerIdList: Array.from({ length: 1_000 }, (_, i) => `10.20.30.40@${"x".repeat(100)}#${i}`),
    }],
    [getConsumerConnections, {
      connectionSet: Array.from({ length: 1_000 }, (_, i) => ({
        clientId: `10.20.30.40@${"x".repeat(100)}#${i}`,
        clientAddr: "10.20.30.40:55555",
        language: "JAVA",
        version: 453,
      })),
      subscriptionTable: Object.fromEntries(Array.from({ length: 200 }, (_, i) => {
        const topic = `topic-${i}`;
        return [topic, { ...subscription, topic, expressionType: "TAG" }];
      })),
    }],
    [getRoute, {
      brokerDatas: Array.from({ length: 1_024 }, (_, i) => ({
        cluster: "DefaultCluster",
        brokerName: `broker-of-zone-a-${i}`,
        brokerAddrs: { 0: address(i), 1: address(i) },
      })),
      queueDatas: Array.from({ length: 1_024 }, (_, i) => ({
        brokerName: `broker-of-zone-a-${i}`,
        perm: 6,
        readQueueNums: 4,
        writeQueueNums: 4,
        topicSysFlag: 0,
      })),
    }],
  ];
  for (const [spec, body] of bodies) {
    const text = JSON.stringify(body);
    assertEquals(JSON.stringify(usual(parseBody(new TextEncoder().encode(text), spec))), text, spec.name);
  }
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
