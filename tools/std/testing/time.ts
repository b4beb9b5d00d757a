/**
 * The part of `@std/testing/time` that our tests use, so that they run where jsr.io cannot be reached.
 *
 * @module
 */

/** A misuse of {@linkcode FakeTime}. */
export class TimeError extends Error {
  override name = "TimeError";
}

interface Timer {
  id: number;
  due: number;
  /** The interval; undefined for a timer that runs once. */
  every: number | undefined;
  run: () => void;
}

type Callback = (...args: unknown[]) => void;

const real = { Date, setTimeout, clearTimeout, setInterval, clearInterval };
const realAbortTimeout = AbortSignal.timeout;
let faked: FakeTime | undefined;

/**
 * Replaces `Date`, timers and `AbortSignal.timeout` by ones on a clock that only the test moves.
 *
 * As in the published package callbacks run inside `tick`, one after the other: what a callback awaits goes on
 * after it. `performance.now()` stays real there, and so it does here.
 */
export class FakeTime {
  /** The time that the clock began with. */
  readonly start: number;
  #now: number;
  #timers = new Map<number, Timer>();
  #lastId = 0;

  /** Fakes time until {@linkcode FakeTime.restore}. */
  constructor(start?: number | string | Date | null) {
    if (faked) throw new TimeError("Cannot construct FakeTime: time is already faked");
    this.start = new real.Date(start ?? real.Date.now()).getTime();
    if (Number.isNaN(this.start)) throw new TypeError(`Cannot construct FakeTime: invalid start time ${start}`);
    this.#now = this.start;
    faked = this;
    this.#replaceGlobals();
  }

  /** The clock, in milliseconds since 1970. */
  get now(): number {
    return this.#now;
  }

  /** Moves the clock forward and runs what is due by then, each at its own time. */
  set now(value: number) {
    if (value < this.#now) {
      throw new RangeError(
        `Cannot set current time in the past, time must be >= ${this.#now}: received ${value}`,
      );
    }
    for (let timer = this.#first(); timer && timer.due <= value; timer = this.#first()) this.#run(timer);
    this.#now = value;
  }

  /** Moves the clock forward. */
  tick(ms = 0): void {
    this.now += ms;
  }

  /** Lets waiting promises go on, then moves the clock forward. */
  async tickAsync(ms = 0): Promise<void> {
    await this.runMicrotasks();
    this.now += ms;
  }

  /** Moves the clock to the timer that is due first and runs it; false if there is none. */
  next(): boolean {
    const timer = this.#first();
    if (timer) this.now = timer.due;
    return timer !== undefined;
  }

  /** Lets waiting promises go on, then does {@linkcode FakeTime.next}. */
  async nextAsync(): Promise<boolean> {
    await this.runMicrotasks();
    return this.next();
  }

  /** Runs timers until none is left. */
  runAll(): void {
    while (this.next());
  }

  /** Runs timers until none is left, letting promises go on before each. */
  async runAllAsync(): Promise<void> {
    while (this.#timers.size > 0) await this.nextAsync();
  }

  /** Lets every promise that is settled go on, by one turn of the real event loop. */
  runMicrotasks(): Promise<void> {
    return this.delay(0);
  }

  /** Resolves after a number of real milliseconds. */
  delay(ms: number): Promise<void> {
    return new Promise((resolve) => void real.setTimeout(resolve, ms));
  }

  /** Gives the real clock and timers back. */
  restore(): void {
    if (faked !== this) throw new TimeError("Cannot restore time: time is already restored");
    faked = undefined;
    Object.assign(globalThis, real);
    AbortSignal.timeout = realAbortTimeout;
  }

  /** Does {@linkcode FakeTime.restore} at the end of a `using` block. */
  [Symbol.dispose](): void {
    this.restore();
  }

  #first(): Timer | undefined {
    let first: Timer | undefined;
    for (const timer of this.#timers.values()) {
      if (first === undefined || timer.due < first.due) first = timer;
    }
    return first;
  }

  #run(timer: Timer): void {
    this.#now = Math.max(this.#now, timer.due);
    this.#timers.delete(timer.id);
    // Put back at the end: of two timers due at one time the one that was set first runs first.
    if (timer.every !== undefined) this.#timers.set(timer.id, { ...timer, due: timer.due + timer.every });
    timer.run();
  }

  #add(run: () => void, ms: number, repeat: boolean): number {
    const wait = Math.max(repeat ? 1 : 0, Math.floor(ms) || 0);
    const id = ++this.#lastId;
    this.#timers.set(id, { id, due: this.#now + wait, every: repeat ? wait : undefined, run });
    return id;
  }

  #replaceGlobals(): void {
    const clear = (id?: number) => void (id !== undefined && this.#timers.delete(id));
    Object.assign(globalThis, {
      Date: fakeDate(() => this.#now),
      setTimeout: (run: Callback, ms = 0, ...args: unknown[]) => this.#add(() => run(...args), ms, false),
      setInterval: (run: Callback, ms = 0, ...args: unknown[]) => this.#add(() => run(...args), ms, true),
      clearTimeout: clear,
      clearInterval: clear,
    });
    AbortSignal.timeout = (ms) => {
      const controller = new AbortController();
      const expired = () => controller.abort(new DOMException("Signal timed out.", "TimeoutError"));
      this.#add(expired, ms, false);
      return controller.signal;
    };
  }
}

/** A `Date` that reads the fake clock; a proxy, so that `instanceof` holds for dates made before. */
function fakeDate(now: () => number): DateConstructor {
  return new Proxy(real.Date, {
    construct: (target, args, newTarget) => Reflect.construct(target, args.length > 0 ? args : [now()], newTarget),
    apply: (target) => new target(now()).toString(),
    get: (target, name, receiver) => name === "now" ? now : Reflect.get(target, name, receiver),
  });
}
