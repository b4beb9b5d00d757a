import { assert, assertEquals } from "@std/assert";
import { type Period, SlidingSums } from "../../src/telemetry/sliding_sums.ts";
import { SeededRandom } from "../wire/seeded_random.ts";

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

/** Sums on a clock that the test moves. */
function clocked(origin = 0): { sums: SlidingSums; clock: { now: number } } {
  const clock = { now: origin };
  return { clock, sums: new SlidingSums(() => clock.now, origin) };
}

/** Sums after Java's StatsItem, sampled by whoever moves the clock. */
class Model {
  #sum = 0;
  #times = 0;
  #lists: Record<Period, { at: number; sum: number; times: number }[]> = { minute: [], hour: [], day: [] };

  add(value: number): void {
    this.#sum += value;
    this.#times++;
  }

  tick(now: number): void {
    this.#sample("minute", now, 10 * SECOND, 7);
    if (now % (10 * MINUTE) === 0) this.#sample("hour", now, 10 * MINUTE, 7);
    if (now % HOUR === 0) this.#sample("day", now, HOUR, 25);
  }

  #sample(period: Period, now: number, interval: number, most: number): void {
    const list = this.#lists[period];
    if (list.length === 0) list.push({ at: now - interval, sum: 0, times: 0 });
    list.push({ at: now, sum: this.#sum, times: this.#times });
    if (list.length > most) list.shift();
  }

  within(period: Period) {
    const [first] = this.#lists[period];
    const last = this.#lists[period].at(-1);
    if (first === undefined || last === undefined) return { sum: 0, times: 0, perSecond: 0, average: 0 };
    const sum = last.sum - first.sum;
    const times = last.times - first.times;
    return { sum, times, perSecond: sum * 1_000 / (last.at - first.at), average: times > 0 ? sum / times : 0 };
  }
}

Deno.test("SlidingSums counts up to the last tick", () => {
  const { sums, clock } = clocked();
  sums.add(30);
  sums.add(60);
  clock.now = 9_999;
  assertEquals(sums.within("minute"), { sum: 0, times: 0, perSecond: 0, average: 0 });
  clock.now = 10_000;
  assertEquals(sums.within("minute"), { sum: 90, times: 2, perSecond: 9, average: 45 });
  sums.add(1_000);
  clock.now = 19_999;
  assertEquals(sums.within("minute").sum, 90);
  clock.now = 20_000;
  assertEquals(sums.within("minute"), { sum: 1_090, times: 3, perSecond: 54.5, average: 1_090 / 3 });
  assertEquals(sums.within("hour").sum, 0);
  clock.now = 10 * MINUTE;
  assertEquals([sums.within("minute").sum, sums.within("hour").sum, sums.within("day").sum], [0, 1_090, 0]);
  clock.now = HOUR;
  assertEquals([sums.within("hour").sum, sums.within("day").sum], [1_090, 1_090]);
  clock.now = 70 * MINUTE;
  assertEquals([sums.within("hour").sum, sums.within("day").sum], [0, 1_090]);
  clock.now = 25 * HOUR;
  assertEquals(sums.within("day"), { sum: 0, times: 0, perSecond: 0, average: 0 });
});

Deno.test("SlidingSums counts what came after a long silence for the interval in which it came", () => {
  const { sums, clock } = clocked(5);
  sums.add(1);
  clock.now += 100 * HOUR + 5_000;
  sums.add(12);
  clock.now += 5_000;
  assertEquals(sums.within("minute"), { sum: 12, times: 1, perSecond: 0.2, average: 12 });
});

Deno.test("SlidingSums gives what Java's timers give", () => {
  const random = new SeededRandom(3);
  const { sums, clock } = clocked();
  const model = new Model();
  const seen = { minute: 0, hour: 0, day: 0 };
  for (let step = 0; step < 20_000; step++) {
    const until = clock.now + random.below(random.pick([2_000, 2_000, 2_000, 30_000, 3 * HOUR]));
    for (let at = (Math.floor(clock.now / 10_000) + 1) * 10_000; at <= until; at += 10_000) model.tick(at);
    clock.now = until;
    if (random.below(4) > 0) {
      const value = random.below(100);
      sums.add(value);
      model.add(value);
    }
    if (random.below(3) > 0) continue; // most ticks pass without a look
    for (const period of ["minute", "hour", "day"] as const) {
      assertEquals(sums.within(period), model.within(period), `${period} at ${clock.now}`);
      if (sums.within(period).sum > 0) seen[period]++;
    }
  }
  for (const [period, count] of Object.entries(seen)) assert(count > 100, period);
});
