/** Popped messages that go back to their brokers. */

import { assertEquals } from "@std/assert";
import { PopReturns } from "../../../src/consumer/pop/returns.ts";
import { ResponseError, TimeoutError } from "../../../src/errors.ts";
import { settleMicrotasks } from "../fakes.ts";
import { delivery, KeptEvents } from "./fakes.ts";

/** Returns with a broker that answers when it is told to. */
class Bench {
  readonly events = new KeptEvents();
  readonly returns: PopReturns;
  /** The offsets that were returned, in the order of the requests. */
  readonly log: number[] = [];
  readonly times = new Set<number>();
  #answers: ((error?: Error) => void)[] = [];

  constructor() {
    this.returns = new PopReturns({
      group: "billing",
      events: this.events,
      client: {
        changeInvisibleTime: ({ receipt }, ms) => {
          this.log.push(receipt.queueOffset);
          this.times.add(ms);
          return new Promise((resolve, reject) =>
            this.#answers.push((error) => error === undefined ? resolve(receipt) : reject(error))
          );
        },
      },
    });
  }

  add(first: number, count: number): void {
    this.returns.add("b", Array.from({ length: count }, (_, i) => delivery(first + i)));
  }

  /** Answers the requests under way. */
  async answer(error?: Error): Promise<void> {
    for (const answer of this.#answers.splice(0)) answer(error);
    await settleMicrotasks();
  }

  /** Whether nothing is on its way. */
  async isIdle(): Promise<boolean> {
    let isIdle = false;
    this.returns.whenIdle().then(() => isIdle = true);
    await settleMicrotasks();
    return isIdle;
  }
}

Deno.test("PopReturns makes messages visible at once, in their order and a few at a time", async () => {
  const bench = new Bench();
  assertEquals(await bench.isIdle(), true);
  bench.returns.add("b", []);
  bench.add(0, 20);
  bench.add(20, 20);
  assertEquals([bench.log.length, [...bench.times], await bench.isIdle()], [16, [0], false]);
  await bench.answer();
  assertEquals(bench.log.length, 32);
  await bench.answer();
  assertEquals([bench.log, await bench.isIdle()], [Array.from({ length: 40 }, (_, i) => i), false]);
  await bench.answer();
  assertEquals([await bench.isIdle(), bench.events.types], [true, []]);
});

Deno.test("PopReturns: a refusal costs its message, a broker that does not answer all of its messages: one event", async () => {
  const bench = new Bench();
  bench.add(0, 20);
  await bench.answer(new ResponseError("ChangeInvisibleTime", 1, "b", "no"));
  assertEquals([bench.log.length, bench.events.types], [20, []], "the others are tried all the same");
  await bench.answer();
  assertEquals(bench.events.types, ["sendBackFailed"]);
  bench.add(20, 100);
  const silence = new TimeoutError("complete ChangeInvisibleTime", 3_000);
  await bench.answer(silence);
  assertEquals([bench.log.length, await bench.isIdle()], [36, true]);
  const [refused, silent] = bench.events.kept;
  assertEquals(refused!.text.split(" ")[0], "16");
  assertEquals([silent!.text.split(" ")[0], silent!.error], ["100", silence]);
  assertEquals([silent!.group, silent!.topic, silent!.broker], ["billing", "orders", "b"]);
});

Deno.test("PopReturns.giveUp() tells at once of what is left, and takes what comes later", async () => {
  const bench = new Bench();
  bench.add(0, 40);
  await bench.answer();
  bench.returns.giveUp();
  assertEquals([bench.events.types, bench.events.kept[0]!.text.split(" ")[0]], [["sendBackFailed"], "24"]);
  assertEquals(await bench.isIdle(), true);
  await bench.answer(new TimeoutError("complete ChangeInvisibleTime", 3_000));
  assertEquals([bench.log.length, bench.events.types.length], [32, 1], "nothing more is sent or told of these");
  bench.add(40, 1);
  await bench.answer();
  assertEquals([bench.log.at(-1), await bench.isIdle(), bench.events.types.length], [40, true, 1]);
});
