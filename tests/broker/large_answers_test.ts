/**
 * Brokers whose operator has raised the limits of an answer: what they send is larger than a frame may be here.
 *
 * POP takes part with `LONG=1`: what an answer loses is redelivered after its invisible time, which takes half a minute.
 */

import { assertEquals, assertRejects } from "@std/assert";
import { AnswerTooLargeError, connect, type StatusEvent } from "../../mod.ts";
import { denoTransport } from "../../src/transport/deno.ts";
import { PullSysFlag } from "../../src/wire/codes.ts";
import { pullMessage } from "../../src/wire/requests.ts";
import { startRocketMQ } from "../../tools/rocketmq/cluster.ts";
import { javaToolsMissing, ROCKETMQ_VERSIONS, type RocketMQVersion } from "../../tools/rocketmq/fetch.ts";
import { waitUntil } from "../behaviour/harness.ts";
import { RawBroker } from "../behaviour/raw_broker.ts";

const COUNT = 40;
const SIZE = 1_000_000;
/** How long everything may take to arrive, in milliseconds: pops that are lost are redelivered after 5 s and more. */
const PATIENCE = 60_000;

/** An answer may have 64 messages and 64 MiB. */
const brokerConfig = Object.fromEntries(["Memory", "Disk"].flatMap((where) => [
  [`maxTransferBytesOnMessageIn${where}`, String(64 * 1024 * 1024)],
  [`maxTransferCountOnMessageIn${where}`, "64"],
]));

const missing = javaToolsMissing();
if (missing !== undefined) console.log(`answers larger than a frame: not run: ${missing}`);
const ignore = missing !== undefined && Deno.env.get("CI") === undefined;

for (const version of ROCKETMQ_VERSIONS) {
  const name = `answers of ${version} that are larger than a frame: all messages arrive, and no connection is cut`;
  Deno.test({ name, ignore, fn: () => run(version) });
}

async function run(version: RocketMQVersion): Promise<void> {
  await using cluster = await startRocketMQ({ version, brokerConfig });
  const raw = new RawBroker(denoTransport, cluster.nameServer, cluster.brokers[0]!.address);
  await using mq = await connect({ nameServers: cluster.nameServer, logger: false });
  const events: StatusEvent[] = [];
  const reading = collect(mq.status(), events);
  try {
    for (const topic of ["large", "small"]) await raw.createTopic(topic, 1);
    const body = (i: number) => new Uint8Array(SIZE).fill(i);
    await raw.publish("large", Array.from({ length: COUNT }, (_, i) => ({ body: body(i) })));
    await assertRejects(() => raw.broker.ask(pullMessage, wholeQueue()), AnswerTooLargeError);

    const consumer = await mq.consumer({ group: "billing", topics: ["large", "small"], consumeFrom: "first" });
    const reader = await mq.reader({ topic: "large", from: "earliest" });
    const popped = version.startsWith("5") && Deno.env.get("LONG") !== undefined
      ? [await mq.popConsumer({ group: "workers", topics: "large", consumeFrom: "first", invisibleTime: 5_000 })]
      : [];
    const received = [consumer, reader, ...popped].map(receive);
    const [byPull] = received;
    for (let i = 0; i < COUNT; i++) { // what else is on the connection goes on
      await raw.publish("small", [`small ${i}`]);
      await waitUntil(() => byPull!.small.size === i + 1, { what: () => `message ${i} of the other queue` });
    }
    for (const { large } of received) {
      const what = () => `${COUNT} large messages, got ${received.map(({ large }) => large.size)}`;
      await waitUntil(() => large.size === COUNT, { what, timeout: PATIENCE });
    }
    await consumer.commit();
    assertEquals(await raw.committed("billing", { topic: "large", queueId: 0 }), COUNT);
    await Promise.all([consumer, reader, ...popped].map((each) => each.close()));
    await Promise.all(received.map(({ loop }) => loop));
    const bad = events.filter(({ type }) => !["connected", "rebalanced", "routeChanged"].includes(type));
    assertEquals(bad.map(({ type, text }) => `${type}: ${text}`), []);
  } finally {
    await mq.close();
    await reading;
    await raw.close();
  }
}

/** A request for all messages of the queue at once. */
function wholeQueue() {
  return {
    consumerGroup: "test",
    topic: "large",
    queueId: 0,
    queueOffset: 0,
    maxMsgNums: COUNT,
    sysFlag: PullSysFlag.SUBSCRIPTION,
    commitOffset: 0,
    suspendTimeoutMillis: 0,
    subscription: "*",
    subVersion: 0,
    expressionType: "TAG",
  };
}

interface Source {
  batches(): AsyncIterable<Iterable<{ topic: string; body: Uint8Array }>>;
}

/** Runs a loop until the source is closed; a message is known by its first byte, or by its text. */
function receive(source: Source) {
  const large = new Set<number>();
  const small = new Set<string>();
  const loop = (async () => {
    for await (const batch of source.batches()) {
      for (const { topic, body } of batch) {
        if (topic === "small") small.add(new TextDecoder().decode(body));
        else if (body.length === SIZE) large.add(body[0]!);
      }
    }
  })();
  return { large, small, loop };
}

async function collect(status: AsyncIterable<StatusEvent>, events: StatusEvent[]): Promise<void> {
  for await (const event of status) events.push(event);
}
