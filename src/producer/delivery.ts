/**
 * Getting one request to a broker, over as many attempts as it takes and the deadline allows.
 *
 * @module
 */

import type { Cluster } from "../cluster/cluster.ts";
import { AnsweredCall, OnewayCall } from "../cluster/call.ts";
import type { Endpoint } from "../cluster/endpoint.ts";
import { ResponseError } from "../errors.ts";
import type { MessageQueue } from "../message.ts";
import { ResponseCode } from "../wire/codes.ts";
import { sendBatch, sendMessage } from "../wire/requests.ts";
import type { Deadline } from "./deadline.ts";
import { OnewayPace } from "./oneway_pace.ts";
import type { Parcel, Placement } from "./parcel.ts";
import { PublishRoutes } from "./publish_routes.ts";
import { queueOfKey, QueueTurns } from "./queue_selection.ts";
import { SendHeaders } from "./send_headers.ts";
import { type Delivered, STORED_CODES } from "./receipt.ts";
import { type FailedAttempt, mayRetry, producerClosed, sendFailed } from "./send_error.ts";

/** The pause before a broker that has just refused is asked again, in milliseconds; it doubles up to the longest. */
const FIRST_PAUSE = 20;
const LONGEST_PAUSE = 500;

/** What deliveries need of the producer's options. */
export interface DeliveryOptions {
  /** The producer's group. */
  readonly group: string;
  /** How many attempts may follow the first. */
  readonly retries: number;
}

/** What is delivered, over all attempts. */
interface Order<T> {
  readonly parcel: Parcel;
  readonly placement: Placement;
  readonly deadline: Deadline;
  /** When it was given to us, in milliseconds since 1970. */
  readonly born: number;
  /** How an attempt is made. */
  readonly way: Way<T>;
  /** Whether there may be another attempt only if it is certain that nothing was stored. */
  readonly onlyIfNotStored: boolean;
}

/** One attempt to get an order to a queue; throws or tells `failed` why it failed, unless it tells `done`. */
type Way<T> = (
  order: Order<T>,
  queue: MessageQueue,
  timeout: number,
  done: (answer: T) => void,
  failed: (reason: unknown) => void,
) => void;

/** What came of an order. */
interface Done<T> {
  readonly answer: T;
  readonly queue: MessageQueue;
}

/** Delivers the requests of one producer. */
export class Delivery {
  #cluster: Cluster;
  #options: DeliveryOptions;
  #routes: PublishRoutes;
  #headers: SendHeaders;
  #turns = new QueueTurns();
  /** By broker. */
  #paces = new Map<string, OnewayPace>();
  #stopped = false;

