/** Finding the first message since a time where brokers answer with the nearest one. */

import { assertEquals } from "@std/assert";
import { firstSince } from "../../src/brokers/store_times.ts";
import { seeded } from "../consumer/fakes.ts";

/** A queue that holds messages stored at these times, from an offset on. */
function reader(times: readonly number[], minOffset: number) {
  return (from: number, count: number) => {
    if (from < minOffset) return Promise.resolve({ messages: [], minOffset, next: minOffset });
    const messages = times.slice(from - minOffset, from - minOffset + count)
      .map((time, at) => ({ offset: from + at, time }));
    return Promise.resolve({ messages, minOffset, next: from + messages.length });
  };
}

Deno.test("firstSince() finds the first of many messages of one millisecond, before and behind the nearest", async () => {
  const random = seeded(7);
  for (let round = 0; round < 300; round++) {
    const minOffset = Math.floor(random() * 50);
    let time = 1_000;
    const times = Array.from({ length: Math.floor(random() * 200) }, () => time += random() < 0.8 ? 0 : 3);
    const wanted = 995 + Math.floor(random() * (time - 980));
    const at = times.findIndex((each) => each >= wanted);
    const expected = minOffset + (at < 0 ? times.length : at);
    const distance = (each: number) => Math.abs(each - wanted);
    const nearest = times.reduce((best, each, i) => distance(each) <= distance(times[best]!) ? i : best, 0);
    assertEquals(await firstSince(wanted, minOffset + nearest, reader(times, minOffset)), expected, `round ${round}`);
  }
});

Deno.test("firstSince() ends with a broker that leads on and on without a message", async () => {
  let reads = 0;
  const read = (from: number) => {
    reads++;
    return Promise.resolve({ messages: [], minOffset: 0, next: from + 1 });
  };
  assertEquals(await firstSince(5, 0, read), 1_000);
  assertEquals(reads, 1_000);
});
