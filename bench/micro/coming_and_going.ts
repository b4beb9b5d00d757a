/**
 * What waits for answers and what is in hand: entries that come and go, beside the same in a `Map` and a `Set`.
 *
 * Run it with the others by `deno task bench:micro`.
 *
 * @module
 */

import { type Placed, PlacedList } from "../../src/placed_list.ts";
import { WaitTable } from "../../src/transport/wait_table.ts";

const ENTRIES = 10_000;
/** How many are there at a time. */
const AT_A_TIME = 128;

Deno.bench("10 000 waits, 128 at a time: WaitTable", { group: "waits", baseline: true }, () => {
  const table = new WaitTable<object>();
  const waiting: number[] = [];
  for (let i = 0; i < ENTRIES; i++) {
    const opaque = table.next();
    table.add(opaque, {});
    waiting[i] = opaque;
    if (i >= AT_A_TIME) table.take(waiting[i - AT_A_TIME]!);
  }
});

Deno.bench("10 000 waits, 128 at a time: Map", { group: "waits" }, () => {
  const table = new Map<number, object>();
  for (let i = 0; i < ENTRIES; i++) {
    table.set(i, {});
    if (i >= AT_A_TIME) table.delete(i - AT_A_TIME);
  }
});

Deno.bench("10 000 batches, 128 at a time: PlacedList", { group: "in hand", baseline: true }, () => {
  const list = new PlacedList<Placed>();
  const held: Placed[] = [];
  for (let i = 0; i < ENTRIES; i++) {
    list.add(held[i] = { place: -1 });
    if (i >= AT_A_TIME) list.delete(held[i - AT_A_TIME]!);
  }
});

Deno.bench("10 000 batches, 128 at a time: Set", { group: "in hand" }, () => {
  const set = new Set<object>();
  const held: object[] = [];
  for (let i = 0; i < ENTRIES; i++) {
    set.add(held[i] = {});
    if (i >= AT_A_TIME) set.delete(held[i - AT_A_TIME]!);
  }
});
