import { assert, assertEquals } from "@std/assert";
import { ProcessQueue } from "../../../src/consumer/queue/process_queue.ts";
import { fakeMessage as message, seeded } from "../fakes.ts";

function offsets(taken: { messages: readonly { queueOffset: number }[] } | undefined): number[] {
  return taken?.messages.map((each) => each.queueOffset) ?? [];
}

Deno.test("ProcessQueue commits up to the first unsettled message, whatever the order of settling", () => {
  const queue = new ProcessQueue(10);
  queue.put([message(10), message(11), message(12)], 13);
  assertEquals(queue.committable, 10);
  const taken = queue.take(3)!;
  queue.settle(taken.first + 2);
  queue.settle(taken.first + 1);
  assertEquals(queue.committable, 10);
  queue.settle(taken.first);
  assertEquals(queue.committable, 13);
  assertEquals([queue.count, queue.bytes, queue.inFlightCount], [0, 0, 0]);
});

Deno.test("ProcessQueue commits to where the broker said to go on, when all that arrived is settled", () => {
  const queue = new ProcessQueue(0);
  queue.put([message(2)], 9); // 0, 1 and 3 to 8 were filtered out
  assertEquals(queue.committable, 2);
  const { first } = queue.take(8)!;
  queue.settle(first);
  assertEquals(queue.committable, 9);
  queue.put([], 20);
  assertEquals(queue.committable, 20);
});

Deno.test("ProcessQueue skips messages that it has seen, and never goes back", () => {
  const queue = new ProcessQueue(5);
  queue.put([message(3), message(4), message(5)], 6);
  assertEquals(offsets(queue.take(10)), [5]);
  queue.put([message(5)], 4);
  assertEquals([queue.position, queue.readyCount], [6, 0]);
});

Deno.test("ProcessQueue goes on behind the last message, wherever the broker says to go on", () => {
  for (const position of [0, 6, 7, 8, -1, NaN, Infinity, 2 ** 53]) {
    const queue = new ProcessQueue(5);
    queue.put([message(5), message(8)], position);
    assertEquals([queue.position, queue.committable], [9, 5], `${position}`);
    const { first } = queue.take(2)!;
    queue.settleRange(first, 2);
    assertEquals(queue.committable, 9);
  }
});

Deno.test("ProcessQueue refuses messages whose offsets do not rise, within an answer too", () => {
  const queue = new ProcessQueue(5);
  queue.put([message(5), message(5), message(9), message(7), message(NaN), message(10)], 11);
  const taken = queue.take(10)!;
  assertEquals(offsets(taken), [5, 9, 10]);
  queue.settle(taken.first + 2);
  assertEquals(queue.committable, 5);
  queue.settle(taken.first);
  assertEquals(queue.committable, 9);
});

Deno.test("ProcessQueue never gives an offset to commit that is behind an unsettled one, whatever arrives", () => {
  for (let seed = 1; seed <= 60; seed++) checkCommittable(seed, seed % 3 === 0);
});

/** Puts answers of arbitrary offsets, and settles in any order; with keys the order of taking is arbitrary too. */
function checkCommittable(seed: number, withKeys: boolean): void {
  const random = seeded(seed);
  const below = (limit: number) => Math.floor(random() * limit);
  const queue = new ProcessQueue(below(100), withKeys ? ({ queueOffset }) => String(queueOffset % 7) : undefined);
  const unsettled = new Map<number, number>();
  const seen = new Set<number>();
  let committed = queue.committable;
  for (let step = 0; step < 300; step++) {
    const dice = random();
    if (dice < 0.3) {
      let at = queue.position + below(5) - 2;
      const answer = Array.from({ length: below(20) }, () => {
        const kind = below(10);
        at += kind === 0 ? -below(50) : kind === 1 ? 0 : kind === 2 ? below(1_000) : 1;
        return message(at);
      });
      queue.put(answer, [at + 1, at, queue.position, -1, 0, at + below(100), NaN][below(7)]!);
    } else if (dice < 0.6) {
      const taken = queue.take(1 + below(10));
      taken?.messages.forEach(({ queueOffset }, i) => {
        assert(!seen.has(queueOffset), `offset ${queueOffset} was delivered twice`);
        seen.add(queueOffset);
        unsettled.set(taken.numbers?.[i] ?? taken.first + i, queueOffset);
      });
    } else {
      const numbers = [...unsettled.keys()];
      if (numbers.length === 0) continue;
      const number = numbers[below(numbers.length)]!;
      unsettled.delete(number);
      queue.settle(number);
    }
    const { committable, position } = queue;
    assert(committable >= committed, `seed ${seed}: ${committable} was ${committed}`);
    assert(committable <= position, `seed ${seed}: ${committable} is behind ${position}`);
    for (const offset of unsettled.values()) assert(committable <= offset, `seed ${seed}: ${committable} > ${offset}`);
    committed = committable;
  }
}

