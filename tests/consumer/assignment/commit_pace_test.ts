/** When offsets that move are stored. */

import { assertEquals, assertLessOrEqual } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { CommitPace } from "../../../src/consumer/assignment/commit_pace.ts";
import { OwnedQueue } from "../../../src/consumer/queue/owned_queue.ts";
import { queue, settleMicrotasks } from "../fakes.ts";

function bench() {
  const commits: number[][] = [];
  let answer: (() => void) | undefined;
  const state = { isSilent: false, answer: () => answer?.() };
  const pace = new CommitPace({
    commit: (queues) => {
      commits.push(queues.map(({ queue }) => queue.queueId));
      return state.isSilent ? new Promise((resolve) => answer = resolve) : Promise.resolve();
    },
  });
  const queues = Array.from({ length: 100 }, (_, queueId) => new OwnedQueue({ ...queue, queueId }, false));
  return { commits, pace, queues, state };
}

Deno.test("CommitPace stores the first progress of an epoch at once, and what follows within 200 ms, once for all of it", async () => {
  using time = new FakeTime();
  const { commits, pace, queues: [first] } = bench();
  pace.moved(first!);
  await settleMicrotasks();
  assertEquals(commits, [[0]]);
  for (let settled = 0; settled < 50; settled++) pace.moved(first!);
  await settleMicrotasks();
  assertEquals(commits.length, 1);
  await time.tickAsync(200);
  assertEquals(commits, [[0], [0]]);
  await time.tickAsync(60_000);
  assertEquals(commits.length, 2, "nothing moves");
  pace.stop();
});

Deno.test("CommitPace stores 200 offsets a second of one broker, each queue in its turn", async () => {
  using time = new FakeTime();
  const { commits, pace, queues } = bench();
  for (let ms = 0; ms < 2_000; ms += 20) {
    for (const owned of queues) pace.moved(owned);
    await time.tickAsync(20);
    await settleMicrotasks();
  }
  const stored = commits.flat();
  assertLessOrEqual(stored.length, 11 * 40);
  assertEquals(new Set(stored.slice(0, 100)).size, 100, "nobody is left out");
  pace.stop();
});

Deno.test("CommitPace sends a silent broker one request after the other, and nothing once it has stopped", async () => {
  using time = new FakeTime();
  const { commits, pace, queues: [first], state } = bench();
  pace.moved(first!);
  await settleMicrotasks();
  state.isSilent = true;
  pace.moved(first!);
  await time.tickAsync(200);
  for (let round = 0; round < 10; round++) {
    pace.moved(first!);
    await time.tickAsync(200);
  }
  assertEquals(commits.length, 2);
  state.answer();
  await settleMicrotasks();
  await time.tickAsync(200);
  assertEquals(commits.length, 3);
  state.answer();
  pace.moved(first!);
  pace.stop();
  await time.tickAsync(1_000);
  assertEquals(commits.length, 3);
});
