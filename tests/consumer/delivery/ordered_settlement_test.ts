/** What becomes of messages in ordered consumption, and where nothing can be sent back. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import type { Batch } from "../../../src/consumer/delivery/batch.ts";
import type { RetryOptions } from "../../../src/consumer/delivery/delivered_batch.ts";
import type { OwnedQueue } from "../../../src/consumer/queue/owned_queue.ts";
import { ConsumerStateError, ValidationError } from "../../../src/errors.ts";
import { Bench, offsets } from "../bench.ts";
import { seeded, settleMicrotasks } from "../fakes.ts";
import { fromJavaScript } from "../../untyped.ts";

const orderly = { ordering: "orderly", suspendQueue: 500 } as const;
/** The bench's keys: even offsets, odd offsets. */
const byKey = { ordering: "byKey", suspendQueue: 500 } as const;
const broadcasting = { model: "broadcasting" } as const;

/** What may be committed, and how many messages are ready and in flight. */
function held({ process }: OwnedQueue): [committable: number, ready: number, inFlight: number] {
  return [process.committable, process.readyCount, process.inFlightCount];
}

function times(batch: Batch): number[] {
  return batch.messages.map(({ reconsumeTimes }) => reconsumeTimes);
}

/** A lock that a test takes away. */
function lockOf(owned: OwnedQueue): { isHeld: boolean } {
  const lock = { isHeld: true };
  owned.locked(lock);
  return lock;
}

/** A wait that a test ends. */
function gate(): { opened: Promise<void>; open: () => void } {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { opened: promise, open: resolve };
}

/** What a loop that asks has got by now; undefined if it waits. */
async function asks(bench: Bench, time: FakeTime): Promise<number[] | undefined> {
  const stop = new AbortController();
  const taken = bench.dispatcher.take({ signal: stop.signal });
  await time.tickAsync(0);
  stop.abort();
  const batch = await taken;
  return batch === undefined ? undefined : offsets(batch);
}

Deno.test("orderly: a queue delivers its next batch when the one before is settled, whole", async () => {
  using time = new FakeTime();
  const bench = new Bench({ ...orderly, batchSize: 2 });
  const owned = bench.queue(0, 0, 1, 2, 3);
  const batch = await bench.take(time);
  assertEquals(await asks(bench, time), undefined);
  const waiting = bench.take(time);
  await batch.ack(batch.messages[0]);
  assertEquals(held(owned), [1, 2, 1]);
  await batch.ack();
  assertEquals([offsets(await waiting), held(owned)], [[2, 3], [2, 0, 2]]);
  bench.close();
});

Deno.test("orderly: ack(message) acknowledges those before it, and none behind", async () => {
  using time = new FakeTime();
  const bench = new Bench({ ...orderly, batchSize: 4 });
  const owned = bench.queue(0, 0, 1, 2, 3);
  const batch = await bench.take(time);
  await batch.ack(batch.messages[2]);
  assertEquals([held(owned), bench.settlement.settledTotal], [[3, 0, 1], 3]);
  await batch.ack(batch.messages[1]);
  assertEquals(bench.settlement.settledTotal, 3);
  batch.release();
  bench.close();
  owned.end();
});

Deno.test("byKey: ack(message) acknowledges those before it of its key, and of no other", async () => {
  using time = new FakeTime();
  const bench = new Bench({ ...byKey, batchSize: 6 });
  const owned = bench.queue(0, 0, 1, 2, 3, 4, 5, 6);
  const batch = await bench.take(time);
  await batch.ack(batch.messages[2]);
  assertEquals([held(owned), bench.settlement.settledTotal], [[1, 1, 4], 2]);
  await batch.ack(batch.messages[5]);
  assertEquals([held(owned), await asks(bench, time)], [[4, 1, 1], undefined]);
  await batch.ack(batch.messages[4]);
  assertEquals([owned.process.committable, await asks(bench, time)], [6, [6]]);
  owned.end();
  bench.close();
});

