/** What a process queue does besides where its messages have keys. */

import { assert, assertEquals } from "@std/assert";
import { type HeldMessage, ProcessQueue } from "../../../src/consumer/queue/process_queue.ts";
import { fakeMessage, seeded } from "../fakes.ts";

/** A queue whose messages are named by key and number, as `a0`, in the order of their offsets from 0 on. */
function keyed(...names: string[]): ProcessQueue {
  const queue = new ProcessQueue(0, ({ queueOffset }) => names[queueOffset]!.charAt(0));
  queue.put(names.map((_, offset) => fakeMessage(offset)), names.length);
  return queue;
}

function offsets(taken: { messages: readonly HeldMessage[] } | undefined): number[] {
  return taken?.messages.map(({ queueOffset }) => queueOffset) ?? [];
}

/** The numbers of what was taken. */
function numbers({ first, numbers, messages }: NonNullable<ReturnType<ProcessQueue["take"]>>): readonly number[] {
  return numbers ?? messages.map((_, at) => first + at);
}

Deno.test("ProcessQueue with keys gives messages of one key to one batch at a time, in their order", () => {
  const queue = keyed("a0", "a1", "b0", "a2", "c0", "b1");
  const one = queue.take(2)!;
  assertEquals(offsets(one), [0, 1]);
  const two = queue.take(10)!;
  assertEquals([offsets(two), two.numbers], [[2, 4, 5], [2, 4, 5]]);
  assertEquals(queue.take(10), undefined);
  queue.settle(0);
  assertEquals(queue.take(10), undefined, "a1 is in flight");
  queue.settle(1);
  assertEquals(offsets(queue.take(10)), [3]);
});

Deno.test("ProcessQueue tells the numbers of a batch only where they do not follow each other", () => {
  const queue = keyed("a0", "b0", "a1", "a2");
  assertEquals(queue.take(1)!.numbers, undefined);
  assertEquals(queue.take(1)!.numbers, undefined);
  assert(queue.keyAt(0) !== queue.keyAt(1));
  assertEquals(new ProcessQueue(0).keyAt(0), undefined);
  queue.settle(0);
  const { first, numbers } = queue.take(2)!;
  assertEquals([first, numbers], [2, undefined]);
});

Deno.test("ProcessQueue delivers nothing of a key that rests, and all of it in order when its rest is over", () => {
  const queue = keyed("a0", "a1", "b0", "a2");
  queue.take(2);
  queue.settle(0);
  queue.requeue(1);
  assertEquals(offsets(queue.take(10)), [2]);
  assertEquals(queue.take(10), undefined);
  queue.endRest(1);
  assertEquals(offsets(queue.take(10)), [1, 3]);
});

Deno.test("ProcessQueue keeps a key back until the last of its resting messages is awake", () => {
  const queue = keyed("a0", "a1", "a2");
  queue.take(2);
  queue.requeue(0);
  queue.requeue(1);
  queue.endRest(1);
  assertEquals(queue.take(10), undefined, "a1 would come before a0");
  queue.endRest(0);
  assertEquals(offsets(queue.take(10)), [0, 1, 2]);
});

Deno.test("ProcessQueue has holes where a message is ready that is older than one settled or in flight", () => {
  const queue = keyed("a0", "b0", "a1", "b1", "a2");
  assert(!queue.hasHoles);
  queue.take(1);
  assertEquals([offsets(queue.take(1)), queue.hasHoles], [[1], false]);
  queue.settle(1);
  assertEquals([offsets(queue.take(1)), queue.hasHoles], [[3], true], "a1 waits before b1");
  queue.settle(0);
  assertEquals(offsets(queue.take(10, undefined, true)), [2], "a2 is no hole");
  assertEquals([queue.hasHoles, queue.take(10, undefined, true)], [false, undefined]);
  queue.settle(2);
  queue.settle(3);
  assertEquals([queue.committable, queue.hasHoles], [4, false]);
});

