/** Queues in ordered consumption: they are locked before they are ours, and until nothing of them is in flight. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import type { BrokerClient } from "../../../src/brokers/broker_client.ts";
import { Assignment } from "../../../src/consumer/assignment/assignment.ts";
import type { Batch } from "../../../src/consumer/delivery/batch.ts";
import { QueueDelivery } from "../../../src/consumer/delivery/queue_delivery.ts";
import { Skip } from "../../../src/consumer/delivery/redelivery.ts";
import { Dispatcher } from "../../../src/consumer/delivery/dispatcher.ts";
import { FlowLimits } from "../../../src/consumer/queue/flow_limits.ts";
import { OrderedSettlement } from "../../../src/consumer/delivery/ordered_settlement.ts";
import type { OwnedQueue } from "../../../src/consumer/queue/owned_queue.ts";
import type { PullAnswer, Puller } from "../../../src/consumer/queue/puller.ts";
import { QueueLocks } from "../../../src/consumer/assignment/queue_locks.ts";
import { parseSelector } from "../../../src/consumer/subscriptions/selector.ts";
import { resolveStartOffset } from "../../../src/consumer/start_offset.ts";
import { OffsetError } from "../../../src/errors.ts";
import { EventHub } from "../../../src/events.ts";
import { type MessageQueue, queueKey } from "../../../src/message.ts";
import { BrokerOffsetStore } from "../../../src/offsets/broker.ts";
import { offsets as offsetsOf } from "../bench.ts";
import { fakeMessage, options, queue, seeded, settleMicrotasks } from "../fakes.ts";
import type { StoredMessage } from "../../../src/wire/stored_message.ts";
import { LockTable } from "./lock_broker.ts";
import { standIn } from "../../untyped.ts";

const LOCK_TIMEOUT = 30_000;
const other: MessageQueue = { ...queue, queueId: 1 };

/** Lets time pass, and what has to happen meanwhile happen at its time. */
async function pass(time: FakeTime, ms: number): Promise<void> {
  await settleMicrotasks();
  for (let left = ms; left > 0; left -= 100) {
    time.tick(Math.min(left, 100));
    await settleMicrotasks();
  }
}

/** What a broker has of its queues: how many messages, what is committed, and who has locked them. */
class Shared {
  readonly locks = new LockTable();
  readonly committed = new Map<string, number>();
  readonly length = 1_000;
  /** The smallest offset that queues hold. */
  readonly first = 3;
}

/** A member of the group: the parts around an assignment, without a network. */
class Member {
  readonly name: string;
  readonly shared: Shared;
  /** What this member has asked for, as `lock 0`, `read 0`, `commit 0=2`, `pull 0@2`, `unlock 0`. */
  readonly log: string[] = [];
  readonly events: string[] = [];
  readonly assignment: Assignment;
  readonly locks: QueueLocks;
  readonly dispatcher: Dispatcher<OwnedQueue, Batch>;
  /** By how much this member's clock is ahead of the timers. */
  ahead = 0;
  /** Kinds of requests that fail. */
  readonly failing = new Set<string>();
  /** What requests wait for, by their kind: before the broker has done anything. */
  readonly held = new Map<string, Promise<void>>();
  readonly #settlement: OrderedSettlement;

