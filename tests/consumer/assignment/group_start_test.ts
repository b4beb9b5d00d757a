/** Where queues without a stored offset begin, by what the group has and not by what one member saw first. */

import { assertEquals, assertRejects } from "@std/assert";
import { GroupStart } from "../../../src/consumer/assignment/group_start.ts";
import type { ConsumeFrom } from "../../../src/consumer/start_offset.ts";
import { type MessageQueue, queueKey } from "../../../src/message.ts";

const [SMALLEST, END, AT_JOIN] = [10, 500, 77];

/** A topic whose queues and offsets are the test's. */
class Bench {
  queues: MessageQueue[] = [{ topic: "orders", broker: "a", queueId: 0 }, { topic: "orders", broker: "b", queueId: 0 }];
  readonly stored = new Set<string>();
  readonly silent = new Set<string>();
  readonly times: number[] = [];
  reads = 0;
  end = END;
  readonly start: GroupStart;

  constructor(consumeFrom: ConsumeFrom = "last") {
    this.start = new GroupStart({
      consumeFrom,
      brokers: {
        minOffset: () => Promise.resolve(SMALLEST),
        maxOffset: () => Promise.resolve(this.end),
        offsetAt: (_queue, time) => Promise.resolve(this.times.push(time) > 0 ? AT_JOIN : 0),
        clockSkew: () => Promise.resolve(-5_000),
      },
      queues: () => this.queues,
      hasOffset: (queue) => {
        this.reads++;
        if (this.silent.has(queue.broker)) return Promise.reject(new Error(`${queue.broker} is silent`));
        return Promise.resolve(this.stored.has(queueKey(queue)));
      },
    });
  }

  async join(): Promise<void> {
    this.start.join("orders");
    for (const queue of this.queues) this.start.gained(queue);
    await this.start.joined(1_000);
  }

  add(queueId: number): MessageQueue {
    const queue = { topic: "orders", broker: "a", queueId };
    this.queues = [...this.queues, queue];
    return queue;
  }
}

Deno.test("a group that has an offset of any queue, on any broker, begins the others at their smallest", async () => {
  const bench = new Bench();
  const seen = bench.add(1); // before the join: what a member saw first says nothing
  await bench.join();
  bench.stored.add(queueKey(bench.queues[1]!));
  assertEquals(await bench.start.offsetOf(seen, false), SMALLEST);
  assertEquals(await bench.start.offsetOf(bench.add(2), false), SMALLEST);
});

Deno.test("a new group begins at the ends of the join, and in queues that show up later at its time", async () => {
  const bench = new Bench();
  const before = Date.now();
  await bench.join();
  bench.end = END + 20; // sent after the join: for this group
  const [first, second] = bench.queues;
  assertEquals([await bench.start.offsetOf(first!, false), await bench.start.offsetOf(second!, false)], [END, END]);
  assertEquals(bench.times, []);
  bench.stored.add(queueKey(first!)); // which this member has stored: the group stays new
  assertEquals(await bench.start.offsetOf(bench.add(1), false), AT_JOIN);
  const [time] = bench.times;
  assertEquals(time! >= before - 5_000 && time! <= Date.now() - 5_000, true, "by the broker's clock");
});

Deno.test("a broker that does not say whether the group is new is waited for, unless another one has an offset", async () => {
  const bench = new Bench();
  bench.silent.add("b");
  await bench.join();
  await assertRejects(() => bench.start.offsetOf(bench.queues[0]!, false), Error, "b is silent");
  bench.stored.add(queueKey(bench.add(1)));
  assertEquals(await bench.start.offsetOf(bench.queues[0]!, false), SMALLEST);
});

Deno.test("retries begin at 0, and first and a time mean the same for all queues, without a look at the group", async () => {
  for (const [from, expected] of [["first", SMALLEST], [new Date(5), AT_JOIN]] as const) {
    const bench = new Bench(from);
    await bench.join();
    assertEquals([await bench.start.offsetOf(bench.add(3), false), await bench.start.offsetOf(bench.add(4), true)], [
      expected,
      0,
    ]);
    assertEquals(bench.reads, 0);
  }
});
