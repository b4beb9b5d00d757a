/** Texts of others are never written as they are. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import {
  ConfigError,
  InvalidTopicError,
  NetworkError,
  ResponseError,
  SubscriptionDataError,
  ValidationError,
} from "../src/errors.ts";
import { excerpt, innermost, isPlain, plain, reasonOf, shown, thrownAs } from "../src/plain_text.ts";
import { SeededRandom } from "./wire/seeded_random.ts";

/** What a terminal obeys, what ends a line, what turns letters round, and halves of pairs. */
const HOSTILE = ["\u001b[31m", "\u0000", "\n", "\r", "\t", "\u007f", "\u009b", "\u2028", "\u202e", "\u2066", "\u200f"]
  .concat(["\ud83d", "\ude00", "\ufeff", "\u061c", "\u0007"]);
const HARMLESS = ["a", "é", "中", "😀", '"', "\\", " ", "‍"];

function hostileText(random: SeededRandom, length: number): string {
  return Array.from({ length }, () => random.pick(random.below(3) === 0 ? HOSTILE : HARMLESS)).join("");
}

function isPrintable(text: string): boolean {
  return [...text].every((character) => !/[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\p{Bidi_Control}]/u.test(character));
}

Deno.test("plain() keeps what can be printed, escapes the rest as in source code, and cuts between characters", () => {
  assertEquals(plain('héllo 😀 "quoted" \\ path'), 'héllo 😀 "quoted" \\ path');
  assertEquals(plain("\u001b[2J\n\r\t\u0000"), "\\u001b[2J\\n\\r\\t\\u0000");
  assertEquals(plain("a\u202eb\ud83d"), "a\\u202eb\\ud83d");
  assertEquals(plain(plain("\u001b")), "\\u001b");
  assertEquals(excerpt("x".repeat(201)), `${"x".repeat(200)}…`);
  assertEquals(excerpt(`${"x".repeat(199)}😀`), `${"x".repeat(199)}…`);
  assert(isPlain("a b") && !isPlain("a\tb"));
});

Deno.test("shown() names any value of somebody else in few words", () => {
  assertEquals(shown("a\u001bb"), '"a\\u001bb"');
  assertEquals([[], {}, null, undefined, 5n, Symbol("s")].map((value) => shown(value)), [
    "an array",
    "an object",
    "null",
    "undefined",
    "5",
    "Symbol(s)",
  ]);
  assert(isPrintable(shown(() => {
    return 1;
  })));
});

Deno.test("reasonOf() is the text of an error, and of whatever else was thrown", () => {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  const thrown = [new RangeError("why"), "why", 5, undefined, Symbol("s"), Object.create(null), proxy];
  const none = "what was thrown has no text";
  assertEquals(thrown.map(reasonOf), ["why", "why", "5", "undefined", "Symbol(s)", none, none]);
  assertEquals(reasonOf(Object.assign(new Error(), { message: Symbol("s") })), "Symbol(s)");
});

Deno.test("whatever a server or an option holds, errors are one line that can be printed, of bounded length", () => {
  const random = new SeededRandom(23);
  for (let i = 0; i < 2_000; i++) {
    const text = hostileText(random, random.below(i % 100 === 0 ? 20_000 : 300));
    const problems = [{ field: text, value: text, allowed: "another" }];
    const errors = [
      new ResponseError("GetRoute", 1, text, text),
      new ValidationError("send a message", problems),
      new ConfigError("connect", [...problems, ...problems]),
      new SubscriptionDataError(problems),
      new InvalidTopicError(`Cannot find topic "${text}"`, text),
      new NetworkError(`Cannot connect to ${text}`, text, "CONNECT_FAILED"),
    ];
    for (const error of errors) {
      assert(isPrintable(error.message), JSON.stringify(error.message));
      assert(error.message.length <= 8_001);
    }
    assert(errors[0]!.message.length < 550 && errors[1]!.message.length < 550);
    assertEquals((errors[0] as ResponseError).remark, text);
  }
});

Deno.test("thrownAs() names what a handler has thrown and where, and innermost() the first cause", () => {
  assertMatch(thrownAs(new TypeError("no id")), /^TypeError: no id \(.*plain_text_test\.ts:\d+:\d+\)$/);
  assertEquals([thrownAs("a text"), thrownAs(undefined)], ["a text", "undefined"]);
  const ring = new Error("ring");
  ring.cause = ring;
  assertEquals([innermost(new Error("a", { cause: new Error("b", { cause: "c" }) })), innermost(ring)], ["c", ring]);
});
