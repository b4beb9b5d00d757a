/**
 * Sending one request to a broker, with as many attempts as it takes and the deadline allows.
 *
 * @module
 */

import type { BrokerHealth } from "../cluster/broker_health.ts";
import type { Cluster } from "../cluster/cluster.ts";
import { isRefusal } from "../cluster/credentials.ts";
import { ProducerError, ResponseError, TimeoutError } from "../errors.ts";
import type { MessageQueue } from "../message.ts";
import { inBackground } from "../owned_work.ts";
import { ResponseCode } from "../wire/codes.ts";
import type { AttemptObserver } from "./attempt_observer.ts";
import { attemptTimeout } from "./attempt_timeout.ts";
import { Attempts } from "./attempts.ts";
import type { Deadline } from "./deadline.ts";
import { type Attempt, type AttemptMode, PendingSend, type SendResult } from "./pending_send.ts";
import { PublishRoutes } from "./publish_routes.ts";
import { queueOfKey, RoundRobin } from "./queue_selection.ts";
import type { StoredAnswer, StoredResult } from "./receipt.ts";
import {
  type FailedAttempt,
  isBusy,
  isNotStored,
  isOfTheBroker,
  mayRetry,
  producerClosed,
  sendFailed,
} from "./send_error.ts";
import type { Placement, SendRequest } from "./send_request.ts";

/** The pause before a broker that has just failed is tried again, in milliseconds; it doubles up to the longest. */
const FIRST_PAUSE = 20;
const LONGEST_PAUSE = 500;

/** How a {@linkcode Sender} sends. */
export interface SenderOptions {
  /** The producer group. */
  readonly group: string;
  /** How many answers with an error may be followed by another attempt. */
  readonly retries: number;
}

/** Sends the requests of one producer group: of a producer, of a message trace, of a consumer's retry copies. */
export class Sender {
  #cluster: Pick<Cluster, "routes">;
  #health: BrokerHealth;
  #retries: number;
  #routes: PublishRoutes;
  #roundRobin: RoundRobin;
  #isStopped = false;
  #plain: AttemptMode<StoredAnswer>;
  #ordered: AttemptMode<StoredAnswer>;
  #prompt: AttemptMode<StoredAnswer>;
  #oneway: AttemptMode<void>;

  /** Makes a sender over a cluster's shared connections. */
  constructor(cluster: Pick<Cluster, "broker" | "health" | "routes" | "options">, { group, retries }: SenderOptions) {
    this.#cluster = cluster;
    this.#health = cluster.health;
    this.#retries = retries;
    this.#routes = new PublishRoutes(cluster.routes, cluster.options.routeInterval);
    this.#roundRobin = new RoundRobin(cluster.health);
    const { answered, oneway } = new Attempts(cluster, group, {
      succeeded: (pending, attempt, answer) => this.#succeeded(pending, attempt, answer),
      failed: (pending, attempt, error) => this.#failed(pending, attempt, error),
      overdue: (pending, attempt) => this.#overdue(pending, attempt),
    });
    this.#plain = { begin: answered, onlyIfNotStored: false, wholeTime: false, oncePerBroker: false };
    this.#ordered = { begin: answered, onlyIfNotStored: true, wholeTime: true, oncePerBroker: false };
    this.#prompt = { begin: answered, onlyIfNotStored: false, wholeTime: false, oncePerBroker: true };
    this.#oneway = { begin: oneway, onlyIfNotStored: true, wholeTime: false, oncePerBroker: false };
  }

  /** Begins no further attempt. */
  stop(): void {
    this.#isStopped = true;
  }

  /** The queue of an ordering key, as far as the topic's queues are known now. */
  queueOfKey(topic: string, key: string): MessageQueue | undefined {
    const queues = this.#routes.known(topic);
    return queues === undefined ? undefined : queueOfKey(queues, key);
  }

