/** What becomes of popped messages: every cell of the settlement table for POP, and what goes wrong on the way. */

import { assert, assertEquals, assertInstanceOf, assertRejects } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import type { SendBackOptions } from "../../../src/brokers/broker_client.ts";
import type { Outcome } from "../../../src/consumer/delivery/delivered_batch.ts";
import type { PoppedBatch } from "../../../src/consumer/pop/batch.ts";
import { PopSettlement } from "../../../src/consumer/pop/settlement.ts";
import {
  ConsumerStateError,
  MessageConsumeError,
  ResponseError,
  TimeoutError,
  ValidationError,
} from "../../../src/errors.ts";
import type { PopReceipt } from "../../../src/wire/pop.ts";
import type { PopAck } from "../../../src/wire/pop_acks.ts";
import { settleMicrotasks } from "../fakes.ts";
import { delivery, fakeMonotonicClock, KeptEvents, offsetsOf, receipt } from "./fakes.ts";

const INVISIBLE = 60_000;

/** A settlement with a broker that does what it is told, and a clock that stands still. */
class Bench {
  readonly time = new FakeTime();
  readonly events = new KeptEvents();
  /** What the broker was asked, as `ack 0,1`, `change 0 30000`, `bury 0`. */
  readonly log: string[] = [];
  readonly receipts: PopReceipt[] = [];
  readonly outcomes: string[] = [];
  progressed = 0;
  /** What requests fail with, one after the other; undefined is success. */
  failures: (Error | undefined)[] = [];
  /** What requests wait for. */
  hold: Promise<void> | undefined;
  readonly settlement: PopSettlement;
  #clock = fakeMonotonicClock();

  constructor(maxReconsumeTimes = 16) {
    this.settlement = new PopSettlement({
      options: { group: "billing", maxReconsumeTimes },
      events: this.events,
      client: {
        ack: (broker, acks) => this.#ask(`ack ${acks.map(offsetOf)}@${broker}`, acks),
        changeInvisibleTime: async (ack, ms) => {
          await this.#ask(`change ${offsetOf(ack)} ${ms}`, [ack]);
          return receipt(offsetOf(ack), ack.receipt.popTime - 1_000 + 1);
        },
      },
      sendBack: (message, { delayLevel, group, maxReconsumeTimes }: SendBackOptions) => {
        assertEquals([delayLevel, group, maxReconsumeTimes], [-1, "billing", 0]);
        return this.#ask(`bury ${message.queueOffset}`, []);
      },
      observer: {
        delivered: ({ length }) => this.outcomes.push(`delivered ${length}`),
        ended: (_batch, outcome: Outcome, messages) => this.outcomes.push(`${outcome} ${offsetsOf(messages)}`),
      },
    });
  }

  /** A batch of messages, each of which came back so often. */
  batch(...times: number[]): PoppedBatch {
    const deliveries = times.map((reconsumeTimes, offset) => delivery(offset, reconsumeTimes));
    return this.settlement.deliver("orders", deliveries, performance.now() + INVISIBLE, {
      settled: () => this.progressed++,
    });
  }

  async pass(ms: number): Promise<void> {
    await settleMicrotasks();
    for (let left = ms; left > 0; left -= 250) {
      this.time.tick(Math.min(left, 250));
      await settleMicrotasks();
    }
  }

  get counts(): { inFlight: number; settled: number; retried: number } {
    const { inFlightCount: inFlight, settledTotal: settled, retriedTotal: retried } = this.settlement;
    return { inFlight, settled, retried };
  }

  async #ask(line: string, acks: readonly PopAck[]): Promise<void> {
    this.log.push(line);
    this.receipts.push(...acks.map((ack) => ack.receipt));
    await this.hold;
    const failure = this.failures.shift();
    if (failure !== undefined) throw failure;
  }

  [Symbol.dispose](): void {
    this.settlement.close("the test is over");
    this.#clock[Symbol.dispose]();
    this.time[Symbol.dispose]();
  }
}

function offsetOf({ receipt: { queueOffset } }: PopAck): number {
  return queueOffset;
}

const silence = () => new TimeoutError("complete AckMessage", 3_000);

