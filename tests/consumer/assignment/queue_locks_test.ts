/** Locks of queues: when they count, and that no two members have one at the same time. */

import { assert, assertEquals } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import type { QueueLock } from "../../../src/consumer/queue/owned_queue.ts";
import { QueueLocks } from "../../../src/consumer/assignment/queue_locks.ts";
import { ResponseError, TimeoutError } from "../../../src/errors.ts";
import { type MessageQueue, queueKey } from "../../../src/message.ts";
import { queue, seeded, settleMicrotasks } from "../fakes.ts";
import { LockTable } from "./lock_broker.ts";

const LOCK_TIMEOUT = 30_000;

function numbered(queueId: number, broker = "b"): MessageQueue {
  return { topic: "orders", broker, queueId };
}

/** Lets time pass, and what has to happen meanwhile happen at its time. */
async function pass(time: FakeTime, ms: number): Promise<void> {
  for (let left = ms; left > 0; left -= 500) {
    time.tick(Math.min(left, 500));
    await settleMicrotasks();
  }
}

/** A request on its way. */
interface Request {
  readonly kind: "lock" | "unlock";
  readonly broker: string;
  readonly queueIds: number[];
  readonly at: number;
}

/** One member, and a broker that answers at once unless the test holds its answers. */
class Member {
  readonly table = new LockTable();
  readonly requests: Request[] = [];
  readonly lost: [queueId: number, reason: string][] = [];
  failed = 0;
  failing = false;
  failure: Error = new TimeoutError("unlock", 3_000);
  readonly locks: QueueLocks;
  /** By how much this member's clock is ahead of the timers. */
  ahead = 0;
  /** Unlocks that were not answered, and that the broker has still to carry out; undefined while it answers. */
  late: (() => void)[] | undefined;
  #held: (() => void)[] | undefined;
  #open = new Map<string, number>();

  constructor() {
    this.locks = new QueueLocks({
      lockTimeout: LOCK_TIMEOUT,
      now: () => Date.now() + this.ahead,
      lock: (broker, queues) => this.#ask("lock", broker, queues, () => this.table.lock("me", queues)),
      unlock: (broker, queues) => this.#ask("unlock", broker, queues, () => this.table.unlock("me", queues)),
      onLost: ({ queueId }, reason) => this.lost.push([queueId, reason]),
      onFailed: () => this.failed++,
    });
  }

  /** From here on answers wait: the broker has done what was asked. */
  hold(): void {
    this.#held = [];
  }

