import { assert, assertEquals, assertLessOrEqual, assertRejects } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import type { Cluster, ClusterOptions } from "../../../src/cluster/cluster.ts";
import type { Membership } from "../../../src/cluster/membership.ts";
import type { Routes, TopicRoute } from "../../../src/cluster/routes.ts";
import { average } from "../../../src/consumer/allocation/allocate.ts";
import { type Gain, Rebalancer } from "../../../src/consumer/assignment/rebalancer.ts";
import { ConsumerStartError } from "../../../src/errors.ts";
import { type MessageQueue, queueKey } from "../../../src/message.ts";
import { settleMicrotasks } from "../fakes.ts";
import { standIn } from "../../untyped.ts";

/** A group as its brokers see it, without sockets. */
class Group {
  members: readonly string[] | Error = ["me"];
  queues = 4;
  known = true;
  beats = 0;
  failure: Error | undefined;
  readonly owned: MessageQueue[] = [];
  readonly gains: Gain[] = [];
  readonly unknown: string[] = [];
  concurrent = 0;
  /** How often the members were asked for. */
  lists = 0;
  most = 0;
  readonly rebalancer: Rebalancer;

  constructor() {
    const cluster = standIn<Cluster>({
      clientId: "me",
      options: standIn<ClusterOptions>({ requestTimeout: 3_000 }),
      membership: standIn<Membership>({ beat: () => Promise.resolve(++this.beats > 0) }),
      routes: standIn<Routes>({
        get: (topic: string) => {
          const readQueues = Array.from({ length: this.queues }, (_, queueId) => ({ topic, broker: "b", queueId }));
          const route = standIn<TopicRoute>({ readQueues, brokers: new Map([["b", new Map()]]) });
          return Promise.resolve(this.known ? route : undefined);
        },
      }),
    });
    this.rebalancer = new Rebalancer({
      cluster,
      group: "billing",
      brokers: { members: () => this.#list() },
      allocation: average(),
      interval: 20_000,
      topics: () => ["orders"],
      owned: () => this.owned,
      change: (gained, lost) => {
        if (this.failure !== undefined) return Promise.reject(this.failure);
        this.gains.push(...gained);
        const gone = new Set(lost.map(queueKey));
        const kept = this.owned.filter((queue) => !gone.has(queueKey(queue)));
        this.owned.splice(0, this.owned.length, ...kept, ...gained.map(({ queue }) => queue));
        return Promise.resolve();
      },
      onUnknown: (topic) => this.unknown.push(topic),
    });
  }

  async #list(): Promise<readonly string[]> {
    this.lists++;
    this.most = Math.max(this.most, ++this.concurrent);
    await Promise.resolve();
    this.concurrent--;
    if (this.members instanceof Error) throw this.members;
    return this.members;
  }

  get ids(): number[] {
    return this.owned.map((queue) => queue.queueId).sort();
  }
}

Deno.test("Rebalancer takes its share, and follows the members and the route", async () => {
  using _time = new FakeTime();
  const group = new Group();
  await group.rebalancer.run();
  assertEquals(group.ids, [0, 1, 2, 3]);
  assert(group.gains.every((gain) => !gain.shared));
  group.members = ["me", "aa"]; // sorted before us
  await group.rebalancer.run();
  assertEquals(group.ids, [2, 3]);
  group.members = ["me"];
  group.queues = 5;
  await group.rebalancer.run();
  assertEquals(group.ids, [0, 1, 2, 3, 4]);
  await group.rebalancer.stop();
});

Deno.test("Rebalancer keeps its queues while no broker answers: nobody else can have them", async () => {
  using time = new FakeTime();
  const group = new Group();
  await group.rebalancer.run();
  group.members = new Error("broker is gone");
  await group.rebalancer.run();
  assertEquals([group.ids.length, group.beats], [4, 1]);
  for (let second = 0; second < 60; second++) {
    await time.tickAsync(1_000);
    await settleMicrotasks();
  }
  assertEquals([group.ids.length, group.unknown], [4, []]);
  group.members = ["aa", "me"];
  await time.tickAsync(1_000);
  await settleMicrotasks();
  assertEquals(group.ids, [2, 3]);
  await group.rebalancer.stop();
});