Deno.test("ProcessQueue has no holes where what was requeued is ready again, and nothing behind it was settled", () => {
  const queue = new ProcessQueue(0, () => "");
  queue.put([0, 1, 2, 3].map((offset) => fakeMessage(offset)), 4);
  queue.take(3);
  queue.settle(0);
  queue.requeue(1);
  queue.requeue(2);
  assert(!queue.hasHoles);
  queue.endRest(1);
  queue.endRest(2);
  assertEquals([queue.committable, queue.hasHoles], [1, false]);
});

Deno.test("ProcessQueue has holes where something behind what was requeued is settled", () => {
  const queue = new ProcessQueue(0, () => "");
  queue.put([0, 1].map((offset) => fakeMessage(offset)), 2);
  queue.take(2);
  queue.settle(1); // it went to the dead letter queue
  queue.requeue(0);
  assert(!queue.hasHoles, "it rests: nobody could have it now");
  queue.endRest(0);
  assertEquals([queue.committable, queue.hasHoles], [0, true]);
  assertEquals(offsets(queue.take(10, undefined, true)), [0]);
});

Deno.test("ProcessQueue with keys agrees with a plain model over random operations", () => {
  for (let seed = 1; seed <= 60; seed++) new KeyedRun(seed).run(400);
});

type State = "ready" | "hand" | "rest" | "settled";

interface Modelled {
  readonly number: number;
  readonly offset: number;
  readonly key: string;
  readonly topic: string;
  state: State;
}

/** Random operations on a queue with keys, each compared with a list of all that it has ever got. */
class KeyedRun {
  #random: () => number;
  #all: Modelled[] = [];
  #position = 0;
  #keys: number;
  #topics: number;
  #queue: ProcessQueue;
  #delivered = 0;

  constructor(seed: number) {
    this.#random = seeded(seed);
    this.#keys = [1, 2, 5, 50][seed % 4]!; // one key: whole queues are ordered
    this.#topics = seed % 3 === 0 ? 2 : 1;
    this.#queue = new ProcessQueue(0, ({ queueOffset }) => this.#all.find((each) => each.offset === queueOffset)!.key);
  }

  run(steps: number): void {
    for (let step = 0; step < steps; step++) {
      const dice = this.#random();
      if (dice < 0.15) this.#put();
      else if (dice < 0.45) this.#take();
      else if (dice < 0.8) this.#move("hand", "settled", (number) => this.#queue.settle(number));
      else if (dice < 0.9) this.#move("hand", "rest", (number) => this.#queue.requeue(number));
      else this.#move("rest", "ready", (number) => this.#queue.endRest(number));
      this.#compare();
    }
    this.#drain();
  }

  #below(limit: number): number {
    return Math.floor(this.#random() * limit);
  }