  constructor(name: string, shared: Shared, ordering: "orderly" | "byKey" = "orderly", batchSize = 2) {
    this.name = name;
    this.shared = shared;
    const checked = options({ ordering, batchSize, suspendQueue: 100, lockTimeout: LOCK_TIMEOUT });
    const events = new EventHub(false);
    events.emit = (_level, type) => this.events.push(type);
    this.#settlement = new OrderedSettlement({
      options: checked,
      events,
      redelivery: new Skip("billing", events),
      sink: { offer: (owned) => this.dispatcher.offer(owned) },
    });
    const delivery = new QueueDelivery(this.#settlement, checked.consumeTimeout);
    this.dispatcher = new Dispatcher(
      batchSize,
      (owned, max, topic) => delivery.deliver(owned, max, topic),
      () => Promise.resolve(), // how busy the machine is must not count
    );
    this.locks = new QueueLocks({
      lockTimeout: LOCK_TIMEOUT,
      now: () => Date.now() + this.ahead,
      lock: (_broker, queues) => this.#ask("lock", queues, () => shared.locks.lock(name, queues)),
      unlock: (_broker, queues) => this.#ask("unlock", queues, () => shared.locks.unlock(name, queues)),
      onLost: (queue, reason) => this.assignment.lockLost(queue, reason),
      onFailed: () => {},
    });
    this.assignment = new Assignment({
      options: checked,
      brokers: this.#positions(),
      offsets: new BrokerOffsetStore({
        group: "billing",
        brokers: this.#offsets(),
        register: () => Promise.resolve(),
      }),
      autoCommit: false,
      startOffset: (queue, isRetry) => {
        const context = { consumeFrom: checked.consumeFrom, isRetry, isKnownGroup: false };
        return resolveStartOffset(this.#positions(), queue, context);
      },
      puller: this.#puller(),
      limits: new FlowLimits(checked),
      locks: this.locks,
      keyOf: ({ queueOffset }) => ordering === "orderly" ? "" : String(queueOffset % 3),
      sink: this.dispatcher,
      subscriptions: { selector: () => parseSelector("*") },
      broken: { add: () => {} },
      events,
    });
  }

  gain(queue: MessageQueue): void {
    this.assignment.change([{ queue, shared: true }], [], "");
  }

  lose(queue: MessageQueue): Promise<void> {
    return this.assignment.change([], [queue], "the queue is another member's now");
  }

  async take(time: FakeTime): Promise<Batch> {
    const taken = this.dispatcher.take({});
    await pass(time, 1);
    const batch = await Promise.race([taken, Promise.resolve(undefined)]);
    assert(batch !== undefined, "there is no batch");
    return batch;
  }

  /** Whether a loop that asks now gets nothing. */
  async getsNothing(time: FakeTime): Promise<boolean> {
    const stop = new AbortController();
    const taken = this.dispatcher.take({ signal: stop.signal });
    await pass(time, 1);
    stop.abort();
    return await taken === undefined;
  }

  async close(time: FakeTime): Promise<void> {
    this.assignment.stop();
    this.dispatcher.close();
    const ended = this.assignment.end("the consumer was closed");
    await pass(time, 1_000);
    await ended;
    this.#settlement.close();
    this.locks.close();
  }

  async #ask<T>(kind: string, queues: readonly MessageQueue[], work: () => T, more = ""): Promise<T> {
    this.log.push(`${kind} ${queues.map(({ queueId }) => queueId)}${more}`);
    if (this.held.has(kind)) await this.held.get(kind);
    else await Promise.resolve();
    if (this.failing.has(kind)) throw new Error("no answer");
    return work();
  }

  #positions(): BrokerClient {
    const { first, length } = this.shared;
    return standIn<BrokerClient>({
      minOffset: (queue: MessageQueue) => this.#ask("min", [queue], () => first),
      maxOffset: (queue: MessageQueue) => this.#ask("max", [queue], () => length),
    });
  }

  #offsets() {
    const { committed, locks } = this.shared;
    return {
      storedOffset: (_group: string, queue: MessageQueue) =>
        this.#ask("read", [queue], () => committed.get(queueKey(queue))),
      storeOffset: (_group: string, queue: MessageQueue, offset: number) => {
        assertEquals(locks.owner(queue), this.name, `${this.name} commits without the lock`);
        return this.#ask("commit", [queue], () => void committed.set(queueKey(queue), offset), `=${offset}`);
      },
    };
  }

  #puller(): Puller {
    const pull = (queue: MessageQueue, _selector: unknown, from: number) => this.#pull(queue, from);
    return standIn<Puller>({ pull, batchSize: 32 });
  }

  #pull(queue: MessageQueue, from: number): Promise<PullAnswer> {
    this.log.push(`pull ${queue.queueId}@${from}`);
    const end = Math.min(from + 32, this.shared.length);
    if (from >= end) return new Promise(() => {});
    const messages = Array.from(
      { length: end - from },
      (_, at) => standIn<StoredMessage>({ ...fakeMessage(from + at), queue }),
    );
    const some = { kind: "found", messages, broken: [], nextOffset: end, brokerId: 0, remark: "" } as const;
    return Promise.resolve(standIn<PullAnswer>(some));
  }
}