Deno.test("PopSettlement: ack() tells the broker of all that is not settled, and resolves when it has answered", async () => {
  using bench = new Bench();
  const batch = bench.batch(0, 0, 0);
  assertEquals(bench.counts, { inFlight: 3, settled: 0, retried: 0 });
  const { promise, resolve } = Promise.withResolvers<void>();
  bench.hold = promise;
  let isAcked = false;
  await Promise.resolve();
  const acked = batch.ack().then(() => isAcked = true);
  await bench.pass(0);
  assertEquals([isAcked, bench.log, bench.counts.inFlight], [false, ["ack 0,1,2@b"], 0]);
  resolve();
  await acked;
  assertEquals([bench.counts, bench.progressed, bench.events.types], [{ inFlight: 0, settled: 3, retried: 0 }, 1, []]);
  assertEquals(bench.outcomes, ["delivered 3", "acknowledged 0,1,2"]);
});

Deno.test("PopSettlement: ack(message) acks that one; the first settlement of a message wins", async () => {
  using bench = new Bench();
  const batch = bench.batch(0, 0, 0);
  const [a, b] = batch.messages;
  await batch.ack(b);
  await Promise.all([batch.ack(b), batch.retry(b!), batch.deadLetter(b)]);
  await batch.retry(a!, { delay: 1_000 });
  await batch.ack(a);
  batch.release();
  await batch.ack();
  assertEquals(bench.log, ["ack 1@b", "change 0 1000"]);
  assertEquals(bench.counts, { inFlight: 0, settled: 2, retried: 1 });
  assertEquals(bench.outcomes, ["delivered 3", "acknowledged 1", "retried 0", "released 2"]);
});

Deno.test("PopSettlement: a message of another batch cannot be settled by this one", async () => {
  using bench = new Bench();
  const [batch, other] = [bench.batch(0), bench.batch(0)];
  for (const settle of ["ack", "retry", "deadLetter"] as const) {
    const error = await assertRejects(() => batch[settle](other.messages[0]!), ConsumerStateError);
    assertEquals(error.code, "NOT_IN_BATCH");
  }
  assertEquals([bench.log, bench.counts.inFlight], [[], 2]);
});

Deno.test("PopSettlement tries an ack three times, then tells of it: the messages are redelivered", async () => {
  using bench = new Bench();
  bench.failures = [silence(), silence(), undefined];
  const late = bench.batch(0).ack();
  await bench.pass(1_000);
  await late;
  assertEquals([bench.log.length, bench.events.types], [3, []]);
  bench.failures = [silence(), silence(), silence()];
  const failed = bench.batch(0, 0).ack();
  await bench.pass(1_000);
  await failed; // it does not reject: an event tells
  assertEquals(bench.log.length, 6);
  const [event] = bench.events.kept;
  assertEquals(
    [event?.type, event?.level, event?.group, event?.topic, event?.broker],
    ["ackFailed", "warning", "billing", "orders", "b"],
  );
  assertInstanceOf(event?.error, TimeoutError);
});

Deno.test("PopSettlement does not try an ack again that the broker refuses for good, or that would come too late", async () => {
  using bench = new Bench();
  bench.failures = [new ResponseError("AckMessage", 13, "b", "the receipt is nonsense")];
  await bench.batch(0).ack();
  assertEquals([bench.log.length, bench.events.types], [1, ["ackFailed"]]);
  bench.failures = [new ResponseError("AckMessage", 2, "b", "busy", true), undefined];
  const busy = bench.batch(0).ack();
  await bench.pass(500);
  await busy;
  assertEquals([bench.log.length, bench.events.types.length], [3, 1]);
  bench.failures = [silence(), silence()];
  const batch = bench.batch(0);
  await bench.pass(INVISIBLE - 700);
  const late = batch.ack();
  await bench.pass(1_000);
  await late;
  assertEquals([bench.log.length, bench.events.types], [5, ["ackFailed", "ackFailed"]], "two tries fit in");
});

Deno.test("PopSettlement: retry() has messages redelivered by their times: 10 s, 30 s, 1 m … 2 h; or after a delay", async () => {
  using bench = new Bench(Infinity);
  await bench.batch(0, 1, 2, 8, 15, 200).retry();
  assertEquals(bench.log.map((line) => line.split(" ")[2]), [
    "10000",
    "30000",
    "60000",
    "420000",
    "7200000",
    "7200000",
  ]);
  const batch = bench.batch(0, 0);
  await batch.retry(batch.messages[1]!, { delay: 1_000 });
  await batch.retry({ delay: 7_200_000 });
  assertEquals(bench.log.slice(6), ["change 1 1000", "change 0 7200000"]);
  assertEquals(bench.counts, { inFlight: 0, settled: 8, retried: 8 });
});

