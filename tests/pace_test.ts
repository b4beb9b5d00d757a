import { assertEquals } from "@std/assert";
import { Pace } from "../src/pace.ts";

Deno.test("a place that goes on does not take the room of those that are over", () => {
  const pace = new Pace<undefined>(1, 1_000);
  for (let i = 0; i < 1_000; i++) pace.pass("stalled", `${i}`, undefined, 0);
  pace.pass("stalled", "0", undefined, 2_000); // still there, the others are not
  assertEquals(["a", "b"].map((place) => pace.pass("stalled", place, undefined, 2_100)), [0, 0]);
  assertEquals(pace.pass("stalled", "a", undefined, 2_200), undefined);
});

Deno.test("what was held back of a place does not take that room either, once it has passed", () => {
  const pace = new Pace<string>(1, 1_000);
  for (let i = 0; i < 1_000; i++) pace.pass("stalled", `${i}`, "first", 0);
  pace.pass("stalled", "0", "second", 500);
  assertEquals([...pace.due(2_000)], [["second", 0]]);
  assertEquals(["a", "b"].map((place) => pace.pass("stalled", place, "third", 2_100)), [0, 0]);
});
