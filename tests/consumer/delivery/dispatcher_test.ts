import { assert, assertEquals, assertRejects } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { BatchIterator, runHandlers } from "../../../src/consumer/delivery/iteration.ts";
import { ConsumerStateError } from "../../../src/errors.ts";
import { turn } from "../../../src/waiting.ts";
import { Bench, offsets } from "../bench.ts";
import { fakeMessage, settleMicrotasks } from "../fakes.ts";

Deno.test("Dispatcher lets queues take turns", async () => {
  const bench = new Bench({ batchSize: 1 });
  bench.queue(0, 0, 1, 2);
  bench.queue(1, 0, 1);
  const order = [];
  for (let i = 0; i < 5; i++) order.push((await bench.take()).queue.queueId);
  assertEquals(order, [0, 1, 0, 1, 0]);
  bench.close();
});

Deno.test("Dispatcher serves waiting loops in the order in which they asked", async () => {
  const bench = new Bench({ batchSize: 2 });
  const first = bench.take();
  const second = bench.take();
  bench.queue(0, 0, 1, 2, 3);
  assertEquals([offsets(await first), offsets(await second)], [[0, 1], [2, 3]]);
  bench.close();
});

Deno.test("Dispatcher ends waiting and asking loops when it closes, and one loop when its signal aborts", async () => {
  const bench = new Bench();
  const stop = new AbortController();
  const stopped = bench.dispatcher.take({ signal: stop.signal });
  const waiting = bench.dispatcher.take({});
  stop.abort();
  assertEquals(await stopped, undefined);
  bench.close();
  assertEquals(await waiting, undefined);
  assertEquals(await bench.dispatcher.take({}), undefined);
});

/** A signal that counts its listeners. */
function countingSignal(): { stop: AbortController; listeners: () => number } {
  const stop = new AbortController();
  let count = 0;
  const { signal } = stop;
  const [add, remove] = [signal.addEventListener.bind(signal), signal.removeEventListener.bind(signal)];
  Object.assign(signal, {
    addEventListener: (...args: Parameters<typeof add>) => (count++, add(...args)),
    removeEventListener: (...args: Parameters<typeof remove>) => (count--, remove(...args)),
  });
  return { stop, listeners: () => count };
}

Deno.test("Dispatcher listens once to a signal that many loops share, and to none when it is closed", async () => {
  const bench = new Bench({ batchSize: 1 });
  const { stop: { signal }, listeners } = countingSignal();
  const waits = Array.from({ length: 20 }, () => bench.dispatcher.take({ signal }));
  assertEquals(listeners(), 1);
  const owned = bench.queue(0, ...Array.from({ length: 20 }, (_, offset) => offset));
  assertEquals((await Promise.all(waits)).filter((batch) => batch === undefined), []);
  owned.end();
  bench.close();
  assertEquals(listeners(), 0);
});

Deno.test("Dispatcher ends all loops that share a signal, and no other", async () => {
  const bench = new Bench();
  const { stop } = countingSignal();
  const other = bench.dispatcher.take({});
  const ended = Array.from({ length: 3 }, () => bench.dispatcher.take({ signal: stop.signal }));
  stop.abort();
  assertEquals(await Promise.all(ended), [undefined, undefined, undefined]);
  const owned = bench.queue(0, 0);
  assertEquals(offsets((await other)!), [0]);
  owned.end();
  bench.close();
});

Deno.test("Dispatcher does not keep signals for ever with which nobody waits", async () => {
  const bench = new Bench({ batchSize: 1 });
  const all = Array.from({ length: 200 }, countingSignal);
  const owned = bench.queue(0);
  for (const [offset, { stop }] of all.entries()) {
    const taken = bench.dispatcher.take({ signal: stop.signal });
    owned.process.put([fakeMessage(offset)], offset + 1);
    bench.dispatcher.offer(owned);
    assertEquals(offsets((await taken)!), [offset]);
  }
  assert(all.filter(({ listeners }) => listeners() > 0).length <= 64);
  owned.end();
  bench.close();
});

