/** Brokers that answer and do not move on, and waits that have an end of their own. */

import { assert, assertEquals, assertLess, assertLessOrEqual, assertRejects } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { Pauses } from "../../../src/consumer/assignment/pauses.ts";
import { ProcessQueue } from "../../../src/consumer/queue/process_queue.ts";
import { PullLoop } from "../../../src/consumer/queue/pull_loop.ts";
import { PullSize } from "../../../src/consumer/queue/pull_size.ts";
import type { PullAnswer } from "../../../src/consumer/queue/puller.ts";
import { ConsumerError, RocketMQError, TimeoutError } from "../../../src/errors.ts";
import { connect } from "../../../mod.ts";
import { EmbeddedBroker } from "../../../src/embedded/mod.ts";
import { routeOver, ScriptedNameServer } from "../../cluster/scripted_cluster.ts";
import { ScriptedServer } from "../../transport/scripted_server.ts";
import { fakeMessage, settleMicrotasks } from "../fakes.ts";
import { pullContext } from "./pull_context.ts";

function answer(some: Partial<PullAnswer>): PullAnswer {
  const where = { bytes: 0, nextOffset: 0, maxOffset: 100, brokerId: 0, remark: "", receivedAt: 0 };
  return { kind: "found", messages: [], broken: [], ...where, ...some };
}

/** A loop over a broker that always answers the same at once. */
function loopOver(always: PullAnswer, interval = 0) {
  const told = { pulls: 0, standstills: 0 };
  const process = new ProcessQueue(5);
  const loop = new PullLoop(pullContext(process, {
    interval,
    pull: () => Promise.resolve(always).finally(() => told.pulls++),
    mayPrefetch: () => true,
    onStandstill: () => void told.standstills++,
  }));
  return { told, loop, process };
}

Deno.test("an answer that leaves the position where it was is asked for again five times a second, with one event", async () => {
  using time = new FakeTime();
  const odd = [
    answer({ nextOffset: 5 }),
    answer({ nextOffset: 2 }),
    answer({ nextOffset: 3, messages: [fakeMessage(1), fakeMessage(2)] as never }),
  ];
  for (const always of odd) {
    const { told, loop, process } = loopOver(always);
    loop.start();
    for (let ms = 0; ms < 2_000; ms += 20) {
      await time.tickAsync(20);
      await settleMicrotasks();
    }
    assertLessOrEqual(told.pulls, 11);
    assertEquals([told.standstills, process.position, process.count], [1, 5, 0]);
    loop.stop();
  }
});

Deno.test("the position behind messages is that of the last and one, whatever the broker says", () => {
  const process = new ProcessQueue(5);
  process.put([fakeMessage(5), fakeMessage(6)], 5);
  assertEquals([process.position, process.committable], [7, 5]);
});

Deno.test("a loop that waits by its interval is not overdue, one that waits for an answer is", async () => {
  using time = new FakeTime();
  const { loop } = loopOver(answer({ nextOffset: 6 }), 60_000);
  loop.start();
  await settleMicrotasks();
  assertEquals([loop.waitsFor, loop.isOverdue(performance.now() + 59_000, 5_000)], ["interval", false]);
  loop.stop();
  const silent = new PullLoop(pullContext(new ProcessQueue(0)));
  silent.start();
  assertEquals([silent.waitsFor, silent.isOverdue(performance.now() + 36_000, 5_000)], ["answer", true]);
  silent.stop();
  await time.tickAsync(0);
});

Deno.test("PullSize halves down to one, and grows by one for eight answers", () => {
  const size = new PullSize(32);
  const counts = [];
  while (size.halve()) counts.push(size.count);
  assertEquals(counts, [16, 8, 4, 2, 1]);
  for (let answers = 0; answers < 16; answers++) size.arrived();
  assertEquals(size.count, 3);
});

Deno.test("Pauses keep what was said of a queue, whoever has it, and a drain that was given up leaves no trace", () => {
  const pauses = new Pauses();
  const [one, two] = [0, 1].map((queueId) => ({ topic: "orders", broker: "a", queueId }));
  const state = () => [pauses.includes(one!), pauses.includes(two!)];
  pauses.set(true, [one!]);
  assertEquals(state(), [true, false]);
  pauses.beginDrain();
  assertEquals(state(), [true, true]);
  pauses.endDrain(false);
  assertEquals(state(), [true, false]);
  pauses.set(true);
  pauses.set(false, [two!]);
  assertEquals(state(), [true, false]);
  pauses.beginDrain();
  pauses.endDrain(true);
  assertEquals(state(), [true, true]);
  pauses.set(false);
  assertEquals(state(), [false, false]);
});

Deno.test("drain() inside of its own loop ends by its timeout, and the consumer goes on", async () => {
  await using broker = await EmbeddedBroker.start({ topics: { orders: { queues: 1 } } });
  await using mq = await connect({ nameServers: broker.nameServer, logger: false });
  await using consumer = await mq.consumer({ group: "billing", topics: "orders", consumeFrom: "first", batchSize: 1 });
  await broker.publish("orders", ["a", "b"]);
  const seen: string[] = [];
  for await (const batch of consumer) {
    if (seen.length === 0) await assertRejects(() => consumer.drain({ timeout: 50 }), TimeoutError, "in flight");
    seen.push(batch.messages[0]!.text());
    await batch.ack();
    if (seen.length === 2) break;
  }
  assertEquals(seen, ["a", "b"]);
});

Deno.test("consumer() and close() end in time with 20 brokers that accept and never answer", async () => {
  const brokers = Array.from({ length: 20 }, () => new ScriptedServer());
  try {
    const route = routeOver(Object.fromEntries(brokers.map(({ address }, at) => [`broker-${at}`, { 0: address }])));
    await using names = new ScriptedNameServer({ orders: route });
    await using mq = await connect({ nameServers: names.address, startTimeout: 1_000, logger: false });
    const started = performance.now();
    const error = await assertRejects(() => mq.consumer({ group: "billing", topics: "orders", closeTimeout: 0 }));
    assert(error instanceof RocketMQError || error instanceof ConsumerError);
    assertLess(performance.now() - started, 1_000 + 1_000 + 500);
    const closing = performance.now();
    await mq.close();
    assertLess(performance.now() - closing, 1_500);
  } finally {
    await Promise.all(brokers.map((each) => each[Symbol.asyncDispose]()));
  }
});
