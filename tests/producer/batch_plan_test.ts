import { assertEquals } from "@std/assert";
import { divide, type Divisible, entrySize, lanesOf } from "../../src/producer/batch_plan.ts";
import { encodeBatch } from "../../src/wire/batch.ts";

function message(topic: string, size: number): Divisible {
  return { topic, flag: 0, body: new Uint8Array(size), properties: "UNIQ_KEY\u0001ä\u0002" };
}

/** The portions as `topic:places`. */
function plan(messages: readonly Divisible[], maxSize: number): string[] {
  return divide(messages, maxSize).map(({ topic, places }) => `${topic}:${places}`);
}

Deno.test("entrySize() is what encodeBatch() writes", () => {
  const messages = [message("a", 1), message("a", 1_000)];
  assertEquals(encodeBatch(messages).length, entrySize(messages[0]!) + entrySize(messages[1]!));
});

Deno.test("divide() groups by topic and keeps the order within", () => {
  const messages = ["a", "b", "a", "c", "b", "a"].map((topic) => message(topic, 10));
  assertEquals(plan(messages, 4_194_304), ["a:0,2,5", "b:1,4", "c:3"]);
  assertEquals(plan([], 100), []);
});

Deno.test("divide() stays within the size, also as stored records", () => {
  const messages = Array.from({ length: 10 }, () => message("a", 1_000));
  const portions = divide(messages, 5_000);
  assertEquals(portions.flatMap(({ places }) => places), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  for (const { places } of portions) {
    const stored = places.length * (1_000 + 115 + 1 + 13 + 256);
    assertEquals(stored <= 5_000 && places.length > 1, places.length === 3, `${places}`);
  }
});

Deno.test("divide() lets a message that is too large travel alone", () => {
  const messages = [message("a", 10), message("a", 900), message("a", 10), message("a", 10)];
  assertEquals(plan(messages, 1_000), ["a:0", "a:1", "a:2,3"]);
});

Deno.test("lanesOf() gives each portion a lane, or each topic if order counts", () => {
  const portions = divide(["a", "b", "a"].map((topic) => message(topic, 900)), 1_000);
  assertEquals(lanesOf(portions, false).map((lane) => lane.map(({ places }) => places[0])), [[0], [1], [2]]);
  assertEquals(lanesOf(portions, true).map((lane) => lane.map(({ places }) => places[0])), [[0, 2], [1]]);
});
