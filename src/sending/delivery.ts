/**
 * Getting one request to a broker, over as many attempts as it takes and the deadline allows.
 *
 * @module
 */

import type { BrokerHealth } from "../cluster/broker_health.ts";
import type { Cluster } from "../cluster/cluster.ts";
import { OnewayCall, PatientCall } from "../cluster/call.ts";
import type { Endpoint } from "../cluster/endpoint.ts";
import { ProducerError, ResponseError, TimeoutError } from "../errors.ts";
import type { MessageQueue } from "../message.ts";
import { ResponseCode } from "../wire/codes.ts";
import { sendBatch, sendMessage } from "../wire/requests.ts";
import { attemptTime } from "./attempt_time.ts";
import type { Deadline } from "./deadline.ts";
import { OnewayPace } from "./oneway_pace.ts";
import type { Parcel, Placement } from "./parcel.ts";
import { PublishRoutes } from "./publish_routes.ts";
import { queueOfKey, QueueTurns } from "./queue_selection.ts";
import { SendHeaders } from "./send_headers.ts";
import { type Delivered, STORED_CODES } from "./receipt.ts";
import { type Attempt, type Done, Sending, type SendingKind } from "./sending.ts";
import {
  type FailedAttempt,
  isBusy,
  isNotStored,
  isOfTheBroker,
  mayRetry,
  producerClosed,
  sendFailed,
} from "./send_error.ts";
import { inBackground } from "../owned_work.ts";

/** The pause before something that has just failed is tried again, in milliseconds; it doubles up to the longest. */
const FIRST_PAUSE = 20;
const LONGEST_PAUSE = 500;

/** What deliveries need of the producer's options. */
export interface DeliveryOptions {
  /** The producer's group. */
  readonly group: string;
  /** How many answers with an error may be followed by another attempt. */
  readonly retries: number;
}

/** Delivers the requests of one producer. */
export class Delivery {
  #cluster: Cluster;
  #health: BrokerHealth;
  #options: DeliveryOptions;
  #routes: PublishRoutes;
  #headers: SendHeaders;
  #turns: QueueTurns;
  /** By broker. */
  #paces = new Map<string, OnewayPace>();
  #stopped = false;
  #asks: SendingKind<Delivered["answer"]>;
  #asksInOrder: SendingKind<Delivered["answer"]>;
  #hands: SendingKind<void>;

  /** Makes a delivery over a cluster's shared connections. */
  constructor(cluster: Cluster, options: DeliveryOptions) {
    this.#cluster = cluster;
    this.#health = cluster.health;
    this.#options = options;
    this.#routes = new PublishRoutes(cluster.routes, cluster.options.routeInterval);
    this.#headers = new SendHeaders(options.group);
    this.#turns = new QueueTurns(cluster.health);
    this.#asks = { begin: this.#ask, onlyIfNotStored: false, wholeTime: false };
    this.#asksInOrder = { begin: this.#ask, onlyIfNotStored: true, wholeTime: true };
    this.#hands = { begin: this.#hand, onlyIfNotStored: true, wholeTime: false };
  }

  /** Begins no further attempt. */
  stop(): void {
    this.#stopped = true;
  }

  /** The queue of an ordering key, as far as the topic's queues are known now. */
  queueOfKey(topic: string, key: string): MessageQueue | undefined {
    const queues = this.#routes.known(topic);
    return queues === undefined ? undefined : queueOfKey(queues, key);
  }