/** A member with one queue, which is committed up to 0. */
function scene(): { shared: Shared; me: Member } {
  const shared = new Shared();
  shared.committed.set(queueKey(queue), 0);
  return { shared, me: new Member("me", shared) };
}

/** The requests of some kinds. */
function logOf(member: Member, ...kinds: string[]): string[] {
  return member.log.filter((line) => kinds.includes(line.split(" ")[0]!));
}

/** A wait that a test ends. */
function gate(): { opened: Promise<void>; open: () => void } {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { opened: promise, open: resolve };
}

/** Hands the queue's lock to another member, as if its broker had forgotten it. */
function steal(shared: Shared): void {
  shared.locks.unlock("me", [queue]);
  assertEquals(shared.locks.lock("thief", [queue]).length, 1);
}

Deno.test("Assignment locks a queue before it reads where it begins, and asks for the lock until it has it", async () => {
  using time = new FakeTime();
  const { shared, me } = scene();
  shared.locks.lock("other", [queue]);
  me.gain(queue);
  await pass(time, 1_200);
  assertEquals(me.log, ["lock 0", "lock 0", "lock 0"]);
  shared.committed.set(queueKey(queue), 7);
  shared.locks.unlock("other", [queue]);
  await pass(time, 500);
  assertEquals(me.log.slice(3, 6), ["lock 0", "read 0", "pull 0@7"]);
  assertEquals(offsetsOf(await me.take(time)), [7, 8]);
  await me.close(time);
});

Deno.test("Assignment keeps a queue locked that goes while a batch is in flight; then it commits, then it unlocks", async () => {
  using time = new FakeTime();
  const { shared, me } = scene();
  me.gain(queue);
  const batch = await me.take(time);
  const gone = me.lose(queue);
  await pass(time, 100_000);
  assertEquals([shared.locks.owner(queue), batch.signal.aborted, logOf(me, "unlock", "commit")], ["me", false, []]);
  await gone; // it does not wait for as long
  assert(await me.getsNothing(time));
  await batch.ack();
  await pass(time, 100);
  assertEquals(logOf(me, "unlock", "commit"), ["commit 0=2", "unlock 0"]);
  assertEquals(shared.locks.owner(queue), undefined);
  await me.close(time);
});

Deno.test("Assignment unlocks a queue at once that goes while nothing is in flight", async () => {
  using time = new FakeTime();
  const { shared, me } = scene();
  me.gain(queue);
  await (await me.take(time)).ack();
  await Promise.all([me.lose(queue), pass(time, 100)]);
  assertEquals([logOf(me, "unlock", "commit"), shared.locks.owner(queue)], [["commit 0=2", "unlock 0"], undefined]);
  await me.close(time);
});

Deno.test("Assignment begins a queue that comes back anew when its last epoch is done, behind what that has settled", async () => {
  using time = new FakeTime();
  const { me } = scene();
  me.gain(queue);
  const batch = await me.take(time);
  me.lose(queue);
  await pass(time, 50);
  me.gain(queue);
  await pass(time, 5_000);
  assert(await me.getsNothing(time));
  const before = me.log.length;
  await batch.ack();
  await pass(time, 100);
  assertEquals(me.log.slice(before, before + 5).map((line) => line.replace(/@.*/, "")), [
    "commit 0=2",
    "read 0", // whether the first commit of all is there
    "unlock 0",
    "lock 0",
    "read 0",
  ]);
  assertEquals(offsetsOf(await me.take(time)), [2, 3]);
  await me.close(time);
});

Deno.test("Assignment does not unlock a queue that goes, comes back and goes again while a batch is in flight", async () => {
  using time = new FakeTime();
  const { shared, me } = scene();
  me.gain(queue);
  const batch = await me.take(time);
  for (let round = 0; round < 3; round++) {
    me.lose(queue);
    await pass(time, 1_500);
    me.gain(queue);
    await pass(time, 1_500);
  }
  me.lose(queue);
  await pass(time, 60_000);
  assertEquals([shared.locks.owner(queue), logOf(me, "unlock"), batch.signal.aborted], ["me", [], false]);
  await batch.ack();
  await pass(time, 5_000);
  assertEquals(logOf(me, "commit", "unlock"), ["commit 0=2", "unlock 0"]);
  assertEquals([shared.locks.owner(queue), me.assignment.owned], [undefined, []]);
  await me.close(time);
});

