/** What becomes of a message that no broker takes back: it is redelivered here, and never lost or stuck. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { restAfter } from "../../../src/consumer/delivery/local_rests.ts";
import { sendBackFailure } from "../../../src/consumer/delivery/send_back_failure.ts";
import { ProducerError, ResponseError, ValidationError } from "../../../src/errors.ts";
import { Bench, offsets } from "../bench.ts";

/** A bench whose brokers take nothing. */
function refusing(...options: ConstructorParameters<typeof Bench>): Bench {
  const bench = new Bench(...options);
  bench.failSendBack = bench.failCopy = true;
  return bench;
}

Deno.test("restAfter() doubles from 5 s up to a minute, and holds for any number", () => {
  assertEquals([1, 2, 3, 4, 5, 6].map((failures) => restAfter(failures)), [
    5_000,
    10_000,
    20_000,
    40_000,
    60_000,
    60_000,
  ]);
  assertEquals(restAfter(100_000), 60_000);
});

Deno.test("what no broker takes is redelivered after growing rests, counted, and tried again at each failure", async () => {
  using time = new FakeTime();
  const bench = refusing();
  const owned = bench.queue(0, 0);
  for (const [failures, rest] of [5_000, 10_000, 20_000, 40_000, 60_000, 60_000].entries()) {
    const batch = await bench.take(time);
    assertEquals([offsets(batch), batch.messages[0]!.reconsumeTimes], [[0], failures]);
    await batch.retry();
    assertEquals([bench.sendBacksTried, bench.copiesTried], [failures + 1, failures + 1]);
    await time.tickAsync(rest - 1);
    assertEquals(owned.process.readyCount, 0, `before ${rest} ms`);
    await time.tickAsync(1);
    assertEquals([owned.process.readyCount, owned.process.committable], [1, 0]);
  }
  assertEquals(bench.settlement.retriedTotal, 6);
  assertEquals(bench.events, new Array(6).fill("sendBackFailed"));
  const last = await bench.take(time);
  await last.ack();
  assertEquals([owned.process.committable, owned.process.count], [1, 0]);
  bench.close();
});

Deno.test("a message that was refused is settled when a later send-back is stored, which counts what failed here", async () => {
  using time = new FakeTime();
  const bench = refusing();
  const owned = bench.queue(0, 0);
  await (await bench.take(time)).retry();
  await time.tickAsync(5_000);
  bench.failCopy = false;
  await (await bench.take(time)).retry();
  // The broker's own count has missed one: the copy carries ours, so it goes first.
  assertEquals([bench.copied, bench.sendBacksTried], [[0], 1]);
  assertEquals([owned.process.committable, owned.process.count], [1, 0]);
  bench.close();
});

Deno.test("a message that rests is not in flight, counts as buffered, and stops none of the others", async () => {
  using time = new FakeTime();
  const bench = refusing({ batchSize: 1 });
  const owned = bench.queue(0, 0, 1, 2);
  const first = await bench.take(time);
  await first.retry();
  await owned.whenIdle();
  assertEquals([owned.process.inFlightCount, owned.process.count], [0, 3]);
  for (const offset of [1, 2]) {
    const batch = await bench.take(time);
    assertEquals(offsets(batch), [offset]);
    await batch.ack();
  }
  assertEquals([owned.process.committable, owned.process.count], [0, 1]);
  await first.ack(); // settled once: the first settlement was the retry
  assertEquals(owned.process.count, 1);
  owned.end();
  await time.tickAsync(60_000);
  assertEquals(owned.process.readyCount, 0, "nothing of an epoch that has ended comes");
  bench.close();
});

Deno.test("a dead message that no broker takes is redelivered, and dead-lettered when one does", async () => {
  using time = new FakeTime();
  const bench = refusing({ maxReconsumeTimes: 1 });
  const owned = bench.queue(0, 0, 1);
  const batch = await bench.take(time);
  await batch.deadLetter(batch.messages[0]!);
  await batch.retry(batch.messages[1]!);
  await time.tickAsync(5_000);
  const again = await bench.take(time);
  assertEquals(again.messages.map(({ reconsumeTimes }) => reconsumeTimes), [1, 1]);
  await again.retry();
  await time.tickAsync(10_000);
  bench.failSendBack = false;
  await (await bench.take(time)).retry();
  assertEquals(bench.sentBack, [{ offset: 0, level: -1 }, { offset: 1, level: -1 }]);
  assertEquals(bench.events.slice(-2), ["deadLettered", "deadLettered"]);
  assertEquals(owned.process.committable, 2);
  bench.close();
});

