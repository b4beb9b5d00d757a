import {
  assert,
  assertArrayIncludes,
  assertEquals,
  assertExists,
  assertFalse,
  assertGreater,
  assertGreaterOrEqual,
  assertInstanceOf,
  AssertionError,
  assertLess,
  assertLessOrEqual,
  assertMatch,
  assertNotEquals,
  assertRejects,
  assertStrictEquals,
  assertStringIncludes,
  assertThrows,
  fail,
  unreachable,
} from "@std/assert";
import { deadline, delay } from "@std/async";
import { fromFileUrl, join, toFileUrl } from "@std/path";
import { FakeTime } from "@std/testing/time";

/** One call of every assertion that has to pass, and one that has to fail. */
const calls: Record<string, { passes: () => void; fails: () => void }> = {
  assert: { passes: () => assert(1), fails: () => assert(0) },
  assertFalse: { passes: () => assertFalse(""), fails: () => assertFalse("x") },
  assertEquals: { passes: () => assertEquals({ a: [1] }, { a: [1] }), fails: () => assertEquals([1], [2]) },
  assertNotEquals: { passes: () => assertNotEquals([1], [2]), fails: () => assertNotEquals([1], [1]) },
  assertStrictEquals: { passes: () => assertStrictEquals(1, 1), fails: () => assertStrictEquals([], []) },
  assertExists: { passes: () => assertExists(0), fails: () => assertExists(null) },
  assertInstanceOf: {
    passes: () => assertInstanceOf(new TypeError(), Error),
    fails: () => assertInstanceOf(new Error(), TypeError),
  },
  assertGreater: { passes: () => assertGreater(2, 1), fails: () => assertGreater(1, 1) },
  assertGreaterOrEqual: { passes: () => assertGreaterOrEqual(1, 1), fails: () => assertGreaterOrEqual(0, 1) },
  assertLess: { passes: () => assertLess(1, 2), fails: () => assertLess(1, 1) },
  assertLessOrEqual: { passes: () => assertLessOrEqual(1, 1), fails: () => assertLessOrEqual(2, 1) },
  assertStringIncludes: {
    passes: () => assertStringIncludes("abc", "b"),
    fails: () => assertStringIncludes("abc", "d"),
  },
  assertMatch: { passes: () => assertMatch("abc", /b/), fails: () => assertMatch("abc", /d/) },
  assertArrayIncludes: {
    passes: () => assertArrayIncludes([{ a: 1 }, { a: 2 }], [{ a: 2 }]),
    fails: () => assertArrayIncludes([{ a: 1 }], [{ a: 2 }]),
  },
};

for (const [name, { passes, fails }] of Object.entries(calls)) {
  Deno.test(`${name}() passes what holds and throws for what does not`, () => {
    passes();
    assertThrows(fails, AssertionError);
  });
}

Deno.test("assertions narrow types", () => {
  const text: string | undefined = ["a"][0];
  assert(text);
  assertEquals(text.length, 1);
  const error: unknown = new TypeError("t");
  assertInstanceOf(error, TypeError);
  assertEquals(error.message, "t");
  const value: unknown = 1;
  assertStrictEquals(value, 1);
  assertEquals(value + 1, 2);
});

Deno.test("assertEquals() shows the difference and the caller's words", () => {
  const error = assertThrows(() => assertEquals({ a: 1 }, { a: 2 }, "totals"), AssertionError, "totals");
  assertMatch(error.message, /-.*a: 2/);
});

Deno.test("fail() and unreachable() throw", () => {
  assertThrows(() => fail("why"), AssertionError, "Failed assertion: why");
  assertThrows(() => unreachable(), AssertionError, "Unreachable.");
});

Deno.test("assertThrows() fails without a throw, with another class and with other words", () => {
  const boom = () => {
    throw new TypeError("boom");
  };
  assertEquals(assertThrows(boom, TypeError, "boo").message, "boom");
  assertThrows(() => assertThrows(() => {}), AssertionError, "Expected function to throw");
  assertThrows(() => assertThrows(boom, RangeError), AssertionError, '"RangeError", but was "TypeError"');
  assertThrows(() => assertThrows(boom, TypeError, "bang"), AssertionError, 'to include "bang"');
});

Deno.test("assertRejects() fails without a rejection, and when the function itself throws", async () => {
  assertEquals((await assertRejects(() => Promise.reject(new TypeError("t")), TypeError, "t")).message, "t");
  await assertRejects(() => assertRejects(() => Promise.resolve()), AssertionError, "Expected function to reject");
  const throwing = () => {
    throw new TypeError("t");
  };
  await assertRejects(() => assertRejects(throwing), AssertionError, "throws when expected to reject");
});

Deno.test("FakeTime runs timers at their own time, in order, and gives the real clock back", () => {
  const before = setTimeout;
  {
    using time = new FakeTime(1_000);
    const seen: string[] = [];
    const interval = setInterval(() => seen.push(`interval ${Date.now()}`), 10);
    setTimeout(() => seen.push(`timeout ${new Date().getTime()}`), 15);
    time.tick(20);
    clearInterval(interval);
    time.tick(100);
    assertEquals(seen, ["interval 1010", "timeout 1015", "interval 1020"]);
    assertEquals(time.now, 1_120);
    assertThrows(() => new FakeTime(), Error, "already faked");
    assert(new Date() instanceof Date);
  }
  assertStrictEquals(setTimeout, before);
});

Deno.test("FakeTime lets promises go on in its async methods", async () => {
  using time = new FakeTime();
  let steps = 0;
  const done = (async () => {
    await delay(1_000);
    steps++;
    await delay(1_000);
    steps++;
  })();
  await time.runAllAsync();
  await done;
  assertEquals([steps, time.now - time.start], [2, 2_000]);
});

Deno.test("FakeTime moves AbortSignal.timeout()", () => {
  using time = new FakeTime();
  const signal = AbortSignal.timeout(500);
  time.tick(499);
  assertFalse(signal.aborted);
  time.tick(1);
  assertEquals(signal.reason.name, "TimeoutError");
});

Deno.test("deadline() settles as the promise does or rejects when the time is over", async () => {
  assertEquals(await deadline(Promise.resolve(1), 1_000), 1);
  using time = new FakeTime();
  const late = assertRejects(() => deadline(new Promise(() => {}), 500), DOMException);
  time.tick(500);
  assertEquals((await late).name, "TimeoutError");
});

Deno.test("delay() rejects with the reason of its signal", async () => {
  const stop = new AbortController();
  const waiting = assertRejects(() => delay(60_000, { signal: stop.signal }), RangeError, "enough");
  stop.abort(new RangeError("enough"));
  await waiting;
});

Deno.test("fromFileUrl() undoes toFileUrl()", () => {
  const path = join(fromFileUrl(import.meta.url), "..", "a b.ts");
  assertEquals(fromFileUrl(toFileUrl(path)), path);
});