Deno.test("Assignment gives up a lock that is granted after the queue has gone", async () => {
  using time = new FakeTime();
  const { shared, me } = scene();
  const answer = gate();
  me.held.set("lock", answer.opened);
  me.gain(queue);
  await pass(time, 10);
  me.lose(queue);
  await pass(time, 10);
  answer.open();
  await pass(time, 100);
  assertEquals([shared.locks.owner(queue), logOf(me, "read")], [undefined, []]);
  await me.close(time);
});

Deno.test("Assignment whose lock is lost voids what is in flight, and reads the offset again once it is locked", async () => {
  using time = new FakeTime();
  const { shared, me } = scene();
  me.gain(queue);
  await (await me.take(time)).ack();
  const batch = await me.take(time);
  const { signal } = batch;
  steal(shared);
  await pass(time, 20_000); // the renewal
  assertEquals([signal.aborted, me.events.includes("lockLost")], [true, true]);
  await batch.ack();
  await me.assignment.commit();
  assertEquals(logOf(me, "commit"), []);
  shared.committed.set(queueKey(queue), 40); // what the other has settled meanwhile
  shared.locks.unlock("thief", [queue]);
  await pass(time, 600);
  assertEquals(offsetsOf(await me.take(time)), [40, 41]);
  await me.close(time);
});

Deno.test("Assignment neither delivers nor commits when a lock is over that no timer has told of", async () => {
  using time = new FakeTime();
  const { me } = scene();
  me.gain(queue);
  const batch = await me.take(time);
  await batch.ack(batch.messages[0]);
  me.ahead = LOCK_TIMEOUT;
  await batch.ack();
  await me.assignment.commit();
  assertEquals(logOf(me, "commit"), []);
  assert(await me.getsNothing(time));
  await me.lose(queue);
  assertEquals([logOf(me, "commit"), batch.signal.aborted], [[], true]);
  await me.close(time);
});

Deno.test("Assignment that loses the lock of a queue on its way out ends it, and commits nothing", async () => {
  using time = new FakeTime();
  const { shared, me } = scene();
  me.gain(queue);
  const batch = await me.take(time);
  await batch.ack(batch.messages[0]);
  me.lose(queue);
  await pass(time, 1_000);
  steal(shared);
  await pass(time, 20_000);
  assertEquals([batch.signal.aborted, logOf(me, "commit"), logOf(me, "unlock")], [true, [], ["unlock 0"]]);
  assertEquals([shared.locks.owner(queue), me.assignment.owned], ["thief", []]);
  await me.close(time);
});

Deno.test("Assignment: a queue that comes back while its last epoch loses the lock waits for the lock", async () => {
  using time = new FakeTime();
  const { shared, me } = scene();
  me.gain(queue);
  const batch = await me.take(time);
  me.lose(queue);
  await pass(time, 10);
  me.gain(queue);
  steal(shared);
  await pass(time, 25_000);
  assertEquals([batch.signal.aborted, shared.locks.owner(queue)], [true, "thief"]);
  shared.committed.set(queueKey(queue), 9);
  shared.locks.unlock("thief", [queue]);
  await pass(time, 600);
  assertEquals([offsetsOf(await me.take(time)), me.assignment.owned.length], [[9, 10], 1]);
  await me.close(time);
});

Deno.test("Assignment reads the offset again when it lost the lock while it read", async () => {
  using time = new FakeTime();
  const { shared, me } = scene();
  const answer = gate();
  me.gain(other); // so that locks are renewed in time
  me.held.set("read", answer.opened);
  me.gain(queue);
  await pass(time, 1_000);
  steal(shared);
  await pass(time, 20_000);
  me.held.delete("read");
  answer.open();
  await pass(time, 2_000);
  assertEquals(me.log.filter((line) => line.startsWith("pull 0")), []);
  shared.committed.set(queueKey(queue), 20);
  shared.locks.unlock("thief", [queue]);
  await pass(time, 2_000);
  assertEquals(me.log.find((line) => line.startsWith("pull 0")), "pull 0@20");
  await me.close(time);
});