  /**
   * Finds the queues of a topic that are not known; while no name server answers, or no broker has a master, it repeats
   * the request until the deadline.
   *
   * @throws {ProducerError} as {@linkcode Sender.send} does without any queue
   */
  async findQueues(topic: string, deadline: Deadline): Promise<readonly MessageQueue[]> {
    let last: ProducerError | undefined;
    for (let failures = 0;;) {
      try {
        return await this.#routes.find(topic, deadline);
      } catch (error) {
        if (!(error instanceof ProducerError && error.retriable)) throw error;
        // A request that the end has cut short says less than what failed before.
        if (last === undefined || !(error.cause instanceof TimeoutError)) last = error;
        if (deadline.left > 0) await deadline.pause(pauseAfter(++failures));
        if (deadline.left <= 0) throw last;
        if (this.#isStopped) throw producerClosed(`send to topic "${topic}"`);
      }
    }
  }

  /**
   * Sends a request: to the chosen queue, else to the next one of the topic, and if that fails to another broker, or to
   * another queue of the same broker if it is the only one.
   *
   * An attempt has a part of the time, and another one follows if there is no answer by then; an answer that comes
   * later still counts. `retries` bounds the attempts that brokers answer with an error. While none answers, or all
   * have no room, there are attempts until the deadline.
   *
   * The message is stored at least once: an attempt whose answer is lost may have stored it too.
   *
   * @throws {ProducerError} with the last error as its cause; the signal's reason when it aborts
   */
  send(
    request: SendRequest,
    placement: Placement,
    deadline: Deadline,
    observer?: AttemptObserver,
  ): Promise<StoredResult> {
    const isPlaced = placement.queue !== undefined || placement.orderingKey !== undefined;
    return this.#start(request, placement, deadline, isPlaced ? this.#ordered : this.#plain, observer);
  }

  /**
   * Sends a request whose caller has an alternative: as {@linkcode Sender.send}, but each broker has one attempt, it
   * waits for no broker or name server to recover, and the topic must exist.
   *
   * @throws {ProducerError} with the last error as its cause; the signal's reason when it aborts
   */
  sendPromptly(request: SendRequest, placement: Placement, deadline: Deadline): Promise<StoredResult> {
    return this.#start(request, placement, deadline, this.#prompt);
  }

  /**
   * Sends a message that the broker does not answer; resolves when its bytes are written. Another attempt follows only
   * if it is certain that nothing has left.
   *
   * @throws {ProducerError} with the last error as its cause; the signal's reason when it aborts
   */
  sendOneway(
    request: SendRequest,
    placement: Placement,
    deadline: Deadline,
    observer?: AttemptObserver,
  ): Promise<unknown> {
    return this.#start(request, placement, deadline, this.#oneway, observer);
  }

  /** The first attempt is nearly always the only one: no async function stands between it and its caller. */
  #start<T>(
    request: SendRequest,
    placement: Placement,
    deadline: Deadline,
    mode: AttemptMode<T>,
    observer?: AttemptObserver,
    known = this.#routes.known(request.topic),
  ): Promise<SendResult<T>> {
    const { topic } = request;
    if (known === undefined) {
      const found = mode.oncePerBroker ? this.#routes.existing(topic, deadline) : this.findQueues(topic, deadline);
      return found.then((queues) => this.#start(request, placement, deadline, mode, observer, queues));
    }
    const queues = placement.avoid === undefined ? known : queuesAvoiding(placement.avoid, known);
    const pending = new PendingSend(request, placement, deadline, mode, queues, observer);
    this.#try(pending, pending.fixedQueue ?? this.#roundRobin.next(topic, queues));
    return pending.done;
  }

  #try<T>(pending: PendingSend<T>, queue: MessageQueue): void {
    const { request: { topic }, deadline: { end }, mode, failed } = pending;
    if (this.#isStopped) {
      pending.reject(producerClosed(`send to topic "${topic}"`, failed));
      return;
    }
    const startedAt = performance.now();
    const left = Math.max(1, end - startedAt);
    const timeout = mode.wholeTime ? left : attemptTimeout(left, this.#possibleAttempts(pending));
    const attempt: Attempt = { queue, startedAt, deadline: startedAt + timeout, call: undefined, isReported: false };
    pending.latest = attempt;
    try {
      mode.begin(pending, attempt);
    } catch (error) {
      this.#failed(pending, attempt, error);
    }
  }

  /** How many attempts may share the time that is left, the next one included. */
  #possibleAttempts<T>(pending: PendingSend<T>): number {
    const possible = 1 + this.#retries - (pending.failed.length === 0 ? 0 : pending.spent);
    return pending.mode.oncePerBroker ? Math.min(possible, pending.untriedBrokers) : possible;
  }

