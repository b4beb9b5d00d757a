import { assert, assertEquals } from "@std/assert";
import { WaitTable } from "../../src/transport/wait_table.ts";

function added(table: WaitTable<string>, value: string): number {
  const opaque = table.next();
  table.add(opaque, value);
  return opaque;
}

Deno.test("WaitTable returns a value once, and nothing for an opaque that it does not have", () => {
  const table = new WaitTable<string>();
  const [first, second] = [added(table, "first"), added(table, "second")];
  assertEquals(table.take(second), "second");
  assertEquals(table.take(second), undefined);
  assertEquals(table.take(table.next()), undefined);
  assertEquals(table.take(-1), undefined);
  assertEquals(table.take(first), "first");
});

Deno.test("WaitTable returns no wait of now for a late answer, however often places are used again", () => {
  const table = new WaitTable<string>();
  const held = added(table, "held");
  const late: number[] = [];
  for (let i = 0; i < 1_000; i++) {
    const opaque = added(table, `wait ${i}`);
    for (const before of late) assertEquals(table.take(before), undefined);
    assertEquals(table.take(opaque), `wait ${i}`);
    late.push(opaque);
  }
  assertEquals(new Set(late).size, late.length);
  assertEquals(table.take(held), "held");
});

Deno.test("WaitTable grows with what waits, and finds all of it", () => {
  const table = new WaitTable<string>();
  const opaques = Array.from({ length: 5_000 }, (_, i) => added(table, `${i}`));
  assertEquals(new Set(opaques).size, 5_000);
  for (let i = 0; i < 5_000; i += 2) assertEquals(table.take(opaques[i]!), `${i}`);
  const more = Array.from({ length: 5_000 }, (_, i) => added(table, `more ${i}`));
  for (let i = 1; i < 5_000; i += 2) assertEquals(table.take(opaques[i]!), `${i}`);
  more.forEach((opaque, i) => assertEquals(table.take(opaque), `more ${i}`));
});

Deno.test("WaitTable goes on with opaque 0 behind the largest int32", () => {
  const table = new WaitTable<string>(2 ** 31 - 3);
  const opaques = ["a", "b", "c"].map((value) => added(table, value));
  assertEquals(opaques, [2 ** 31 - 2, 2 ** 31 - 1, 0]);
  assertEquals(opaques.map((opaque) => table.take(opaque)), ["a", "b", "c"]);
});

Deno.test("WaitTable takes out what is wanted, and leaves the rest", () => {
  const table = new WaitTable<string>();
  const opaques = Array.from({ length: 40 }, (_, i) => added(table, i % 3 === 0 ? `late ${i}` : `${i}`));
  const late = table.takeAll((value) => value.startsWith("late"));
  assertEquals(late.sort(), Array.from({ length: 14 }, (_, i) => `late ${i * 3}`).sort());
  opaques.forEach((opaque, i) => assertEquals(table.take(opaque), i % 3 === 0 ? undefined : `${i}`));
  assert(table.takeAll(() => true).length === 0);
});