Deno.test("orderly: retry(message) puts it and those behind back, acknowledges those before, and counts it", async () => {
  using time = new FakeTime();
  const bench = new Bench({ ...orderly, batchSize: 4 });
  const owned = bench.queue(0, 0, 1, 2, 3, 4);
  const batch = await bench.take(time);
  await batch.retry(batch.messages[1]!);
  assertEquals([held(owned), bench.settlement.settledTotal, bench.settlement.retriedTotal], [[1, 1, 0], 1, 1]);
  assertEquals(await asks(bench, time), undefined);
  const waiting = bench.take();
  time.tick(499);
  assertEquals(owned.process.inFlightCount, 0);
  time.tick(1);
  const again = await waiting;
  assertEquals([offsets(again), times(again), bench.sentBack], [[1, 2, 3, 4], [1, 0, 0, 0], []]);
  await again.ack();
  bench.close();
});

Deno.test("byKey: retry(message) leaves other keys alone, whose next messages go on", async () => {
  using time = new FakeTime();
  const bench = new Bench({ ...byKey, batchSize: 5 });
  const owned = bench.queue(0, 0, 1, 2, 3, 4, 5, 6);
  const batch = await bench.take(time);
  await batch.retry(batch.messages[2]!, { delay: 2_000 }); // 0 is acknowledged, 2 and 4 rest
  assertEquals(held(owned), [1, 2, 2]);
  await batch.ack();
  const other = await bench.take(time);
  assertEquals(offsets(other), [5], "6 waits behind 2 and 4");
  await other.ack();
  const waiting = bench.take();
  time.tick(1_999);
  assertEquals(held(owned), [2, 1, 0]);
  time.tick(1);
  const again = await waiting;
  assertEquals([offsets(again), times(again)], [[2, 4, 6], [1, 0, 0]]);
  await again.ack();
  assertEquals(owned.process.committable, 7);
  bench.close();
});

Deno.test("orderly: retry() puts back and counts all that is not settled", async () => {
  using time = new FakeTime();
  const bench = new Bench({ ...orderly, batchSize: 3 });
  bench.queue(0, 0, 1, 2);
  const batch = await bench.take(time);
  await batch.ack(batch.messages[0]);
  await batch.retry({ delay: 10 });
  time.tick(10);
  const again = await bench.take(time);
  assertEquals([offsets(again), times(again), bench.settlement.retriedTotal], [[1, 2], [1, 1], 2]);
  assertEquals(times(batch), [0, 1, 1]);
  await again.retry();
  time.tick(500);
  const third = await bench.take(time);
  assertEquals(times(third), [2, 2]);
  await third.ack();
  bench.close();
});

Deno.test("orderly: release() puts back what is not settled, after the rest, with the times as they were", async () => {
  using time = new FakeTime();
  const bench = new Bench({ ...orderly, batchSize: 3 });
  const owned = bench.queue(0, 0, 1, 2);
  const batch = await bench.take(time);
  await batch.ack(batch.messages[0]);
  batch.release();
  assertEquals([held(owned), await asks(bench, time)], [[1, 0, 0], undefined]);
  time.tick(500);
  const again = await bench.take(time);
  assertEquals([offsets(again), times(again), bench.settlement.retriedTotal], [[1, 2], [0, 0], 0]);
  await again.ack();
  bench.close();
});

for (const { most, failures } of [{ most: 0, failures: 1 }, { most: 2, failures: 3 }]) {
  Deno.test(`orderly: with maxReconsumeTimes ${most} failure ${failures} is dead, and those behind come next`, async () => {
    using time = new FakeTime();
    const bench = new Bench({ ...orderly, batchSize: 1, maxReconsumeTimes: most });
    const owned = bench.queue(0, 0, 1);
    for (let failure = 1; failure <= failures; failure++) {
      const batch = await bench.take(time);
      assertEquals([offsets(batch), times(batch)], [[0], [failure - 1]]);
      assertEquals(bench.sentBack, []);
      await batch.retry();
      if (failure < failures) await time.tickAsync(500);
    }
    assertEquals([bench.sentBack, bench.events], [[{ offset: 0, level: -1 }], ["deadLettered"]]);
    assertEquals([owned.process.committable, offsets(await bench.take(time))], [1, [1]]);
    owned.end();
    bench.close();
  });
}

