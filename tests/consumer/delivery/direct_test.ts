/** Batches from beside the queues: what an operator has one consumer handle. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { Batch } from "../../../src/consumer/delivery/batch.ts";
import { consumeDirectly } from "../../../src/consumer/delivery/direct.ts";
import { Dispatcher } from "../../../src/consumer/delivery/dispatcher.ts";
import { runHandlers } from "../../../src/consumer/delivery/iteration.ts";
import { OwnedQueue } from "../../../src/consumer/queue/owned_queue.ts";
import { ConsumerStateError } from "../../../src/errors.ts";
import { Bench, offsets } from "../bench.ts";
import { fakeMessage, queue, settleMicrotasks } from "../fakes.ts";

/** A dispatcher without queues, and messages that are consumed directly through it. */
class DirectBench {
  readonly dispatcher = new Dispatcher<OwnedQueue, Batch>(32, () => undefined, () => Promise.resolve());

  consume(isOrdered = false) {
    return consumeDirectly<unknown, Batch>(
      this.dispatcher,
      (rules) => new Batch(new OwnedQueue(queue, false), { first: 0, messages: [fakeMessage(7)] }, rules),
      isOrdered,
    );
  }

  async take(): Promise<Batch> {
    const batch = await this.dispatcher.take({});
    assert(batch !== undefined);
    return batch;
  }
}

Deno.test("consumeDirectly() tells how the one message was settled, and the first settlement wins", async () => {
  const ways = [
    ["CR_SUCCESS", (batch: Batch) => batch.ack()],
    ["CR_SUCCESS", (batch: Batch) => batch.ack(batch.messages[0])],
    ["CR_LATER", (batch: Batch) => batch.retry({ delayLevel: 3 })],
    ["CR_LATER", (batch: Batch) => batch.retry(batch.messages[0]!)],
    ["CR_LATER", (batch: Batch) => batch.deadLetter()],
    ["CR_LATER", (batch: Batch) => batch.release()],
    ["CR_THROW_EXCEPTION", (batch: Batch) => batch.fail(new RangeError("broken"))],
  ] as const;
  for (const [expected, settle] of ways) {
    const bench = new DirectBench();
    const answer = bench.consume(true);
    const batch = await bench.take();
    assertEquals(offsets(batch), [7]);
    await settle(batch);
    await batch.retry();
    await batch.ack();
    const result = await answer;
    assert(typeof result === "object");
    assertEquals([result.consumeResult, result.order, result.autoCommit], [expected, true, true]);
    assertEquals(result.remark, expected === "CR_THROW_EXCEPTION" ? "RangeError: broken" : "");
    bench.dispatcher.close();
  }
});

Deno.test("consumeDirectly() says after 8 s that no loop has asked, and takes the message back", async () => {
  using time = new FakeTime();
  const bench = new DirectBench();
  let answer: unknown;
  bench.consume().then((result) => answer = result);
  await settleMicrotasks();
  time.tick(7_999);
  await settleMicrotasks();
  assertEquals(answer, undefined);
  time.tick(1);
  await settleMicrotasks();
  assertMatch(String(answer), /no loop has asked for a batch within 8000 ms/);
  const stop = new AbortController();
  const taken = bench.dispatcher.take({ signal: stop.signal });
  await time.tickAsync(0);
  stop.abort();
  assertEquals(await taken, undefined);
  bench.dispatcher.close();
});

Deno.test("consumeDirectly() says after 8 s that the message is in flight, whose settlement has no effect then", async () => {
  using time = new FakeTime();
  const bench = new DirectBench();
  const answer = bench.consume();
  const batch = await bench.take();
  const { signal } = batch;
  time.tick(8_000);
  assertMatch(String(await answer), /in flight for longer than the 8000 ms/);
  assert(signal.aborted);
  assert(signal.reason instanceof ConsumerStateError);
  await batch.ack();
  bench.dispatcher.close();
});

Deno.test("consumeDirectly() while the consumer closes answers at once, and leaves no timer behind", async () => {
  using time = new FakeTime();
  const bench = new DirectBench();
  let answer: unknown;
  bench.consume().then((result) => answer = result);
  await settleMicrotasks();
  bench.dispatcher.close();
  await settleMicrotasks();
  assertEquals((answer as { consumeResult: string } | undefined)?.consumeResult, "CR_LATER");
  bench.consume().then((result) => answer = result);
  answer = undefined;
  await settleMicrotasks();
  assertEquals((answer as { consumeResult: string } | undefined)?.consumeResult, "CR_LATER", "closed already");
  time.tick(0);
});