  /** Lets the answers go that wait. */
  async answer(): Promise<void> {
    for (const go of this.#held?.splice(0) ?? []) go();
    await settleMicrotasks();
  }

  /** The kinds and queues of the requests so far. */
  get log(): string[] {
    return this.requests.map(({ kind, queueIds }) => `${kind} ${queueIds}`);
  }

  async #ask<T>(kind: Request["kind"], broker: string, queues: readonly MessageQueue[], work: () => T): Promise<T> {
    this.requests.push({ kind, broker, queueIds: queues.map(({ queueId }) => queueId), at: Date.now() });
    this.#open.set(broker, (this.#open.get(broker) ?? 0) + 1);
    assertEquals(this.#open.get(broker), 1, "one request to a broker at a time");
    try {
      if (this.failing) throw this.failure;
      if (this.late !== undefined && kind === "unlock") {
        this.late.push(work);
        throw this.failure;
      }
      const answer = work();
      const held = this.#held;
      if (held !== undefined) await new Promise<void>((resolve) => held.push(resolve));
      return answer;
    } finally {
      this.#open.set(broker, this.#open.get(broker)! - 1);
    }
  }
}

Deno.test("QueueLocks.acquire() asks once for a lock, and not while it holds it", async () => {
  using _time = new FakeTime();
  const member = new Member();
  const lock = await member.locks.acquire(queue);
  assert(lock?.isHeld);
  assertEquals(await member.locks.acquire(queue), lock);
  assertEquals(member.log, ["lock 0"]);
  member.locks.close();
});

Deno.test("QueueLocks.acquire() gives nothing if another member has the lock, or the broker does not answer", async () => {
  using _time = new FakeTime();
  const member = new Member();
  member.table.lock("other", [queue]);
  assertEquals([await member.locks.acquire(queue), member.failed], [undefined, 0]);
  member.failing = true;
  assertEquals([await member.locks.acquire(numbered(1)), member.failed], [undefined, 1]);
  assertEquals(member.lost, []);
  member.locks.close();
});

Deno.test("QueueLocks renews at two thirds of the time since the request left", async () => {
  using time = new FakeTime();
  const member = new Member();
  const start = Date.now();
  member.hold();
  const acquired = member.locks.acquire(queue);
  await settleMicrotasks();
  time.tick(2_500);
  await member.answer();
  const lock = (await acquired)!;
  member.ahead = 27_499;
  assert(lock.isHeld);
  member.ahead = 27_500;
  assert(!lock.isHeld, "it counts since the request left, too");
  member.ahead = 0;
  time.tick(17_499);
  assertEquals(member.log, ["lock 0"]);
  time.tick(1);
  await member.answer();
  time.tick(20_000);
  await member.answer();
  assertEquals(member.requests.map(({ at }) => at - start), [0, 20_000, 40_000]);
  member.locks.close();
});

Deno.test("QueueLocks retries a failed renewal each second, tells once, and counts on the lock until it is over", async () => {
  using time = new FakeTime();
  const member = new Member();
  const lock = (await member.locks.acquire(queue))!;
  const start = Date.now();
  member.failing = true;
  await pass(time, 29_999);
  assertEquals(
    member.requests.slice(1).map(({ at }) => at - start),
    [20, 21, 22, 23, 24, 25, 26, 27, 28, 29].map((s) => s * 1_000),
  );
  assertEquals([lock.isHeld, member.failed, member.lost], [true, 1, []]);
  await pass(time, 1);
  assertEquals([lock.isHeld, member.lost], [false, [[0, `its lock was not renewed within ${LOCK_TIMEOUT} ms`]]]);
  await pass(time, 60_000);
  assertEquals([member.requests.length, member.lost.length], [11, 1]);
  member.locks.close();
});

Deno.test("QueueLocks goes on as before when a renewal succeeds after others failed, and tells of the next failure", async () => {
  using time = new FakeTime();
  const member = new Member();
  const lock = (await member.locks.acquire(queue))!;
  member.failing = true;
  await pass(time, 22_500);
  member.failing = false;
  await pass(time, 20_000); // renewed 23 s after the beginning
  assertEquals([lock.isHeld, member.requests.length, member.failed], [true, 5, 1]);
  member.failing = true;
  await pass(time, 5_000);
  assertEquals([lock.isHeld, member.failed], [true, 2]);
  await pass(time, 5_500);
  assertEquals([lock.isHeld, member.lost.length], [false, 1]);
  member.locks.close();
});

Deno.test("QueueLocks: a lock is over when its time is, before any timer runs", async () => {
  using time = new FakeTime();
  const member = new Member();
  const lock = (await member.locks.acquire(queue))!;
  member.ahead = LOCK_TIMEOUT - 1;
  assertEquals(lock.isHeld, true);
  member.ahead = LOCK_TIMEOUT;
  assertEquals([lock.isHeld, member.lost], [false, []]);
  member.locks.check();
  assertEquals([member.lost.length, member.log], [1, ["lock 0"]]);
  await pass(time, 60_000);
  assertEquals(member.lost.length, 1);
  member.locks.close();
});

Deno.test("QueueLocks: an answer that comes after the time is over gives the old lock nothing", async () => {
  using time = new FakeTime();
  const member = new Member();
  const lock = (await member.locks.acquire(queue))!;
  member.hold();
  await pass(time, 20_000); // the renewal leaves
  member.ahead = 10_000; // and the timers are late
  await member.answer();
  assertEquals([lock.isHeld, member.lost.length], [false, 1]);
  const next = await member.locks.acquire(queue);
  assert(next?.isHeld && next !== lock && !lock.isHeld, "what the answer grants is another lock");
  assertEquals(member.log, ["lock 0", "lock 0"]);
  member.locks.close();
});

Deno.test("QueueLocks: an answer that takes longer than a lock counts grants nothing", async () => {
  using time = new FakeTime();
  const member = new Member();
  member.hold();
  const acquired = member.locks.acquire(queue);
  await settleMicrotasks();
  time.tick(LOCK_TIMEOUT);
  await member.answer();
  assertEquals([await acquired, member.lost], [undefined, []]);
  member.locks.close();
});

Deno.test("QueueLocks.acquire() of a lock that is over, and not told of yet, tells first and asks the broker", async () => {
  using _time = new FakeTime();
  const member = new Member();
  const lock = (await member.locks.acquire(queue))!;
  member.ahead = LOCK_TIMEOUT;
  const next = await member.locks.acquire(queue);
  assertEquals([lock.isHeld, next?.isHeld, member.lost.length, member.log.length], [false, true, 1, 2]);
  member.locks.close();
});

Deno.test("QueueLocks tells of a lock that another member has got, and keeps the others of its broker", async () => {
  using time = new FakeTime();
  const member = new Member();
  const [one, two] = await Promise.all([0, 1].map((id) => member.locks.acquire(numbered(id))));
  member.table.unlock("me", [numbered(1)]);
  member.table.lock("other", [numbered(1)]);
  await pass(time, 20_000);
  assertEquals([one?.isHeld, two?.isHeld], [true, false]);
  assertEquals(member.lost, [[1, "another member has its lock"]]);
  await pass(time, 20_000);
  assertEquals(member.log.at(-1), "lock 0", "what is lost is not renewed");
  member.locks.close();
});

Deno.test("QueueLocks sends one request for what is asked for at the same time, and one to each broker", async () => {
  using time = new FakeTime();
  const member = new Member();
  member.hold();
  const asked = [0, 1, 2].map((id) => member.locks.acquire(numbered(id)));
  await settleMicrotasks();
  asked.push(...Array.from({ length: 20 }, (_, id) => member.locks.acquire(numbered(3 + id))));
  asked.push(member.locks.acquire(numbered(0, "c")));
  await settleMicrotasks();
  assertEquals(member.requests.map(({ broker, queueIds }) => [broker, queueIds.length]), [["b", 3], ["c", 1]]);
  await member.answer();
  await member.answer();
  assertEquals(member.requests.map(({ broker, queueIds }) => [broker, queueIds.length]), [["b", 3], ["c", 1], [
    "b",
    20,
  ]]);
  assert((await Promise.all(asked)).every((lock) => lock?.isHeld));
  time.tick(20_000);
  await settleMicrotasks();
  await member.answer();
  assertEquals(member.requests.slice(3).map(({ queueIds }) => queueIds.length).sort(), [1, 23], "renewed together");
  member.locks.close();
});

Deno.test("QueueLocks.release(): the lock does not count from the moment of the call", async () => {
  using _time = new FakeTime();
  const member = new Member();
  const lock = (await member.locks.acquire(queue))!;
  const released = member.locks.release(queue);
  assertEquals(lock.isHeld, false);
  await released;
  assertEquals([member.table.owner(queue), member.lost, member.log], [undefined, [], ["lock 0", "unlock 0"]]);
  member.locks.close();
});

Deno.test("QueueLocks.release() while a renewal is under way leaves no lock behind", async () => {
  using time = new FakeTime();
  const member = new Member();
  const lock = (await member.locks.acquire(queue))!;
  member.hold();
  await pass(time, 20_000);
  const released = member.locks.release(queue);
  await settleMicrotasks();
  assertEquals([member.log.length, lock.isHeld], [2, false], "the unlock waits for the renewal");
  await member.answer();
  await member.answer();
  await released;
  assertEquals([member.table.owner(queue), lock.isHeld, member.lost], [undefined, false, []]);
  await pass(time, 120_000);
  assertEquals(member.log, ["lock 0", "lock 0", "unlock 0"]);
  member.locks.close();
});

Deno.test("QueueLocks.release() while the lock is asked for: nobody gets it, and none is left behind", async () => {
  using time = new FakeTime();
  const member = new Member();
  member.hold();
  const acquired = member.locks.acquire(queue);
  await settleMicrotasks();
  const released = member.locks.release(queue);
  await member.answer();
  await member.answer();
  await released;
  assertEquals([await acquired, member.table.owner(queue)], [undefined, undefined]);
  await pass(time, 60_000);
  assertEquals(member.log, ["lock 0", "unlock 0"]);
  member.locks.close();
});

Deno.test("QueueLocks.acquire() right after release() ends with a lock at the broker, and with one here", async () => {
  for (const answered of [0, 1, 2, 3]) {
    using time = new FakeTime();
    const member = new Member();
    const old = (await member.locks.acquire(queue))!;
    member.hold();
    await pass(time, 20_000); // a renewal is under way
    const released = member.locks.release(queue);
    for (let i = 0; i < answered; i++) await member.answer();
    const acquired = member.locks.acquire(queue);
    for (let i = 0; i < 4; i++) await member.answer();
    await released;
    const lock = await acquired;
    assertEquals([lock?.isHeld, old.isHeld, member.table.owner(queue)], [true, false, "me"], `${answered}`);
    assertEquals(member.lost, []);
    member.locks.close();
  }
});

Deno.test("QueueLocks.release() resolves when the broker does not answer, and goes on with the others", async () => {
  using _time = new FakeTime();
  const member = new Member();
  await Promise.all([0, 1].map((id) => member.locks.acquire(numbered(id))));
  member.failing = true;
  await member.locks.release(numbered(0));
  member.failing = false;
  await member.locks.release(numbered(1));
  assertEquals([member.table.owner(numbered(0)), member.table.owner(numbered(1))], ["me", undefined]);
  member.locks.close();
});

Deno.test("QueueLocks.acquire() of a queue whose unlock was not answered sends the unlock again, and locks only then", async () => {
  using _time = new FakeTime();
  const member = new Member();
  await member.locks.acquire(queue);
  member.late = [];
  await member.locks.release(queue);
  assertEquals([member.table.owner(queue), member.failed], ["me", 0], "nobody waits for it: the lock ends by itself");
  assertEquals(await member.locks.acquire(queue), undefined);
  assertEquals(await member.locks.acquire(queue), undefined);
  assertEquals([member.log.slice(1), member.failed], [["unlock 0", "unlock 0", "unlock 0"], 1]);
  for (const carryOut of member.late) carryOut();
  member.late = undefined;
  const lock = await member.locks.acquire(queue);
  assertEquals([lock?.isHeld, member.table.owner(queue), member.log.slice(4)], [true, "me", ["unlock 0", "lock 0"]]);
  await member.locks.release(queue);
  await member.locks.acquire(queue);
  assertEquals(member.log.slice(6), ["unlock 0", "lock 0"], "there is no doubt any more");
  member.locks.close();
});

Deno.test("QueueLocks: a queue in doubt does not keep others of its broker from being locked", async () => {
  using _time = new FakeTime();
  const member = new Member();
  await member.locks.acquire(numbered(0));
  member.late = [];
  await member.locks.release(numbered(0));
  const asked = await Promise.all([0, 1].map((id) => member.locks.acquire(numbered(id))));
  assertEquals(asked.map((lock) => lock?.isHeld), [undefined, true]);
  assertEquals(member.log.slice(2), ["unlock 0", "lock 1"]);
  member.late = undefined;
  await member.locks.release(numbered(1));
  assertEquals(member.table.owner(numbered(1)), undefined);
  member.locks.close();
});

Deno.test("QueueLocks: an unlock that the broker refuses is answered, and leaves no doubt", async () => {
  using _time = new FakeTime();
  const member = new Member();
  await member.locks.acquire(queue);
  member.late = [];
  member.failure = new ResponseError("UnlockQueues", 1, "b:10911", "no");
  await member.locks.release(queue);
  assert((await member.locks.acquire(queue))?.isHeld);
  assertEquals(member.log, ["lock 0", "unlock 0", "lock 0"]);
  member.locks.close();
});

Deno.test("QueueLocks.release() while a queue in doubt is asked for leaves no lock behind", async () => {
  using _time = new FakeTime();
  const member = new Member();
  await member.locks.acquire(queue);
  member.late = [];
  await member.locks.release(queue);
  member.late = undefined;
  member.hold();
  const acquired = member.locks.acquire(queue);
  await settleMicrotasks();
  const released = member.locks.release(queue);
  for (let i = 0; i < 3; i++) await member.answer();
  await released;
  assertEquals([await acquired, member.table.owner(queue)], [undefined, undefined]);
  member.locks.close();
});

Deno.test("QueueLocks.renew() asks at once for the locks of a broker that has forgotten them, and of no other", async () => {
  using _time = new FakeTime();
  const { locks, requests, lost } = new Member();
  await Promise.all([locks.acquire(numbered(0)), locks.acquire(numbered(1)), locks.acquire(numbered(2, "c"))]);
  requests.length = 0;
  locks.renew("b");
  await settleMicrotasks();
  assertEquals(requests.map(({ kind, broker, queueIds }) => [kind, broker, queueIds]), [["lock", "b", [0, 1]]]);
  assertEquals(lost, []);
  locks.close();
});

Deno.test("QueueLocks.close() ends the renewals, also of what is answered later", async () => {
  using time = new FakeTime();
  const member = new Member();
  await member.locks.acquire(queue);
  member.hold();
  await pass(time, 20_000);
  member.locks.close();
  await member.answer();
  await pass(time, 120_000);
  assertEquals([member.log.length, await member.locks.acquire(numbered(1))], [2, undefined]);
});

Deno.test("QueueLocks of members with wrong clocks and a bad network never both have a queue", async () => {
  let taken = 0;
  for (let seed = 1; seed <= 8; seed++) taken += await new Rivals(seed).run();
  assert(taken > 200, `it was taken ${taken} times only`);
});

/** Two members that want the same queues for a while each, on a network that delays and loses requests and answers. */
class Rivals {
  #random: () => number;
  #table = new LockTable();
  #queues = [numbered(0), numbered(1)];
  /** Every lock that a member has ever got: also one given up must not count. */
  #got = new Map<string, { member: string; lock: QueueLock }[]>();
  #taken = 0;
  #isCalm = false;
  /** Unlocks of a member that are still on their way though nobody waits for them. */
  #late = new Map<string, (() => void)[]>();

