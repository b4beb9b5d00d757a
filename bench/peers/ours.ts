/**
 * The benchmark's program for this client: through its public door, on any runtime.
 *
 * @module
 */

import process from "node:process";
import { type Client, connect, type Consumer, type ConsumerOptions } from "../../mod.ts";
import { bodyOf } from "./bodies.ts";
import { idle, Reception, RoundTrips, runProgram, SEND_TIMEOUT, sendAll, Span } from "./program.ts";
import { type Outcome, topicsOf, type Work } from "./work.ts";

async function consume(work: Work): Promise<Outcome> {
  const reception = new Reception(work);
  const mq = await connect(work.nameServer);
  const consumer = await mq.consumer(consumerOptions(work));
  const turns = new Turns();
  await (work.each ? runEach : runLoops)(work, consumer, reception);
  return { ...reception.outcome(), lateness: turns.latest() };
}

function consumerOptions(work: Work): ConsumerOptions {
  const { group, pullBatch } = work;
  const ordering = work.ordering as NonNullable<ConsumerOptions["ordering"]>;
  const options: ConsumerOptions = { group, topics: topicsOf(work), consumeFrom: "first", ordering };
  // The backlog has no sharding keys: looking for one costs the same.
  if (ordering === "byKey") {
    options.orderingKey = (message) => message.property("__SHARDINGKEY") ?? String(message.queueOffset);
  }
  // Nothing else is raised for larger pulls.
  return pullBatch === 32 ? options : { ...options, pullBatchSize: pullBatch, pullBatchBytes: 4 * 1024 * 1024 };
}

async function runLoops(work: Work, consumer: Consumer, { ledger, done }: Reception): Promise<void> {
  const stop = new AbortController();
  const loop = async () => {
    for await (const batch of consumer.batches({ signal: stop.signal })) {
      for (const message of batch) ledger.add(message.text());
      if (work.handler > 0) await handle(work);
      if (ledger.isFull) break;
    }
  };
  const loops = work.loops === 1 ? [plainLoop(work, consumer, ledger)] : Array.from({ length: work.loops }, loop);
  await done;
  stop.abort();
  await Promise.all(loops);
}

/** The loop of the README. */
async function plainLoop(work: Work, consumer: Consumer, ledger: Reception["ledger"]): Promise<void> {
  for await (const batch of consumer) {
    for (const message of batch) ledger.add(message.text());
    if (work.handler > 0) await handle(work);
    if (ledger.isFull) break;
  }
}

async function runEach(work: Work, consumer: Consumer, { ledger, done }: Reception): Promise<void> {
  const stop = new AbortController();
  const running = consumer.runEach((message) => {
    ledger.add(message.text());
    if (work.handler > 0) return handle(work);
  }, { concurrency: work.loops, signal: stop.signal });
  await done;
  stop.abort();
  await running;
}

function handle({ handler, blocking }: Work): Promise<void> | void {
  if (!blocking) return new Promise((resolve) => setTimeout(resolve, handler));
  for (const until = performance.now() + handler; performance.now() < until;);
}

/** Looks every 5 ms how late a timer is. */
class Turns {
  #latest = 0;
  #due = performance.now() + 5;
  #timer = setInterval(() => {
    const now = performance.now();
    this.#latest = Math.max(this.#latest, now - this.#due);
    this.#due = now + 5;
  }, 5);

  latest(): number {
    clearInterval(this.#timer);
    return this.#latest;
  }
}

async function send(work: Work): Promise<Outcome> {
  const { topic, bytes, linger, oneway, batch } = work;
  const mq = await connect(work.nameServer);
  const producer = await mq.producer({ sendTimeout: SEND_TIMEOUT, linger });
  const messageOf = (number: number) => ({ topic, body: bodyOf(number, bytes) });
  if (oneway) return await sendAll(work, (number) => producer.sendOneway(messageOf(number)));
  if (batch === 1) return await sendAll(work, (number) => producer.send(messageOf(number)));
  const batchOf = (number: number, length: number) => Array.from({ length }, (_, i) => messageOf(number + i));
  return await sendAll(work, (number, length) => producer.sendBatch(batchOf(number, length)));
}

async function endToEnd(work: Work): Promise<Outcome> {
  const { nameServer, topic, group } = work;
  const reception = new Reception(work);
  const trips = new RoundTrips(work);
  const mq: Client = await connect(nameServer);
  const consumer = await mq.consumer({ group, topics: topic, consumeFrom: "first" });
  const producer = await mq.producer();
  const loop = (async () => {
    for await (const batch of consumer) {
      for (const message of batch) trips.arrived(reception.ledger.add(message.text()));
      if (reception.ledger.isFull) break;
    }
  })();
  await trips.sendAll((body) => producer.send({ topic, body }));
  await loop;
  return { ...reception.outcome(), ...trips.figures };
}

async function wait(work: Work): Promise<Outcome> {
  const span = new Span();
  const mq = await connect(work.nameServer);
  const consumer = await mq.consumer(consumerOptions(work));
  consumer.batches().next(); // a loop that waits
  span.end();
  return { ...idle, ...span.figures, ...await heldMemory() };
}

/** Where a garbage collection may be asked for, what is left after it, once every queue has been pulled. */
async function heldMemory(): Promise<Pick<Outcome, "held">> {
  const { gc } = globalThis as { gc?: () => void };
  if (gc === undefined) return {};
  await new Promise((resolve) => setTimeout(resolve, 5_000));
  gc();
  const { heapUsed, external } = process.memoryUsage();
  return { held: heapUsed + external };
}

await runProgram({ consume, pull: consume, send, endToEnd, idle: wait });
