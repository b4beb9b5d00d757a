/** What statistics and traces say of messages, by the way in which they were settled. */

import { assertEquals } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import type { Batch } from "../../../src/consumer/delivery/batch.ts";
import { ConcurrentSettlement } from "../../../src/consumer/delivery/concurrent_settlement.ts";
import { Skip } from "../../../src/consumer/delivery/redelivery.ts";
import { AllObservers, StatisticsObserver, TraceObserver } from "../../../src/consumer/delivery/observers.ts";
import type { ConsumerOptions } from "../../../src/consumer/options.ts";
import { OrderedSettlement } from "../../../src/consumer/delivery/ordered_settlement.ts";
import { QueueDelivery } from "../../../src/consumer/delivery/queue_delivery.ts";
import { OwnedQueue } from "../../../src/consumer/queue/owned_queue.ts";
import { ProcessQueue } from "../../../src/consumer/queue/process_queue.ts";
import { EventHub } from "../../../src/events.ts";
import { ConsumerStatistics } from "../../../src/telemetry/consumer_statistics.ts";
import { TraceContextCode } from "../../../src/telemetry/trace_records.ts";
import type { TraceableMessage, TracedBatch } from "../../../src/telemetry/tracer.ts";
import { fakeMessage, options, queue, settleMicrotasks, stillLoop } from "../fakes.ts";

const { SUCCESS, TIME_OUT, EXCEPTION, FAILED } = TraceContextCode;

/** Settlement with an observer, and what that has told. */
class Bench {
  /** Trace records, as `before 3`, `after 0 all`, `after 4 1,2`. */
  readonly traced: string[] = [];
  readonly settlement: ConcurrentSettlement | OrderedSettlement;
  readonly #consumeTimeout: number;
  #now = 0;
  #statistics = new ConsumerStatistics({ now: () => this.#now });