Deno.test("orderly: retry(message) of one that is dead puts those behind back, and acknowledges those before", async () => {
  using time = new FakeTime();
  const bench = new Bench({ ...orderly, batchSize: 4, maxReconsumeTimes: 0 });
  const owned = bench.queue(0, 0, 1, 2, 3);
  const batch = await bench.take(time);
  await batch.retry(batch.messages[1]!);
  assertEquals([bench.sentBack, held(owned)], [[{ offset: 1, level: -1 }], [2, 0, 0]]);
  time.tick(500);
  const again = await bench.take(time);
  assertEquals([offsets(again), times(again)], [[2, 3], [0, 0]]);
  await again.ack();
  bench.close();
});

Deno.test("orderly: retry() lets the dead ones of a batch go, and puts the others back", async () => {
  using time = new FakeTime();
  const bench = new Bench({ ...orderly, batchSize: 3, maxReconsumeTimes: 1 });
  const owned = bench.queue(0, 0, 1, 2);
  await (await bench.take(time)).retry();
  time.tick(500);
  const batch = await bench.take(time);
  Object.assign(batch.messages[1]!, { retriedHere: 0 });
  await batch.retry();
  assertEquals(bench.sentBack.map(({ offset }) => offset), [0, 2]);
  time.tick(500);
  const again = await bench.take(time);
  assertEquals([offsets(again), times(again)], [[1], [1]]);
  await again.ack();
  assertEquals(owned.process.committable, 3);
  bench.close();
});

Deno.test("byKey: a key rests no longer because nobody takes the dead message of another", async () => {
  using time = new FakeTime();
  const bench = new Bench({ ...byKey, batchSize: 4, maxReconsumeTimes: 1 });
  bench.failSendBack = bench.failCopy = true;
  const owned = bench.queue(0, 0, 1, 2, 3);
  const batch = await bench.take(time);
  Object.assign(batch.messages[0]!, { retriedHere: 1 });
  await batch.retry();
  assertEquals([held(owned), bench.events], [[0, 0, 0], ["sendBackFailed"]]);
  await time.tickAsync(500);
  const odd = await bench.take(time);
  assertEquals([offsets(odd), await asks(bench, time)], [[1, 3], undefined], "2 waits behind 0");
  await odd.ack();
  bench.failSendBack = false;
  await time.tickAsync(4_500);
  const even = await bench.take(time);
  assertEquals([offsets(even), times(even), owned.process.committable], [[0, 2], [2, 1], 0]);
  await even.retry(even.messages[0]!);
  assertEquals(bench.sentBack, [{ offset: 0, level: -1 }]);
  await time.tickAsync(500);
  const last = await bench.take(time);
  assertEquals([offsets(last), owned.process.committable], [[2], 2]);
  await last.ack();
  assertEquals(owned.process.committable, 4);
  bench.close();
});

Deno.test("orderly: nothing comes before a dead letter is safe, though those behind it have rested", async () => {
  using time = new FakeTime();
  const bench = new Bench({ ...orderly, batchSize: 3 });
  const way = gate();
  bench.hold = way.opened;
  const owned = bench.queue(0, 0, 1, 2, 3);
  const batch = await bench.take(time);
  const safe = batch.deadLetter(batch.messages[0]);
  await batch.retry(batch.messages[1]!);
  await time.tickAsync(500);
  assertEquals([held(owned), await asks(bench, time)], [[0, 3, 1], undefined]);
  way.open();
  await safe;
  assertEquals([owned.process.committable, await asks(bench, time)], [1, [1, 2, 3]]);
  owned.end();
  bench.close();
});

Deno.test("orderly: deadLetter() settles all that is left when it is safe", async () => {
  using time = new FakeTime();
  const bench = new Bench({ ...orderly, batchSize: 3 });
  const owned = bench.queue(0, 0, 1, 2, 3);
  const batch = await bench.take(time);
  await batch.ack(batch.messages[0]);
  await batch.deadLetter();
  assertEquals(bench.sentBack, [{ offset: 1, level: -1 }, { offset: 2, level: -1 }]);
  assertEquals([held(owned), bench.events], [[3, 1, 0], ["deadLettered", "deadLettered"]]);
  bench.close();
});

