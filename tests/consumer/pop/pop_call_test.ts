/** One batch for one request. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { BufferBudget } from "../../../src/consumer/queue/buffer_budget.ts";
import { popOnce } from "../../../src/consumer/pop/pop_call.ts";
import { PopRoom } from "../../../src/consumer/pop/pop_room.ts";
import type { Received } from "../../../src/consumer/pop/receiver.ts";
import { NetworkError } from "../../../src/errors.ts";
import { settleMicrotasks } from "../fakes.ts";
import { delivery, fakeMonotonicClock } from "./fakes.ts";

const places = ["a", "b", "c"].map((broker) => ({ topic: "orders", broker, queueId: -1 }));

function received(...offsets: number[]): Received<unknown> {
  const progress = offsets.length > 0;
  return { kind: "found", deliveries: offsets.map((offset) => delivery(offset)), progress, receivedAt: 0 };
}

function roomFor(messages: number): PopRoom {
  return new PopRoom(new BufferBudget({ messages, batch: 32, bytes: Infinity, batchBytes: Infinity }));
}

Deno.test("popOnce() does not ask brokers in a tight loop that do not hold pops", async () => {
  using time = new FakeTime();
  using _clock = fakeMonotonicClock();
  for (const fails of [false, true]) {
    let pops = 0;
    const pop = () => {
      pops++;
      const fail = fails && pops % 3 !== 0;
      return fail ? Promise.reject(new NetworkError("gone", "a", "CONNECTION_LOST")) : Promise.resolve(received());
    };
    const closing = new AbortController().signal;
    const context = { receiver: { pop }, room: roomFor(1), places, closing, giveBack: () => {} };
    let isOver = false;
    const popped = popOnce(context, { max: 1, wait: 10_000, topic: undefined, signal: undefined })
      .finally(() => isOver = true);
    while (!isOver) {
      time.tick(10);
      await settleMicrotasks();
    }
    assertEquals(await popped, undefined);
    assert(pops / places.length <= 10 * 5 + 2, `${pops} pops in 10 s`);
  }
});

Deno.test("popOnce() gives back what comes after its signal, or its consumer's end", async () => {
  for (const which of ["signal", "closing"] as const) {
    const stops = { signal: new AbortController(), closing: new AbortController() };
    const answer = Promise.withResolvers<Received<unknown>>();
    const back: string[] = [];
    const context = {
      receiver: { pop: () => answer.promise },
      room: roomFor(2),
      places: places.slice(0, 1),
      closing: stops.closing.signal,
      giveBack: (place: { broker: string }, late: Received<unknown>["deliveries"]) =>
        void back.push(`${place.broker} ${late.map(({ message }) => message.queueOffset)}`),
    };
    const call = { max: 2, wait: 60_000, topic: undefined, signal: stops.signal.signal };
    const popped = assertRejects(() => popOnce(context, call), RangeError, "enough");
    await settleMicrotasks();
    stops[which].abort(new RangeError("enough"));
    await popped;
    answer.resolve(received(7, 8));
    await settleMicrotasks();
    assertEquals(back, ["a 7,8"]);
  }
});

Deno.test("popOnce() brings nothing while there is no room, and waits for room no longer than it may", async () => {
  const room = roomFor(2);
  const call = { max: 2, wait: 0, topic: undefined, signal: undefined };
  const giveBack = () => {};
  const receiver = { pop: (_place: unknown, max: number) => Promise.resolve(received(...[7, 8].slice(0, max))) };
  const context = { receiver, room, places, closing: new AbortController().signal, giveBack };
  assertEquals((await popOnce(context, call))?.deliveries.length, 2);
  assertEquals(await popOnce(context, call), undefined);
  assertEquals(await popOnce(context, { ...call, wait: 5 }), undefined);
  const waiting = [popOnce(context, { ...call, max: 1, wait: 60_000 }), popOnce(context, { ...call, wait: 60_000 })];
  room.settled(2);
  assertEquals((await waiting[0])?.deliveries.length, 1);
  room.settled(1);
  assertEquals((await waiting[1])?.deliveries.length, 2);
  const stop = new AbortController();
  const stopped = popOnce(context, { ...call, wait: 60_000, signal: stop.signal });
  stop.abort(new RangeError("enough"));
  await assertRejects(() => stopped, RangeError, "enough");
  room.settled(2);
  assertEquals((await popOnce(context, call))?.deliveries.length, 2);
});
