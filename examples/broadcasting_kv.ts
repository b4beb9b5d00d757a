/**
 * Two caches that both receive every price, each with its own offsets in Deno KV: after a restart a cache continues
 * where it was. Sends the prices itself. KV needs `"unstable": ["kv"]` in deno.json, or `--unstable-kv`. Run it with
 *
 *     deno run --allow-net --allow-env=NAMESRV_ADDR examples/broadcasting_kv.ts [--name-server HOST:PORT] [DATABASE]
 *
 * @module
 */

import { connect, json } from "@denorocket/rocketmq";
import { KvOffsetStore } from "@denorocket/rocketmq/consumer";
import { exitPlainly, nameServer, others } from "./name_server.ts";

/** The JSON of a message. */
interface Price {
  readonly item: string;
  readonly price: number;
}

const GROUP = "price-caches";

const [database] = others; // by default Deno's own for this program

await using mq = await connect(nameServer).catch(exitPlainly);
using kv = await Deno.openKv(database);
await using producer = await mq.producer();
const prices = new Map<string, number>();

await announce("apple", "pear");
const [a, b] = [new Map<string, number>(), new Map<string, number>()];
await Promise.all([catchUp("a", a), catchUp("b", b)]);

await announce("plum", "quince"); // no member is running; both have stored their offsets
const [again, count] = [new Map(a), await catchUp("a", a)];
console.log(`a knew ${again.size} prices, and has read ${count} since`);
await catchUp("b", b);

console.log(`a knows ${a.size} prices and b ${b.size}, of ${prices.size}`);

/** Sends new prices. */
async function announce(...items: string[]): Promise<void> {
  for (const item of items) {
    const price = Math.round(Math.random() * 100_000) / 100;
    prices.set(item, price);
    // One item, one queue: the newest price of an item comes last.
    await producer.send({ topic: "prices", keys: item, body: json({ item, price }) }, { orderingKey: item });
  }
}

/** A member's life: reads until its cache holds all prices, and stores its offsets as it closes. */
async function catchUp(instance: string, cache: Map<string, number>): Promise<number> {
  await using client = await connect(nameServer); // one for each member of the group
  await using consumer = await client.consumer<Price>({
    group: GROUP,
    topics: "prices",
    model: "broadcasting",
    consumeFrom: "first", // of an instance that has no offsets yet
    missingTopic: "wait",
    // The instance distinguishes the members on one machine, and is the same after a restart. Without a store of its own
    // the consumer takes it as an option, and opens Deno's own database.
    offsetStore: new KvOffsetStore({ group: GROUP, instance, kv }),
  });
  let count = 0;
  for await (const batch of consumer) {
    for (const message of batch) {
      const { item, price } = message.json();
      cache.set(item, price);
      console.log(`${instance}: ${item} is ${price}`);
    }
    count += batch.length;
    await batch.ack();
    if ([...prices].every(([item, price]) => cache.get(item) === price)) break;
  }
  return count;
}