  constructor(seed: number) {
    this.#random = seeded(seed);
  }

  /** Runs for ten minutes: returns how often a queue was taken. */
  async run(): Promise<number> {
    using time = new FakeTime();
    const stop = new AbortController();
    const members = ["one", "two"].map((name) => this.#member(name));
    const wanting = members.flatMap((member) => this.#queues.map((queue) => this.#want(member, queue, stop.signal)));
    await this.#pass(time, 600_000);
    this.#isCalm = true;
    const before = this.#taken;
    await this.#pass(time, 150_000);
    assert(this.#taken > before + 4, "on a good network both members have their turns");
    stop.abort();
    await this.#pass(time, 200_000);
    await Promise.all(wanting);
    for (const { locks } of members) locks.close();
    for (const queue of this.#queues) assertEquals(this.#table.owner(queue), undefined);
    return this.#taken;
  }

  async #pass(time: FakeTime, ms: number): Promise<void> {
    for (let passed = 0; passed < ms; passed += 100) {
      time.tick(100);
      await settleMicrotasks();
      this.#check();
    }
  }

  #check(): void {
    for (const [key, all] of this.#got) {
      const holders = new Set(all.filter(({ lock }) => lock.isHeld).map(({ member }) => member));
      assert(holders.size < 2, `two members have ${key}`);
    }
  }

  #member(name: string): { name: string; locks: QueueLocks } {
    const rate = 0.85 + this.#random() * 0.3;
    const start = this.#random() * 1e9;
    const locks = new QueueLocks({
      lockTimeout: 50_000, // the longest that is allowed
      now: () => start + Date.now() * rate,
      lock: (_broker, queues) => this.#send(() => this.#table.lock(name, queues)),
      unlock: (_broker, queues) => this.#unlock(name, queues),
      onLost: () => {},
      onFailed: () => {},
    });
    const check = locks.check.bind(locks);
    locks.check = () => void setTimeout(check, this.#random() < 0.2 ? this.#random() * 20_000 : 0); // a busy process
    return { name, locks };
  }

  /** Wants a queue, keeps it for a while, gives it up, and so on. */
  async #want({ name, locks }: { name: string; locks: QueueLocks }, queue: MessageQueue, signal: AbortSignal) {
    while (!signal.aborted) {
      const lock = await locks.acquire(queue);
      if (lock?.isHeld) {
        this.#taken++;
        this.#got.set(queueKey(queue), [...(this.#got.get(queueKey(queue)) ?? []).slice(-20), { member: name, lock }]);
        this.#check();
        await this.#wait(this.#isCalm ? 5_000 : this.#random() * 90_000);
      }
      const released = this.#random() < 0.7 ? locks.release(queue) : undefined;
      if (this.#random() < 0.5) await released;
      await this.#wait(this.#random() * 3_000);
    }
    await locks.release(queue);
  }

  /**
   * An unlock may be carried out long after nobody waits for it, behind a later lock, but not behind a later unlock.
   */
  #unlock(name: string, queues: readonly MessageQueue[]): Promise<void> {
    let isDone = false;
    const carryOut = () => {
      if (!isDone) this.#table.unlock(name, queues);
      isDone = true;
    };
    const late = this.#late.get(name) ?? [];
    this.#late.set(name, [...late, carryOut]);
    const before = [...late];
    return this.#send(() => {
      for (const each of before) each();
      carryOut();
    });
  }