Deno.test("ProcessQueue.take() gives one topic at a time, in offset order", () => {
  const queue = new ProcessQueue(0);
  queue.put([message(0, "a"), message(1, "a"), message(2, "b"), message(3, "a")], 4);
  assertEquals(offsets(queue.take(10)), [0, 1]);
  assertEquals(offsets(queue.take(10, "a")), [3]);
  assertEquals(offsets(queue.take(10)), [2]);
  assertEquals(queue.take(10), undefined);
});

Deno.test("ProcessQueue.take() of another topic leaves what is before it ready", () => {
  const queue = new ProcessQueue(0);
  queue.put([message(0, "a"), message(1, "b")], 2);
  assertEquals(queue.take(10, "c"), undefined);
  assertEquals(offsets(queue.take(10, "b")), [1]);
  assertEquals(offsets(queue.take(10)), [0]);
});

Deno.test("ProcessQueue delivers what was requeued before anything newer, once its rest is over", () => {
  const queue = new ProcessQueue(0);
  queue.put([message(0), message(1), message(2)], 3);
  const taken = queue.take(1)!;
  queue.requeue(taken.first);
  assertEquals(offsets(queue.take(1)), [1]);
  queue.endRest(taken.first);
  assertEquals(offsets(queue.take(10)), [0]);
  assertEquals(offsets(queue.take(10)), [2]);
  assertEquals(queue.committable, 0);
});

Deno.test("ProcessQueue agrees with a plain model over random operations", () => {
  for (let seed = 1; seed <= 20; seed++) checkAgainstModel(seed);
});

/** What a message is in the model: its offset, and whether it is ready, in flight, resting or settled. */
interface Modelled {
  offset: number;
  state: "ready" | "hand" | "rest" | "settled";
}

function checkAgainstModel(seed: number): void {
  const random = seeded(seed);
  const queue = new ProcessQueue(0);
  const model: Modelled[] = [];
  let position = 0;
  const some = (state: Modelled["state"]) => {
    const numbers = model.flatMap((each, number) => each.state === state ? [number] : []);
    return numbers[Math.floor(random() * numbers.length)];
  };
  for (let step = 0; step < 400; step++) {
    const dice = random();
    if (dice < 0.2) {
      const arrived = Array.from({ length: Math.floor(random() * 40) }, () => position += 1 + Math.floor(random() * 3));
      position += 1;
      model.push(...arrived.map((offset) => ({ offset, state: "ready" as const })));
      queue.put(arrived.map((offset) => message(offset)), position);
    } else if (dice < 0.5) {
      const max = 1 + Math.floor(random() * 16);
      const first = model.findIndex((each) => each.state === "ready");
      const expected: number[] = [];
      for (let at = first; at >= 0 && expected.length < max && model[at]?.state === "ready"; at++) {
        expected.push(model[at]!.offset);
        model[at]!.state = "hand";
      }
      const taken = queue.take(max);
      assertEquals(offsets(taken), expected);
      if (taken !== undefined) assertEquals(taken.first, first);
    } else {
      const from = dice < 0.9 ? "hand" : dice < 0.95 ? "hand" : "rest";
      const number = some(from);
      if (number === undefined) continue;
      if (dice < 0.9) {
        model[number]!.state = "settled";
        queue.settle(number);
      } else if (dice < 0.95) {
        model[number]!.state = "rest";
        queue.requeue(number);
      } else {
        model[number]!.state = "ready";
        queue.endRest(number);
      }
    }
    const unsettled = model.filter((each) => each.state !== "settled");
    assertEquals(queue.committable, unsettled[0]?.offset ?? position);
    assertEquals(queue.count, unsettled.length);
    assertEquals(queue.bytes, unsettled.length * message(0).size);
    assertEquals(queue.readyCount, model.filter((each) => each.state === "ready").length);
    assertEquals(queue.inFlightCount, model.filter((each) => each.state === "hand").length);
    assert(queue.span >= 0);
  }
}