Deno.test("PopSettlement: retry() that is not allowed rejects, and settles nothing", async () => {
  using bench = new Bench();
  const batch = bench.batch(0);
  for (
    const [options, fields] of [
      [{ delayLevel: 3 }, ["delayLevel"]],
      [{ delay: 999 }, ["delay"]],
      [{ delay: 7_200_001 }, ["delay"]],
      [{ delay: 1_000.5 }, ["delay"]],
      [{ delayLevel: 1, delay: "2000" }, ["delayLevel", "delay"]],
    ] as const
  ) {
    const error = await assertRejects(() => batch.retry(options as never), ValidationError);
    assertEquals(error.problems.map(({ field }) => field), [...fields]);
  }
  assertEquals([bench.log, bench.counts.inFlight, bench.events.types], [[], 1, []]);
});

Deno.test("PopSettlement: a retry that the broker does not answer is tried three times, then told of", async () => {
  using bench = new Bench();
  bench.failures = [silence(), silence(), silence()];
  const retried = bench.batch(0).retry();
  await bench.pass(1_000);
  await retried;
  assertEquals([bench.log, bench.events.types], [Array(3).fill("change 0 10000"), ["sendBackFailed"]]);
});

Deno.test("PopSettlement: what has failed maxReconsumeTimes goes to the dead letter queue, and is acked only then", async () => {
  using bench = new Bench(2);
  await bench.batch(1, 2, 3).retry();
  assertEquals(bench.log.toSorted(), ["ack 1@b", "ack 2@b", "bury 1", "bury 2", "change 0 30000"]);
  assert(bench.log.indexOf("bury 1") < bench.log.indexOf("ack 1@b"));
  assertEquals(bench.events.types, ["deadLettered", "deadLettered"]);
  const [{ topic, group, offset, broker } = {}] = bench.events.kept;
  assertEquals([topic, group, offset, broker], ["orders", "billing", 1, "b"]);
});

Deno.test("PopSettlement with maxReconsumeTimes 0 dead-letters at the first failure", async () => {
  using bench = new Bench(0);
  await bench.batch(0).retry();
  assertEquals(bench.log, ["bury 0", "ack 0@b"]);
});

Deno.test("PopSettlement never acks a message that could not be dead-lettered", async () => {
  using bench = new Bench();
  const { promise, resolve } = Promise.withResolvers<void>();
  bench.hold = promise;
  const stored = bench.batch(0).deadLetter();
  await bench.pass(5_000);
  assertEquals(bench.log, ["bury 0"], "not before the broker has answered");
  resolve();
  await stored;
  assertEquals(bench.log, ["bury 0", "ack 0@b"]);
  bench.failures = [silence(), silence(), silence()];
  const failed = bench.batch(0).deadLetter();
  await bench.pass(1_000);
  await failed;
  assertEquals(bench.log.slice(2), ["bury 0", "bury 0", "bury 0"]);
  assertEquals(bench.events.types, ["deadLettered", "sendBackFailed"]);
});

Deno.test("PopSettlement: a message that is dead-lettered, and whose ack fails, is told of as both", async () => {
  using bench = new Bench();
  bench.failures = [undefined, silence(), silence(), silence()];
  const buried = bench.batch(0).deadLetter();
  await bench.pass(1_000);
  await buried;
  assertEquals(bench.events.types, ["deadLettered", "ackFailed"]);
});

Deno.test("PopSettlement: release() sends nothing, and makes room", async () => {
  using bench = new Bench();
  const batch = bench.batch(0, 0);
  await batch.ack(batch.messages[0]);
  batch.release();
  batch.release();
  await batch.ack();
  assertEquals([bench.log, bench.counts, bench.progressed], [["ack 0@b"], { inFlight: 0, settled: 1, retried: 0 }, 2]);
  await bench.pass(2 * INVISIBLE);
  assertEquals([bench.events.types, batch.signal.aborted], [[], false]);
});

Deno.test("PopSettlement: a handler that fails is told of, and what it has not settled is redelivered", async () => {
  using bench = new Bench();
  const batch = bench.batch(0, 0);
  await batch.ack(batch.messages[0]);
  const thrown = new RangeError("broken");
  await batch.fail(thrown);
  assertEquals([bench.log, bench.events.types], [["ack 0@b", "change 1 10000"], ["handlerFailed"]]);
  const { error } = bench.events.kept[0]!;
  assertInstanceOf(error, MessageConsumeError);
  assertEquals([error.cause, error.messageIds, error.topic], [thrown, ["id0", "id1"], "orders"]);
  assertEquals(bench.outcomes.slice(1), ["acknowledged 0", "failed 1"]);
});

