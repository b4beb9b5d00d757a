/**
 * Getting one request to a broker, over as many attempts as it takes and the deadline allows.
 *
 * @module
 */

import type { Cluster } from "../cluster/cluster.ts";
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
    return this.#try(parcel, placement, deadline, this.#ask, false);
  }

  /**
   * Hands a message to the system on its way to a broker, which does not answer. There is another attempt only if it is
   * certain that nothing has left.
   *
   * @throws {ProducerError} with the last error as its cause; the signal's reason when it aborts
   */
  async deliverOneway(parcel: Parcel, placement: Placement, deadline: Deadline): Promise<void> {
    await this.#try(parcel, placement, deadline, this.#hand, true);
  }

  async #try<T>(
    parcel: Parcel,
    placement: Placement,
    deadline: Deadline,
    attempt: (parcel: Parcel, queue: MessageQueue, born: number, deadline: Deadline, timeout: number) => Promise<T>,
    onlyIfNotStored: boolean,
  ): Promise<{ answer: T; queue: MessageQueue }> {
    const { topic } = parcel;
    const born = Date.now();
    let queues = this.#routes.known(topic) ?? await this.#routes.find(topic, deadline);
    let given = givenQueue(placement, queues);
    let failed = NONE_FAILED;
    for (;;) {
      const queue = given ?? this.#turns.take(topic, queues, brokersOf(failed));
      if (failed.length > 0) await this.#pauseBefore(queue, failed, deadline);
      if (this.#stopped) throw producerClosed(`send to topic "${topic}"`);
      try {
        const timeout = failed.length === 0 ? deadline.timeout : Math.max(1, deadline.left);
        return { answer: await attempt(parcel, queue, born, deadline, timeout), queue };
      } catch (error) {
        deadline.signal?.throwIfAborted();
        failed = [...failed, { queue, error }];
        this.#routes.doubt(topic, error);
        const queueIsGone = placement.queue === undefined && isUnknownQueue(error);
        const again = queueIsGone || mayRetry(error, onlyIfNotStored || given !== undefined);
        if (!again || failed.length > this.#options.retries || deadline.left <= 0) {
          throw sendFailed(topic, failed, deadline.timeout);
        }
        queues = queueIsGone ? await this.#routes.find(topic, deadline) : this.#routes.known(topic) ?? queues;
        if (queueIsGone) given = givenQueue(placement, queues);
      }
    }
  }

  #ask = (
    parcel: Parcel,
    queue: MessageQueue,
    born: number,
    deadline: Deadline,
    timeout: number,
  ): Promise<Delivered["answer"]> => {
    const { end, signal } = deadline;
    const options = { body: parcel.body, timeout, deadline: end, signal, accept: STORED_CODES };
    const spec = parcel.batch ? sendBatch : sendMessage;
    return this.#master(queue).callWith(spec, this.#headers.of(queue, parcel, born), options);
  };

  #hand = async (
    parcel: Parcel,
    queue: MessageQueue,
    born: number,
    deadline: Deadline,
    timeout: number,
  ): Promise<void> => {
    const pace = this.#paceOf(queue.broker);
    if (pace.isFull) await pace.room(deadline);
    const onServed = pace.next(parcel.body.length);
    try {
      const options = { body: parcel.body, timeout, deadline: deadline.end, signal: deadline.signal };
      const header = this.#headers.of(queue, parcel, born);
      await this.#master(queue).sendOneway(sendMessage, header, options, onServed);
    } catch (error) {
      onServed?.(); // it may not have left
      throw error;
    }
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

const NONE_FAILED: readonly FailedAttempt[] = [];
const NO_BROKERS: readonly string[] = [];

function brokersOf(failed: readonly FailedAttempt[]): readonly string[] {
  return failed.length === 0 ? NO_BROKERS : failed.map(({ queue }) => queue.broker);
}

function givenQueue({ queue, orderingKey }: Placement, queues: readonly MessageQueue[]): MessageQueue | undefined {
  return queue ?? (orderingKey === undefined ? undefined : queueOfKey(queues, orderingKey));
}

/** Whether a broker says that it has no such queue: the topic has fewer than its route says. */
function isUnknownQueue(error: unknown): boolean {
  return error instanceof ResponseError && error.responseCode === ResponseCode.INVALID_PARAMETER;
}
