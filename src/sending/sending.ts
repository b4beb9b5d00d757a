/**
 * One request on its way, over all its attempts.
 *
 * @module
 */

import type { OpenCall } from "../cluster/call.ts";
import { TimeoutError } from "../errors.ts";
import type { MessageQueue } from "../message.ts";
import { delay } from "../waiting.ts";
import type { Deadline } from "./deadline.ts";
import type { Parcel, Placement } from "./parcel.ts";
import { queueOfKey } from "./queue_selection.ts";
import { type FailedAttempt, isAnswered } from "./send_error.ts";

/** What came of a delivery. */
export interface Done<T> {
  /** What the broker answered. */
  readonly answer: T;
  /** The queue that was asked for. */
  readonly queue: MessageQueue;
}

/** One attempt to deliver. */
export interface Attempt {
  /** The queue that is tried. */
  readonly queue: MessageQueue;
  /** When it began, by the monotonic clock. */
  readonly startedAt: number;
  /** When another attempt may follow, by the monotonic clock. */
  readonly deadline: number;
  /** Not before the request has been made. */
  call: OpenCall | undefined;
}

/** How the attempts of a {@linkcode Sending} are made. */
export interface SendingKind<T> {
  /** Begins an attempt; may throw. */
  begin(sending: Sending<T>, attempt: Attempt): void;
  /** Whether there may be another attempt only if it is certain that nothing was stored. */
  readonly onlyIfNotStored: boolean;
  /** Whether no attempt may follow one that is silent, so that each has all the time that is left. */
  readonly wholeTime: boolean;
}

/** A request whose attempts are under way. The first of them that succeeds ends it, also a late one. */
export class Sending<T> {
  /** What is delivered. */
  readonly parcel: Parcel;
  /** Which queue is wanted. */
  readonly placement: Placement;
  /** The time for all attempts. */
  readonly deadline: Deadline;
  /** How attempts are made. */
  readonly kind: SendingKind<T>;
  /** When it was given to us, in milliseconds since 1970. */
  readonly born = Date.now();
  /** The queues of the topic. */
  queues: readonly MessageQueue[];
  /** The queue that all attempts go to, if order is wanted. */
  given: MessageQueue | undefined;
  /** The attempt that no other has followed yet. */
  latest: Attempt | undefined;
  /** Resolves with what came of it. */
  readonly done: Promise<Done<T>>;
  #failed: FailedAttempt[] | undefined;
  #pause: AbortController | undefined;
  #isOver = false;
  #resolve!: (done: Done<T>) => void;
  #reject!: (reason: unknown) => void;

  /** Takes a request of which no attempt has begun. */
  constructor(
    parcel: Parcel,
    placement: Placement,
    deadline: Deadline,
    kind: SendingKind<T>,
    queues: readonly MessageQueue[],
  ) {
    this.parcel = parcel;
    this.placement = placement;
    this.deadline = deadline;
    this.kind = kind;
    this.queues = queues;
    this.given = queueGiven(placement, queues);
    this.done = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  /** The attempts that failed or are overdue, in order. */
  get failed(): readonly FailedAttempt[] {
    return this.#failed ?? NONE;
  }

  /** Whether it has ended. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** How many attempts have been answered with an error, which `retries` bounds. */
  get answers(): number {
    return this.failed.filter(({ error }) => isAnswered(error)).length;
  }

  /** How many attempts have used up a part of the time, or one of the retries. */
  get spent(): number {
    return this.failed.filter(({ error }) => isAnswered(error) || error instanceof TimeoutError).length;
  }

  /** Looks for the given queue again, as the topic has other queues than before. */
  useQueues(queues: readonly MessageQueue[]): void {
    this.queues = queues;
    this.given = queueGiven(this.placement, queues);
  }

  /** Notes an attempt that no longer counts. */
  addFailed(attempt: FailedAttempt): void {
    (this.#failed ??= []).push(attempt);
  }

  /** Lets some milliseconds pass, never more than are left; ends early when the signal aborts, or all is over. */
  async pause(milliseconds: number): Promise<void> {
    const { left, signal } = this.deadline;
    this.#pause = new AbortController();
    const ends = signal === undefined ? this.#pause.signal : AbortSignal.any([this.#pause.signal, signal]);
    await delay(Math.max(0, Math.min(milliseconds, left)), { signal: ends }).catch(() => {});
    this.#pause = undefined;
  }

  /** Ends it with success. */
  resolve(done: Done<T>): void {
    this.#end();
    this.#resolve(done);
  }

  /** Ends it with an error. */
  reject(reason: unknown): void {
    this.#end();
    this.#reject(reason);
  }

  #end(): void {
    this.#isOver = true;
    this.#pause?.abort();
  }
}

const NONE: readonly FailedAttempt[] = [];

function queueGiven({ queue, orderingKey }: Placement, queues: readonly MessageQueue[]): MessageQueue | undefined {
  return queue ?? (orderingKey === undefined ? undefined : queueOfKey(queues, orderingKey));
}