Deno.test("orderly: a dead message that no broker takes holds up those behind it, and order is kept", async () => {
  using time = new FakeTime();
  const bench = refusing({ ordering: "orderly", maxReconsumeTimes: 0, batchSize: 2 });
  const owned = bench.queue(0, 0, 1, 2);
  const batch = await bench.take(time);
  await batch.retry(batch.messages[0]!);
  await time.tickAsync(4_999);
  assertEquals([owned.process.committable, owned.process.inFlightCount], [0, 0]);
  const waiting = bench.take();
  await time.tickAsync(1);
  const again = await waiting;
  assertEquals([offsets(again), again.messages[0]!.reconsumeTimes], [[0, 1], 1]);
  await again.ack();
  assertEquals(owned.process.committable, 2);
  owned.end();
  bench.close();
});

Deno.test("a batch that is refused when consumeTimeout is over is redelivered too", async () => {
  using time = new FakeTime();
  const bench = refusing({ consumeTimeout: 1_000 });
  const owned = bench.queue(0, 0);
  const batch = await bench.take();
  Object.assign(batch, { deliveredAt: performance.now() - 1_000, deadline: performance.now() }); // the monotonic clock is not faked
  await time.tickAsync(1_000);
  assert(batch.signal.aborted);
  await time.tickAsync(5_000);
  const again = await bench.take(time);
  assertEquals(again.messages[0]!.reconsumeTimes, 1);
  await again.ack();
  assertEquals([owned.process.committable, bench.events], [1, ["stalled", "sendBackFailed"]]);
  bench.close();
});

Deno.test("a send-back that fails when the epoch has ended changes nothing", async () => {
  using time = new FakeTime();
  const bench = refusing();
  const owned = bench.queue(0, 0);
  const batch = await bench.take(time);
  const { promise, resolve } = Promise.withResolvers<void>();
  bench.failSendBack = false;
  bench.hold = promise.then(() => Promise.reject(new Error("late")));
  const retried = batch.retry();
  owned.end("it moved");
  resolve();
  await retried;
  assertEquals([bench.events, bench.settlement.retriedTotal, owned.process.committable], [[], 0, 0]);
  bench.close();
});

Deno.test("the event of a refusal says what was answered, what happens next, and what can be done", async () => {
  using time = new FakeTime();
  const bench = refusing();
  const owned = bench.queue(0, 0);
  await (await bench.take(time)).retry();
  const [text] = bench.texts;
  assertMatch(text!, /^Cannot send message id-0 of topic "orders" back: no send-back; nor as a copy: no copy; /);
  assertMatch(text!, /; it is redelivered here in 5000 ms, and sent back again if it fails then$/);
  owned.end();
  bench.close();
});

Deno.test("sendBackFailure() names the remedy for what brokers refuse for good", () => {
  const answered = (code: number) => new ResponseError("SendBack", code, "b:1", "no");
  const tooLarge = new ValidationError("encode properties", [{ field: "size", value: 40_000, allowed: "32 767" }]);
  const copy = (cause: Error) => new ProducerError("Cannot send it", { code: "SEND_FAILED", cause });
  const cases = [
    [[answered(1), copy(answered(16))], /let this client write to topic "%RETRY%g"$/],
    [[answered(26), answered(26)], /create the subscription group "g"$/],
    [[answered(1), copy(answered(13))], /larger than brokers take$/],
    [[answered(1), tooLarge], /larger than brokers take$/],
    [[new Error("no route")], /see whether topic "%RETRY%g" can be written on any broker$/],
  ] as const;
  for (const [errors, remedy] of cases) {
    const failure = sendBackFailure("message x", "g", errors);
    assertMatch(failure.message, remedy);
    assertEquals([failure.code, failure.cause], ["SEND_BACK_FAILED", errors[0]]);
  }
});