Deno.test("PopSettlement: when the invisible time is over the signal tells, and settlements do not count", async () => {
  using bench = new Bench();
  const [batch, other] = [bench.batch(0, 0), bench.batch(0)];
  await batch.ack(batch.messages[0]);
  await other.ack();
  const { signal } = batch;
  await bench.pass(INVISIBLE - 1);
  assertEquals([signal.aborted, bench.counts.inFlight], [false, 1]);
  await bench.pass(1);
  assertEquals([signal.aborted, bench.counts.inFlight, bench.events.types], [true, 0, ["stalled"]]);
  assertInstanceOf(signal.reason, ConsumerStateError);
  assertEquals(signal.reason.code, "BATCH_VOID");
  const before = bench.log.length;
  await Promise.all([batch.ack(), batch.retry(), batch.deadLetter(), batch.fail(new RangeError("late"))]);
  await assertRejects(() => batch.extend(5_000), ConsumerStateError, "invisible time is over");
  assertEquals([bench.log.length, bench.counts.settled], [before, 2]);
  assertEquals(bench.outcomes.at(-1), "timedOut 1");
});

Deno.test("PopSettlement: a settlement that comes before the timer, but too late, does not count", async () => {
  using bench = new Bench();
  const batch = bench.batch(0);
  batch.deadline = performance.now();
  await batch.ack();
  assertEquals([bench.log, bench.counts.settled], [[], 0]);
  await bench.pass(INVISIBLE);
  assertEquals([batch.signal.aborted, bench.counts.inFlight], [true, 0]);
});

Deno.test("PopSettlement: extend() lets what is not settled stay away longer, or shorter, by a new receipt", async () => {
  using bench = new Bench();
  const batch = bench.batch(0, 0);
  await batch.ack(batch.messages[0]);
  await bench.pass(INVISIBLE - 1_000);
  await batch.extend(300_000);
  await bench.pass(299_999);
  assertEquals([bench.log, batch.signal.aborted], [["ack 0@b", "change 1 300000"], false]);
  await batch.extend(5_000);
  await bench.pass(4_999);
  assertEquals(batch.signal.aborted, false);
  await batch.ack();
  assertEquals(bench.receipts.at(-1), receipt(1, 2), "the ack names the newest receipt");
  await bench.pass(INVISIBLE);
  assertEquals(bench.events.types, []);
  const shorter = bench.batch(0);
  await shorter.extend(5_000);
  await bench.pass(5_000);
  assertEquals(shorter.signal.aborted, true, "the timer is for the new end");
});

Deno.test("PopSettlement: a settlement during an extension follows it, and names the receipt that it brings", async () => {
  using bench = new Bench();
  for (const settle of ["ack", "retry", "deadLetter"] as const) {
    const batch = bench.batch(0);
    const { promise, resolve } = Promise.withResolvers<void>();
    bench.hold = promise;
    const extended = batch.extend(30_000);
    const settled = batch[settle]();
    await bench.pass(0);
    const before = bench.log.length;
    assertEquals(bench.log.at(-1), "change 0 30000", "the broker has not answered yet");
    resolve();
    await Promise.all([extended, settled]);
    assert(bench.log.length > before);
    assertEquals(bench.receipts.at(-1), receipt(0, 1), `${settle} names the new receipt`);
  }
  assertEquals(bench.events.types, ["deadLettered"]);
});

Deno.test("PopSettlement: two extensions follow each other, and the later one decides when the time ends", async () => {
  using bench = new Bench();
  const batch = bench.batch(0, 0);
  const { promise, resolve } = Promise.withResolvers<void>();
  bench.hold = promise;
  const both = [batch.extend(300_000), batch.extend(5_000)];
  await bench.pass(1_000);
  assertEquals(bench.log, ["change 0 300000", "change 1 300000"]);
  const acked = batch.ack(batch.messages[0]);
  resolve();
  await Promise.all([...both, acked]);
  assertEquals(bench.log.slice(2), ["change 0 5000", "change 1 5000", "ack 0@b"]);
  assertEquals(bench.receipts.at(-1), receipt(0, 2));
  await bench.pass(4_999);
  assertEquals(batch.signal.aborted, false, "its time counts from when the second request left");
  await bench.pass(1);
  assertEquals(batch.signal.aborted, true);
});

