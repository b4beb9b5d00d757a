/** Records that cannot be read: each is rescued once, beside a queue that goes on. */

import { assertEquals } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { OwnedQueue } from "../../../src/consumer/queue/owned_queue.ts";
import { ProcessQueue } from "../../../src/consumer/queue/process_queue.ts";
import { PullLoop } from "../../../src/consumer/queue/pull_loop.ts";
import { Rescue } from "../../../src/consumer/delivery/rescue.ts";
import { NetworkError } from "../../../src/errors.ts";
import { EventHub } from "../../../src/events.ts";
import type { BrokenRecord } from "../../../src/wire/record.ts";
import { fakeMessage, queue, settleMicrotasks } from "../fakes.ts";
import { pullContext } from "../queue/pull_context.ts";

function broken(queueOffset: number | undefined, commitLogOffset: number | undefined, at = 0): BrokenRecord {
  const error = new NetworkError("Cannot read it", "", "MALFORMED_FRAME");
  return { queueId: 0, queueOffset, commitLogOffset, storeHost: "b:1", bytes: new Uint8Array(8).subarray(at), error };
}

/** A rescue whose attempts the test ends, and one queue. */
class Bench {
  readonly attempts: { offset: number | undefined; resolve: () => void; reject: (error: unknown) => void }[] = [];
  readonly events: string[] = [];
  readonly owned = new OwnedQueue(queue, false);
  readonly process = new ProcessQueue(0);
  readonly rescue: Rescue;

  constructor(sendsBack = true) {
    const events = new EventHub(false);
    events.emit = (_level, type) => this.events.push(type);
    const loop = new PullLoop(pullContext(this.process));
    this.owned.open({ process: this.process, loop });
    this.rescue = new Rescue({
      group: "billing",
      events,
      redelivery: {
        sendsBack,
        deadLetterBroken: (_queue, { queueOffset: offset }) =>
          new Promise((resolve, reject) => this.attempts.push({ offset, resolve, reject })),
      },
    });
  }

  /** Messages of these offsets arrive, and are taken and settled. */
  settle(...offsets: number[]): void {
    this.process.put(offsets.map((offset) => fakeMessage(offset)), offsets.at(-1)! + 1);
    const { first, messages } = this.process.take(32)!;
    this.process.settleRange(first, messages.length);
  }
}

Deno.test("the messages around a broken record are delivered, and no commit passes it before it is safe", async () => {
  const bench = new Bench();
  const rescued = bench.rescue.rescue(bench.owned, broken(1, 100));
  bench.settle(0, 2, 3);
  bench.settle(4, 5);
  assertEquals([bench.process.committable, bench.process.position, bench.process.span], [0, 6, 0]);
  assertEquals([bench.process.count, bench.process.inFlightCount], [1, 0]);
  bench.attempts[0]!.resolve();
  await rescued;
  assertEquals([bench.process.committable, bench.process.count], [6, 0]);
  assertEquals(bench.events, ["broken", "deadLettered"]);
});

Deno.test("a record is rescued once, though its loop begins anew and sees it again", async () => {
  const bench = new Bench();
  const rescued = bench.rescue.rescue(bench.owned, broken(1, 100));
  for (let again = 0; again < 4; again++) await bench.rescue.rescue(bench.owned, broken(1, 100));
  await settleMicrotasks();
  assertEquals([bench.attempts.length, bench.process.count], [1, 1]);
  bench.attempts[0]!.resolve();
  await rescued;
  await bench.rescue.rescue(bench.owned, broken(1, 100));
  assertEquals([bench.attempts.length, bench.process.count], [1, 0], "nor after its rescue");
  assertEquals(bench.events, ["broken", "deadLettered"]);
});

Deno.test("records whose offsets cannot be read are all rescued, and hold the start of their answer", async () => {
  const bench = new Bench();
  const all = [broken(undefined, undefined, 0), broken(undefined, undefined, 4), broken(2 ** 50, 7), broken(0, 8)]
    .map((record) => bench.rescue.rescue(bench.owned, record));
  bench.settle(3);
  await settleMicrotasks();
  assertEquals([bench.attempts.length, bench.process.committable], [4, 0]);
  for (const { resolve } of bench.attempts.slice(0, 3)) resolve();
  await Promise.all(all.slice(0, 3));
  assertEquals(bench.process.committable, 0);
  bench.attempts[3]!.resolve();
  await all[3];
  assertEquals(bench.process.committable, 4);
});

Deno.test("a refused rescue is tried again after growing rests, with an event each time", async () => {
  using time = new FakeTime();
  const bench = new Bench();
  const rescued = bench.rescue.rescue(bench.owned, broken(0, 100));
  bench.settle(1);
  for (const rest of [5_000, 10_000, 20_000, 40_000, 80_000, 160_000, 300_000, 300_000]) {
    const { length } = bench.attempts;
    bench.attempts.at(-1)!.reject(new Error("refused"));
    await settleMicrotasks();
    await time.tickAsync(rest - 1);
    assertEquals(bench.attempts.length, length, `before ${rest} ms`);
    await time.tickAsync(1);
    await settleMicrotasks();
    assertEquals([bench.attempts.length, bench.process.committable], [length + 1, 0], `after ${rest} ms`);
  }
  bench.attempts.at(-1)!.resolve();
  await rescued;
  assertEquals(bench.process.committable, 2);
  assertEquals(bench.events, ["broken", ...new Array(8).fill("sendBackFailed"), "deadLettered"]);
});

Deno.test("a rescue ends with its epoch, at rest or on its way, and never holds up who waits for idleness", async () => {
  using time = new FakeTime();
  const bench = new Bench();
  const resting = bench.rescue.rescue(bench.owned, broken(0, 100));
  const sending = bench.rescue.rescue(bench.owned, broken(1, 101));
  bench.attempts[0]!.reject(new Error("refused"));
  await settleMicrotasks();
  await bench.owned.whenIdle();
  bench.owned.end("it moved");
  bench.attempts[1]!.reject(new Error("refused"));
  await Promise.all([resting, sending]);
  await time.tickAsync(600_000);
  assertEquals([bench.attempts.length, bench.events], [2, ["broken", "broken", "sendBackFailed"]]);
});

Deno.test("only a few rescues are on their way at a time", async () => {
  const bench = new Bench();
  const all = Array.from({ length: 10 }, (_, at) => bench.rescue.rescue(bench.owned, broken(at, at)));
  for (let done = 0; done < 10; done++) {
    await settleMicrotasks();
    assertEquals(bench.attempts.length, Math.min(10, done + 4));
    bench.attempts[done]!.resolve();
  }
  await Promise.all(all);
});

Deno.test("in broadcasting a broken record is an event, and holds nothing", async () => {
  const bench = new Bench(false);
  await bench.rescue.rescue(bench.owned, broken(0, 100));
  bench.settle(1);
  assertEquals([bench.events, bench.attempts.length, bench.process.committable], [["broken"], 0, 2]);
});