  /**
   * Finds the queues of a topic that are not known; while no name server answers, or no broker has a master, it asks
   * again until the deadline.
   *
   * @throws {ProducerError} as {@linkcode Delivery.deliver} does without any
   */
  async findQueues(topic: string, deadline: Deadline): Promise<readonly MessageQueue[]> {
    let last: ProducerError | undefined;
    for (let failures = 0;;) {
      try {
        return await this.#routes.find(topic, deadline);
      } catch (error) {
        if (!(error instanceof ProducerError && error.retriable)) throw error;
        // What the end has cut short says less than what failed before.
        if (last === undefined || !(error.cause instanceof TimeoutError)) last = error;
        if (deadline.left > 0) await deadline.pause(pauseAfter(++failures));
        if (deadline.left <= 0) throw last;
        if (this.#stopped) throw producerClosed(`send to topic "${topic}"`);
      }
    }
  }

  /**
   * Delivers a request: to the queue that is wanted, else to the next one of the topic, and if that fails to another
   * broker, or to another queue of the same broker if it is the only one.
   *
   * An attempt has a part of the time, and another one follows if there is no answer by then; an answer that comes later
   * still counts. `retries` bounds the attempts that brokers answer with an error. While none answers, or all have no
   * room, there are attempts until the deadline.
   *
   * The message is stored at least once: an attempt whose answer is lost may have stored it too.
   *
   * @throws {ProducerError} with the last error as its cause; the signal's reason when it aborts
   */
  deliver(parcel: Parcel, placement: Placement, deadline: Deadline): Promise<Delivered> {
    const isPlaced = placement.queue !== undefined || placement.orderingKey !== undefined;
    return this.#deliver(parcel, placement, deadline, isPlaced ? this.#asksInOrder : this.#asks);
  }

  /**
   * Hands a message to the system on its way to a broker, which does not answer. There is another attempt only if it is
   * certain that nothing has left.
   *
   * @throws {ProducerError} with the last error as its cause; the signal's reason when it aborts
   */
  deliverOneway(parcel: Parcel, placement: Placement, deadline: Deadline): Promise<unknown> {
    return this.#deliver(parcel, placement, deadline, this.#hands);
  }

  /** The first attempt is nearly always the only one: no async function stands between it and its caller. */
  #deliver<T>(
    parcel: Parcel,
    placement: Placement,
    deadline: Deadline,
    kind: SendingKind<T>,
    queues = this.#routes.known(parcel.topic),
  ): Promise<Done<T>> {
    if (queues === undefined) {
      return this.findQueues(parcel.topic, deadline).then((found) =>
        this.#deliver(parcel, placement, deadline, kind, found)
      );
    }
    const sending = new Sending(parcel, placement, deadline, kind, queues);
    this.#try(sending, sending.given ?? this.#turns.take(parcel.topic, queues));
    return sending.done;
  }

