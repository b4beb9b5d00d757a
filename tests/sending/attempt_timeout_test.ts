import { assertEquals } from "@std/assert";
import { attemptTimeout } from "../../src/sending/attempt_timeout.ts";

/** The times of attempts that all stay without an answer, with as many as are possible at first. */
function partsOf(timeout: number, possible: number): number[] {
  const parts: number[] = [];
  for (let left = timeout; left > 0; left -= parts.at(-1)!) parts.push(attemptTimeout(left, possible - parts.length));
  return parts;
}

Deno.test("attemptTimeout() divides the time among the attempts that are possible", () => {
  assertEquals(partsOf(3_000, 3), [1_000, 1_000, 1_000]);
  assertEquals(partsOf(60_000, 3), [20_000, 20_000, 20_000]);
  assertEquals(partsOf(3_000, 1), [3_000]);
});

Deno.test("attemptTimeout() makes no attempt shorter than a healthy broker may need", () => {
  assertEquals(partsOf(250, 3), [250]);
  assertEquals(partsOf(999, 3), [999]);
  assertEquals(partsOf(1_200, 3), [500, 700]);
  assertEquals(partsOf(3_000, 101), [500, 500, 500, 500, 500, 500]);
});

Deno.test("attemptTimeout() returns all that is left when more attempts were made than were expected", () => {
  assertEquals(attemptTimeout(2_000, 0), 2_000);
  assertEquals(attemptTimeout(2_000, -5), 2_000);
});
