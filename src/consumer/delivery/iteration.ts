/**
 * The ways to take batches: a loop, handlers, a stream.
 *
 * @module
 */

import { ConsumerStateError, InvalidConsumeResultError } from "../../errors.ts";
import { OptionsCheck } from "../../options.ts";
import type { BatchesOptions, RunOptions } from "./loop_options.ts";
import type { TakeOptions } from "./dispatcher.ts";
import { SETTLED } from "./delivered_batch.ts";
import { inBackground, unheard } from "../../owned_work.ts";

/** The end of a loop. */
const ended = { done: true, value: undefined } as const;

/** What Java's listeners return for messages that are to be redelivered: here a mistake that would lose them. */
const JAVA_FAILURES: ReadonlySet<unknown> = new Set(["RECONSUME_LATER", "SUSPEND_CURRENT_QUEUE_A_MOMENT", "ROLLBACK"]);

/** A batch as those who hand it out see it. */
export interface LoopBatch {
  /** Acknowledges what nobody has settled. */
  ack(): Promise<void>;
  /** Releases what nobody has settled. */
  release(): void;
  /** A handler has failed: an event reports it, and what nobody has settled is redelivered. */
  fail(error: unknown): Promise<void>;
}

/** Where batches come from. */
export interface BatchSource<B extends LoopBatch> {
  /** The next batch; undefined once there are no more, or the signal has aborted. */
  take(ask: TakeOptions): Promise<B | undefined>;
}

/**
 * A loop over batches.
 *
 * An object with `next` and `return`, not a generator: a generator's `return()` waits behind a pending `next()`.
 */
export class BatchIterator<B extends LoopBatch> implements AsyncIterableIterator<B, undefined> {
  #source: BatchSource<B>;
  #autoAck: boolean;
  #ask: TakeOptions;
  #leave = new AbortController();
  #given: AbortSignal | undefined;
  #last: B | undefined;
  #asking = false;

  constructor(source: BatchSource<B>, autoAck: boolean, options: BatchesOptions) {
    this.#source = source;
    this.#autoAck = autoAck;
    this.#ask = { topic: options.topic, signal: this.#leave.signal };
    this.#given = options.signal;
    // Not AbortSignal.any: Node 20 may collect a signal of AbortSignal.timeout() that nobody listens to.
    this.#given?.addEventListener("abort", this.#end, { once: true });
    if (this.#given?.aborted) this.#end();
  }

  async next(): Promise<IteratorResult<B, undefined>> {
    if (this.#autoAck) {
      if (this.#asking) throw askedAhead();
      if (this.#last !== undefined) acknowledge(this.#last);
    }
    this.#last = undefined;
    this.#asking = true;
    const batch = await this.#source.take(this.#ask);
    this.#asking = false;
    if (batch === undefined) return this.#finish();
    if (this.#leave.signal.aborted) { // it was left while it waited
      batch.release();
      return this.#finish();
    }
    this.#last = batch;
    return { done: false, value: batch };
  }

  return(): Promise<IteratorResult<B, undefined>> {
    this.#last?.release();
    this.#last = undefined;
    return Promise.resolve(this.#finish());
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #end = (): void => this.#leave.abort();

  #finish(): typeof ended {
    this.#end();
    this.#given?.removeEventListener("abort", this.#end);
    return ended;
  }
}

/** Nobody waits for it: if it fails, the batch has failed. */
function acknowledge(batch: LoopBatch): void {
  const acked = batch.ack();
  if (acked !== SETTLED) inBackground(acked, (error) => inBackground(batch.fail(error), unheard));
}

function askedAhead(): ConsumerStateError {
  return new ConsumerStateError(
    `Cannot take the next batch: the one before was not delivered yet, and asking for the next would acknowledge it ` +
      `unseen; create the consumer with autoAck: false and acknowledge each batch by ack()`,
    { code: "ASKED_AHEAD" },
  );
}

/** Delivers each batch to `handler`, `concurrency` at a time; what a failed handler has not settled is redelivered. */
export async function runHandlers<B extends LoopBatch>(
  source: BatchSource<B>,
  handler: (batch: B) => unknown,
  options: RunOptions & { readonly max?: number },
): Promise<void> {
  const worker = async () => {
    for (;;) {
      const batch = await source.take(options);
      if (batch === undefined) return;
      try {
        const result = await handler(batch);
        if (JAVA_FAILURES.has(result)) throw new InvalidConsumeResultError(String(result));
        await batch.ack();
      } catch (error) {
        await batch.fail(error);
      }
    }
  };
  await Promise.all(Array.from({ length: options.concurrency ?? 20 }, worker));
}

/** The batches as a stream; leaving it releases the last one. */
export function batchStream<B extends LoopBatch>(source: BatchSource<B>, options: BatchesOptions): ReadableStream<B> {
  const batches = new BatchIterator(source, false, options);
  return new ReadableStream({
    async pull(controller) {
      const { done, value } = await batches.next();
      if (done) controller.close();
      else controller.enqueue(value);
    },
    async cancel() {
      await batches.return();
    },
  }, { highWaterMark: 0 });
}

/**
 * Checks the options of handlers.
 *
 * @throws {ConfigError} naming every problem
 */
export function checkRunOptions(options: RunOptions): RunOptions {
  const check = new OptionsCheck("run handlers");
  check.known(options, ["concurrency", "signal", "topic"]);
  const concurrency = check.integer("concurrency", options.concurrency, 20, 1, 1_000);
  check.done();
  return { ...options, concurrency };
}
