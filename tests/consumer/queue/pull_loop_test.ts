import { assert, assertEquals } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { PullLoop, type PullLoopContext } from "../../../src/consumer/queue/pull_loop.ts";
import type { PullAnswer } from "../../../src/consumer/queue/puller.ts";
import { ProcessQueue } from "../../../src/consumer/queue/process_queue.ts";
import { NetworkError, ResponseError } from "../../../src/errors.ts";
import { fakeMessage, settleMicrotasks } from "../fakes.ts";
import { fakeMonotonicClock } from "../pop/fakes.ts";
import { pullContext } from "./pull_context.ts";
import { standIn } from "../../untyped.ts";

/** A broker that answers when the test says so. */
class ManualBroker {
  readonly asked: number[] = [];
  readonly brokerIds: number[] = [];
  #pending: { resolve: (answer: PullAnswer) => void; reject: (error: unknown) => void }[] = [];

  pull = (offset: number, brokerId: number): Promise<PullAnswer> => {
    this.asked.push(offset);
    this.brokerIds.push(brokerId);
    return new Promise((resolve, reject) => this.#pending.push({ resolve, reject }));
  };

  /** Whether a pull waits for its answer. */
  get isAsked(): boolean {
    return this.#pending.length > 0;
  }

  async answer(answer: Partial<PullAnswer>, at = 0): Promise<void> {
    const whole = {
      bytes: 0,
      kind: "found",
      messages: [],
      broken: [],
      brokerId: 0,
      remark: "",
      receivedAt: 0,
      nextOffset: 0,
      maxOffset: 0,
      ...answer,
    };
    this.#pending.splice(at, 1)[0]!.resolve(whole as PullAnswer);
    await settleMicrotasks();
  }

  async fail(error: unknown): Promise<void> {
    this.#pending.shift()!.reject(error);
    await settleMicrotasks();
  }
}

function start(some: Partial<PullLoopContext> = {}): { broker: ManualBroker; loop: PullLoop; process: ProcessQueue } {
  const broker = new ManualBroker();
  const process = new ProcessQueue(0);
  const loop = new PullLoop(pullContext(process, { pull: broker.pull, ...some }));
  loop.start();
  return { broker, loop, process };
}

function found(...offsets: number[]): Partial<PullAnswer> {
  return { messages: offsets.map((offset) => fakeMessage(offset)) as never, nextOffset: offsets.at(-1)! + 1 };
}

Deno.test("PullLoop sends the next pull before an answer's messages are handed over", async () => {
  const order: string[] = [];
  const { broker, loop } = start({ onMessages: () => order.push(`handed over after ${broker.asked.length} pulls`) });
  await broker.answer(found(0, 1, 2));
  assertEquals(broker.asked, [0, 3]);
  assertEquals(order, ["handed over after 2 pulls"]);
  loop.stop();
});

Deno.test("PullLoop has one pull in flight, and none where there is no room until it is woken", async () => {
  let room = true;
  const { broker, loop } = start({ mayPull: () => room });
  room = false;
  await broker.answer(found(0));
  loop.wake();
  assertEquals(broker.asked, [0]);
  room = true;
  loop.wake();
  loop.wake();
  assertEquals(broker.asked, [0, 1]);
  loop.stop();
});

Deno.test("PullLoop takes answers in the order of their offsets, also where a pull that left early is answered first", async () => {
  const { broker, loop, process } = start({ mayPrefetch: () => true });
  const about = { maxOffset: 100 };
  await broker.answer({ ...found(0, 1), ...about });
  await broker.answer({ ...found(2, 3), ...about });
  assertEquals(broker.asked, [0, 2, 4, 6]);
  await broker.answer({ ...found(6, 7), ...about }, 1);
  assertEquals([process.position, process.count], [4, 4]);
  await broker.answer({ ...found(4, 5), ...about });
  assertEquals([process.position, process.count], [8, 8]);
  assertEquals(process.take(8)!.messages.map(({ queueOffset }) => queueOffset), [0, 1, 2, 3, 4, 5, 6, 7]);
  loop.stop();
});

Deno.test("PullLoop that starts anew asks again for what had left early", async () => {
  const { broker, loop } = start({ mayPrefetch: () => true });
  await broker.answer({ ...found(0, 1), maxOffset: 100 });
  await broker.answer({ ...found(2, 3), maxOffset: 100 });
  loop.start();
  assertEquals(broker.asked, [0, 2, 4, 6, 4]);
  loop.stop();
});

Deno.test("PullLoop ignores the answer to a pull that was under way when it stopped", async () => {
  const { broker, loop, process } = start();
  loop.stop();
  await broker.answer(found(0));
  assertEquals([process.position, broker.asked.length], [0, 1]);
});

Deno.test("PullLoop never has two pulls after a restart: the first one's late answer counts for nothing", async () => {
  const { broker, loop, process } = start();
  loop.start();
  await broker.answer(found(0, 1));
  assertEquals([process.position, broker.asked], [0, [0, 0]]);
  await broker.answer(found(0));
  assertEquals([process.position, broker.asked], [1, [0, 0, 1]]);
  loop.stop();
});

Deno.test("PullLoop waits after errors: 20 ms for flow control, 1 s for others, and asks the master again", async () => {
  using time = new FakeTime();
  const errors: unknown[] = [];
  const { broker, loop } = start({
    onError: (error, isFirst) => {
      if (isFirst) errors.push(error);
      return undefined;
    },
  });
  await broker.answer({ ...found(0), brokerId: 1 });
  await broker.fail(new ResponseError("PullMessage", 215, "b:1", "slow down"));
  time.tick(19);
  assertEquals(broker.asked.length, 2);
  time.tick(1);
  assertEquals(broker.asked.length, 3);
  await broker.fail(new ResponseError("PullMessage", 1, "b:1", "boom"));
  time.tick(999);
  assertEquals(broker.asked.length, 3);
  time.tick(1);
  assertEquals(broker.brokerIds, [0, 1, 0, 0]);
  await broker.fail(new NetworkError("gone", "b:1", "CONNECTION_LOST"));
  time.tick(20);
  assertEquals([broker.asked.length, errors.length], [5, 1]); // told once for all that follow each other
  loop.stop();
});

Deno.test("PullLoop does not spin on a broker that answers at once that there is nothing", async () => {
  using time = new FakeTime();
  const { broker, loop } = start();
  for (let i = 0; i < 4; i++) await broker.answer({ kind: "empty", nextOffset: 0 });
  assertEquals(broker.asked.length, 4);
  time.tick(200);
  assertEquals(broker.asked.length, 5);
  await broker.answer({ kind: "empty", nextOffset: 7 });
  assertEquals(broker.asked.at(-1), 7);
  loop.stop();
});

Deno.test("PullLoop does not spin on a broker that is not near either, and does not hold pulls", async () => {
  using time = new FakeTime();
  using _clock = fakeMonotonicClock();
  const { broker, loop } = start();
  for (let ms = 0; ms < 10_000; ms += 40) { // on its way for so long
    await time.tickAsync(40);
    if (broker.isAsked) await broker.answer({ kind: "empty", nextOffset: 0 });
  }
  assert(broker.asked.length <= 3 + 10 * 5, `${broker.asked.length} pulls in 10 s`);
  loop.stop();
});

Deno.test("PullLoop reports records that cannot be read before it puts the messages around them, and goes on", async () => {
  const told: [position: number, offset: number | undefined][] = [];
  const { broker, loop, process } = start({
    onBroken: (records) => records.forEach(({ queueOffset }) => told.push([process.position, queueOffset])),
  });
  const error = new NetworkError("bad", "", "X");
  const broken = { queueId: 0, queueOffset: 1, commitLogOffset: 9, storeHost: "b:1", bytes: new Uint8Array(), error };
  await broker.answer({ ...found(0, 2), broken: [broken] });
  assertEquals([told, process.position, broker.asked], [[[0, 1]], 3, [0, 3]]);
  loop.stop();
});

Deno.test("PullLoop asks an answer for its rest, when there is room, before it pulls again", async () => {
  let room = true;
  const parts: PullAnswer[] = [];
  const { broker, loop, process } = start({ mayPull: () => room, interval: 5_000 });
  const rest = () => {
    parts.push(standIn<PullAnswer>({ kind: "found", broken: [], brokerId: 0, remark: "", ...found(2, 3) }));
    return Promise.resolve(parts.at(-1)!);
  };
  room = false;
  await broker.answer({ ...found(0, 1), rest });
  assertEquals([process.position, process.count, parts.length], [2, 2, 0]);
  room = true;
  loop.wake();
  await settleMicrotasks();
  assertEquals([process.position, process.count, parts.length], [4, 4, 1]);
  assertEquals(broker.asked, [0], "the interval is between two pulls");
  loop.stop();
});

Deno.test("PullLoop forgets the rest of an answer when it begins anew", async () => {
  let room = true;
  const { broker, loop, process } = start({ mayPull: () => room });
  room = false;
  await broker.answer({ ...found(0, 1), rest: () => Promise.reject(new RangeError("nobody wants it")) });
  room = true;
  loop.start();
  assertEquals(broker.asked, [0, 2]);
  await broker.answer(found(2));
  assertEquals([process.position, process.count], [3, 3]);
  loop.stop();
});