Deno.test("Assignment stores no start of a queue whose lock it lost while it computed it", async () => {
  using time = new FakeTime();
  const shared = new Shared();
  const me = new Member("me", shared);
  const answer = gate();
  me.held.set("max", answer.opened);
  me.gain(queue);
  await pass(time, 1_000);
  steal(shared);
  await pass(time, 20_000);
  me.held.clear();
  answer.open();
  await pass(time, 2_000);
  assertEquals([logOf(me, "commit"), shared.committed.size], [[], 0]);
  await me.close(time);
});

Deno.test("Assignment.seek() waits for the lock, stores the position, and begins there", async () => {
  using time = new FakeTime();
  const { shared, me } = scene();
  me.gain(queue);
  const batch = await me.take(time);
  steal(shared);
  await pass(time, 20_000);
  let done = false;
  const sought = me.assignment.seek(queue, 500, "sought").then(() => done = true);
  await pass(time, 5_000);
  assertEquals([done, batch.signal.aborted, logOf(me, "commit")], [false, true, []]);
  shared.locks.unlock("thief", [queue]);
  await pass(time, 1_000);
  await sought;
  assertEquals([shared.committed.get(queueKey(queue)), offsetsOf(await me.take(time))], [500, [500, 501]]);
  await me.close(time);
});

Deno.test("Assignment.seek() is not forgotten when the lock is lost while the position is stored", async () => {
  using time = new FakeTime();
  const { shared, me } = scene();
  me.gain(queue);
  await me.take(time);
  const stored = gate();
  me.held.set("commit", stored.opened);
  const sought = me.assignment.seek(queue, 500, "sought");
  await pass(time, 1_000);
  steal(shared);
  await pass(time, 20_000);
  me.held.clear();
  stored.open();
  await pass(time, 1_000);
  assert(await me.getsNothing(time), "it begins without the lock");
  shared.locks.unlock("thief", [queue]);
  await pass(time, 1_000);
  await sought;
  assertEquals(offsetsOf(await me.take(time)), [500, 501]);
  await me.close(time);
});

Deno.test("Assignment.seek() is not forgotten when the lock was over before, and no timer had told of it", async () => {
  using time = new FakeTime();
  const { shared, me } = scene();
  me.gain(queue);
  await me.take(time);
  me.ahead = LOCK_TIMEOUT;
  const sought = me.assignment.seek(queue, 500, "sought");
  await pass(time, 2_000);
  await sought;
  assertEquals([shared.committed.get(queueKey(queue)), offsetsOf(await me.take(time))], [500, [500, 501]]);
  await me.close(time);
});

Deno.test("Assignment.seek() voids what is in flight of an epoch on its way out, whose commit comes before", async () => {
  using time = new FakeTime();
  const { shared, me } = scene();
  me.gain(queue);
  const batch = await me.take(time);
  await batch.ack(batch.messages[0]);
  me.lose(queue);
  await pass(time, 100);
  me.gain(queue);
  await pass(time, 100);
  const sought = me.assignment.seek(queue, 500, "sought");
  await pass(time, 1_000);
  await sought;
  assertEquals([batch.signal.aborted, logOf(me, "commit")], [true, ["commit 0=1", "commit 0=500"]]);
  await batch.ack();
  await (await me.take(time)).ack();
  await pass(time, 60_000);
  assertEquals([shared.locks.owner(queue), offsetsOf(await me.take(time))], ["me", [502, 503]]);
  await me.close(time);
});

Deno.test("Assignment.seek() rejects for a queue that goes while it waits for the lock", async () => {
  using time = new FakeTime();
  const { shared, me } = scene();
  shared.locks.lock("other", [queue]);
  me.gain(queue);
  await pass(time, 100);
  const sought = assertRejects(() => me.assignment.seek(queue, 500, "sought"), Error, "not assigned");
  await pass(time, 1_000);
  me.lose(queue);
  await pass(time, 1_000);
  await sought;
  shared.locks.unlock("other", [queue]);
  await pass(time, 1_000);
  assertEquals([shared.committed.get(queueKey(queue)), shared.locks.owner(queue)], [0, undefined]);
  await me.close(time);
});