Deno.test("Dispatcher lets timers run while ready batches are taken without end", async () => {
  const bench = new Bench({ batchSize: 1 }, turn);
  const owned = bench.queue(0, ...Array.from({ length: 60_000 }, (_, offset) => offset));
  let fired = false;
  const timer = setTimeout(() => fired = true, 1);
  for (let taken = 0; !fired && taken < 60_000; taken++) (await bench.take()).ack();
  clearTimeout(timer);
  assert(fired, "60 000 batches were delivered before a timer of 1 ms ran");
  owned.end();
  bench.close();
});

Deno.test("Dispatcher lets many loops that wait work one by one, with turns of the event loop between them", async () => {
  let [worked, mostInATurn] = [0, 0];
  const bench = new Bench({ batchSize: 1 }, () => {
    mostInATurn = Math.max(mostInATurn, worked);
    worked = 0;
    return Promise.resolve();
  });
  const stop = new AbortController();
  const loops = Array.from({ length: 30 }, async () => {
    for (
      let batch = await bench.dispatcher.take(stop);
      batch !== undefined;
      batch = await bench.dispatcher.take(stop)
    ) {
      worked++;
      for (const until = performance.now() + 1; performance.now() < until;); // what holds the thread
      batch.ack();
    }
  });
  await settleMicrotasks();
  const owned = bench.queue(0, ...Array.from({ length: 100 }, (_, offset) => offset));
  while (owned.process.count > 0) await settleMicrotasks();
  stop.abort();
  await Promise.all(loops);
  assert(mostInATurn > 0 && mostInATurn < 10, `${mostInATurn} loops worked in one turn`);
  owned.end();
  bench.close();
});

Deno.test("Batch: the first settlement of a message wins", async () => {
  const bench = new Bench();
  const owned = bench.queue(0, 0, 1, 2);
  const batch = await bench.take();
  const [a, b, c] = batch.messages;
  await batch.ack(b);
  await batch.retry(b!);
  await batch.retry(a!);
  await batch.ack();
  await batch.deadLetter(c);
  assertEquals(bench.sentBack, [{ offset: 0, level: 0 }]);
  assertEquals([owned.process.committable, bench.settlement.settledTotal], [3, 3]);
  bench.close();
});

Deno.test("Batch.retry() settles a message when it is stored elsewhere, by send-back, else by a copy", async () => {
  const bench = new Bench();
  const owned = bench.queue(0, 0, 1, 2);
  const batch = await bench.take();
  await batch.retry(batch.messages[0]!, { delayLevel: 5 });
  assertEquals([owned.process.committable, bench.sentBack, bench.copied], [1, [{ offset: 0, level: 5 }], []]);
  bench.failSendBack = true;
  await batch.retry(batch.messages[1]!, { delayLevel: 5 });
  assertEquals([owned.process.committable, bench.sentBack.length, bench.copied], [2, 1, [1]]);
  await batch.ack();
  assertEquals(bench.events, []);
  bench.close();
});

Deno.test("Batch.release() gives the messages out again after suspendQueue", async () => {
  using time = new FakeTime();
  const bench = new Bench({ batchSize: 1, suspendQueue: 500 });
  bench.queue(0, 0, 1);
  (await bench.take()).release();
  assertEquals(offsets(await bench.take()), [1]);
  const again = bench.take();
  time.tick(500);
  assertEquals(offsets(await again), [0]);
  bench.close();
});

Deno.test("Batch: settlements of an epoch that has ended have no effect, and its signal tells", async () => {
  const bench = new Bench();
  const owned = bench.queue(0, 0, 1);
  const batch = await bench.take();
  owned.end("it moved");
  await batch.ack();
  await batch.retry();
  batch.release();
  assertEquals([owned.process.committable, bench.sentBack], [0, []]);
  assert(batch.signal.aborted);
  assert(batch.signal.reason instanceof ConsumerStateError);
  bench.close();
});

