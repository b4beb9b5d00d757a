/**
 * A program that stands still for a while: it opens a store and keeps an offset, and another one when it is told to.
 *
 * Run it by `deno run stalled_child.ts <kind> <path>`. It prints `open`, and how the second write went.
 */

import { createOffsetStore } from "../../src/offsets/create.ts";

const [kind, path = ""] = Deno.args;
const queue = { topic: "orders", broker: "b", queueId: 0 };

const type = kind === "file" ? "file" : "kv";
const store = await createOffsetStore({ type, group: "billing", path, leaseTimeout: 100 });
await store.open();
store.update(queue, 5);
await store.persist();
console.log("open");
Deno.stdin.readSync(new Uint8Array(1)); // no timer runs meanwhile
store.update(queue, 100);
console.log(await store.persist().then(() => "stored", (error) => error.code));
await store.close();
