/**
 * Sends that wait for others, and share a request.
 *
 * @module
 */

import { entrySize, recordSize } from "./batch_split.ts";
import type { LingeringSend } from "./lingering_send.ts";
import { inBackground, unheard } from "../owned_work.ts";

/**
 * How many turns of the microtask queue a queue lets pass before it sends what was added while nothing was in flight.
 *
 * By then all sends of one synchronous step are there, and after a request whose callers answer each receipt with the
 * next send, all of these: each of their functions needs one to three turns until it sends.
 */
const TURNS = 12;

/** The producer's options of linger queues. */
export interface LingerOptions {
  /** How long a send waits for others at the most, in milliseconds. */
  readonly linger: number;
  /** The size of a request from which on nothing more is put into it, in bytes. */
  readonly batchBytes: number;
  /** The largest request of a batch. */
  readonly maxMessageSize: number;
}

/** What a queue needs of its owner. */
export interface LingerQueueOwner {
  /** Sends messages in one request, all of them batchable or only one; settles them, and never rejects. */
  send(sends: readonly LingeringSend[]): Promise<void>;
  /** Is called when nothing waits and nothing is in flight. */
  onIdle(): void;
}

/**
 * The sends that can share requests: those of a topic, or in order those to one queue.
 *
 * While nothing is in flight a message is sent at once: waiting would cost time and save little, as the broker has
 * nothing else to do. While a request is in flight messages collect, and are sent when it is answered, when there are
 * `batchBytes` of them, or after `linger`. So batches grow with the load, and a single caller loses nothing.
 *
 * In order there is one request at a time, as brokers work on several at once: there a message waits for the request
 * before however long that takes.
 */
export class LingerQueue {
  #owner: LingerQueueOwner;
  #options: LingerOptions;
  #inOrder: boolean;
  #waiting: LingeringSend[] = [];
  #bytes = 0;
  #inFlight = 0;
  #isScheduled = false;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** Makes an empty queue. */
  constructor(owner: LingerQueueOwner, options: LingerOptions, inOrder: boolean) {
    this.#owner = owner;
    this.#options = options;
    this.#inOrder = inOrder;
  }

  /** Adds a send. */
  add(send: LingeringSend): void {
    const size = entrySize(send.message);
    const collects = this.#inFlight > 0 && !this.#inOrder;
    if (collects && this.#bytes + size > this.#options.batchBytes) this.flush();
    this.#waiting.push(send);
    this.#bytes += size;
    if (collects) this.#timer ??= setTimeout(() => this.flush(), this.#options.linger);
    else if (this.#inFlight === 0) this.#schedule();
  }

  /** Sends what waits now, or in order as soon as the request before is answered. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#inOrder && this.#inFlight > 0) return;
    const waiting = this.#waiting.filter((send) => !send.isSettled);
    this.#waiting = [];
    this.#bytes = 0;
    let first = 0;
    while (first < waiting.length) {
      const end = this.#endOfRequest(waiting, first);
      const sends = waiting.slice(first, end);
      inBackground(this.#send(sends), (error) => {
        for (const send of sends) send.reject(error);
      });
      first = end;
      if (!this.#inOrder) continue;
      this.#waiting = waiting.slice(first);
      return;
    }
  }

  async #send(sends: readonly LingeringSend[]): Promise<void> {
    this.#inFlight++;
    try {
      await this.#owner.send(sends);
    } finally {
      this.#inFlight--;
    }
    if (this.#inFlight === 0) this.#schedule();
  }

  /** Sends what there is a few turns later. */
  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    inBackground(this.#flushSoon(), unheard);
  }

  async #flushSoon(): Promise<void> {
    for (let turn = 0; turn < TURNS; turn++) await undefined;
    this.#isScheduled = false;
    this.flush();
    if (this.#inFlight === 0) this.#owner.onIdle();
  }

  /** Where the request ends that begins with a send. */
  #endOfRequest(sends: readonly LingeringSend[], first: number): number {
    const { batchBytes, maxMessageSize } = this.#options;
    let [bytes, stored] = [0, 0];
    let end = first;
    for (; end < sends.length && sends[end]!.fits; end++) {
      bytes += entrySize(sends[end]!.message);
      stored += recordSize(sends[end]!.message);
      if (end > first && (bytes > batchBytes || stored > maxMessageSize)) break;
    }
    return Math.max(end, first + 1);
  }
}
