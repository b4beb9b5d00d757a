import { assert, assertEquals, assertInstanceOf, assertLess, assertRejects } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { askAll } from "../../src/cluster/ask_all.ts";
import { firstAnswer } from "../../src/cluster/first_answer.ts";
import { TimeoutError } from "../../src/errors.ts";
import { turns } from "../transport/waiting.ts";

const action = (peer: string) => `ask ${peer}`;

/** A peer that keeps to the time that it has. */
function silent(timeout: number): Promise<string> {
  return new Promise((_, reject) => setTimeout(() => reject(new TimeoutError("answer", timeout)), timeout));
}

Deno.test("askAll() returns all answers, and each peer that failed with its error", async () => {
  const ask = (peer: string) => peer === "b" ? Promise.reject(new RangeError(peer)) : Promise.resolve(`${peer}!`);
  const { answers, unanswered } = await askAll(["a", "b", "c"], ask, { timeout: 1_000, action });
  assertEquals(answers, [{ peer: "a", answer: "a!" }, { peer: "c", answer: "c!" }]);
  assertEquals(unanswered, [{ peer: "b", error: new RangeError("b"), wasAsked: true }]);
  assertEquals(await askAll([], ask, { timeout: 1_000, action }), { answers: [], unanswered: [] });
});

Deno.test("askAll() asks a few at a time, and silent peers leave time for the others", async () => {
  using time = new FakeTime();
  const peers = Array.from({ length: 22 }, (_, at) => `${at}`);
  let [underWay, most] = [0, 0];
  const ask = async (peer: string, timeout: number) => {
    most = Math.max(most, ++underWay);
    try {
      return Number(peer) >= 20 ? peer : await silent(timeout);
    } finally {
      underWay--;
    }
  };
  const started = performance.now();
  let took = Infinity;
  const asked = askAll(peers, ask, { timeout: 3_000, action });
  void asked.then(() => took = performance.now() - started);
  for (let i = 0; i < 40; i++) await time.tickAsync(100);
  const { answers, unanswered } = await asked;
  assertEquals([answers.map(({ peer }) => peer), unanswered.length, most], [["20", "21"], 20, 8]);
  assert(unanswered.every(({ error }) => error instanceof TimeoutError));
  assertLess(took, 3_300);
});

Deno.test("askAll() names peers that were not waited for, or not asked at all", async () => {
  const held: ((answer: string) => void)[] = [];
  const ask = (peer: string) => peer === "a" ? Promise.resolve(peer) : new Promise<string>((done) => held.push(done));
  const { answers, unanswered } = await askAll(["a", "b", "c", "d"], ask, {
    timeout: 60_000,
    action,
    atATime: 2,
    patience: (answers) => answers.length > 0 ? "none" : "all",
  });
  assertEquals(answers.map(({ peer }) => peer), ["a"]);
  assertEquals(unanswered.map(({ peer, wasAsked }) => [peer, wasAsked]), [["b", true], ["c", true], ["d", false]]);
  const { error } = unanswered[2]!;
  assertInstanceOf(error, TimeoutError);
  assertEquals(error.message.includes("ask d"), true);
  for (const done of held) done("late");
  await turns();
  assertEquals(answers.length, 1);
});

Deno.test("askAll() rejects with the reason of its signal", async () => {
  const stop = new AbortController();
  const ask = (_: string, __: number) => new Promise<string>((_, reject) => stop.signal.onabort = () => reject("gone"));
  const asked = askAll(["a"], ask, { timeout: 60_000, action, signal: stop.signal });
  stop.abort(new RangeError("enough"));
  await assertRejects(() => asked, RangeError, "enough");
  await assertRejects(() => askAll(["a"], ask, { timeout: 1, action, signal: stop.signal }), RangeError, "enough");
});

Deno.test("firstAnswer() asks the next when one fails or is late, and reports the failure that explains more", async () => {
  const asked: string[] = [];
  const late: string[] = [];
  const ask = (peer: string, timeout: number) => {
    asked.push(peer);
    if (peer === "silent") return silent(timeout);
    return peer === "good" ? Promise.resolve(peer) : Promise.reject(new RangeError(peer));
  };
  const options = { timeout: 200, headStart: () => 5, onLate: (peer: string) => late.push(peer) };
  assertEquals(await firstAnswer(["bad", "silent", "good", "never"], ask, options), "good");
  assertEquals([asked, late], [["bad", "silent", "good"], ["silent"]]);
  const worse = (known: unknown, other: unknown) => known ?? other;
  await assertRejects(() => firstAnswer(["first", "silent"], ask, { ...options, worse }), RangeError, "first");
  const error = await assertRejects(
    () =>
      firstAnswer(["bad", "stuck"], (peer) => peer === "stuck" ? new Promise(() => {}) : ask(peer, 1), {
        timeout: 20,
        action: "ask somebody",
      }),
    TimeoutError,
    "ask somebody",
  );
  assertEquals((error.cause as Error).message, "bad");
});
