/**
 * The benchmark's program for this client: through its public door, on any runtime.
 *
 * @module
 */

import { type Client, connect, type Consumer, type ConsumerOptions, type OutgoingMessage } from "../../mod.ts";
import type { Producer, ProducerOptions } from "../../mod.ts";
import { bodyOf } from "./bodies.ts";
import { idle, Reception, RoundTrips, runProgram, SEND_TIMEOUT, sendAll, Span, unsupported } from "./program.ts";
import { type Outcome, topicsOf, type Work } from "./work.ts";

/** What producers are learning. */
interface OnewayProducer extends Producer {
  sendOneway(message: OutgoingMessage): Promise<void>;
}

/** What producers can be told besides, once they gather single sends. */
interface LingerOptions extends ProducerOptions {
  linger?: number;
}

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
  const options: ConsumerOptions = { group, topics: topicsOf(work), consumeFrom: "first" };
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
  let producer: Producer;
  try {
    const options: LingerOptions = { sendTimeout: SEND_TIMEOUT, ...(linger > 0 ? { linger } : {}) };
    producer = await mq.producer(options);
  } catch (error) {
    if (linger > 0) return unsupported("linger");
    throw error;
  }
  const messageOf = (number: number) => ({ topic, body: bodyOf(number, bytes) });
  if (!oneway) {
    if (batch === 1) return await sendAll(work, (number) => producer.send(messageOf(number)));
    const batchOf = (number: number, length: number) => Array.from({ length }, (_, i) => messageOf(number + i));
    return await sendAll(work, (number, length) => producer.sendBatch(batchOf(number, length)));
  }
  if (!isOneway(producer)) return unsupported("oneway");
  return await sendAll(work, (number) => producer.sendOneway(messageOf(number)));
}

function isOneway(producer: Producer): producer is OnewayProducer {
  return "sendOneway" in producer;
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
  return { ...idle, ...span.figures };
}

await runProgram({ consume, pull: consume, send, endToEnd, idle: wait });
