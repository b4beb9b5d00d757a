/**
 * Sends that wait for company, and leave together.
 *
 * @module
 */

import { entrySize, recordSize } from "./batch_plan.ts";
import type { GatheredSend } from "./gathered_send.ts";
import { inBackground, unheard } from "../owned_work.ts";

/**
 * How many turns of the microtask queue a lane lets pass before it sends what has come while nothing was under way.
 *
 * What a program sends in one go is together then, and after a request whose callers answer each receipt with their
 * next send, all of these: each of their functions takes a turn or three to hear of it.
 */
const TURNS = 12;

/** What lanes can be told. */
export interface LaneOptions {
  /** How long a send waits for company at the most, in milliseconds. */
  readonly linger: number;
  /** The size of a request from which on nothing more is put into it, in bytes. */
  readonly batchBytes: number;
  /** The largest request of a batch. */
  readonly maxMessageSize: number;
}

/** What a lane tells and asks its owner. */
export interface LaneOwner {
  /** Delivers sends, all of them batchable or only one; settles them, and never rejects. */
  deliver(sends: readonly GatheredSend[]): Promise<void>;
  /** Nothing waits and nothing is under way. */
  onIdle(): void;
}

/**
 * The sends that can share requests: those of a topic, or in order those to one queue.
 *
 * While nothing is under way a send leaves at once: company would cost it time and save little, as the broker has
 * nothing else to do. While a request is under way sends gather, and leave when it has come back, when there are
 * `batchBytes` of them, or after `linger`. So batches grow with the load, and a lone caller pays nothing.
 *
 * In order there is one request at a time: brokers work on several at once. There sends wait for the one before however
 * long it takes.
 */
export class Lane {
  #owner: LaneOwner;
  #options: LaneOptions;
  #inOrder: boolean;
  #waiting: GatheredSend[] = [];
  #bytes = 0;
  #underWay = 0;
  #isAwake = false;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** Makes a lane in which nothing waits. */
  constructor(owner: LaneOwner, options: LaneOptions, inOrder: boolean) {
    this.#owner = owner;
    this.#options = options;
    this.#inOrder = inOrder;
  }

  /** Takes a send. */
  add(send: GatheredSend): void {
    const size = entrySize(send.message);
    const gathers = this.#underWay > 0 && !this.#inOrder;
    if (gathers && this.#bytes + size > this.#options.batchBytes) this.flush();
    this.#waiting.push(send);
    this.#bytes += size;
    if (gathers) this.#timer ??= setTimeout(() => this.flush(), this.#options.linger);
    else if (this.#underWay === 0) this.#wake();
  }

  /** Has what waits leave now, or in order as soon as the request before is back. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#inOrder && this.#underWay > 0) return;
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

  async #send(sends: readonly GatheredSend[]): Promise<void> {
    this.#underWay++;
    try {
      await this.#owner.deliver(sends);
    } finally {
      this.#underWay--;
    }
    if (this.#underWay === 0) this.#wake();
  }

  /** Sends what is there a few turns later. */
  #wake(): void {
    if (this.#isAwake) return;
    this.#isAwake = true;
    inBackground(this.#flushSoon(), unheard);
  }

  async #flushSoon(): Promise<void> {
    for (let turn = 0; turn < TURNS; turn++) await undefined;
    this.#isAwake = false;
    this.flush();
    if (this.#underWay === 0) this.#owner.onIdle();
  }

  /** Where the request ends that begins with a send. */
  #endOfRequest(sends: readonly GatheredSend[], first: number): number {
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
