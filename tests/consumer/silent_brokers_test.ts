/** Brokers that fall silent after a member has joined: their ports accept, and nothing is answered. */

import { assert, assertEquals, assertLess, assertRejects } from "@std/assert";
import { type Client, connect, type Consumer } from "../../mod.ts";
import { EmbeddedCluster } from "../../src/embedded/mod.ts";
import { TimeoutError } from "../../src/errors.ts";
import { isSettled } from "../transport/waiting.ts";
import { waitUntil } from "../behaviour/harness.ts";

const BROKERS = 20;
/** The timeout of `close()`, and when it has to be over: a second later, with room for a slow machine. */
const [TIMEOUT, LATEST] = [1_000, 2_500];

/** Members of each kind in a group of their own, which have received from all brokers. */
class Bench {
  readonly mq: Client;
  readonly consumer: Consumer;
  readonly #cluster: EmbeddedCluster;

  static async open(ordering: "concurrent" | "orderly" = "concurrent", requestTimeout = 3_000): Promise<Bench> {
    const topics = { orders: { queues: 1 } };
    const cluster = await EmbeddedCluster.start({ brokers: BROKERS, nameServers: 1, topics });
    const mq = await connect({ nameServers: cluster.nameServer, requestTimeout, logger: false });
    const closeTimeout = TIMEOUT;
    const options = { group: "billing", topics: "orders", consumeFrom: "first", closeTimeout, ordering } as const;
    return new Bench(cluster, mq, await mq.consumer(options));
  }

  private constructor(cluster: EmbeddedCluster, mq: Client, consumer: Consumer) {
    this.#cluster = cluster;
    this.mq = mq;
    this.consumer = consumer;
  }

  /** Receives a message of every broker, and acknowledges all but that of the last batch. */
  async receive(): Promise<AsyncIterator<unknown>> {
    await this.#cluster.publish("orders", Array.from({ length: BROKERS }, (_, i) => `${i}`));
    const batches = this.consumer.batches();
    for (let i = 0; i < BROKERS; i++) assert(!(await batches.next()).done);
    return batches;
  }

  /** Lets all brokers fall silent; `reading` says whether what is sent to them leaves the client. */
  silence(reading = true): void {
    for (const broker of this.#cluster.brokers) broker.pause({ reading });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const broker of this.#cluster.brokers) await broker.kill(); // what it was sent is of no interest
    await this.mq.close();
    await this.#cluster.close();
  }
}

async function endsInTime(what: string, work: () => Promise<unknown>): Promise<void> {
  const since = performance.now();
  await work();
  const took = performance.now() - since;
  assertLess(took, LATEST, `${what} took ${Math.round(took)} ms`);
}

for (const ordering of ["concurrent", "orderly"] as const) {
  Deno.test(`close() of a client and its ${ordering} consumer ends in time when 20 brokers have fallen silent`, async () => {
    await using bench = await Bench.open(ordering);
    await bench.receive();
    bench.silence();
    await endsInTime("consumer.close()", () => bench.consumer.close());
    await endsInTime("mq.close()", () => bench.mq.close());
  });
}

Deno.test("close() of a client alone ends in time when 20 brokers have fallen silent, with all kinds of members", async () => {
  await using bench = await Bench.open();
  await bench.receive();
  const { mq } = bench;
  const options = { topics: "orders", consumeFrom: "first", closeTimeout: TIMEOUT } as const;
  const popped = await mq.popConsumer({ ...options, group: "workers" });
  const pops = popped.batches();
  assert(!(await pops.next()).done);
  const reader = await mq.reader({ topic: "orders", from: "earliest" });
  const reads = reader.batches();
  assert(!(await reads.next()).done);
  const producer = await mq.producer({ sendTimeout: TIMEOUT });
  await producer.send({ topic: "orders", body: "x" });
  bench.silence();
  const sending = producer.send({ topic: "orders", body: "y" }).catch((error) => error);
  await endsInTime("mq.close()", () => mq.close());
  assert(await sending instanceof Error);
});

Deno.test("close() ends in time when 20 brokers do not even read what they are sent", async () => {
  await using bench = await Bench.open();
  await bench.receive();
  bench.silence(false);
  await endsInTime("consumer.close()", () => bench.consumer.close());
  await endsInTime("mq.close()", () => bench.mq.close());
});

for (const ordering of ["concurrent", "orderly"] as const) {
  Deno.test(`drain(), seek() and commit() of a consumer (${ordering}) end when 20 brokers have fallen silent`, async () => {
    await using bench = await Bench.open(ordering, TIMEOUT);
    const { consumer } = bench;
    const batches = await bench.receive();
    bench.silence();
    const queue = consumer.assignment().find(({ topic }) => topic === "orders")!;
    await endsInTime("drain()", () => assertRejects(() => consumer.drain({ timeout: TIMEOUT }), TimeoutError));
    const stop = new AbortController();
    const drain = consumer.drain({ timeout: 60_000, signal: stop.signal });
    assertEquals(await isSettled(drain), false);
    stop.abort(new RangeError("enough"));
    await assertRejects(() => drain, RangeError);
    const since = performance.now();
    const [seek] = await Promise.allSettled([consumer.seek(queue, 0), consumer.commit()]);
    assertEquals(seek.status, "rejected"); // its position is not stored
    assertLess(performance.now() - since, 10_000); // the time of requests to one broker, not of one to each
    await endsInTime("consumer.close()", () => consumer.close());
    assertEquals((await batches.next()).done, true);
    await waitUntil(() => consumer.assignment().length === 0, { what: "nothing owned" });
  });
}
