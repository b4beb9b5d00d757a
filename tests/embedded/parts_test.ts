import { assertEquals } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { Deque } from "../../src/embedded/deque.ts";
import { Heap } from "../../src/embedded/heap.ts";
import { Slabs } from "../../src/embedded/slabs.ts";
import { Scheduler } from "../../src/embedded/scheduler.ts";

Deno.test("Deque keeps positions while it loses items at the beginning", () => {
  const deque = new Deque<number>();
  let first = 0;
  for (let i = 0; i < 10_000; i++) {
    deque.push(i);
    if (i % 3 !== 0) assertEquals(deque.shift(), first++);
    assertEquals([deque.at(0), deque.at(deque.length - 1), deque.at(-1), deque.at(deque.length)], [
      deque.length === 0 ? undefined : first,
      deque.length === 0 ? undefined : i,
      undefined,
      undefined,
    ]);
  }
  assertEquals(deque.search((item) => item >= first + 5), 5);
  assertEquals(deque.search(() => false), deque.length);
  while (deque.length > 0) assertEquals(deque.shift(), first++);
  assertEquals([deque.shift(), first], [undefined, 10_000]);
});

Deno.test("Heap returns its items in order, whatever the order in which they were added", () => {
  const heap = new Heap<number>((a, b) => a < b);
  const items = Array.from({ length: 1_000 }, (_, i) => (i * 7_919) % 1_009);

  for (const item of items.slice(0, 500)) heap.push(item);
  const taken = Array.from({ length: 200 }, () => heap.pop()!);
  for (const item of items.slice(500)) heap.push(item);
  assertEquals(taken, items.slice(0, 500).sort((a, b) => a - b).slice(0, 200));
  const rest = Array.from({ length: 800 }, () => heap.pop()!);
  assertEquals(rest, rest.toSorted((a, b) => a - b));
  assertEquals([...taken, ...rest].sort((a, b) => a - b), items.sort((a, b) => a - b));
  assertEquals([heap.pop(), heap.peek(), heap.length], [undefined, undefined, 0]);
});

Deno.test("Scheduler runs each job when it is due, and none after stop()", () => {
  using time = new FakeTime(0);
  const scheduler = new Scheduler();
  const ran: [string, number][] = [];
  const due = { a: 100, b: Infinity };
  scheduler.add({ nextDue: () => due.a, run: (now) => (ran.push(["a", now]), due.a += 100) });
  scheduler.add({ nextDue: () => due.b, run: (now) => (ran.push(["b", now]), due.b = Infinity) });

  time.tick(150);
  assertEquals(ran, []);
  scheduler.start();
  time.tick(1);
  assertEquals(ran, [["a", 151]]);
  scheduler.schedule(due.b = 160);
  time.tick(149);
  assertEquals(ran, [["a", 151], ["b", 160], ["a", 200], ["a", 300]]);
  scheduler.stop();
  scheduler.schedule(due.b = 310);
  time.tick(1_000);
  assertEquals(ran.length, 4);
});

Deno.test("Slabs keep copies apart, and large pieces as they are", () => {
  const slabs = new Slabs();
  const pieces = Array.from({ length: 500 }, (_, i) => new Uint8Array(1 + (i * 37) % 2_000).fill(i % 256));
  const kept = pieces.map((piece) => slabs.copy(piece));

  kept.forEach((copy, i) => assertEquals([copy.length, copy[0], copy.at(-1)], [pieces[i]!.length, i % 256, i % 256]));
  assertEquals(new Set(kept.map((copy) => copy.buffer)).size < 5, true);
  const large = new Uint8Array(20_000);
  assertEquals(slabs.copy(large) === large, true);
});
