/**
 * What the stores do where there is no Deno: a program for other runtimes, that prints one line of JSON.
 *
 * It is given a folder, which is its user's home as well.
 */

import { createOffsetStore, FileOffsetStore, type LocalOffsetStore } from "../../src/consumer/mod.ts";
import process from "node:process";

const folder = process.argv[2] ?? "";
const queue = { topic: "orders", broker: "b", queueId: 0 };
const other = { ...queue, queueId: 1 };

async function opened<S extends LocalOffsetStore>(store: S): Promise<S> {
  await store.open();
  return store;
}

function codeOf(work: Promise<unknown>): Promise<unknown> {
  return work.then(() => "none", (error) => error.code);
}

const options = { group: "billing", path: `${folder}/files` };
const kind = (await createOffsetStore(options)).kind;
const atHome = await opened(await createOffsetStore({ group: "billing" }));
await atHome.close();
const nowhere = await createOffsetStore({ group: "billing", path: process.argv[1] ?? "" });

const first = await opened(new FileOffsetStore({ ...options, leaseTimeout: 1_500 }));
const second = codeOf(new FileOffsetStore({ ...options, leaseTimeout: 100 }).open());
first.update(queue, 7);
await first.persist();
first.update(queue, 9);
first.update(other, 3);
await first.persist();
const inUse = await second;
await first.close();

const next = await opened(new FileOffsetStore(options));
next.update(queue, 4);
await next.persist();
const read = [await next.read(queue, "store"), await next.read(other, "store")];
await next.close();

const kv = await codeOf((await createOffsetStore({ group: "billing", type: "kv" })).open());
console.log(JSON.stringify({ kind, atHome: atHome.kind, nowhere: nowhere.kind, inUse, read, kv }));
