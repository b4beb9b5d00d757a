/** Where a POP consumer pops. */

import { assert, assertEquals, assertInstanceOf } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import type { PopPlace } from "../../../src/brokers/pop_client.ts";
import type { TopicRoute } from "../../../src/cluster/routes.ts";
import { PopPlaces } from "../../../src/consumer/pop/places.ts";
import { RebalanceError } from "../../../src/errors.ts";
import type { QueueAssignment } from "../../../src/wire/bodies.ts";
import { settleMicrotasks } from "../fakes.ts";
import { KeptEvents } from "./fakes.ts";
import { standIn } from "../../untyped.ts";

/** Brokers with queues of some topics, and what they assign. */
class Bench {
  readonly events = new KeptEvents();
  readonly places: PopPlaces;
  topics = ["orders"];
  /** The brokers of each topic. */
  brokers: Record<string, readonly string[]> = { orders: ["a", "b"] };
  /** What a broker answers when it is asked for an assignment. */
  assigned: Record<string, readonly QueueAssignment[] | Error | Promise<never>> = {};
  /** The brokers that were asked for one. */
  readonly asked: string[] = [];
  failure: Error | undefined;
  readonly told: string[][] = [];
  looks = 0;
  hold: Promise<void> | undefined;

  constructor() {
    this.places = new PopPlaces({
      group: "billing",
      routes: { get: (topic) => this.#route(topic) },
      client: {
        assignment: (_topic, broker) => {
          this.asked.push(broker);
          const answer = this.assigned[broker] ?? [];
          return answer instanceof Error ? Promise.reject(answer) : Promise.resolve<readonly QueueAssignment[]>(answer);
        },
      },
      events: this.events,
      topics: () => this.topics,
      interval: 20_000,
      onPlaces: (places) => this.told.push(places.map(nameOf)),
    });
  }

  async #route(topic: string): Promise<TopicRoute | undefined> {
    this.looks++;
    await this.hold;
    if (this.failure !== undefined) throw this.failure;
    const brokers = this.brokers[topic];
    if (brokers === undefined) return undefined;
    const readQueues = brokers.flatMap((broker) => [0, 1].map((queueId) => ({ topic, broker, queueId })));
    return standIn<TopicRoute>({ readQueues });
  }
}

function nameOf({ topic, broker, queueId }: PopPlace): string {
  return `${topic}@${broker}@${queueId}`;
}

function assignment(brokerName: string, queueId: number, mode: "POP" | "PULL" = "POP"): QueueAssignment {
  return { messageQueue: { topic: "orders", brokerName, queueId }, mode } as QueueAssignment;
}

Deno.test("PopPlaces pops all queues of every broker of a topic, and looks again", async () => {
  using time = new FakeTime();
  const bench = new Bench();
  await bench.places.refresh();
  assertEquals(bench.told, [["orders@a@-1", "orders@b@-1"]]);
  bench.brokers = { orders: ["b", "c"], refunds: ["a"] };
  bench.topics = ["orders", "refunds"];
  time.tick(20_000);
  await settleMicrotasks();
  assertEquals(bench.told.at(-1)?.toSorted(), ["orders@b@-1", "orders@c@-1", "refunds@a@-1"]);
  assertEquals(bench.places.places("refunds").map(nameOf), ["refunds@a@-1"]);
  bench.topics = ["refunds"];
  await bench.places.refresh();
  assertEquals([bench.told.at(-1), bench.places.places("orders")], [["refunds@a@-1"], []]);
  await bench.places.stop();
});

Deno.test("PopPlaces follows what a broker assigns, if it is to be popped", async () => {
  using _time = new FakeTime();
  const bench = new Bench();
  bench.assigned = { a: [assignment("a", 1), assignment("b", 0), assignment("b", 1, "PULL")] };
  await bench.places.refresh();
  assertEquals(bench.told.at(-1), ["orders@a@1", "orders@b@0"]);
  bench.assigned = { a: [assignment("a", -1)] };
  await bench.places.refresh();
  assertEquals(bench.told.at(-1), ["orders@a@-1"]);
  bench.assigned = { a: [assignment("a", 0, "PULL")], b: [assignment("b", 1)] };
  await bench.places.refresh();
  assertEquals(
    bench.told.at(-1),
    ["orders@a@-1", "orders@b@-1"],
    "the first that answers decides, and leaves it to us",
  );
  await bench.places.stop();
});

Deno.test("PopPlaces asks the next broker if one does not answer, and pops everywhere if none does", async () => {
  using _time = new FakeTime();
  const bench = new Bench();
  bench.assigned = { a: new Error("away"), b: [assignment("b", 1)] };
  await bench.places.refresh();
  assertEquals(bench.told.at(-1), ["orders@b@1"]);
  bench.assigned = { a: new Error("away"), b: new Error("away") };
  await bench.places.refresh();
  assertEquals(bench.told.at(-1), ["orders@a@-1", "orders@b@-1"]);
  await bench.places.stop();
});