Deno.test("Settlement sends a batch back at level 3 when it is in flight for too long", async () => {
  using time = new FakeTime();
  const bench = new Bench({ consumeTimeout: 1_000 });
  const owned = bench.queue(0, 0, 1);
  const batch = await bench.take();
  Object.assign(batch, { deliveredAt: performance.now() - 1_000, deadline: performance.now() }); // the monotonic clock is not faked
  await batch.ack(batch.messages[0]);
  const { signal } = batch;
  time.tick(1_000);
  await settleMicrotasks();
  assert(signal.aborted);
  assertEquals(bench.sentBack, [{ offset: 1, level: 3 }]);
  assertEquals([owned.process.committable, bench.events], [2, ["stalled"]]);
  bench.close();
});

Deno.test("Settlement tells of messages that end in the dead letter queue", async () => {
  const bench = new Bench({ maxReconsumeTimes: 0 });
  bench.queue(0, 0, 1);
  const batch = await bench.take();
  await batch.retry(batch.messages[0]!);
  await batch.deadLetter();
  assertEquals(bench.sentBack, [{ offset: 0, level: -1 }, { offset: 1, level: -1 }]);
  assertEquals(bench.events, ["deadLettered", "deadLettered"]);
  bench.close();
});

Deno.test("BatchIterator acknowledges the batch before when it is asked for the next, and not when it is left", async () => {
  const bench = new Bench({ batchSize: 2 });
  const owned = bench.queue(0, 0, 1, 2, 3);
  for await (const batch of new BatchIterator(bench.dispatcher, true, {})) {
    if (batch.messages[0]!.queueOffset === 2) break;
  }
  assertEquals([owned.process.committable, owned.process.inFlightCount], [2, 0]);
  owned.end();
  bench.close();
});

Deno.test("BatchIterator refuses to acknowledge a batch that its loop has not seen", async () => {
  const bench = new Bench();
  const batches = new BatchIterator(bench.dispatcher, true, {});
  const first = batches.next();
  await assertRejects(() => batches.next(), ConsumerStateError, "autoAck: false");
  bench.queue(0, 0);
  assertEquals((await first).done, false);
  bench.close();
});

Deno.test("BatchIterator without autoAck holds several batches until each is acknowledged", async () => {
  const bench = new Bench({ batchSize: 1 });
  const owned = bench.queue(0, 0, 1, 2);
  const batches = new BatchIterator(bench.dispatcher, false, {});
  const held = (await Promise.all([batches.next(), batches.next(), batches.next()])).map((result) => result.value!);
  await held[1]!.ack();
  assertEquals(owned.process.committable, 0);
  await held[0]!.ack();
  assertEquals(owned.process.committable, 2);
  bench.close();
});

Deno.test("BatchIterator that is left while it waits gives back what comes", async () => {
  using time = new FakeTime();
  const bench = new Bench();
  const batches = new BatchIterator(bench.dispatcher, true, {});
  const next = batches.next();
  await batches.return();
  assertEquals((await next).done, true);
  const owned = bench.queue(0, 0);
  time.tick(1_000);
  assertEquals(owned.process.readyCount, 1);
  bench.close();
});

Deno.test("runHandlers() sends back what a failed handler has not acknowledged, and goes on", async () => {
  const bench = new Bench({ batchSize: 2 });
  const owned = bench.queue(0, 0, 1, 2, 3);
  const ran = runHandlers(
    bench.dispatcher,
    async (batch) => {
      if (batch.messages[0]!.queueOffset > 0) return;
      await batch.ack(batch.messages[0]);
      throw new TypeError("handler broke");
    },
    { concurrency: 2 },
  );
  await settleMicrotasks();
  bench.close();
  await ran;
  assertEquals([owned.process.committable, bench.sentBack], [4, [{ offset: 1, level: 0 }]]);
  assertEquals(bench.events, ["handlerFailed"]);
});