Deno.test("Assignment.end() commits all before it unlocks, whatever is in flight, also of queues on their way out", async () => {
  using time = new FakeTime();
  const { shared, me } = scene();
  shared.committed.set(queueKey(other), 0);
  me.gain(queue);
  me.gain(other);
  const [one, two] = [await me.take(time), await me.take(time)];
  await one.ack(one.messages[0]);
  await two.ack(two.messages[0]);
  me.lose(other);
  await pass(time, 100);
  const before = me.log.length;
  const stored = gate();
  me.held.set("commit", stored.opened);
  me.assignment.stop();
  const ended = me.assignment.end("the consumer was closed");
  await pass(time, 1_000);
  assertEquals([one.signal.aborted, two.signal.aborted, logOf(me, "unlock")], [true, true, []]);
  stored.open();
  await pass(time, 100);
  await ended;
  const log = me.log.slice(before).filter((line) => !line.startsWith("read"));
  assertEquals(log.toSorted(), ["commit 0=1", "commit 1=1", "unlock 0", "unlock 1"]);
  for (const id of [0, 1]) assert(log.indexOf(`commit ${id}=1`) < log.indexOf(`unlock ${id}`), `${log}`);
  await me.close(time);
});

Deno.test("Assignment.end() whose commit fails while a queue is still on its way out rejects when that is done", async () => {
  using time = new FakeTime();
  const { shared, me } = scene();
  shared.committed.set(queueKey(other), 0);
  me.gain(queue);
  await me.take(time); // stays in flight
  me.gain(other);
  await (await me.take(time)).ack();
  me.lose(queue);
  await pass(time, 10);
  const answer = gate();
  me.held.set("unlock", answer.opened);
  me.failing.add("commit");
  const ended = me.assignment.end("the consumer was closed");
  await pass(time, 1_000);
  await time.tickAsync(0); // the event loop turns: a rejection that nobody hears fails the test
  answer.open();
  await Promise.all([assertRejects(() => ended, OffsetError), pass(time, 100)]);
  assertEquals([shared.locks.owner(queue), shared.locks.owner(other)], [undefined, undefined]);
  me.failing.clear();
  await me.close(time);
});

Deno.test("Assignment.whenIdle() resolves with the end of its queues, and leaves no timer behind", async () => {
  using time = new FakeTime();
  const { me } = scene();
  me.gain(queue);
  await me.take(time);
  let isIdle = false;
  me.assignment.whenIdle().then(() => isIdle = true);
  await settleMicrotasks();
  assertEquals(isIdle, false);
  const ended = me.assignment.end("the consumer was closed");
  await settleMicrotasks();
  assertEquals(isIdle, true, "without that time passes");
  await Promise.all([ended, me.close(time)]);
});

Deno.test("Assignment that has stopped keeps a queue locked that goes while a batch is in flight, and commits it", async () => {
  using time = new FakeTime();
  const { shared, me } = scene();
  me.gain(queue);
  const batch = await me.take(time);
  me.assignment.stop();
  me.lose(queue); // by a rebalance that was under way
  await pass(time, 5_000);
  assertEquals([shared.locks.owner(queue), batch.signal.aborted], ["me", false]);
  await batch.ack();
  await pass(time, 100);
  assertEquals(logOf(me, "commit", "unlock"), ["commit 0=2", "unlock 0"]);
  await me.close(time);
});

Deno.test("Assignment that has stopped begins no queue again whose lock is lost, however often", async () => {
  using time = new FakeTime();
  const { shared, me } = scene();
  me.gain(queue);
  const batch = await me.take(time);
  me.assignment.stop();
  me.assignment.lockLost(queue, "once");
  me.assignment.lockLost(queue, "twice");
  await pass(time, 5_000);
  assertEquals([batch.signal.aborted, logOf(me, "read")], [true, ["read 0"]]);
  assert(await me.getsNothing(time));
  await me.close(time);
  assertEquals(shared.locks.owner(queue), undefined);
});

for (const ordering of ["orderly", "byKey"] as const) {
  Deno.test(`Assignment, ${ordering}: a queue that moves at random has one owner at a time, and loses nothing`, async () => {
    for (let seed = 1; seed <= 5; seed++) await new Moves(ordering, seed).run();
  });
}

