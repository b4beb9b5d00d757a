/** The pops of one topic at one broker: when they leave, and what becomes of what they bring. */

import { assert, assertEquals } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { BufferBudget } from "../../../src/consumer/queue/buffer_budget.ts";
import { Dispatcher } from "../../../src/consumer/delivery/dispatcher.ts";
import type { Received } from "../../../src/consumer/pop/receiver.ts";
import { PopSource } from "../../../src/consumer/pop/source.ts";
import { NetworkError, ResponseError } from "../../../src/errors.ts";
import { settleMicrotasks } from "../fakes.ts";
import { delivery, fakeMonotonicClock, offsetsOf } from "./fakes.ts";

const INVISIBLE = 60_000;

/** A source with a broker that answers when it is told to. */
class Bench {
  readonly source: PopSource;
  readonly log: string[] = [];
  room = true;
  #answers: ((answer: Received<unknown> | Error) => void)[] = [];
  #next = 0;

  constructor(ahead = 4) {
    this.source = new PopSource({ topic: "orders", broker: "b", queueId: -1 }, {
      pop: () =>
        new Promise((resolve, reject) => {
          this.log.push("pop");
          this.#answers.push((answer) => answer instanceof Error ? reject(answer) : resolve(answer));
        }),
      mayPop: () => this.room,
      budget: new BufferBudget({ messages: 1_000, batch: ahead, bytes: Infinity, batchBytes: Infinity }),
      ahead,
      invisibleTime: INVISIBLE,
      giveBack: (deliveries) => {
        if (deliveries.length > 0) this.log.push(`back ${offsetsOf(deliveries.map(({ message }) => message))}`);
      },
      onMessages: ({ count }) => this.log.push(`has ${count}`),
      reports: {
        failed: (error) => this.log.push(`failed ${(error as Error).message}`),
        stalled: (kind, count) => this.log.push(`stalled ${kind} ${count}`),
        recovered: () => this.log.push("recovered"),
        expired: (count) => this.log.push(`expired ${count}`),
      },
    });
  }

  /** Whether a pop waits for its answer. */
  get isAsked(): boolean {
    return this.#answers.length > 0;
  }

  get pops(): number {
    return this.log.filter((line) => line === "pop").length;
  }