Deno.test("orderly: the first settlement of a message wins, later ones do nothing", async () => {
  const ways = {
    ack: (batch: Batch) => batch.ack(batch.messages[0]),
    ackAll: (batch: Batch) => batch.ack(),
    retry: (batch: Batch) => batch.retry(batch.messages[0]!),
    retryAll: (batch: Batch) => batch.retry(),
    deadLetter: (batch: Batch) => batch.deadLetter(batch.messages[0]),
    deadLetterAll: (batch: Batch) => batch.deadLetter(),
    release: (batch: Batch) => Promise.resolve(batch.release()),
  };
  for (const [name, first] of Object.entries(ways)) {
    using time = new FakeTime();
    const bench = new Bench({ ...orderly, batchSize: 1 });
    const owned = bench.queue(0, 0, 1);
    const batch = await bench.take(time);
    await first(batch);
    const state = () => [held(owned), times(batch), bench.sentBack.length, bench.settlement.settledTotal];
    const settled = state();
    for (const [later, settle] of Object.entries(ways)) {
      await settle(batch);
      assertEquals(state(), settled, `${later} after ${name}`);
    }
    owned.end();
    bench.close();
  }
});

Deno.test("orderly: a send-back that hangs when the epoch ends settles nothing, and its call resolves", async () => {
  using time = new FakeTime();
  const bench = new Bench({ ...orderly, batchSize: 2 });
  const way = gate();
  bench.hold = way.opened;
  const owned = bench.queue(0, 0, 1);
  const batch = await bench.take(time);
  const { signal } = batch;
  const safe = batch.deadLetter(batch.messages[0]!);
  await settleMicrotasks();
  owned.end("it moved");
  assertEquals(signal.aborted, true);
  way.open();
  await safe;
  time.tick(10_000);
  assertEquals([held(owned)[0], bench.settlement.settledTotal, bench.events], [0, 0, ["deadLettered"]]);
  bench.close();
});

Deno.test("orderly: a send-back that fails when the epoch ends is given up at once", async () => {
  using time = new FakeTime();
  const bench = new Bench({ ...orderly, batchSize: 1 });
  bench.failSendBack = bench.failCopy = true;
  const owned = bench.queue(0, 0);
  const batch = await bench.take(time);
  const safe = batch.deadLetter();
  await settleMicrotasks();
  owned.end("it moved");
  await safe;
  assertEquals([owned.process.committable, bench.events], [0, ["sendBackFailed"]]);
  bench.close();
});

Deno.test("orderly: consumeTimeout is an event and nothing else", async () => {
  using time = new FakeTime();
  const bench = new Bench({ ...orderly, batchSize: 2, consumeTimeout: 1_000 });
  const owned = bench.queue(0, 0, 1, 2);
  const batch = await bench.take(time);
  Object.assign(batch, { deliveredAt: performance.now() - 1_000, deadline: performance.now() }); // the monotonic clock is not faked
  const { signal } = batch;
  await time.tickAsync(5_000);
  assertEquals([signal.aborted, bench.events, bench.sentBack, held(owned)], [false, ["stalled"], [], [0, 1, 2]]);
  await batch.ack();
  assertEquals(held(owned), [2, 1, 0]);
  bench.close();
});

Deno.test("orderly: without its lock nothing is delivered, and what is in flight cannot be settled", async () => {
  using time = new FakeTime();
  const bench = new Bench({ ...orderly, batchSize: 2 });
  const owned = bench.queue(0, 0, 1, 2);
  const lock = lockOf(owned);
  const batch = await bench.take(time);
  await batch.ack(batch.messages[0]);
  lock.isHeld = false;
  await batch.ack();
  await batch.retry();
  await batch.deadLetter();
  batch.release();
  assertEquals([held(owned), bench.sentBack, bench.events], [[1, 1, 1], [], []]);
  assertEquals([bench.settlement.settledTotal, times(batch)], [1, [0, 0]]);
  owned.end("its lock is lost");
  assertEquals([batch.signal.aborted, batch.signal.reason instanceof ConsumerStateError], [true, true]);
  const free = bench.queue(1, 0);
  lockOf(free).isHeld = false;
  assertEquals(await asks(bench, time), undefined);
  bench.close();
});

