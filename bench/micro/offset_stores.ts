/**
 * Offset stores that hold many queues: how long it takes to open them, to read and to write every offset, and to write
 * a few.
 *
 * Run it by `deno run -A bench/micro/offset_stores.ts [queues]`. KV and files are in a folder for temporary files.
 *
 * @module
 */

import { createOffsetStore, type LocalOffsetStore, type OffsetStoreKind } from "../../src/consumer/mod.ts";
import type { MessageQueue } from "../../src/message.ts";
import { cpus } from "node:os";

const [queueCount = 100_000] = Deno.args.map(Number);
const runs = 5;
/** How many offsets change between two small writes. */
const few = 100;

const queues: readonly MessageQueue[] = Array.from({ length: queueCount }, (_, at) => {
  return { topic: `topic-${at % 1_000}`, broker: `broker-${at % 10}`, queueId: Math.floor(at / 1_000) };
});

/** What a store came to, in milliseconds. */
interface Result {
  readonly update: number;
  readonly persist: number;
  readonly persistAgain: number;
  readonly persistFew: number;
  readonly open: number;
  readonly read: number;
}

async function timed(run: () => unknown): Promise<number> {
  const started = performance.now();
  await run();
  return performance.now() - started;
}

async function readAll(store: LocalOffsetStore): Promise<void> {
  for (const [at, queue] of queues.entries()) {
    const offset = await store.read(queue, "store");
    if (offset !== at + 2) throw new RangeError(`${JSON.stringify(queue)} has ${offset}, expected is ${at + 2}`);
  }
}

function updateAll(store: LocalOffsetStore, by: number): void {
  for (const [at, queue] of queues.entries()) store.update(queue, at + by);
}

async function measure(type: OffsetStoreKind): Promise<Result> {
  const folder = await Deno.makeTempDir();
  const make = () =>
    createOffsetStore({ group: "billing", type, path: type === "kv" ? `${folder}/kv.sqlite` : folder });
  try {
    const store = await make();
    await store.open();
    const update = await timed(() => updateAll(store, 0));
    const persist = await timed(() => store.persist());
    updateAll(store, 1);
    const persistAgain = await timed(() => store.persist());
    for (const [at, queue] of queues.slice(0, few).entries()) store.update(queue, at + 2);
    const persistFew = await timed(() => store.persist());
    updateAll(store, 2);
    await store.persist();
    await store.close();
    const next = type === "memory" ? store : await make();
    const open = await timed(() => type === "memory" ? undefined : next.open());
    const read = type === "memory" ? NaN : await timed(() => readAll(next));
    await next.close();
    return { update, persist, persistAgain, persistFew, open, read };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** The smallest and the largest of some values, for each name. */
function range(results: readonly Result[], name: keyof Result): string {
  const values = results.map((result) => result[name]).sort((a, b) => a - b);
  const [least = NaN, most = NaN] = [values[0], values.at(-1)];
  return Number.isNaN(least) ? "–" : `${least.toFixed(0)} – ${most.toFixed(0)}`;
}

const columns = ["update", "persist", "persistAgain", "persistFew", "open", "read"] as const;
const { model } = cpus()[0] ?? { model: "unknown" };
console.log(`Deno ${Deno.version.deno}, ${cpus().length} × ${model}; ${queueCount} queues, ${runs} runs`);
console.log(`ms, least – most; "persistFew" writes ${few} queues, "open" has the offsets of a life before\n`);
console.log("".padEnd(8) + columns.map((name) => name.padStart(16)).join(""));
for (const type of ["kv", "file", "memory"] as const) {
  const results: Result[] = [];
  for (let run = 0; run < runs; run++) results.push(await measure(type));
  console.log(type.padEnd(8) + columns.map((name) => range(results, name).padStart(16)).join(""));
}
