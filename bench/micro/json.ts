/**
 * JSON bodies: those of a large cluster, and those that take longest for their size.
 *
 * Run it with the others by `deno task bench:micro`.
 *
 * @module
 */

import { MAX_JSON_SIZE, MAX_QUEUE_LIST_SIZE, MAX_VALUES, parseBody } from "../../src/wire/json.ts";
import { lockQueues } from "../../src/wire/requests.ts";

/** As many values as a body may have, in as few bytes as they need. */
function most(open: string, value: (i: number) => string, close: string, valuesEach: number): string {
  const count = Math.floor((MAX_VALUES - 1) / valuesEach);
  return open + Array.from({ length: count }, (_, i) => value(i)).join(",") + close;
}

const queues = Array.from({ length: 4_096 }, (_, queueId) => ({ brokerName: "broker-a", queueId, topic: "orders" }));
const bodies: readonly [string, string][] = [
  ["4 096 locked queues", JSON.stringify({ lockOKMQSet: queues })],
  ["empty objects", most("[", () => "{}", "]", 1)],
  ["objects with small numbers as names", most("[", () => "{9:1}", "]", 2)],
  ["names without quotes", most("{", (i) => `${i}:1`, "}", 1)],
  ["names of their own", most("{", (i) => `"k${i}":1`, "}", 1)],
  ["integers of 20 digits", most("[", () => "9".repeat(20), "]", 1)],
  ["4 MiB of escapes", `"${"\\n".repeat(MAX_QUEUE_LIST_SIZE / 2 - 8)}"`],
  ["1 MiB of blanks", " ".repeat(MAX_JSON_SIZE - 1) + "1"],
];

for (const [name, text] of bodies) {
  const body = new TextEncoder().encode(text);
  Deno.bench(`parseBody(), ${name}, ${Math.round(body.length / 1_024)} KiB`, { group: "json" }, () => {
    parseBody(body, lockQueues);
  });
}