Deno.test("orderly: a send-back that is stored after the lock was lost settles nothing", async () => {
  using time = new FakeTime();
  const bench = new Bench({ ...orderly, batchSize: 2, maxReconsumeTimes: 0 });
  const way = gate();
  bench.hold = way.opened;
  const owned = bench.queue(0, 0, 1);
  const lock = lockOf(owned);
  const batch = await bench.take(time);
  const safe = batch.retry();
  await settleMicrotasks();
  lock.isHeld = false;
  way.open();
  await safe;
  assertEquals([owned.process.committable, bench.settlement.settledTotal], [0, 0]);
  owned.end();
  bench.close();
});

Deno.test("orderly: what rested when its epoch ended wakes up in no other", async () => {
  using time = new FakeTime();
  const bench = new Bench(orderly);
  const owned = bench.queue(0, 0, 1);
  await (await bench.take(time)).retry();
  owned.end();
  time.tick(10_000);
  assertEquals([owned.process.readyCount, await asks(bench, time)], [0, undefined]);
  bench.close();
});

Deno.test("orderly: retry() rejects options that it does not take, and settles nothing", async () => {
  using time = new FakeTime();
  const bench = new Bench(orderly);
  const owned = bench.queue(0, 0, 1);
  const batch = await bench.take(time);
  const bad: [RetryOptions, string[]][] = [
    [{ delayLevel: 1 }, ["delayLevel"]],
    [{ delayLevel: 0, delay: 9 }, ["delayLevel", "delay"]],
    ...[9, 30_001, -1, 0, 10.5, NaN, Infinity].map((delay): [RetryOptions, string[]] => [{ delay }, ["delay"]]),
    [{ delay: fromJavaScript("100") }, ["delay"]],
  ];
  for (const [options, fields] of bad) {
    for (const retry of [() => batch.retry(options), () => batch.retry(batch.messages[0]!, options)]) {
      const error = await assertRejects(retry, ValidationError);
      assertEquals(error.problems.map(({ field }) => field), fields);
    }
  }
  assertEquals([held(owned), times(batch), bench.settlement.retriedTotal], [[0, 0, 2], [0, 0], 0]);
  for (const delay of [10, 30_000]) {
    await batch.retry(batch.messages[delay === 10 ? 1 : 0]!, { delay });
  }
  assertEquals(held(owned), [1, 0, 0]);
  owned.end();
  bench.close();
});

Deno.test("orderly: retry() of a message of another batch rejects, and settles nothing", async () => {
  using time = new FakeTime();
  const bench = new Bench(orderly);
  const [one, two] = [bench.queue(0, 0, 1), bench.queue(1, 0, 1)];
  const [first, second] = [await bench.take(time), await bench.take(time)];
  await assertRejects(() => first.retry(second.messages[0]!), ConsumerStateError, "not in this batch");
  assertEquals([held(one), held(two)], [[0, 0, 2], [0, 0, 2]]);
  one.end();
  two.end();
  bench.close();
});

Deno.test("orderly: a message that fails for the 16th time is told of, once", async () => {
  using time = new FakeTime();
  const bench = new Bench({ ...orderly, batchSize: 1 });
  const owned = bench.queue(0, 0);
  for (let failure = 1; failure <= 20; failure++) {
    await (await bench.take(time)).retry({ delay: 10 });
    assertEquals(bench.events, failure < 16 ? [] : ["stalled"]);
    time.tick(10);
  }
  owned.end();
  bench.close();
});