Deno.test("PopPlaces: silent brokers cost a moment each, and all of them no more than two seconds", async () => {
  using time = new FakeTime();
  const silence = new Promise<never>(() => {});
  const brokers = Array.from({ length: 20 }, (_, i) => `silent${i}`);
  const bench = new Bench();
  bench.assigned = Object.fromEntries(brokers.map((broker) => [broker, silence]));
  bench.brokers = { orders: [...brokers.slice(0, 2), "b"] };
  bench.assigned["b"] = [assignment("b", 1)];
  const look = bench.places.refresh();
  await settleMicrotasks();
  assertEquals(bench.asked, ["silent0"], "one is asked where one suffices");
  await time.tickAsync(400);
  await look;
  assertEquals(bench.told.at(-1), ["orders@b@1"]);
  bench.brokers = { orders: brokers };
  const other = bench.places.refresh();
  await settleMicrotasks();
  await time.tickAsync(2_000);
  await other;
  assertEquals(bench.told.at(-1), brokers.map((broker) => `orders@${broker}@-1`));
  await bench.places.stop();
});

Deno.test("PopPlaces.notice() looks at once, then once for all notices of 200 ms", async () => {
  using time = new FakeTime();
  const bench = new Bench();
  for (let ms = 0; ms < 10_000; ms += 5) {
    bench.places.notice();
    await settleMicrotasks();
    if (ms === 0) assertEquals(bench.looks, 1);
    time.tick(5);
  }
  assert(bench.looks >= 49 && bench.looks <= 52, `${bench.looks} looks in 10 s`);
  const looks = bench.looks;
  bench.places.notice();
  bench.places.notice();
  time.tick(200);
  await settleMicrotasks();
  assertEquals(bench.looks, looks + 1, "the last notices are not forgotten");
  time.tick(10_000);
  await settleMicrotasks();
  assertEquals(bench.looks, looks + 1);
  await bench.places.refresh();
  await bench.places.stop();
  bench.places.notice();
  assertEquals(bench.looks, looks + 2);
});

Deno.test("PopPlaces keeps its places when a route cannot be had, says so once, and again after it could", async () => {
  using time = new FakeTime();
  const bench = new Bench();
  await bench.places.refresh();
  bench.failure = new RangeError("no name server");
  for (let i = 0; i < 3; i++) {
    time.tick(20_000);
    await settleMicrotasks();
    assertEquals(bench.told.at(-1), ["orders@a@-1", "orders@b@-1"]);
  }
  const [{ type, topic, group, error } = {}] = bench.events.kept;
  assertEquals([bench.events.types, type, topic, group], [["stalled"], "stalled", "orders", "billing"]);
  assertInstanceOf(error, RebalanceError);
  assertEquals(error.cause, bench.failure);
  bench.failure = undefined;
  await bench.places.refresh();
  bench.failure = new RangeError("again");
  await bench.places.refresh();
  assertEquals(bench.events.types, ["stalled", "stalled"]);
  await bench.places.stop();
});

Deno.test("PopPlaces: a topic that does not exist has no place until it does", async () => {
  using _time = new FakeTime();
  const bench = new Bench();
  bench.topics = ["later"];
  await bench.places.refresh();
  assertEquals([bench.told, bench.events.types], [[[]], []]);
  bench.brokers = { later: ["a"] };
  await bench.places.refresh();
  assertEquals(bench.told.at(-1), ["later@a@-1"]);
  await bench.places.stop();
});

Deno.test("PopPlaces has one look at a time, and looks again for who asked meanwhile", async () => {
  using time = new FakeTime();
  const bench = new Bench();
  const { promise, resolve } = Promise.withResolvers<void>();
  bench.hold = promise;
  const looks = [1, 2, 3].map(() => bench.places.refresh());
  await settleMicrotasks();
  assertEquals(bench.looks, 1);
  resolve();
  await Promise.all(looks);
  assertEquals([bench.looks, bench.told.length], [2, 2]);
  await bench.places.stop();
  time.tick(60_000);
  await settleMicrotasks();
  assertEquals(bench.looks, 2);
});

Deno.test("PopPlaces.stop() waits for the look under way, which tells nothing any more", async () => {
  using _time = new FakeTime();
  const bench = new Bench();
  const { promise, resolve } = Promise.withResolvers<void>();
  bench.hold = promise;
  const look = bench.places.refresh();
  await settleMicrotasks();
  let isStopped = false;
  const stopped = bench.places.stop().then(() => isStopped = true);
  await settleMicrotasks();
  assertEquals(isStopped, false);
  resolve();
  await Promise.all([look, stopped]);
  await bench.places.refresh();
  assertEquals(bench.told, []);
});