  #succeeded<T>(pending: PendingSend<T>, attempt: Attempt, answer: T): void {
    if (pending.observer !== undefined) this.#report(pending.observer, attempt, undefined);
    pending.resolve({ answer, queue: attempt.queue });
  }

  #failed<T>(pending: PendingSend<T>, attempt: Attempt, error: unknown): void {
    if (pending.isOver) return;
    if (pending.observer !== undefined) this.#report(pending.observer, attempt, error);
    const { queue, call } = attempt;
    if (isBusy(error)) this.#health.busy(queue.broker);
    else if (isOfTheBroker(error)) this.#health.failed(queue.broker);
    if (attempt !== pending.latest) return; // others have followed it since it was overdue
    const maybeStored = call !== undefined && call.hasLeft && !isNotStored(error);
    this.#goOn(pending, { queue, error, maybeStored });
  }

  #overdue<T>(pending: PendingSend<T>, attempt: Attempt): void {
    if (pending.isOver || attempt !== pending.latest) return;
    const { queue, startedAt, deadline } = attempt;
    this.#health.failed(queue.broker);
    const error = new TimeoutError(`send to broker "${queue.broker}"`, Math.round(deadline - startedAt));
    if (pending.observer !== undefined) this.#report(pending.observer, attempt, error);
    this.#goOn(pending, { queue, error, maybeStored: true });
  }

  /** An attempt is reported once: its answer after it was overdue is not an attempt of its own. */
  #report(observer: AttemptObserver, attempt: Attempt, error: unknown): void {
    if (attempt.isReported) return;
    attempt.isReported = true;
    const { queue, startedAt } = attempt;
    const { timeOrigin } = performance;
    observer.attempted({
      queue,
      address: this.#cluster.routes.brokers().get(queue.broker)?.get(0),
      startTime: timeOrigin + startedAt,
      endTime: timeOrigin + performance.now(),
      error,
    });
  }

  #goOn<T>(pending: PendingSend<T>, last: FailedAttempt): void {
    inBackground(this.#tryAgain(pending, last), (error) => pending.reject(error));
  }

  async #tryAgain<T>(pending: PendingSend<T>, last: FailedAttempt): Promise<void> {
    const { request: { topic }, placement, deadline, mode } = pending;
    pending.addFailed(last);
    try {
      deadline.signal?.throwIfAborted();
      if (isRefusal(last.error)) throw last.error;
      this.#routes.invalidateAfter(topic, last.error);
      const queueIsGone = placement.queue === undefined && isUnknownQueue(last.error);
      const again = queueIsGone || mayRetry(last, mode.onlyIfNotStored);
      const isLast = mode.oncePerBroker && pending.untriedBrokers === 0;
      const { failed } = pending;
      if (!again || isLast || pending.answers > this.#retries || deadline.left <= 0) {
        throw sendFailed(topic, failed, deadline.timeout);
      }
      if (mode.oncePerBroker) this.#try(pending, this.#nextQueue(pending));
      else {
        if (queueIsGone) pending.useQueues(await this.findQueues(topic, deadline));
        else pending.queues = this.#routes.known(topic) ?? pending.queues;
        const queue = pending.fixedQueue ?? this.#nextQueue(pending);
        const failures = pending.failuresOf(queue.broker);
        if (failures > 0) await pending.pause(pauseAfter(failures));
        if (pending.isOver) return;
        deadline.signal?.throwIfAborted();
        if (deadline.left <= 0) throw sendFailed(topic, failed, deadline.timeout);
        this.#try(pending, queue);
      }
    } catch (error) {
      pending.reject(error);
    }
  }

  #nextQueue<T>({ request: { topic }, queues, failed }: PendingSend<T>): MessageQueue {
    return this.#roundRobin.next(topic, queues, failed.map(({ queue }) => queue.broker));
  }
}

/** The queues of other brokers, or all of them if there is no other broker. */
function queuesAvoiding(broker: string, queues: readonly MessageQueue[]): readonly MessageQueue[] {
  const others = queues.filter((queue) => queue.broker !== broker);
  return others.length > 0 ? others : queues;
}

/** The pause after so many failures in a row, with jitter so that sends that failed together do not return together. */
function pauseAfter(failures: number): number {
  const longest = Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** Math.min(failures - 1, 10));
  return longest * (0.5 + Math.random() / 2);
}

/** Whether a broker answers that it has no such queue: the topic has fewer than its route says. */
function isUnknownQueue(error: unknown): boolean {
  return error instanceof ResponseError && error.responseCode === ResponseCode.INVALID_PARAMETER;
}