  /** Makes a delivery over a cluster's shared connections. */
  constructor(cluster: Cluster, options: DeliveryOptions) {
    this.#cluster = cluster;
    this.#options = options;
    this.#routes = new PublishRoutes(cluster.routes, cluster.options.routeInterval);
    this.#headers = new SendHeaders(options.group);
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
   * Asks for the queues of a topic that are not known.
   *
   * @throws {ProducerError} as {@linkcode Delivery.deliver} does without any
   */
  findQueues(topic: string, deadline: Deadline): Promise<readonly MessageQueue[]> {
    return this.#routes.find(topic, deadline);
  }

  /**
   * Delivers a request: on the queue that is wanted, else on the next one of the topic, and if that fails on another
   * broker, or on another queue of the same broker if it is the only one.
   *
   * The message is stored at least once: an attempt whose answer is lost may have stored it too.
   *
   * @throws {ProducerError} with the last error as its cause; the signal's reason when it aborts
   */
  deliver(parcel: Parcel, placement: Placement, deadline: Deadline): Promise<Delivered> {
    const onlyIfNotStored = isPlaced(placement);
    return this.#deliver({ parcel, placement, deadline, born: Date.now(), way: this.#ask, onlyIfNotStored });
  }

  /**
   * Hands a message to the system on its way to a broker, which does not answer. There is another attempt only if it is
   * certain that nothing has left.
   *
   * @throws {ProducerError} with the last error as its cause; the signal's reason when it aborts
   */
  deliverOneway(parcel: Parcel, placement: Placement, deadline: Deadline): Promise<unknown> {
    return this.#deliver({ parcel, placement, deadline, born: Date.now(), way: this.#hand, onlyIfNotStored: true });
  }

  /** The first attempt is nearly always the only one: no async function stands between it and its caller. */
  #deliver<T>(order: Order<T>, queues = this.#routes.known(order.parcel.topic)): Promise<Done<T>> {
    const { parcel: { topic }, placement, deadline, way } = order;
    if (queues === undefined) return this.#routes.find(topic, deadline).then((found) => this.#deliver(order, found));
    return new Promise((resolve, reject) => {
      if (this.#stopped) throw producerClosed(`send to topic "${topic}"`);
      const given = queueGiven(placement, queues);
      const queue = given ?? this.#turns.take(topic, queues);
      const failed = (error: unknown) =>
        this.#deliverAgain(order, queues, given, { queue, error }).then(resolve, reject);
      try {
        way(order, queue, deadline.timeout, (answer) => resolve({ answer, queue }), failed);
      } catch (error) {
        failed(error);
      }
    });
  }

  async #deliverAgain<T>(
    order: Order<T>,
    queues: readonly MessageQueue[],
    given: MessageQueue | undefined,
    first: FailedAttempt,
  ): Promise<Done<T>> {
    const { parcel: { topic }, placement, deadline, way, onlyIfNotStored } = order;
    const failed = [first];
    for (;;) {
      const { error } = failed.at(-1)!;
      deadline.signal?.throwIfAborted();
      this.#routes.doubt(topic, error);
      const queueIsGone = placement.queue === undefined && isUnknownQueue(error);
      const again = queueIsGone || mayRetry(error, onlyIfNotStored);
      if (!again || failed.length > this.#options.retries || deadline.left <= 0) {
        throw sendFailed(topic, failed, deadline.timeout);
      }
      queues = queueIsGone ? await this.#routes.find(topic, deadline) : this.#routes.known(topic) ?? queues;
      if (queueIsGone) given = queueGiven(placement, queues);
      const queue = given ?? this.#turns.take(topic, queues, failed.map(({ queue: { broker } }) => broker));
      await this.#pauseBefore(queue, failed, deadline);
      if (this.#stopped) throw producerClosed(`send to topic "${topic}"`);
      const timeout = Math.max(1, deadline.left);
      try {
        const answer = await new Promise<T>((done, fail) => way(order, queue, timeout, done, fail));
        return { answer, queue };
      } catch (error) {
        failed.push({ queue, error });
      }
    }
  }

  #ask: Way<Delivered["answer"]> = ({ parcel, deadline, born }, queue, timeout, done, failed) => {
    const { body, batch } = parcel;
    const options = { body, timeout, deadline: deadline.end, signal: deadline.signal, accept: STORED_CODES };
    const header = this.#headers.of(queue, parcel, born);
    this.#master(queue).begin(new AnsweredCall(batch ? sendBatch : sendMessage, header, options, done, failed));
  };

  #hand: Way<void> = (order, queue, timeout, done, failed) => {
    const pace = this.#paceOf(queue.broker);
    if (!pace.isFull) this.#handNow(order, queue, timeout, done, failed);
    else pace.room(order.deadline).then(() => this.#handNow(order, queue, timeout, done, failed)).catch(failed);
  };

  #handNow: Way<void> = ({ parcel, deadline, born }, queue, timeout, done, failed) => {
    const endpoint = this.#master(queue);
    const onServed = this.#paceOf(queue.broker).next(parcel.body.length);
    const notHanded = onServed === undefined ? failed : (reason: unknown) => {
      onServed(); // it may not have left
      failed(reason);
    };
    const options = { body: parcel.body, timeout, deadline: deadline.end, signal: deadline.signal };
    const header = this.#headers.of(queue, parcel, born);
    endpoint.begin(new OnewayCall(sendMessage, header, options, done, notHanded, onServed));
  };

  /** Another broker is tried at once, and so is one whose connection was lost: connecting has a pause of its own. */
  async #pauseBefore(queue: MessageQueue, attempts: readonly FailedAttempt[], deadline: Deadline): Promise<void> {
    const last = attempts.at(-1)!;
    if (last.queue.broker !== queue.broker || !(last.error instanceof ResponseError)) return;
    await deadline.pause(Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (attempts.length - 1)));
    if (deadline.left <= 0) throw sendFailed(queue.topic, attempts, deadline.timeout);
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

/** Whether order is wanted: all attempts go to one queue. */
function isPlaced({ queue, orderingKey }: Placement): boolean {
  return queue !== undefined || orderingKey !== undefined;
}

function queueGiven({ queue, orderingKey }: Placement, queues: readonly MessageQueue[]): MessageQueue | undefined {
  return queue ?? (orderingKey === undefined ? undefined : queueOfKey(queues, orderingKey));
}

/** Whether a broker says that it has no such queue: the topic has fewer than its route says. */
function isUnknownQueue(error: unknown): boolean {
  return error instanceof ResponseError && error.responseCode === ResponseCode.INVALID_PARAMETER;
}
