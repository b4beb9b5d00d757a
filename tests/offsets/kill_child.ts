/**
 * A program to be killed: it works on numbers, notes each in a log, and keeps in a store up to where it is.
 *
 * Run it by `deno run kill_child.ts <kind> <path> <instance> <log>`. A line of the log is a queue and a number; a line of
 * its output says that there is another one in the log.
 */

import { createOffsetStore } from "../../src/offsets/create.ts";
import { turn } from "../../src/waiting.ts";

const [kind, path = "", instance = "", logPath = ""] = Deno.args;
const queues = [0, 1, 2].map((queueId) => ({ topic: "orders", broker: "b", queueId }));

const log = await Deno.open(logPath, { append: true, create: true });
const type = kind === "file" ? "file" : "kv";
const store = await createOffsetStore({ type, group: "billing", path, instance, leaseTimeout: 100 });
await store.open();
const positions: number[] = [];
for (const queue of queues) positions.push(await store.read(queue, "store") ?? 0);

let persisting: Promise<void> = Promise.resolve();
for (let step = 0;; step++) {
  const at = step % queues.length;
  const offset = positions[at]!++;
  note(log, `${at} ${offset}`);
  store.update(queues[at]!, offset + 1);
  note(Deno.stdout, "+");
  // Sometimes it waits, mostly it goes on, so that it dies at every point of a write.
  if (step % 4 === 0) persisting = store.persist();
  if (step % 16 === 0) await persisting;
  else await turn();
}

function note(file: { writeSync(bytes: Uint8Array): number }, text: string): void {
  file.writeSync(new TextEncoder().encode(`${text}\n`));
}
