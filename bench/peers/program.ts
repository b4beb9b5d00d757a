/**
 * What all JavaScript programs of the benchmark share, whatever runs them: reading the order, clocks, the last line.
 *
 * @module
 */

import process from "node:process";
import { bodyOf, Ledger } from "./bodies.ts";
import { type Outcome, parseWork, type Work, type WorkKind } from "./work.ts";

/** How long a send may take, in milliseconds: a busy machine is no failure. */
export const SEND_TIMEOUT = 30_000;

/** How a program does the kinds of work that it can do. */
export type Program = Partial<Record<WorkKind, (work: Work) => Promise<Outcome>>>;

/** Does what the command line says, prints the outcome, and ends when its input does. */
export async function runProgram(program: Program): Promise<void> {
  process.stdin.on("end", () => process.exit()).resume();
  const work = parseWork(process.argv.slice(2));
  const outcome = await program[work.kind]?.(work) ?? unsupported(work.kind);
  process.stdout.write(`${JSON.stringify(outcome)}\n`);
}

/** Says that a client cannot do what was asked. */
export function unsupported(what: string): Outcome {
  return { count: 0, distinct: 0, seconds: 0, cpu: 0, unsupported: what };
}

/** An outcome without messages: the client is there, and waits. */
export const idle: Outcome = { count: 0, distinct: 0, seconds: 0, cpu: 0 };

/** Milliseconds of the clock and microseconds of the processor between two points. */
export class Span {
  #begun = performance.now();
  #spent = process.cpuUsage();
  #seconds = 0;
  #cpu = 0;

  /** Begins anew. */
  begin(): void {
    this.#begun = performance.now();
    this.#spent = process.cpuUsage();
  }

  /** Ends it. */
  end(): void {
    this.#seconds = (performance.now() - this.#begun) / 1_000;
    const { user, system } = process.cpuUsage(this.#spent);
    this.#cpu = (user + system) / 1_000_000;
  }

  /** What was measured. */
  get figures(): { seconds: number; cpu: number } {
    return { seconds: this.#seconds, cpu: this.#cpu };
  }
}

/** A ledger with its clock: the first message starts it, the last one stops it. */
export class Reception {
  readonly ledger: Ledger;
  /** Resolves when every number was entered. */
  readonly done: Promise<void>;
  #created = performance.now();
  #first = 0;
  #span = new Span();

  /** Makes one, and takes this for the time at which the client is created. */
  constructor({ count, bytes }: Work) {
    let full = (): void => {};
    this.done = new Promise((resolve) => full = resolve);
    this.ledger = new Ledger(count, bytes, {
      first: () => {
        this.#first = performance.now() - this.#created;
        this.#span.begin();
      },
      full: () => {
        this.#span.end();
        full();
      },
    });
  }

  /** What was received. */
  outcome(): Outcome {
    const { count, distinct } = this.ledger;
    return { count, distinct, ...this.#span.figures, first: this.#first };
  }
}

/** Sends the messages `number` to `number + length - 1`; resolves when the broker has answered. */
export type Send = (number: number, length: number) => Promise<unknown>;

/** Sends `warmUp` messages, then `count` by the clock, `inFlight` sends at a time. */
export async function sendAll(work: Work, send: Send): Promise<Outcome> {
  await sendSome(work, work.warmUp, send, new Float64Array(work.warmUp));
  const times = new Float64Array(Math.ceil(work.count / work.batch));
  const span = new Span();
  const startedAt = Date.now();
  span.begin();
  await sendSome(work, work.count, send, times);
  span.end();
  return { count: work.count, distinct: work.count, ...span.figures, startedAt, ...percentiles(times) };
}

async function sendSome(work: Work, count: number, send: Send, times: Float64Array): Promise<void> {
  let next = 0;
  const worker = async () => {
    while (next < count) {
      const number = next;
      const length = Math.min(work.batch, count - number);
      next += length;
      const begun = performance.now();
      await send(number, length);
      times[number / work.batch] = performance.now() - begun;
    }
  };
  await Promise.all(Array.from({ length: work.inFlight }, worker));
}

/** Messages that are sent at a rate and come back; the time of those before `warmUp` is not taken. */
export class RoundTrips {
  readonly #work: Work;
  readonly #sentAt: Float64Array;
  readonly #took: number[] = [];
  #arrivedEarly = 0;
  #onWarm = (): void => {};

  /** Makes one for the messages of an order. */
  constructor(work: Work) {
    this.#work = work;
    this.#sentAt = new Float64Array(work.count);
  }

  /** Takes the time of a message that has come back. */
  arrived(number: number): void {
    if (number >= this.#work.warmUp) this.#took.push(performance.now() - this.#sentAt[number]!);
    else if (++this.#arrivedEarly === this.#work.warmUp) this.#onWarm();
  }

  /** Sends all messages at the rate of the order, without waiting for answers; the warm-up has to be back first. */
  async sendAll(send: (body: Uint8Array) => Promise<unknown>): Promise<void> {
    const { warmUp, count } = this.#work;
    const isWarm = new Promise<void>((resolve) => this.#onWarm = resolve);
    await this.#sendSome(0, warmUp, send);
    if (warmUp > 0) await isWarm;
    await this.#sendSome(warmUp, count, send);
  }

  async #sendSome(from: number, to: number, send: (body: Uint8Array) => Promise<unknown>): Promise<void> {
    const { rate, bytes } = this.#work;
    const begun = performance.now();
    const sends: Promise<unknown>[] = [];
    for (let next = from; next < to;) {
      const due = Math.min(to, from + Math.ceil((performance.now() - begun) * rate / 1_000));
      for (; next < due; next++) {
        const body = bodyOf(next, bytes);
        this.#sentAt[next] = performance.now();
        sends.push(send(body));
      }
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    await Promise.all(sends);
  }

  /** The times that were taken. */
  get figures(): { p50: number; p99: number } {
    return percentiles(this.#took);
  }
}

function percentiles(times: Iterable<number>): { p50: number; p99: number } {
  const sorted = Float64Array.from(times).sort();
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
  return { p50: at(0.5), p99: at(0.99) };
}