  constructor(some: Partial<ConsumerOptions> = {}) {
    const checked = options(some);
    this.#consumeTimeout = checked.consumeTimeout;
    const events = new EventHub(false);
    const tracer = {
      before: (messages: readonly TraceableMessage[]) => {
        this.traced.push(`before ${messages.length}`);
        return {} as TracedBatch;
      },
      after: (_batch: TracedBatch | undefined, code: TraceContextCode, messages?: readonly TraceableMessage[]) => {
        this.traced.push(`after ${code} ${messages?.map(({ messageId }) => messageId.slice("id-".length)) ?? "all"}`);
      },
    };
    const Rules = checked.ordering === "concurrent" ? ConcurrentSettlement : OrderedSettlement;
    const safe = { ...new Skip("billing", events), sendsBack: true as const };
    this.settlement = new Rules({
      options: checked,
      events,
      redelivery: { ...safe, redeliver: () => Promise.resolve(), deadLetterBroken: () => Promise.resolve() },
      sink: { offer: () => {} },
      observer: new AllObservers([new StatisticsObserver(this.#statistics), new TraceObserver(tracer)]),
    });
  }

  /** A batch of messages with these offsets. */
  batch(...offsets: number[]): Batch {
    const owned = new OwnedQueue(queue, false);
    const process = new ProcessQueue(0, this.settlement instanceof OrderedSettlement ? () => "" : undefined);
    owned.open({ process, loop: stillLoop });
    process.put(offsets.map((offset) => fakeMessage(offset)), offsets.at(-1)! + 1);
    return new QueueDelivery(this.settlement, this.#consumeTimeout).deliver(owned, 32, undefined)!;
  }

  /** How many messages were consumed and failed, by the statistics. */
  get counted(): [consumed: number, failed: number] {
    this.#now += 10_000; // figures are of full 10 seconds
    const sum = (what: "CONSUME_OK_TPS" | "CONSUME_FAILED_TPS") =>
      this.#statistics.within("orders", what, "minute").sum;
    return [sum("CONSUME_OK_TPS"), sum("CONSUME_FAILED_TPS")];
  }

  [Symbol.dispose](): void {
    this.settlement.close();
  }
}

const cases: [what: string, settle: (batch: Batch) => unknown, after: string[], counted: [number, number]][] = [
  ["ack()", (batch) => batch.ack(), [`after ${SUCCESS} all`], [3, 0]],
  ["ack(message)", (batch) => batch.ack(batch.messages[1]), [`after ${SUCCESS} 1`], [1, 0]],
  ["retry()", (batch) => batch.retry(), [`after ${FAILED} all`], [0, 3]],
  ["retry(message)", (batch) => batch.retry(batch.messages[2]!), [`after ${FAILED} 2`], [0, 1]],
  ["deadLetter()", (batch) => batch.deadLetter(), [`after ${FAILED} all`], [0, 3]],
  ["fail()", (batch) => batch.fail(new RangeError("broken")), [`after ${EXCEPTION} all`], [0, 3]],
  ["release()", (batch) => batch.release(), [], [0, 0]],
  [
    "ack(message), fail()",
    async (batch) => {
      await batch.ack(batch.messages[0]);
      await batch.fail(new RangeError("broken"));
    },
    [`after ${SUCCESS} 0`, `after ${EXCEPTION} 1,2`],
    [1, 2],
  ],
  [
    "ack() twice",
    async (batch) => {
      await batch.ack();
      await batch.ack();
    },
    [`after ${SUCCESS} all`],
    [3, 0],
  ],
  [
    "ack() when the queue has ended",
    async (batch) => {
      batch.owner.end("it moved");
      await batch.ack();
    },
    [],
    [0, 0],
  ],
];

for (const [what, settle, after, counted] of cases) {
  Deno.test(`Observer, concurrent: ${what}`, async () => {
    using _time = new FakeTime();
    using bench = new Bench();
    await settle(bench.batch(0, 1, 2));
    assertEquals([bench.traced, bench.counted], [["before 3", ...after], counted]);
  });
}

Deno.test("Observer, concurrent: a batch that is in flight for too long is late", async () => {
  using time = new FakeTime();
  using bench = new Bench({ consumeTimeout: 1_000 });
  const batch = bench.batch(0, 1, 2);
  Object.assign(batch, { deliveredAt: performance.now() - 1_000, deadline: performance.now() }); // the monotonic clock is not faked
  await batch.ack(batch.messages[0]);
  time.tick(1_000);
  await settleMicrotasks();
  assertEquals(bench.traced, ["before 3", `after ${SUCCESS} 0`, `after ${TIME_OUT} 1,2`]);
  assertEquals(bench.counted, [1, 2]);
});

const orderedCases: [what: string, settle: (batch: Batch) => unknown, after: string[], counted: [number, number]][] = [
  ["ack(message) is for those before it too", (batch) => batch.ack(batch.messages[1]), [`after ${SUCCESS} 0,1`], [
    2,
    0,
  ]],
  ["retry(message) consumes those before it, and fails only that one", (batch) => batch.retry(batch.messages[1]!), [
    `after ${SUCCESS} 0`,
    `after ${FAILED} 1`,
  ], [1, 1]],
  ["retry()", (batch) => batch.retry(), [`after ${FAILED} all`], [0, 3]],
  ["fail()", (batch) => batch.fail(new RangeError("broken")), [`after ${EXCEPTION} all`], [0, 3]],
  ["release()", (batch) => batch.release(), [], [0, 0]],
];

for (const [what, settle, after, counted] of orderedCases) {
  Deno.test(`Observer, orderly: ${what}`, async () => {
    using _time = new FakeTime();
    using bench = new Bench({ ordering: "orderly" });
    await settle(bench.batch(0, 1, 2));
    assertEquals([bench.traced, bench.counted], [["before 3", ...after], counted]);
  });
}

Deno.test("Observer, orderly: what is dead at once counts as failed", async () => {
  using _time = new FakeTime();
  using bench = new Bench({ ordering: "orderly", maxReconsumeTimes: 0 });
  await bench.batch(0, 1).retry();
  assertEquals([bench.traced, bench.counted], [["before 2", `after ${FAILED} all`], [0, 2]]);
});
