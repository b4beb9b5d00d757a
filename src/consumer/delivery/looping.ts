/**
 * What users can loop over: consumers of all kinds, and their end.
 *
 * @module
 */

import { ConsumerStateError } from "../../errors.ts";
import type { Message } from "../../message.ts";
import {
  BatchIterator,
  type BatchSource,
  batchStream,
  checkRunOptions,
  type LoopBatch,
  runHandlers,
} from "./iteration.ts";
import { checkHandler } from "./handler_check.ts";
import type { BatchesOptions, RunOptions } from "./loop_options.ts";

/** A batch that loops and handlers of single messages can take. */
type LoopedBatch<T> = LoopBatch & { readonly messages: readonly Message<T>[] };

/** How a {@linkcode Looping} is used. */
export interface LoopingOptions {
  /** What it is, for errors: `consumer of group "billing"`. */
  readonly what: string;
  /** Whether a batch is acknowledged when the next one is requested. */
  readonly autoAck: boolean;
  /** How long closing waits for what is in flight, by default, in milliseconds. */
  readonly closeTimeout: number;
}

/** Loops, handlers and streams over batches, until `close()`. */
export abstract class Looping<T, B extends LoopedBatch<T>> implements AsyncIterable<B> {
  #options: LoopingOptions;
  #closing = new AbortController();
  #closed: Promise<void> | undefined;
  #hasStream = false;

  constructor(options: LoopingOptions) {
    this.#options = options;
  }

  /** Aborts when closing begins. */
  get closing(): AbortSignal {
    return this.#closing.signal;
  }

  [Symbol.asyncIterator](): AsyncIterableIterator<B, undefined> {
    return this.batches();
  }

  batches(options: BatchesOptions = {}): AsyncIterableIterator<B, undefined> {
    return new BatchIterator(this.source(), this.#options.autoAck, options);
  }

  async run(handler: (batch: B) => unknown, options: RunOptions = {}): Promise<void> {
    checkHandler("run", handler);
    await runHandlers(this.source(), handler, checkRunOptions(options));
  }

  async runEach(handler: (message: Message<T>) => unknown, options: RunOptions = {}): Promise<void> {
    checkHandler("runEach", handler);
    const single = { ...checkRunOptions(options), max: 1 };
    await runHandlers(this.source(), (batch) => handler(batch.messages[0]!), single);
  }

  readable(options: BatchesOptions = {}): ReadableStream<B> {
    this.#hasStream = true;
    return batchStream(this.source(), options);
  }

  close(options: { timeout?: number } = {}): Promise<void> {
    this.#closed ??= this.end(options.timeout ?? this.#options.closeTimeout);
    return this.#closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Whether the program acknowledges each batch by itself. */
  protected get acksExplicitly(): boolean {
    return !this.#options.autoAck || this.#hasStream;
  }

  /** Where batches come from. */
  protected abstract source(): BatchSource<B>;

  /** Ends it; what is in flight has `timeout` milliseconds. */
  protected abstract end(timeout: number): Promise<void>;

  /** Whether it is closed, or closing. */
  protected get isClosed(): boolean {
    return this.#closed !== undefined;
  }

  /** Ends the waits of whoever waits, because closing has begun. */
  protected abortWaits(): void {
    this.#closing.abort(this.closedError("join"));
  }

  /** @throws {ConsumerStateError} `CONSUMER_CLOSED` if it is closed */
  protected checkOpen(action: string): void {
    if (this.isClosed) throw this.closedError(action);
  }

  protected closedError(action: string): ConsumerStateError {
    return new ConsumerStateError(`Cannot ${action}: the ${this.#options.what} is closed`, {
      code: "CONSUMER_CLOSED",
    });
  }
}