/** Two members between which queues move at random, while loops of both work on them. */
class Moves {
  #random: () => number;
  #ordering: "orderly" | "byKey";
  #shared = new Shared();
  #queues = [queue, other];
  /** How often each message was acknowledged. */
  #seen = new Map<string, number>();
  /** Who works on a queue. */
  #working = new Map<string, Set<string>>();

  constructor(ordering: "orderly" | "byKey", seed: number) {
    this.#random = seeded(seed);
    this.#ordering = ordering;
    for (const each of this.#queues) this.#shared.committed.set(queueKey(each), 0);
  }

  async run(): Promise<void> {
    using time = new FakeTime();
    const members = ["one", "two"].map((name) => new Member(name, this.#shared, this.#ordering, 3));
    const stop = new AbortController();
    const loops = members.flatMap((member) => [1, 2, 3].map(() => this.#loop(member, stop.signal)));
    const owners = new Map<MessageQueue, Member>();
    for (let step = 0; step < 150; step++) {
      for (const each of this.#queues) {
        const [from, to] = [owners.get(each), members[Math.floor(this.#random() * 3)]];
        if (from === to || this.#random() < 0.5) continue;
        // Members hear of a change at different times: for a while both may want it, or none.
        const [first, second] = this.#random() < 0.5 ? [0, 1] : [1, 0];
        const changes = [() => void from?.lose(each), () => to?.gain(each)];
        changes[first]!();
        await pass(time, Math.floor(this.#random() * 300));
        changes[second]!();
        if (to === undefined) owners.delete(each);
        else owners.set(each, to);
      }
      await pass(time, Math.floor(this.#random() * 1_500));
      for (const member of members) if (this.#random() < 0.3) member.assignment.commit();
    }
    for (const member of members) member.assignment.stop();
    for (const member of members) member.dispatcher.close();
    stop.abort();
    await pass(time, 5_000);
    await Promise.all(loops);
    for (const member of members) await member.close(time);
    for (const each of this.#queues) this.#checkAll(each);
    assert(this.#seen.size > 200, `${this.#seen.size} messages only`);
  }

  async #loop(member: Member, signal: AbortSignal): Promise<void> {
    for (;;) {
      const batch = await member.dispatcher.take({ signal });
      if (batch === undefined) return;
      const key = queueKey(batch.queue);
      const working = this.#working.get(key) ?? new Set();
      this.#working.set(key, working);
      for (const name of working) assertEquals(name.split(" ")[0], member.name, `${key} has two owners`);
      const mark = `${member.name} ${offsetsOf(batch)}`;
      working.add(mark);
      await new Promise((resolve) => setTimeout(resolve, this.#random() * 400));
      working.delete(mark);
      assert(batch.owner.counts, "nothing was lost");
      if (this.#random() < 0.2) {
        const at = Math.floor(this.#random() * batch.length);
        const [failed, ...before] = batch.messages.slice(0, at + 1).toReversed();
        const keyOf = (offset: number) => this.#ordering === "orderly" ? 0 : offset % 3;
        this.#note(key, before.filter((each) => keyOf(each.queueOffset) === keyOf(failed!.queueOffset)));
        await batch.retry(failed!, { delay: 50 });
        batch.release();
      } else {
        this.#note(key, batch.messages);
        await batch.ack();
      }
    }
  }

  #note(key: string, messages: readonly { queueOffset: number }[]): void {
    for (const { queueOffset } of messages) {
      const name = `${key} ${queueOffset}`;
      this.#seen.set(name, (this.#seen.get(name) ?? 0) + 1);
    }
  }

  /** All below what is committed was acknowledged; where whole queues are ordered, nothing was twice. */
  #checkAll(queue: MessageQueue): void {
    const committed = this.#shared.committed.get(queueKey(queue))!;
    for (let offset = 0; offset < committed; offset++) {
      assert(this.#seen.has(`${queueKey(queue)} ${offset}`), `${offset} was skipped, ${committed} is committed`);
    }
    if (this.#ordering === "byKey") return; // what rests when a queue moves is redelivered with what was settled behind it
    for (const [name, times] of this.#seen) assertEquals(times, 1, `${name} came ${times} times`);
  }
}