Deno.test("byKey: a queue that closes delivers the holes of its commit still, and nothing newer", async () => {
  using time = new FakeTime();
  const bench = new Bench({ ...byKey, batchSize: 1 });
  const owned = bench.queue(0, 0, 2, 3, 4, 5); // even, even, odd, even, odd
  const even = await bench.take(time);
  const odd = await bench.take(time);
  assertEquals([offsets(even), offsets(odd)], [[0], [3]]);
  owned.close();
  assertEquals(await asks(bench, time), undefined);
  await odd.ack();
  await even.ack();
  const hole = await bench.take(time);
  assertEquals([offsets(hole), await asks(bench, time)], [[2], undefined]);
  await hole.ack();
  assertEquals([owned.process.readyCount, owned.process.oldest?.queueOffset], [2, 4]);
  owned.end();
  bench.close();
});

Deno.test("byKey: a paused queue delivers nothing, also while it closes, and nobody waits for its holes", async () => {
  using time = new FakeTime();
  const bench = new Bench({ ...byKey, batchSize: 1 });
  const owned = bench.queue(0, 0, 2, 3);
  const even = await bench.take(time);
  await (await bench.take(time)).ack();
  owned.pause(true);
  owned.close();
  await even.ack();
  assertEquals([owned.process.hasHoles, await asks(bench, time)], [true, undefined]);
  await owned.whenWhole();
  owned.end();
  bench.close();
});

Deno.test("broadcasting, orderly: what fails is requeued in its place, and counts", async () => {
  using time = new FakeTime();
  const bench = new Bench({ ...broadcasting, ...orderly, batchSize: 3 });
  const owned = bench.queue(0, 0, 1, 2);
  const batch = await bench.take(time);
  await batch.retry(batch.messages[1]!);
  assertEquals([held(owned), bench.events], [[1, 0, 0], []]);
  time.tick(500);
  const again = await bench.take(time);
  assertEquals([offsets(again), times(again)], [[1, 2], [1, 0]]);
  await again.ack();
  bench.close();
});

Deno.test("broadcasting, orderly: what is dead is skipped, with an event for each", async () => {
  using time = new FakeTime();
  const bench = new Bench({ ...broadcasting, ...orderly, batchSize: 2, maxReconsumeTimes: 0 });
  const owned = bench.queue(0, 0, 1, 2);
  const batch = await bench.take(time);
  await batch.deadLetter(batch.messages[0]);
  await batch.retry(batch.messages[1]!);
  assertEquals([bench.events, bench.sentBack, bench.copied], [["skipped", "skipped"], [], []]);
  assertEquals(held(owned), [2, 1, 0]);
  bench.close();
});

Deno.test("broadcasting, concurrent: retry() is an event, then settled; consumeTimeout an event only", async () => {
  using time = new FakeTime();
  const bench = new Bench({ ...broadcasting, batchSize: 2, consumeTimeout: 1_000 });
  const owned = bench.queue(0, 0, 1, 2);
  const batch = await bench.take(time);
  await batch.retry(batch.messages[1]!);
  assertEquals([bench.events, held(owned)], [["skipped"], [0, 1, 1]]);
  Object.assign(batch, { deliveredAt: performance.now() - 1_000, deadline: performance.now() });
  const { signal } = batch;
  await time.tickAsync(1_000);
  assertEquals([signal.aborted, bench.events, held(owned)], [false, ["skipped", "stalled"], [0, 1, 1]]);
  await batch.retry();
  assertEquals([bench.events.at(-1), held(owned)], ["skipped", [2, 1, 0]]);
  bench.close();
});

for (const ordering of ["orderly", "byKey"] as const) {
  Deno.test(`${ordering}: loops that settle at random keep the order, lose nothing, and commit nothing too early`, async () => {
    for (let seed = 1; seed <= 12; seed++) await new RandomLoops(ordering, seed).run();
  });
}

/** Several loops that settle their batches in random ways, at random times, with a broker that fails now and then. */
class RandomLoops {
  readonly #count = 100;
  #random: () => number;
  #bench: Bench;
  #isByKey: boolean;
  #acknowledged = new Set<number>();
  /** The keys of batches that loops work on. */
  #busy = new Set<string>();

  constructor(ordering: "orderly" | "byKey", seed: number) {
    this.#random = seeded(seed);
    this.#isByKey = ordering === "byKey";
    const maxReconsumeTimes = [0, 1, 3, Infinity][seed % 4]!;
    this.#bench = new Bench({ ordering, suspendQueue: 50, batchSize: 1 + (seed % 7), maxReconsumeTimes });
  }

