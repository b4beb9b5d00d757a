/**
 * Where messages of a topic can be sent, also while the topic does not exist yet.
 *
 * @module
 */

import { unlessUnconfirmed } from "../cluster/route_finder.ts";
import type { Routes, TopicRoute } from "../cluster/routes.ts";
import { BrokerNotAvailableError, NetworkError, ProducerError, ResponseError } from "../errors.ts";
import type { MessageQueue } from "../message.ts";
import { reasonOf } from "../plain_text.ts";
import { AUTO_CREATE_TOPIC, ResponseCode } from "../wire/codes.ts";
import type { Deadline } from "./deadline.ts";
import { inBackground, unheard } from "../owned_work.ts";

/** How many queues a broker is requested to create for a new topic. Source: DefaultMQProducer. */
export const NEW_TOPIC_QUEUES = 4;

/** Answers of a broker to which an old route leads. */
const STALE_ROUTE_CODES: ReadonlySet<number> = new Set([
  ResponseCode.SERVICE_NOT_AVAILABLE,
  ResponseCode.NO_PERMISSION,
  ResponseCode.TOPIC_NOT_EXIST,
  ResponseCode.INVALID_PARAMETER,
]);

interface Expected {
  readonly queues: readonly MessageQueue[];
  /** By the monotonic clock. */
  readonly until: number;
}

/**
 * The queues to send to, by topic.
 *
 * For a topic that no name server knows they are the queues that brokers will create with its first message, as many on
 * each as it has of the topic that new ones are copied from. They count until the next refresh of the routes: by then
 * messages have reached every broker, while the first would leave the topic on one. Source: MQClientInstance.
 */
export class PublishRoutes {
  #routes: Pick<Routes, "known" | "get" | "refresh">;
  #routeInterval: number;
  #expected = new Map<string, Expected>();

  /** Looks topics up in `routes`, which are refreshed every `routeInterval` milliseconds. */
  constructor(routes: Pick<Routes, "known" | "get" | "refresh">, routeInterval: number) {
    this.#routes = routes;
    this.#routeInterval = routeInterval;
  }

  /** The queues as they are known now, at least one; undefined if they have to be requested. */
  known(topic: string): readonly MessageQueue[] | undefined {
    const queues = this.#routes.known(topic)?.writeQueues;
    if (queues !== undefined) return queues.length > 0 ? queues : undefined;
    const expected = this.#expected.get(topic);
    return expected !== undefined && expected.until > performance.now() ? expected.queues : undefined;
  }

  /**
   * Requests the queues; there is at least one.
   *
   * If those name servers that answer do not know the topic, and others do not answer, it may exist: then the message
   * is sent to brokers that would create the topic, which is right in either case, and it is never reported as missing.
   *
   * @throws {ProducerError} `TOPIC_NOT_FOUND`, `NO_WRITABLE_QUEUE`, or `ROUTE_NOT_AVAILABLE` if no name server answers
   */
  async find(topic: string, deadline: Deadline): Promise<readonly MessageQueue[]> {
    let unconfirmed: unknown;
    const noteUnconfirmed = (error: unknown) => unlessUnconfirmed(unconfirmed = error);
    const route = await answerOf(topic, this.#routes.refresh(topic).catch(noteUnconfirmed), deadline);
    if (route !== undefined) {
      this.#expected.delete(topic);
      return writableQueues(route);
    }
    const model = await answerOf(topic, this.#routes.get(AUTO_CREATE_TOPIC).catch(noteUnconfirmed), deadline);
    const queues = queuesOfNewTopic(topic, model);
    if (queues.length === 0) {
      throw unconfirmed === undefined ? topicNotFound(topic, CREATE_TOPIC) : routeNotAvailable(topic, unconfirmed);
    }
    this.#expected.set(topic, { queues, until: performance.now() + this.#routeInterval });
    return queues;
  }

  /**
   * The queues of a topic that must exist, of its known route if there is one; else one request to the name servers.
   *
   * @throws {ProducerError} as {@linkcode PublishRoutes.find}
   */
  async existing(topic: string, deadline: Deadline): Promise<readonly MessageQueue[]> {
    const route = await answerOf(topic, this.#routes.get(topic), deadline);
    if (route === undefined) throw topicNotFound(topic, "create the topic first");
    return writableQueues(route);
  }

  /** Requests the route again, in the background, if a send failed as it does by an old one. */
  invalidateAfter(topic: string, error: unknown): void {
    const stale = error instanceof NetworkError || error instanceof BrokerNotAvailableError ||
      (error instanceof ResponseError && STALE_ROUTE_CODES.has(error.responseCode));
    if (!stale) return;
    this.#expected.delete(topic);
    inBackground(this.#routes.refresh(topic), unheard); // the next regular refresh reports a name server that is unavailable
  }
}

/** The queues that brokers create for a new topic, computed from the route of the topic that they copy. */
export function queuesOfNewTopic(topic: string, model: TopicRoute | undefined): MessageQueue[] {
  if (model === undefined) return [];
  const readable = new Map<string, number>();
  for (const { broker } of model.readQueues) readable.set(broker, (readable.get(broker) ?? 0) + 1);
  return model.writeQueues
    .filter(({ broker, queueId }) => queueId < Math.min(NEW_TOPIC_QUEUES, readable.get(broker) ?? 0))
    .map(({ broker, queueId }) => ({ topic, broker, queueId }));
}

/** What operators do about a topic that no name server knows. */
const CREATE_TOPIC =
  "no broker creates topics by itself; create the topic first, or set autoCreateTopicEnable=true at " +
  "the brokers";

/** The queues of a route, at least one. */
function writableQueues(route: TopicRoute): readonly MessageQueue[] {
  if (route.writeQueues.length === 0) throw noWritableQueue(route);
  return route.writeQueues;
}

async function answerOf(
  topic: string,
  answer: Promise<TopicRoute | undefined>,
  deadline: Deadline,
): Promise<TopicRoute | undefined> {
  try {
    return await deadline.wait(answer, "request a route from the name servers");
  } catch (cause) {
    deadline.signal?.throwIfAborted();
    throw routeNotAvailable(topic, cause);
  }
}

function routeNotAvailable(topic: string, cause: unknown): ProducerError {
  const words = reasonOf(cause);
  const text = `Cannot send to topic "${topic}": its route is not known, and no name server returns it: ${words}`;
  return new ProducerError(text, { code: "ROUTE_NOT_AVAILABLE", retriable: true, cause });
}

function topicNotFound(topic: string, remedy: string): ProducerError {
  const text = `Cannot send to topic "${topic}": no name server knows it; ${remedy}`;
  return new ProducerError(text, { code: "TOPIC_NOT_FOUND" });
}

/** Only a missing master is something to wait for. */
function noWritableQueue({ topic, brokers }: TopicRoute): ProducerError {
  const waitsForMaster = brokers.size === 0 || [...brokers.values()].some((addresses) => !addresses.has(0));
  const reason = waitsForMaster
    ? "a broker that has it has no master at the moment"
    : "its permission does not allow it; grant the permission to write it";
  return new ProducerError(`Cannot send to topic "${topic}": none of its queues can be written: ${reason}`, {
    code: "NO_WRITABLE_QUEUE",
    retriable: waitsForMaster,
  });
}