  #put(): void {
    const known = this.#below(3);
    const fresh = Array.from({ length: this.#below(60) }, () => this.#position += 1 + this.#below(3));
    this.#position++;
    const repeated = this.#all.slice(this.#all.length - known); // as after a pull that was made again
    for (const offset of fresh) {
      const [key, topic] = [`key${this.#below(this.#keys)}`, `topic${this.#below(this.#topics)}`];
      this.#all.push({ number: this.#all.length, offset, key, topic, state: "ready" });
    }
    const arrived = [...repeated, ...this.#all.slice(this.#all.length - fresh.length)];
    const messages = fresh.length === 0 ? [] : arrived.map(({ offset, topic }) => fakeMessage(offset, topic));
    this.#queue.put(messages, this.#position);
  }

  #take(): void {
    const max = 1 + this.#below(16);
    const topic = this.#random() < 0.2 ? `topic${this.#below(this.#topics)}` : undefined;
    const holesOnly = this.#random() < 0.2;
    const expected = this.#expected(max, topic, holesOnly);
    const taken = this.#queue.take(max, topic, holesOnly);
    const got = taken === undefined ? [] : numbers(taken);
    assertEquals(got, expected.map(({ number }) => number));
    assertEquals(offsets(taken), expected.map(({ offset }) => offset));
    for (const each of expected) each.state = "hand";
    for (const each of expected) this.#checkOrder(each, got);
  }

  /** The oldest whose key was free before, of one topic, up to where the topic changes. */
  #expected(max: number, topic: string | undefined, holesOnly: boolean): Modelled[] {
    const held = new Set(this.#all.filter(({ state }) => state === "hand" || state === "rest").map(({ key }) => key));
    const end = holesOnly ? this.#frontier() : this.#all.length;
    const free = this.#all.slice(0, end).filter(({ state, key }) => state === "ready" && !held.has(key));
    const wanted = topic ?? free[0]?.topic;
    const from = free.slice(Math.max(0, free.findIndex((each) => each.topic === wanted)));
    const cut = from.findIndex((each) => each.topic !== wanted);
    return from.slice(0, cut < 0 ? max : Math.min(max, cut));
  }

  /**
   * Of a key nothing else is in flight or rests, and all of its topic that is older is settled or in the same batch.
   */
  #checkOrder({ number, key, topic }: Modelled, batch: readonly number[]): void {
    for (const other of this.#all) {
      if (other.key !== key || batch.includes(other.number)) continue;
      assert(other.state === "ready" || other.state === "settled", `${key} is in two batches`);
      if (other.topic === topic && other.number < number) {
        assertEquals(other.state, "settled", `${key} is out of order`);
      }
    }
  }

  /** The number behind the newest that was ever delivered. */
  #frontier(): number {
    const newest = this.#all.findLastIndex(({ state }) => state === "hand");
    return this.#delivered = Math.max(this.#delivered, newest + 1);
  }

  #move(from: State, to: State, operation: (number: number) => void): void {
    const candidates = this.#all.filter(({ state }) => state === from);
    const one = candidates[this.#below(candidates.length)];
    if (one === undefined) return;
    one.state = to;
    operation(one.number);
  }

  #compare(): void {
    this.#frontier();
    const queue = this.#queue;
    const unsettled = this.#all.filter(({ state }) => state !== "settled");
    const count = (wanted: State) => this.#all.filter(({ state }) => state === wanted).length;
    assertEquals(queue.committable, unsettled[0]?.offset ?? this.#position);
    assertEquals(queue.oldest?.queueOffset, unsettled[0]?.offset);
    assertEquals([queue.count, queue.bytes], [unsettled.length, unsettled.length * 100]);
    assertEquals([queue.readyCount, queue.inFlightCount], [count("ready"), count("hand")]);
    assertEquals(queue.position, this.#position);
    const waiting = this.#all.findIndex(({ state }) => state === "ready");
    const gone = this.#all.findLastIndex(({ state }) => state === "hand" || state === "settled");
    assertEquals(queue.hasHoles, waiting >= 0 && waiting < gone);
    const codes = new Map(unsettled.map(({ number, key }) => [key, queue.keyAt(number)]));
    assertEquals(new Set(codes.values()).size, codes.size);
    for (const { number, key } of unsettled) assertEquals(queue.keyAt(number), codes.get(key));
  }

  /** In the end all comes out: no key is held for ever. */
  #drain(): void {
    for (const each of this.#all) {
      if (each.state === "rest") {
        this.#queue.endRest(each.number);
        each.state = "ready";
      } else if (each.state === "hand") {
        this.#queue.settle(each.number);
        each.state = "settled";
      }
    }
    for (let taken = this.#queue.take(7); taken !== undefined; taken = this.#queue.take(7)) {
      for (const number of numbers(taken)) {
        this.#queue.settle(number);
        this.#all[number]!.state = "settled";
      }
    }
    assertEquals(this.#all.filter(({ state }) => state !== "settled"), []);
    this.#compare();
  }
}