Deno.test("Dispatcher.offerDirect() comes before what queues have, to a loop that wants the topic", async () => {
  const bench = new Bench();
  bench.queue(0, 0, 1);
  const rules = { release() {} } as never;
  const direct = (topic: string) =>
    new Batch(new OwnedQueue(queue, false), { first: 0, messages: [fakeMessage(9, topic)] }, rules);
  const [orders, refunds] = [direct("orders"), direct("refunds")];
  bench.dispatcher.offerDirect(refunds);
  bench.dispatcher.offerDirect(orders);
  assertEquals(await bench.dispatcher.take({ topic: "orders" }), orders);
  assertEquals(await bench.dispatcher.take({}), refunds);
  assertEquals(offsets(await bench.take()), [0, 1]);
  bench.close();
});

Deno.test("Dispatcher.offerDirect() goes to the first loop that waits for it, and withdraw() tells whether it has gone", async () => {
  const bench = new Bench();
  const rules = { release() {} } as never;
  const batch = new Batch(new OwnedQueue(queue, false), { first: 0, messages: [fakeMessage(9)] }, rules);
  const other = bench.dispatcher.take({ topic: "refunds" });
  const [first, second] = [bench.dispatcher.take({}), bench.dispatcher.take({})];
  bench.dispatcher.offerDirect(batch);
  assertEquals(await first, batch);
  assertEquals(bench.dispatcher.withdraw(batch), false);
  bench.close();
  assertEquals([await second, await other], [undefined, undefined]);
  const late = new Bench();
  late.dispatcher.offerDirect(batch);
  assertEquals([late.dispatcher.withdraw(batch), late.dispatcher.withdraw(batch)], [true, false]);
  late.close();
});

Deno.test("runHandlers() settles a direct batch like any other", async () => {
  const bench = new DirectBench();
  let isBroken = false;
  const running = runHandlers(bench.dispatcher, () => {
    if (isBroken) throw new TypeError("no");
  }, { concurrency: 1 });
  const results = [await bench.consume()];
  isBroken = true;
  results.push(await bench.consume());
  assertEquals(results.map((result) => typeof result === "object" ? result.consumeResult : result), [
    "CR_SUCCESS",
    "CR_THROW_EXCEPTION",
  ]);
  bench.dispatcher.close();
  await running;
});

for (const result of ["RECONSUME_LATER", "SUSPEND_CURRENT_QUEUE_A_MOMENT", "ROLLBACK"]) {
  Deno.test(`runHandlers() takes ${result}, which Java's listeners return for failures, for a failure`, async () => {
    const bench = new Bench();
    const owned = bench.queue(0, 0, 1);
    const ran = runHandlers(bench.dispatcher, () => Promise.resolve(result), { concurrency: 1 });
    await settleMicrotasks();
    bench.close();
    await ran;
    assertEquals(bench.sentBack, [{ offset: 0, level: 0 }, { offset: 1, level: 0 }]);
    assertEquals([bench.events, owned.process.committable], [["handlerFailed"], 2]);
  });
}

Deno.test("runHandlers() takes any other result for success, Java's as well", async () => {
  for (const result of [undefined, "CONSUME_SUCCESS", "SUCCESS", "COMMIT", false, null, 0, "reconsume_later"]) {
    const bench = new Bench();
    const owned = bench.queue(0, 0);
    const ran = runHandlers(bench.dispatcher, () => result, { concurrency: 1 });
    await settleMicrotasks();
    bench.close();
    await ran;
    assertEquals([owned.process.committable, bench.sentBack, bench.events], [1, [], []], String(result));
  }
});

Deno.test("runHandlers(): a failure settles only what the handler has not settled", async () => {
  const bench = new Bench();
  bench.queue(0, 0, 1, 2);
  const ran = runHandlers(bench.dispatcher, async (batch) => {
    await batch.ack(batch.messages[0]);
    await batch.deadLetter(batch.messages[1]);
    return "RECONSUME_LATER";
  }, { concurrency: 1 });
  await settleMicrotasks();
  bench.close();
  await ran;
  assertEquals(bench.sentBack, [{ offset: 1, level: -1 }, { offset: 2, level: 0 }]);
});
