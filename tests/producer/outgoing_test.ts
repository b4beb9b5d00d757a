import { assertEquals, assertMatch, assertStringIncludes, assertThrows } from "@std/assert";
import { type Problem, ValidationError } from "../../src/errors.ts";
import { checkMessage, reportTo } from "../../src/producer/message_check.ts";
import { json, type OutgoingMessage } from "../../src/producer/outgoing.ts";
import { fromJavaScript } from "../untyped.ts";

const utf8 = new TextEncoder();

/** The problems of a message whose body may have 8 bytes. */
function problemsOf(message: unknown): Problem[] {
  const problems: Problem[] = [];
  checkMessage(message as OutgoingMessage, 8, reportTo(problems));
  return problems;
}

/** The fields that are complained about, of a message with these on top of what is good. */
function fieldsOf(fields: object): string[] {
  return problemsOf({ topic: "orders", body: "hello", ...fields }).map(({ field }) => field);
}

Deno.test("json() serializes a value when it is called", () => {
  const value = { a: 1 };
  const body = json(value);
  value.a = 2;
  assertEquals(body.text, '{"a":1}');
  assertEquals(json(null).text, "null");
});

Deno.test("json() refuses what JSON cannot hold", () => {
  const circle: { self?: unknown } = {};
  circle.self = circle;
  for (const value of [undefined, () => 1, Symbol("s"), 1n, circle]) {
    const error = assertThrows(() => json(value), ValidationError);
    assertStringIncludes(error.message, "Cannot make a JSON body: value is ");
  }
});

Deno.test("checkMessage() returns the body of a valid message as bytes", () => {
  const bytes = utf8.encode("hello");
  const bodyOf = (body: OutgoingMessage["body"]) => checkMessage({ topic: "orders", body }, 8, () => {});
  assertEquals(bodyOf("hello"), bytes);
  assertEquals(bodyOf(bytes), bytes);
  assertEquals(bodyOf(json([1, 2])), utf8.encode("[1,2]"));
  const full = { tags: "a b", keys: ["k", "l"], properties: { price: "1", "a.b": "c" }, flag: -(2 ** 31) };
  assertEquals(fieldsOf(full), []);
  assertEquals(fieldsOf({ tags: undefined, keys: [], properties: Object.create(null), flag: undefined }), []);
});

Deno.test("checkMessage() refuses topics that brokers refuse", () => {
  for (const topic of ["", "a b", "a.b", "ä", "a".repeat(128), undefined, 7]) {
    assertEquals(fieldsOf({ topic }), ["topic"], String(topic));
  }
  for (const topic of ["SCHEDULE_TOPIC_XXXX", "RMQ_SYS_TRANS_HALF_TOPIC", "RMQ_SYS_TRANS_OP_HALF_TOPIC"]) {
    assertEquals(fieldsOf({ topic }), ["topic"], topic);
  }
  for (const topic of ["TRANS_CHECK_MAX_TIME_TOPIC", "SELF_TEST_TOPIC", "OFFSET_MOVED_EVENT"]) {
    assertEquals(fieldsOf({ topic }), ["topic"], topic);
  }
  for (const topic of ["a".repeat(127), "%RETRY%billing", "TBW102", "a|b-c_d"]) {
    assertEquals(fieldsOf({ topic }), [], topic);
  }
});

Deno.test("checkMessage() refuses bodies that are empty, too large or of another kind", () => {
  assertEquals(problemsOf({ topic: "orders", body: "" }), [
    { field: "body", value: "", allowed: "at least one byte: brokers refuse empty bodies" },
  ]);
  assertEquals(fieldsOf({ body: new Uint8Array(0) }), ["body"]);
  assertEquals(fieldsOf({ body: "12345678" }), []);
  // Bytes count, not characters.
  const [problem] = problemsOf({ topic: "orders", body: "ääääx" });
  assertEquals([problem?.field, problem?.value], ["the size of body", 9]);
  assertMatch(problem!.allowed, /^up to maxMessageSize, 8 bytes: send less, or raise it/);
  for (const body of [undefined, null, 5, {}, { text: "hello" }, [104], new ArrayBuffer(1)]) {
    assertEquals(fieldsOf({ body }), ["body"]);
  }
});

Deno.test("checkMessage() refuses tags, keys and flags that do not arrive as they are", () => {
  for (const tags of ["", " a", "a ", "a|b", "a || b", "a\u0001", "a\u0002", 5, ["a"]]) {
    assertEquals(fieldsOf({ tags }), ["tags"], JSON.stringify(tags));
  }
  for (const keys of ["", "a b", "a\tb", "a\u0002", 5, [""], ["a", "b c"], [5]]) {
    assertEquals(fieldsOf({ keys }), ["keys"], JSON.stringify(keys));
  }
  for (const flag of [1.5, 2 ** 31, NaN, "1", null]) assertEquals(fieldsOf({ flag }), ["flag"], String(flag));
});

Deno.test("checkMessage() refuses properties that are RocketMQ's own, or get lost", () => {
  for (const name of ["UNIQ_KEY", "WAIT", "TRAN_MSG", "CLUSTER", "INNER_NUM", "__RMQ.TRANSIENT.TOPIC_SYS_FLAG", ""]) {
    assertEquals(fieldsOf({ properties: { [name]: "x" } }), [`properties.${name}`], name);
  }
  for (const value of ["", "a\u0001", "a\u0002", 5, undefined, null]) {
    assertEquals(fieldsOf({ properties: { p: value } }), ["properties.p"], String(value));
  }
  assertEquals(fieldsOf({ properties: { "a\u0001b": "x" } }), ["properties.a\u0001b"]);
  for (const properties of [new Map([["a", "b"]]), [["a", "b"]], "a=b", null]) {
    assertEquals(fieldsOf({ properties }), ["properties"]);
  }
  const [problem] = problemsOf({ topic: "orders", body: "x", properties: { TAGS: "paid" } });
  assertStringIncludes(problem!.allowed, "set the message's tags");
});

Deno.test("checkMessage() names all problems at once, unknown fields included", () => {
  const problems: Problem[] = [];
  const message = fromJavaScript({ topic: "", body: "", tag: "paid", keys: [""] });
  checkMessage(message, 8, reportTo(problems, () => "messages[3]."));
  assertEquals(
    problems.map(({ field }) => field),
    ["messages[3].tag", "messages[3].topic", "messages[3].keys", "messages[3].body"],
  );
  for (const message of [undefined, null, "hello", 5]) assertEquals(problemsOf(message).length, 1);
});