Deno.test("PopSettlement: a failed extension leaves the old receipt to the ack that waits for it", async () => {
  using bench = new Bench();
  const batch = bench.batch(0);
  bench.failures = [new ResponseError("ChangeInvisibleTime", 1, "b", "no")];
  const extended = assertRejects(() => batch.extend(30_000), ResponseError);
  await batch.ack();
  await extended;
  assertEquals([bench.log, bench.receipts.at(-1)], [["change 0 30000", "ack 0@b"], receipt(0)]);
  const other = bench.batch(0);
  bench.failures = [silence()];
  const failed = assertRejects(() => other.extend(30_000), TimeoutError);
  await other.extend(30_000); // the next one goes on from the old receipt
  await failed;
  await other.ack();
  assertEquals(bench.receipts.slice(-3), [receipt(0), receipt(0), receipt(0, 1)]);
});

Deno.test("PopSettlement: an extension that waits for another is not made once the time is over", async () => {
  using bench = new Bench();
  const batch = bench.batch(0);
  const { promise, resolve } = Promise.withResolvers<void>();
  bench.hold = promise;
  const both = [1, 2].map(() =>
    assertRejects(() => batch.extend(60_000), ConsumerStateError, "invisible time is over")
  );
  await bench.pass(INVISIBLE);
  resolve();
  await Promise.all(both);
  assertEquals(bench.log, ["change 0 60000"]);
});

Deno.test("PopSettlement: extend() refuses times that no broker takes, and rejects if the broker does not answer", async () => {
  using bench = new Bench();
  const batch = bench.batch(0);
  for (const ms of [4_999, 300_001, 5_000.5, "6000", undefined]) {
    const error = await assertRejects(() => batch.extend(ms as number), ValidationError);
    assertEquals(error.problems[0]!.field, "ms");
  }
  bench.failures = [silence()];
  await assertRejects(() => batch.extend(5_000), TimeoutError);
  assertEquals(bench.log.length, 1);
  await bench.pass(INVISIBLE);
  assertEquals(batch.signal.aborted, true, "the end stays where it was");
});

Deno.test("PopSettlement: extend() that is answered after the invisible time was over rejects: the messages are lost", async () => {
  using bench = new Bench();
  const batch = bench.batch(0);
  const { promise, resolve } = Promise.withResolvers<void>();
  await bench.pass(INVISIBLE - 100);
  bench.hold = promise;
  const extended = assertRejects(() => batch.extend(60_000), ConsumerStateError, "invisible time is over");
  await bench.pass(200);
  resolve();
  await extended;
  await batch.ack();
  assertEquals([batch.signal.aborted, bench.log], [true, ["change 0 60000"]]);
});

Deno.test("PopSettlement.whenIdle() waits for what is in flight, and for requests on their way", async () => {
  using bench = new Bench();
  await bench.settlement.whenIdle();
  const batch = bench.batch(0, 0);
  const { promise, resolve } = Promise.withResolvers<void>();
  bench.hold = promise;
  let isIdle = false;
  bench.settlement.whenIdle().then(() => isIdle = true);
  batch.ack(batch.messages[0]);
  await bench.pass(0);
  batch.release();
  await bench.pass(0);
  assertEquals(isIdle, false);
  resolve();
  await bench.pass(0);
  assertEquals(isIdle, true);
});

Deno.test("PopSettlement.whenIdle() does not fail for a settlement that was refused meanwhile", async () => {
  using bench = new Bench();
  const batch = bench.batch(0);
  const refused = assertRejects(() => batch.retry({ delay: 5 }), ValidationError);
  const idle = bench.settlement.whenIdle();
  await refused;
  batch.release();
  await idle;
});

Deno.test("PopSettlement.close() tells who still works, and counts nothing any more", async () => {
  using bench = new Bench();
  const batch = bench.batch(0, 0);
  const { signal } = batch;
  bench.settlement.close("the consumer was closed");
  assert(signal.aborted);
  assertEquals((signal.reason as Error).message.includes("the consumer was closed"), true);
  await batch.ack();
  assertEquals([bench.log, bench.counts.inFlight], [[], 0]);
});

Deno.test("PopSettlement: an empty batch is nothing to wait for", async () => {
  using bench = new Bench();
  const empty = bench.settlement.deliver("orders", [], performance.now());
  await Promise.all([empty.ack(), empty.retry(), empty.deadLetter(), bench.settlement.whenIdle()]);
  empty.release();
  assertEquals([bench.log, bench.outcomes, bench.counts], [[], [], { inFlight: 0, settled: 0, retried: 0 }]);
});