  #try<T>(sending: Sending<T>, queue: MessageQueue): void {
    const { parcel: { topic }, deadline: { end }, kind, failed } = sending;
    if (this.#stopped) {
      sending.reject(producerClosed(`send to topic "${topic}"`, failed));
      return;
    }
    const startedAt = performance.now();
    const left = Math.max(1, end - startedAt);
    const possible = 1 + this.#options.retries - (failed.length === 0 ? 0 : sending.spent);
    const time = kind.wholeTime ? left : attemptTime(left, possible);
    const attempt: Attempt = { queue, startedAt, deadline: startedAt + time, call: undefined };
    sending.latest = attempt;
    try {
      kind.begin(sending, attempt);
    } catch (error) {
      this.#failed(sending, attempt, error);
    }
  }

  #failed<T>(sending: Sending<T>, attempt: Attempt, error: unknown): void {
    if (sending.isOver) return;
    const { queue, call } = attempt;
    if (isBusy(error)) this.#health.busy(queue.broker);
    else if (isOfTheBroker(error)) this.#health.failed(queue.broker);
    if (attempt !== sending.latest) return; // others have followed it since it was overdue
    const maybeStored = call !== undefined && call.hasLeft && !isNotStored(error);
    this.#goOn(sending, { queue, error, maybeStored });
  }

  #overdue<T>(sending: Sending<T>, attempt: Attempt): void {
    if (sending.isOver || attempt !== sending.latest) return;
    const { queue, startedAt, deadline } = attempt;
    this.#health.failed(queue.broker);
    const error = new TimeoutError(`send to broker "${queue.broker}"`, Math.round(deadline - startedAt));
    this.#goOn(sending, { queue, error, maybeStored: true });
  }

  #goOn<T>(sending: Sending<T>, last: FailedAttempt): void {
    inBackground(this.#tryAgain(sending, last), (error) => sending.reject(error));
  }

  async #tryAgain<T>(sending: Sending<T>, last: FailedAttempt): Promise<void> {
    const { parcel: { topic }, placement, deadline, kind } = sending;
    sending.addFailed(last);
    try {
      deadline.signal?.throwIfAborted();
      this.#routes.doubt(topic, last.error);
      const queueIsGone = placement.queue === undefined && isUnknownQueue(last.error);
      const again = queueIsGone || mayRetry(last, kind.onlyIfNotStored);
      const { failed } = sending;
      if (!again || sending.answers > this.#options.retries || deadline.left <= 0) {
        throw sendFailed(topic, failed, deadline.timeout);
      }
      if (queueIsGone) sending.useQueues(await this.findQueues(topic, deadline));
      else sending.queues = this.#routes.known(topic) ?? sending.queues;
      const queue = sending.given ?? this.#turns.take(topic, sending.queues, failed.map(({ queue }) => queue.broker));
      const before = failed.filter((attempt) => attempt.queue.broker === queue.broker).length;
      if (before > 0) await sending.pause(pauseAfter(before));
      if (sending.isOver) return;
      deadline.signal?.throwIfAborted();
      if (deadline.left <= 0) throw sendFailed(topic, failed, deadline.timeout);
      this.#try(sending, queue);
    } catch (error) {
      sending.reject(error);
    }
  }

  #ask = (sending: Sending<Delivered["answer"]>, attempt: Attempt): void => {
    const { parcel, deadline: { end, signal }, born } = sending;
    const { queue, startedAt, deadline } = attempt;
    const { body, batch } = parcel;
    const timeout = Math.ceil(deadline - startedAt);
    const overdue = () => this.#overdue(sending, attempt);
    const options = { body, timeout, deadline, end, overdue, signal, accept: STORED_CODES };
    const endpoint = this.#master(queue);
    const call = new PatientCall(
      batch ? sendBatch : sendMessage,
      this.#headers.of(queue, parcel, born),
      options,
      (answer) => {
        this.#health.answered(queue.broker, answer.receivedAt - startedAt);
        sending.resolve({ answer, queue });
      },
      (error) => this.#failed(sending, attempt, error),
    );
    attempt.call = call;
    endpoint.begin(call);
  };

  #hand = (sending: Sending<void>, attempt: Attempt): void => {
    const pace = this.#paceOf(attempt.queue.broker);
    if (!pace.isFull) return this.#handNow(sending, attempt, pace);
    const handed = pace.room(sending.deadline).then(() => this.#handNow(sending, attempt, pace));
    inBackground(handed, (error) => this.#failed(sending, attempt, error));
  };

  #handNow(sending: Sending<void>, attempt: Attempt, pace: OnewayPace): void {
    const { parcel, deadline: { end, signal }, born } = sending;
    const { queue, startedAt, deadline } = attempt;
    const endpoint = this.#master(queue);
    const onServed = pace.next(parcel.body.length);
    const failed = (error: unknown) => {
      onServed?.(); // it may not have left
      this.#failed(sending, attempt, error);
    };
    const timeout = Math.ceil(deadline - startedAt);
    const options = { body: parcel.body, timeout, deadline, end, signal };
    const header = this.#headers.of(queue, parcel, born);
    const handed = () => sending.resolve({ answer: undefined, queue });
    attempt.call = new OnewayCall(sendMessage, header, options, handed, failed, onServed);
    endpoint.begin(attempt.call);
  }

  #master(queue: MessageQueue): Endpoint {
    return this.#cluster.broker(queue.broker, 0, true);
  }

  #paceOf(broker: string): OnewayPace {
    let pace = this.#paces.get(broker);
    if (pace === undefined) this.#paces.set(broker, pace = new OnewayPace());
    return pace;
  }
}

/** The pause after so many failures in a row, with jitter so that sends that failed together do not return together. */
function pauseAfter(failures: number): number {
  const longest = Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** Math.min(failures - 1, 10));
  return longest * (0.5 + Math.random() / 2);
}

/** Whether a broker says that it has no such queue: the topic has fewer than its route says. */
function isUnknownQueue(error: unknown): boolean {
  return error instanceof ResponseError && error.responseCode === ResponseCode.INVALID_PARAMETER;
}