  /** Answers the oldest pop that waits. */
  async answer(answer: number | Received<unknown>["kind"] | Error): Promise<void> {
    const count = typeof answer === "number" ? answer : 0;
    const deliveries = Array.from({ length: count }, () => delivery(this.#next++));
    const kind = typeof answer === "number" ? "found" : answer;
    const progress = count > 0;
    const receivedAt = performance.now();
    this.#answers.shift()!(kind instanceof Error ? kind : { kind, deliveries, progress, receivedAt });
    await settleMicrotasks();
  }

  take(max = 32): number[] | undefined {
    const taken = this.source.take(max);
    return taken === undefined ? undefined : offsetsOf(taken.deliveries.map(({ message }) => message));
  }
}

Deno.test("PopSource stands still until it is woken, and then pops until one answer is ahead", async () => {
  const bench = new Bench(4);
  assertEquals([bench.pops, bench.source.lastPop], [0, 0]);
  bench.source.wake();
  bench.source.wake();
  assertEquals([bench.pops, bench.source.canDeliver], [1, false]);
  await bench.answer(3);
  assertEquals([bench.log, bench.source.count, bench.source.canDeliver], [["pop", "pop", "has 3"], 3, true]);
  await bench.answer(1);
  assertEquals([bench.pops, bench.source.count], [2, 4], "there is one answer ahead");
  assertEquals([bench.take(3), bench.pops], [[0, 1, 2], 3]);
  bench.source.stop();
});

Deno.test("PopSource.take() gives messages of one answer at a time, with its deadline", async () => {
  using time = new FakeTime();
  using _clock = fakeMonotonicClock();
  const bench = new Bench(8);
  bench.source.wake();
  const start = performance.now();
  await bench.answer(2);
  time.tick(1_000);
  await bench.answer(2);
  const [first, second] = [bench.source.take(32)!, bench.source.take(32)!];
  assertEquals([first.deliveries.length, first.deadline - start], [2, INVISIBLE]);
  assertEquals([second.deliveries.length, second.deadline - start], [2, INVISIBLE + 1_000]);
  assertEquals(bench.source.take(32), undefined);
  bench.source.stop();
});

Deno.test("PopSource pops nothing while there is no room, and goes on when it is woken", async () => {
  const bench = new Bench(4);
  bench.room = false;
  bench.source.wake();
  assertEquals(bench.pops, 0);
  bench.room = true;
  bench.source.wake();
  bench.room = false;
  await bench.answer(1);
  assertEquals([bench.pops, bench.take()], [1, [0]]);
  bench.room = true;
  bench.source.wake();
  assertEquals(bench.pops, 2);
  bench.source.stop();
});

Deno.test("PopSource drops what nobody has asked for in the invisible time, says so, and pops again", async () => {
  using time = new FakeTime();
  using _clock = fakeMonotonicClock();
  const bench = new Bench(4);
  bench.source.wake();
  await bench.answer(3);
  time.tick(10_000);
  await bench.answer(1);
  time.tick(50_000);
  assertEquals([bench.take(), bench.log.slice(-2)], [[3], ["expired 3", "pop"]]);
  await bench.answer(4);
  time.tick(INVISIBLE);
  assertEquals(bench.take(), undefined);
  assertEquals(
    bench.log.slice(-2),
    ["expired 4", "pop"],
    "a source that is full of dead messages stands still for ever",
  );
  await bench.answer(2);
  assertEquals(bench.take(), [8, 9]);
  bench.source.stop();
});

Deno.test("PopSource: a loop that comes too late for what is here waits for the next, and gets it", async () => {
  using time = new FakeTime();
  using _clock = fakeMonotonicClock();
  const bench = new Bench(4);
  const dispatcher = new Dispatcher<PopSource, { topic: string; offsets: number[]; release(): void }>(
    32,
    (source, max) => {
      const taken = source.take(max);
      if (taken === undefined) return undefined;
      return { topic: "orders", offsets: offsetsOf(taken.deliveries.map(({ message }) => message)), release() {} };
    },
    () => Promise.resolve(),
  );
  bench.source.wake();
  await bench.answer(4);
  dispatcher.offer(bench.source);
  time.tick(INVISIBLE);
  const taken = dispatcher.take({});
  await time.tickAsync(0);
  await settleMicrotasks();
  await bench.answer(1);
  dispatcher.arrived(bench.source, performance.now());
  assertEquals((await taken)?.offsets, [4]);
  bench.source.stop();
  dispatcher.close();
});

Deno.test("PopSource waits after errors, tells of the first in a row, and waits longer for a broker that is full", async () => {
  using time = new FakeTime();
  using _clock = fakeMonotonicClock();
  const bench = new Bench();
  bench.source.wake();
  /** After an answer, how long the next pop takes to leave. */
  const pauseAfter = async (answer: number | Received<unknown>["kind"] | Error): Promise<number> => {
    await bench.answer(answer);
    const [pops, from] = [bench.pops, Date.now()];
    for (let waited = 0; bench.pops === pops && waited < 5_000; waited++) {
      time.tick(1);
      await settleMicrotasks();
    }
    return Date.now() - from;
  };
  assertEquals(await pauseAfter(new ResponseError("PopMessage", 1, "b", "no")), 1_000);
  assertEquals(await pauseAfter(new ResponseError("PopMessage", 215, "b", "slow")), 20);
  assertEquals(await pauseAfter(new NetworkError("gone", "b", "CONNECTION_LOST")), 20);
  assertEquals(await pauseAfter(new NetworkError("what?", "b", "MALFORMED_FRAME")), 1_000);
  assertEquals(await pauseAfter("full"), 1_000);
  assertEquals(bench.log.filter((line) => line.startsWith("failed")).length, 1);
  assertEquals(await pauseAfter(new ResponseError("PopMessage", 1, "b", "again")), 1_000);
  assertEquals(bench.log.filter((line) => line.startsWith("failed")).length, 2);
  bench.source.stop();
});

Deno.test("PopSource does not ask a broker in a tight loop that does not hold pops", async () => {
  using time = new FakeTime();
  using _clock = fakeMonotonicClock();
  const bench = new Bench();
  bench.source.wake();
  for (let i = 0; i < 3; i++) await bench.answer("empty");
  assertEquals(bench.pops, 4);
  await bench.answer("empty");
  assertEquals(bench.pops, 4);
  time.tick(200);
  await settleMicrotasks();
  assertEquals(bench.pops, 5);
  time.tick(15_000);
  await bench.answer("empty"); // this one was held
  assertEquals(bench.pops, 6);
  bench.source.stop();
});

Deno.test("PopSource: whatever brings nothing at once is asked for five times a second, with one event", async () => {
  using time = new FakeTime();
  using _clock = fakeMonotonicClock();
  const junk = new NetworkError("junk", "b", "CONNECTION_LOST");
  for (const answer of ["empty", 0, junk] as const) {
    const bench = new Bench();
    bench.source.wake();
    const started = Date.now();
    while (Date.now() - started < 20_000) {
      if (bench.isAsked) await bench.answer(answer);
      time.tick(10);
      await settleMicrotasks();
    }
    assert(bench.pops <= 20 * 5 + 5, `${bench.pops} pops in 20 s`);
    assert(bench.pops >= 20 * 5 - 5, `${bench.pops} pops in 20 s`);
    const told = bench.log.filter((line) => line !== "pop");
    assertEquals(told, [answer === junk ? "failed junk" : `stalled ${answer === 0 ? "found" : "empty"} 25`]);
    time.tick(1_000);
    await settleMicrotasks();
    await bench.answer(1);
    assertEquals(bench.log.slice(-3), ["recovered", "pop", "has 1"]);
    bench.source.stop();
  }
});

Deno.test("PopSource: a broker that holds pops for a while is asked again at once", async () => {
  using time = new FakeTime();
  using _clock = fakeMonotonicClock();
  const bench = new Bench();
  bench.source.wake();
  for (let pops = 1; pops < 50; pops++) {
    time.tick(200);
    await bench.answer("empty");
    assertEquals(bench.pops, pops + 1);
  }
  assertEquals(bench.log.filter((line) => line !== "pop"), []);
  bench.source.stop();
});

Deno.test("PopSource.stop() gives back what is here, and what is on its way when it comes", async () => {
  using time = new FakeTime();
  using _clock = fakeMonotonicClock();
  const bench = new Bench(8);
  bench.source.wake();
  await bench.answer(2);
  time.tick(10_000);
  await bench.answer(1);
  time.tick(INVISIBLE - 10_000);
  bench.source.stop();
  assertEquals(bench.log.slice(-2), ["expired 2", "back 2"], "what is over is redelivered anyway");
  await bench.answer(2);
  assertEquals(bench.log.at(-1), "back 3,4");
  bench.source.wake();
  bench.source.stop();
  assertEquals([bench.source.count, bench.source.canDeliver, bench.take(), bench.pops], [0, false, undefined, 3]);
  const other = new Bench();
  other.source.wake();
  await other.answer(new ResponseError("PopMessage", 1, "b", "no"));
  other.source.stop(); // while it waits
  time.tick(60_000);
  await settleMicrotasks();
  assertEquals(other.pops, 1);
});
