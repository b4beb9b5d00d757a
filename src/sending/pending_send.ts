/**
 * One send over all its attempts.
 *
 * @module
 */

import type { OpenCall } from "../cluster/call.ts";
import { TimeoutError } from "../errors.ts";
import type { MessageQueue } from "../message.ts";
import { delay } from "../waiting.ts";
import type { AttemptObserver } from "./attempt_observer.ts";
import type { Deadline } from "./deadline.ts";
import type { Placement, SendRequest } from "./send_request.ts";
import { queueOfKey } from "./queue_selection.ts";
import { type FailedAttempt, isAnswered } from "./send_error.ts";

/** The result of a send. */
export interface SendResult<T> {
  /** The broker's answer. */
  readonly answer: T;
  /** The queue to which the request was sent. */
  readonly queue: MessageQueue;
}

/** One attempt to send. */
export interface Attempt {
  /** The queue. */
  readonly queue: MessageQueue;
  /** When it began, by the monotonic clock. */
  readonly startedAt: number;
  /** When another attempt may follow, by the monotonic clock. */
  readonly deadline: number;
  /** Undefined until the request has been made. */
  call: OpenCall | undefined;
  /** Whether an observer has received its end. */
  isReported: boolean;
}

/** How the attempts of a {@linkcode PendingSend} are made, and when another one may follow. */
export interface AttemptMode<T> {
  /** Begins an attempt; may throw. */
  begin(pending: PendingSend<T>, attempt: Attempt): void;
  /** Whether another attempt follows only if it is certain that nothing was stored. */
  readonly onlyIfNotStored: boolean;
  /** Whether no attempt follows one without an answer, so that each has all the time that is left. */
  readonly wholeTime: boolean;
  /** Whether a broker has one attempt only, and the topic must exist: the caller has an alternative. */
  readonly oncePerBroker: boolean;
}

/** A request whose attempts are in flight. The first attempt that succeeds ends it, also a late one. */
export class PendingSend<T> {
  /** What is sent. */
  readonly request: SendRequest;
  /** Which queue is chosen. */
  readonly placement: Placement;
  /** The time for all attempts. */
  readonly deadline: Deadline;
  /** How attempts are made. */
  readonly mode: AttemptMode<T>;
  /** Receives the attempts, if anything does. */
  readonly observer: AttemptObserver | undefined;
  /** When the send began, in milliseconds since 1970. */
  readonly born = Date.now();
  /** The queues of the topic. */
  queues: readonly MessageQueue[];
  /** The queue of all attempts, if order counts. */
  fixedQueue: MessageQueue | undefined;
  /** The attempt that no other has followed yet. */
  latest: Attempt | undefined;
  /** Resolves with the result. */
  readonly done: Promise<SendResult<T>>;
  #failed: FailedAttempt[] | undefined;
  #pause: AbortController | undefined;
  #isOver = false;
  #resolve!: (result: SendResult<T>) => void;
  #reject!: (reason: unknown) => void;

  /** Takes a request of which no attempt has begun. */
  constructor(
    request: SendRequest,
    placement: Placement,
    deadline: Deadline,
    mode: AttemptMode<T>,
    queues: readonly MessageQueue[],
    observer: AttemptObserver | undefined,
  ) {
    this.request = request;
    this.placement = placement;
    this.deadline = deadline;
    this.mode = mode;
    this.observer = observer;
    this.queues = queues;
    this.fixedQueue = fixedQueue(placement, queues);
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

  /** How many attempts have failed on a broker. */
  failuresOf(broker: string): number {
    return this.failed.filter(({ queue }) => queue.broker === broker).length;
  }

  /** How many brokers of the topic have had no attempt. */
  get untriedBrokers(): number {
    const brokers = new Set(this.queues.map(({ broker }) => broker));
    for (const { queue } of this.failed) brokers.delete(queue.broker);
    return brokers.size;
  }

  /** Replaces the queues, and with them the fixed one: the topic has other queues than before. */
  useQueues(queues: readonly MessageQueue[]): void {
    this.queues = queues;
    this.fixedQueue = fixedQueue(this.placement, queues);
  }

  /** Notes an attempt that no longer counts. */
  addFailed(attempt: FailedAttempt): void {
    (this.#failed ??= []).push(attempt);
  }

  /** Waits some milliseconds, never more than are left; ends early when the signal aborts, or the send is over. */
  async pause(milliseconds: number): Promise<void> {
    const { left, signal } = this.deadline;
    this.#pause = new AbortController();
    const ends = signal === undefined ? this.#pause.signal : AbortSignal.any([this.#pause.signal, signal]);
    await delay(Math.max(0, Math.min(milliseconds, left)), { signal: ends }).catch(() => {});
    this.#pause = undefined;
  }

  /** Ends it with success. */
  resolve(result: SendResult<T>): void {
    this.#end();
    this.#resolve(result);
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

function fixedQueue({ queue, orderingKey }: Placement, queues: readonly MessageQueue[]): MessageQueue | undefined {
  return queue ?? (orderingKey === undefined ? undefined : queueOfKey(queues, orderingKey));
}
