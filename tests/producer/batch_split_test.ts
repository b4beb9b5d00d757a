import { assertEquals } from "@std/assert";
import { entrySize, sequencesOf, splitBatch, type SplittableMessage } from "../../src/producer/batch_split.ts";
import { encodeBatch } from "../../src/wire/batch.ts";

function message(topic: string, size: number): SplittableMessage {
  return { topic, flag: 0, body: new Uint8Array(size), properties: "UNIQ_KEY\u0001ä\u0002" };
}

/** The parts as `topic:places`. */
function plan(messages: readonly SplittableMessage[], maxSize: number): string[] {
  return splitBatch(messages, maxSize).map(({ topic, places }) => `${topic}:${places}`);
}

Deno.test("entrySize() is what encodeBatch() writes", () => {
  const messages = [message("a", 1), message("a", 1_000)];
  assertEquals(encodeBatch(messages).length, entrySize(messages[0]!) + entrySize(messages[1]!));
});

Deno.test("splitBatch() groups by topic and keeps the order within", () => {
  const messages = ["a", "b", "a", "c", "b", "a"].map((topic) => message(topic, 10));
  assertEquals(plan(messages, 4_194_304), ["a:0,2,5", "b:1,4", "c:3"]);
  assertEquals(plan([], 100), []);
});

Deno.test("splitBatch() stays within the size, also as stored records", () => {
  const messages = Array.from({ length: 10 }, () => message("a", 1_000));
  const parts = splitBatch(messages, 5_000);
  assertEquals(parts.flatMap(({ places }) => places), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  for (const { places } of parts) {
    const stored = places.length * (1_000 + 115 + 1 + 13 + 256);
    assertEquals(stored <= 5_000 && places.length > 1, places.length === 3, `${places}`);
  }
});

Deno.test("splitBatch() puts a message that is too large into a request of its own", () => {
  const messages = [message("a", 10), message("a", 900), message("a", 10), message("a", 10)];
  assertEquals(plan(messages, 1_000), ["a:0", "a:1", "a:2,3"]);
});

Deno.test("sequencesOf() puts each part by itself, or the parts of a topic together if order counts", () => {
  const parts = splitBatch(["a", "b", "a"].map((topic) => message(topic, 900)), 1_000);
  assertEquals(sequencesOf(parts, false).map((parts) => parts.map(({ places }) => places[0])), [[0], [1], [2]]);
  assertEquals(sequencesOf(parts, true).map((parts) => parts.map(({ places }) => places[0])), [[0, 2], [1]]);
});
