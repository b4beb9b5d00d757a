/**
 * The benchmark's program for npm `ali-ons`. It is bundled into the folder where that package is installed, and runs on
 * Node.
 *
 * Tuned means: 32 messages handled at a time, and no limit of what is buffered (at the limit it sleeps five seconds).
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { createRequire } from "node:module";
import { bodyOf } from "./bodies.ts";
import { idle, Reception, RoundTrips, runProgram, SEND_TIMEOUT, sendAll, Span, unsupported } from "./program.ts";
import type { Outcome, Work } from "./work.ts";

/** The part of the package that is used here. */
interface AliOns {
  readonly Consumer: new (options: Record<string, unknown>) => {
    subscribe(topic: string, expression: string, handler: (message: { body: Buffer }) => Promise<void>): void;
    on(event: "error", handler: (error: unknown) => void): void;
    ready(): Promise<void>;
  };
  readonly Producer: new (options: Record<string, unknown>) => {
    send(message: unknown): Promise<{ sendStatus: string }>;
    ready(): Promise<void>;
  };
  readonly Message: new (topic: string, body: Uint8Array) => unknown;
}

const { Consumer, Producer, Message }: AliOns = createRequire(import.meta.url)("ali-ons");
const silent = { debug() {}, info() {}, warn() {}, error() {} };

await runProgram({ consume, send, endToEnd, idle: wait });

async function consume(work: Work): Promise<Outcome> {
  const reception = new Reception(work);
  subscribe(work, (text) => reception.ledger.add(text));
  await reception.done;
  return reception.outcome();
}

function subscribe(work: Work, handle: (text: string) => unknown): InstanceType<AliOns["Consumer"]> {
  const consumer = new Consumer({
    httpclient: {},
    logger: silent,
    nameSrv: work.nameServer,
    consumerGroup: work.group,
    consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET",
    ...(work.tuned ? { parallelConsumeLimit: 32, pullThresholdForQueue: 1_000_000 } : {}),
  });
  consumer.on("error", (error) => console.error(error));
  // deno-lint-ignore require-await -- the package insists on an async function
  consumer.subscribe(work.topic, "*", async (message) => {
    handle(message.body.toString());
  });
  return consumer;
}

async function send(work: Work): Promise<Outcome> {
  const { topic, bytes } = work;
  if (work.batch > 1) return unsupported("batch");
  if (work.oneway) return unsupported("oneway");
  if (work.linger > 0) return unsupported("linger");
  const producer = await connect(work);
  return await sendAll(work, (number) => sendOne(producer, topic, bodyOf(number, bytes)));
}

async function connect({ nameServer }: Work): Promise<InstanceType<AliOns["Producer"]>> {
  const producer = new Producer({
    httpclient: {},
    logger: silent,
    nameSrv: nameServer,
    producerGroup: "bench-ali-ons",
    sendMsgTimeout: SEND_TIMEOUT,
  });
  await producer.ready();
  return producer;
}

async function sendOne(producer: InstanceType<AliOns["Producer"]>, topic: string, body: Uint8Array): Promise<void> {
  const { sendStatus } = await producer.send(
    new Message(topic, Buffer.from(body.buffer, body.byteOffset, body.byteLength)),
  );
  if (sendStatus !== "SEND_OK") throw new Error(`Cannot send a message: its status is ${sendStatus}`);
}

async function endToEnd(work: Work): Promise<Outcome> {
  const reception = new Reception(work);
  const trips = new RoundTrips(work);
  subscribe(work, (text) => trips.arrived(reception.ledger.add(text)));
  const producer = await connect(work);
  await trips.sendAll((body) => sendOne(producer, work.topic, body));
  await reception.done;
  return { ...reception.outcome(), ...trips.figures };
}

async function wait(work: Work): Promise<Outcome> {
  const span = new Span();
  await subscribe(work, () => {}).ready();
  span.end();
  return { ...idle, ...span.figures };
}
