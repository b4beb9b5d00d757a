/**
 * Getting one request to a broker, over as many attempts as it takes and the deadline allows.
 *
 * @module
 */

import type { Cluster } from "../cluster/cluster.ts";
import type { Answer } from "../cluster/endpoint.ts";
import { ResponseError } from "../errors.ts";
import type { MessageQueue } from "../message.ts";
import { AUTO_CREATE_TOPIC, ResponseCode } from "../wire/codes.ts";
import { sendBatch, sendMessage } from "../wire/requests.ts";
import type { Deadline } from "./deadline.ts";
import { NEW_TOPIC_QUEUES, PublishRoutes } from "./publish_routes.ts";
import { queueOfKey, QueueTurns } from "./queue_selection.ts";
import { type Delivered, STORED_CODES } from "./receipt.ts";
import { type FailedAttempt, mayRetry, producerClosed, sendFailed } from "./send_error.ts";

/** The pause before a broker that has just refused is asked again, in milliseconds; it doubles up to the longest. */
const FIRST_PAUSE = 20;
const LONGEST_PAUSE = 500;

/** What a request carries: the same in every attempt. */
export interface Parcel {
  /** The topic. */
  readonly topic: string;
  /** The request's body: a message's, or several messages in batch form. */
  readonly body: Uint8Array;
  /** The user's flag. */
  readonly flag: number;
  /** RocketMQ's flag. */
  readonly sysFlag: number;
  /** The properties as one text. */
  readonly properties: string;
  /** Whether the body holds several messages. @default {false} */
  readonly batch?: boolean;
}

/** Which queue is wanted; without any the topic's queues take turns. */
export interface Placement {
  /** This queue. */
  readonly queue?: MessageQueue | undefined;
  /** The queue of this key. */
  readonly orderingKey?: string | undefined;
}

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
  #turns = new QueueTurns();
  #stopped = false;

  /** Makes a delivery over a cluster's shared connections. */
  constructor(cluster: Cluster, options: DeliveryOptions) {
    this.#cluster = cluster;
    this.#options = options;
    this.#routes = new PublishRoutes(cluster.routes, cluster.options.routeInterval);
  }

  /** Begins no further attempt. */
  stop(): void {
    this.#stopped = true;
  }

  /**
   * Delivers a request: on the queue that is wanted, else on the next one of the topic, and if that fails on another
   * broker, or on another queue of the same broker if it is the only one.
   *
   * The message is stored at least once: an attempt whose answer is lost may have stored it too.
   *
   * @throws {ProducerError} with the last error as its cause; the signal's reason when it aborts
   */
  async deliver(parcel: Parcel, placement: Placement, deadline: Deadline): Promise<Delivered> {
    const { topic } = parcel;
    const born = Date.now();
    let queues = this.#routes.known(topic) ?? await this.#routes.find(topic, deadline);
    let given = givenQueue(placement, queues);
    const attempts: FailedAttempt[] = [];
    for (;;) {
      const queue = given ?? this.#turns.take(topic, this.#routes.known(topic) ?? queues, brokersOf(attempts));
      if (attempts.length > 0) await this.#pauseBefore(queue, attempts, deadline);
      if (this.#stopped) throw producerClosed(`send to topic "${topic}"`);
      try {
        return { answer: await this.#attempt(parcel, queue, born, deadline), queue };
      } catch (error) {
        deadline.signal?.throwIfAborted();
        attempts.push({ queue, error });
        this.#routes.doubt(topic, error);
        const queueIsGone = placement.queue === undefined && isUnknownQueue(error);
        const again = queueIsGone || mayRetry(error, given !== undefined);
        if (!again || attempts.length > this.#options.retries || deadline.left <= 0) {
          throw sendFailed(topic, attempts, deadline.timeout);
        }
        if (queueIsGone) {
          queues = await this.#routes.find(topic, deadline);
          given = givenQueue(placement, queues);
        }
      }
    }
  }

  /** Another broker is tried at once, and so is one whose connection was lost: connecting has a pause of its own. */
  async #pauseBefore(queue: MessageQueue, attempts: readonly FailedAttempt[], deadline: Deadline): Promise<void> {
    const last = attempts.at(-1)!;
    if (last.queue.broker !== queue.broker || !(last.error instanceof ResponseError)) return;
    await deadline.pause(Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (attempts.length - 1)));
    if (deadline.left <= 0) throw sendFailed(queue.topic, attempts, deadline.timeout);
  }

  /** Async, so that an unknown broker fails the attempt like everything else. */
  async #attempt(
    parcel: Parcel,
    queue: MessageQueue,
    bornTimestamp: number,
    deadline: Deadline,
  ): Promise<Answer<typeof sendMessage>> {
    const header = {
      producerGroup: this.#options.group,
      topic: parcel.topic,
      defaultTopic: AUTO_CREATE_TOPIC,
      defaultTopicQueueNums: NEW_TOPIC_QUEUES,
      queueId: queue.queueId,
      sysFlag: parcel.sysFlag,
      bornTimestamp,
      flag: parcel.flag,
      properties: parcel.properties,
      reconsumeTimes: 0,
      unitMode: false,
      batch: parcel.batch === true,
      brokerName: queue.broker,
    };
    return await this.#cluster.broker(queue.broker, 0, true).call(parcel.batch ? sendBatch : sendMessage, header, {
      body: parcel.body,
      timeout: Math.max(1, deadline.left),
      signal: deadline.signal,
      accept: STORED_CODES,
    });
  }
}

const NONE: readonly string[] = [];

function brokersOf(attempts: readonly FailedAttempt[]): readonly string[] {
  return attempts.length === 0 ? NONE : attempts.map(({ queue }) => queue.broker);
}

function givenQueue({ queue, orderingKey }: Placement, queues: readonly MessageQueue[]): MessageQueue | undefined {
  return queue ?? (orderingKey === undefined ? undefined : queueOfKey(queues, orderingKey));
}

/** Whether a broker says that it has no such queue: the topic has fewer than its route says. */
function isUnknownQueue(error: unknown): boolean {
  return error instanceof ResponseError && error.responseCode === ResponseCode.INVALID_PARAMETER;
}
