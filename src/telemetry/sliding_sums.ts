/**
 * Sums over the last minute, hour and day, sampled at fixed ticks as Java's clients do it, without a timer.
 *
 * @module
 */

/** The times over which sums are kept. */
export type Period = "minute" | "hour" | "day";

/** What was added within a period. */
export interface PeriodSum {
  /** The values' sum. */
  readonly sum: number;
  /** How many values there were. */
  readonly times: number;
  /** The sum per second. */
  readonly perSecond: number;
  /** The sum per value; 0 without any. */
  readonly average: number;
}

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
/** How often the shortest period is sampled, in milliseconds; the other intervals are multiples of it. */
const SHORTEST_INTERVAL = 10 * SECOND;

const NOTHING: PeriodSum = { sum: 0, times: 0, perSecond: 0, average: 0 };

/**
 * Sums of the values that were added within the last minute, hour and day.
 *
 * Up to the last tick, that is: a minute is sampled each 10 seconds, an hour each 10 minutes, a day each hour, and
 * before its second sample a period is empty. Source: StatsItem. Samples are taken when a value is added or sums are
 * requested: a total has not changed since its last value, so a tick that is long over has the present total.
 */
export class SlidingSums {
  #now: () => number;
  #origin: number;
  /** Of all values so far. */
  #sum = 0;
  #times = 0;
  #nextTick: number;
  #windows: Readonly<Record<Period, Window>>;

  /**
   * Begins at the last tick.
   *
   * @param now a monotonic clock, in milliseconds
   * @param origin from when on ticks are counted, by the same clock
   */
  constructor(now: () => number, origin: number) {
    this.#now = now;
    this.#origin = origin;
    const elapsed = now() - origin;
    this.#windows = {
      minute: new Window(SHORTEST_INTERVAL, 6, elapsed),
      hour: new Window(10 * MINUTE, 6, elapsed),
      day: new Window(HOUR, 24, elapsed),
    };
    this.#nextTick = nextTick(elapsed);
  }

  /** Adds a value; `now` is the time by the clock, if it is known. */
  add(value: number, now: number = this.#now()): void {
    this.#sample(now);
    this.#sum += value;
    this.#times++;
  }

  /** What was added within a period. */
  within(period: Period): PeriodSum {
    this.#sample(this.#now());
    return this.#windows[period].read();
  }

  /** Samples at the ticks that are over. */
  #sample(now: number): void {
    const elapsed = now - this.#origin;
    if (elapsed < this.#nextTick) return;
    const { minute, hour, day } = this.#windows;
    for (const window of [minute, hour, day]) window.sample(elapsed, this.#sum, this.#times);
    this.#nextTick = nextTick(elapsed);
  }
}

/** When the tick is that follows a time. */
function nextTick(elapsed: number): number {
  return (Math.floor(elapsed / SHORTEST_INTERVAL) + 1) * SHORTEST_INTERVAL;
}

/** Totals at the last ticks: what came within is the difference between the newest and the oldest. */
class Window {
  #interval: number;
  /** How many intervals a period has: there is one sample more. */
  #intervals: number;
  /** The number of the last tick. */
  #tick: number;
  #samples: { readonly sum: number; readonly times: number }[] = [{ sum: 0, times: 0 }];

  constructor(interval: number, intervals: number, elapsed: number) {
    this.#interval = interval;
    this.#intervals = intervals;
    this.#tick = Math.floor(elapsed / interval);
  }

  sample(elapsed: number, sum: number, times: number): void {
    const tick = Math.floor(elapsed / this.#interval);
    const missed = Math.min(tick - this.#tick, this.#intervals + 1);
    for (let i = 0; i < missed; i++) this.#samples.push({ sum, times });
    this.#samples.splice(0, this.#samples.length - this.#intervals - 1);
    this.#tick = tick;
  }

  read(): PeriodSum {
    const first = this.#samples[0]!;
    const last = this.#samples.at(-1)!;
    if (first === last) return NOTHING;
    const sum = last.sum - first.sum;
    const times = last.times - first.times;
    const seconds = (this.#samples.length - 1) * this.#interval / SECOND;
    return { sum, times, perSecond: sum / seconds, average: times > 0 ? sum / times : 0 };
  }
}