Deno.test("Rebalancer takes the shares of all entries that bear its id, as its connections that were lost are listed", async () => {
  using _time = new FakeTime();
  const group = new Group();
  group.queues = 8;
  group.members = ["me", "java", "me", "me"]; // sorted: java 0 and 1, then ours
  await group.rebalancer.run();
  assertEquals(group.ids, [2, 3, 4, 5, 6, 7]);
  assert(group.gains.every((gain) => gain.shared));
  group.members = ["me", "me"];
  await group.rebalancer.run();
  assertEquals(group.ids, [0, 1, 2, 3, 4, 5, 6, 7]);
  await group.rebalancer.stop();
});

Deno.test("Rebalancer resolves run() however many notices come, which share a run in 200 ms", async () => {
  using time = new FakeTime();
  const group = new Group();
  let runs = 0;
  const count = group.rebalancer.run().then(() => runs++);
  for (let notice = 0; notice < 1_000; notice++) group.rebalancer.notice();
  await count;
  assertEquals(runs, 1);
  const before = group.lists;
  for (let tick = 0; tick < 100; tick++) {
    for (let notice = 0; notice < 10; notice++) group.rebalancer.notice();
    await time.tickAsync(10);
    await settleMicrotasks();
  }
  assertLessOrEqual(group.lists - before, 6);
  await group.rebalancer.stop();
});

Deno.test("Rebalancer keeps its queues for three runs in which it is no member, then releases them and says so", async () => {
  using time = new FakeTime();
  const group = new Group();
  await group.rebalancer.run();
  group.members = ["somebody"];
  await group.rebalancer.run();
  assertEquals([group.ids.length, group.beats], [4, 1]);
  for (const left of [4, 0]) {
    await time.tickAsync(1_000);
    await settleMicrotasks();
    assertEquals(group.ids.length, left);
  }
  assertEquals(group.unknown, ["orders"]);
  group.members = ["me"];
  await time.tickAsync(1_000);
  await settleMicrotasks();
  assertEquals(group.ids.length, 4);
  await group.rebalancer.stop();
});

Deno.test("Rebalancer that is missing in the list asks again in 1 s with a heartbeat, and keeps its queues", async () => {
  using time = new FakeTime();
  const group = new Group();
  await group.rebalancer.run();
  group.members = ["somebody"];
  await group.rebalancer.run();
  assertEquals([group.ids.length, group.beats], [4, 1]);
  group.members = ["me", "somebody"];
  await time.tickAsync(1_000);
  await settleMicrotasks();
  assertEquals(group.ids, [0, 1]);
  await group.rebalancer.stop();
});

Deno.test("Rebalancer has one run at a time, and runs again for who asked meanwhile", async () => {
  using _time = new FakeTime();
  const group = new Group();
  await Promise.all([1, 2, 3, 4].map(() => group.rebalancer.run()));
  assertEquals(group.most, 1);
  const first = group.rebalancer.run();
  group.members = ["aa", "me"];
  await Promise.all([first, group.rebalancer.run()]);
  assertEquals(group.ids, [2, 3]);
  await group.rebalancer.stop();
});

Deno.test("Rebalancer takes the queues of a topic that did not exist, and does not fail its start", async () => {
  using time = new FakeTime();
  const group = new Group();
  group.known = false;
  group.rebalancer.expect("orders");
  await group.rebalancer.start(1_000);
  group.known = true;
  await time.tickAsync(1_000);
  await settleMicrotasks();
  assertEquals(group.ids, [0, 1, 2, 3]);
  await group.rebalancer.stop();
});

Deno.test("Rebalancer.start() rejects when the group cannot be joined in time, and names the reason", async () => {
  const group = new Group();
  group.members = new Error("no");
  await assertRejects(
    () => group.rebalancer.start(0),
    ConsumerStartError,
    `does not list the members of group "billing"`,
  );
  await group.rebalancer.stop();
});

Deno.test("Rebalancer runs again after a run that failed in an unexpected way", async () => {
  using time = new FakeTime();
  const group = new Group();
  group.failure = new Error("unexpected");
  await group.rebalancer.run();
  group.failure = undefined;
  await time.tickAsync(1_000);
  await settleMicrotasks();
  assertEquals(group.ids.length, 4);
  await group.rebalancer.stop();
});