  async run(): Promise<void> {
    using time = new FakeTime();
    const all = Array.from({ length: this.#count }, (_, offset) => offset);
    const owned = this.#bench.queue(0, ...all);
    const stop = new AbortController();
    const loops = Array.from({ length: 4 }, () => this.#loop(owned, stop.signal));
    for (let step = 0; !all.every((offset) => this.#isDone(offset)); step++) {
      assert(step < 100_000, `${all.filter((offset) => this.#isDone(offset)).length} of ${this.#count} are done`);
      this.#bench.failSendBack = this.#random() < 0.3;
      this.#bench.failCopy = this.#random() < 0.5;
      time.tick(10);
      await settleMicrotasks();
      assertEquals(owned.process.committable, all.find((offset) => !this.#isDone(offset)) ?? this.#count);
    }
    stop.abort();
    time.tick(100);
    await Promise.all(loops);
    assertEquals([owned.process.count, owned.process.inFlightCount], [0, 0]);
    owned.end();
    this.#bench.close();
  }

  #key(offset: number): string {
    return this.#isByKey && offset % 2 === 1 ? "odd" : this.#isByKey ? "even" : "";
  }

  async #loop(owned: OwnedQueue, signal: AbortSignal): Promise<void> {
    for (;;) {
      const batch = await this.#bench.dispatcher.take({ signal });
      if (batch === undefined) return;
      const mine = offsets(batch);
      const keys = new Set(mine.map((offset) => this.#key(offset)));
      for (const key of keys) assert(!this.#busy.has(key), `key "${key}" is in two batches`);
      for (const offset of mine) this.#checkTurn(offset, mine);
      for (const key of keys) this.#busy.add(key);
      await new Promise((resolve) => setTimeout(resolve, Math.floor(this.#random() * 30)));
      for (const key of keys) this.#busy.delete(key);
      await this.#settle(batch, owned);
    }
  }

  /** All before it of its key are done, or come with it. */
  #checkTurn(offset: number, batch: readonly number[]): void {
    for (let before = 0; before < offset; before++) {
      if (this.#key(before) !== this.#key(offset) || batch.includes(before)) continue;
      assert(this.#isDone(before), `${offset} came before ${before} was done`);
    }
  }

  async #settle(batch: Batch, owned: OwnedQueue): Promise<void> {
    const all = offsets(batch);
    const one = batch.messages[Math.floor(this.#random() * batch.length)]!;
    const isBefore = (offset: number) => offset < one.queueOffset && this.#key(offset) === this.#key(one.queueOffset);
    const dice = this.#random();
    if (dice < 0.4) {
      this.#acknowledge(all);
      await batch.ack();
    } else if (dice < 0.6) {
      this.#acknowledge([...all.filter(isBefore), one.queueOffset]);
      await batch.ack(one);
      batch.release();
    } else if (dice < 0.8) {
      this.#acknowledge(all.filter(isBefore));
      const safe = batch.retry(one, { delay: 10 + Math.floor(this.#random() * 90) });
      await this.#othersOf(batch, one.queueOffset);
      await safe;
    } else if (dice < 0.9) {
      await batch.retry();
    } else {
      const safe = batch.deadLetter(one);
      batch.release();
      await safe;
    }
    assert(owned.counts);
  }

  /** Acknowledges what is left of other keys, message by message, from behind. */
  async #othersOf(batch: Batch, failed: number): Promise<void> {
    const others = [...batch].filter(({ queueOffset }) => this.#key(queueOffset) !== this.#key(failed));
    this.#acknowledge(offsets({ messages: others }));
    for (const message of others.reverse()) await batch.ack(message);
  }

  #acknowledge(all: readonly number[]): void {
    for (const offset of all) this.#acknowledged.add(offset);
  }

  /** Acknowledged, or in the dead letter queue. */
  #isDone(offset: number): boolean {
    const { sentBack, copied } = this.#bench;
    return this.#acknowledged.has(offset) || copied.includes(offset) || sentBack.some((each) => each.offset === offset);
  }
}