  /** A request and its answer. What nobody waits for any more may still arrive. */
  async #send<T>(work: () => T): Promise<T> {
    const fate = this.#isCalm ? 1 : this.#random();
    if (fate < 0.1) {
      await this.#wait(3_000);
      throw new TimeoutError("have an answer: the request was lost", 3_000);
    }
    if (fate < 0.2) {
      this.#wait(this.#random() * 20_000).then(work);
      await this.#wait(3_000);
      throw new TimeoutError("have an answer: the answer was lost", 3_000);
    }
    await this.#wait(this.#random() * 1_500);
    const answer = work();
    await this.#wait(this.#random() * (fate < 0.3 ? 15_000 : 1_500));
    return answer;
  }

  #wait(ms: number): Promise<void> {
    return new Promise((resolve) => setTimeout(resolve, ms));
  }
}

Deno.test("requests to a broker go on after one whose end failed", async () => {
  let failures = 0;
  const locks = new QueueLocks({
    lockTimeout: LOCK_TIMEOUT,
    now: () => 0,
    lock: (_broker, queues) => failures === 0 ? Promise.reject(new TimeoutError("lock", 1)) : Promise.resolve(queues),
    unlock: () => Promise.resolve(),
    onLost: () => {},
    onFailed: () => {
      failures++;
      throw new RangeError("on purpose");
    },
  });
  const one = locks.acquire(numbered(0)).catch((error) => error);
  const two = locks.acquire(numbered(1)).catch((error) => error);
  await Promise.all([one, two]);
  assert(failures > 0);
  assert((await locks.acquire(numbered(2)))?.isHeld);
  locks.close();
});
