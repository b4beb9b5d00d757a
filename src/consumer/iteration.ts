/**
 * The ways to take batches: a loop, handlers, a stream.
 *
 * @module
 */

import { ConsumerStateError } from "../errors.ts";
import type { Batch, MessageBatch } from "./batch.ts";
import type { BatchesOptions, RunOptions } from "./consumer.ts";
import type { Dispatcher, TakeOptions } from "./dispatcher.ts";

/** The end of a loop. */
const ended = { done: true, value: undefined } as const;

/**
 * A loop over batches.
 *
 * An object with `next` and `return`, not a generator: a generator's `return()` waits behind a pending `next()`.
 */
export class BatchIterator<T> implements AsyncIterableIterator<MessageBatch<T>, undefined> {
  #dispatcher: Dispatcher<T>;
  #autoAck: boolean;
  #ask: TakeOptions;
  #leave = new AbortController();
  #given: AbortSignal | undefined;
  #last: Batch<T> | undefined;
  #asking = false;

  constructor(dispatcher: Dispatcher<T>, autoAck: boolean, options: BatchesOptions) {
    this.#dispatcher = dispatcher;
    this.#autoAck = autoAck;
    this.#ask = { topic: options.topic, signal: this.#leave.signal };
    this.#given = options.signal;
    // Not AbortSignal.any: Node 20 may collect a signal of AbortSignal.timeout() that nobody listens to.
    this.#given?.addEventListener("abort", this.#end, { once: true });
    if (this.#given?.aborted) this.#end();
  }

  async next(): Promise<IteratorResult<MessageBatch<T>, undefined>> {
    if (this.#autoAck) {
      if (this.#asking) throw askedAhead();
      this.#last?.ack();
    }
    this.#last = undefined;
    this.#asking = true;
    const batch = await this.#dispatcher.take(this.#ask);
    this.#asking = false;
    if (batch === undefined) return this.#finish();
    if (this.#leave.signal.aborted) { // it was left while it waited
      batch.release();
      return this.#finish();
    }
    this.#last = batch;
    return { done: false, value: batch };
  }

  return(): Promise<IteratorResult<MessageBatch<T>, undefined>> {
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

function askedAhead(): ConsumerStateError {
  return new ConsumerStateError(
    `Cannot take the next batch: the one before was not handed out yet, and asking for the next would acknowledge it ` +
      `unseen; create the consumer with autoAck: false and acknowledge each batch by ack()`,
    { code: "ASKED_AHEAD" },
  );
}

/** Gives each batch to `handler`, `concurrency` at a time; what a failed handler has not settled is sent back. */
export async function runHandlers<T>(
  dispatcher: Dispatcher<T>,
  handler: (batch: MessageBatch<T>) => unknown,
  options: RunOptions & { readonly max?: number },
  onFailed: (batch: MessageBatch<T>, error: unknown) => void,
): Promise<void> {
  const worker = async () => {
    for (;;) {
      const batch = await dispatcher.take(options);
      if (batch === undefined) return;
      try {
        await handler(batch);
        await batch.ack();
      } catch (error) {
        onFailed(batch, error);
        await batch.retry();
      }
    }
  };
  await Promise.all(Array.from({ length: options.concurrency ?? 20 }, worker));
}

/** The batches as a stream; leaving it releases the last one. */
export function batchStream<T>(dispatcher: Dispatcher<T>, options: BatchesOptions): ReadableStream<MessageBatch<T>> {
  const batches = new BatchIterator(dispatcher, false, options);
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
