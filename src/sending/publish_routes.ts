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

/** How many queues a broker is asked to make for a new topic. Source: DefaultMQProducer. */
export const NEW_TOPIC_QUEUES = 4;

/** Answers that a broker of an old route gives. */
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
 * For a topic that no name server knows they are the queues that brokers will make with its first message, as many on
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

  /** The queues as they are known now, at least one; undefined if they have to be asked for. */
  known(topic: string): readonly MessageQueue[] | undefined {
    const queues = this.#routes.known(topic)?.writeQueues;
    if (queues !== undefined) return queues.length > 0 ? queues : undefined;
    const expected = this.#expected.get(topic);
    return expected !== undefined && expected.until > performance.now() ? expected.queues : undefined;
  }

  /**
   * Asks for the queues; there is at least one.
   *
   * If those name servers that answer do not know the topic, and others do not answer, it may exist: then it is sent to
   * brokers that would make it, which is right in either case, and never reported as missing.
   *
   * @throws {ProducerError} `TOPIC_NOT_FOUND`, `NO_WRITABLE_QUEUE`, or `ROUTE_NOT_AVAILABLE` if no name server answers
   */
  async find(topic: string, deadline: Deadline): Promise<readonly MessageQueue[]> {
    let doubt: unknown;
    const unlessDoubtful = (error: unknown) => unlessUnconfirmed(doubt = error);
    const route = await ask(topic, this.#routes.refresh(topic).catch(unlessDoubtful), deadline);
    if (route !== undefined) {
      this.#expected.delete(topic);
      if (route.writeQueues.length > 0) return route.writeQueues;
      throw noWritableQueue(route);
    }
    const model = await ask(topic, this.#routes.get(AUTO_CREATE_TOPIC).catch(unlessDoubtful), deadline);
    const queues = queuesOfNewTopic(topic, model);
    if (queues.length === 0) throw doubt === undefined ? topicNotFound(topic) : routeNotAvailable(topic, doubt);
    this.#expected.set(topic, { queues, until: performance.now() + this.#routeInterval });
    return queues;
  }

  /** Has the route asked for anew, in the background, if a send failed as it does by an old one. */
  doubt(topic: string, error: unknown): void {
    const stale = error instanceof NetworkError || error instanceof BrokerNotAvailableError ||
      (error instanceof ResponseError && STALE_ROUTE_CODES.has(error.responseCode));
    if (!stale) return;
    this.#expected.delete(topic);
    inBackground(this.#routes.refresh(topic), unheard); // the next refresh by time tells of a name server that is away
  }
}

/** The queues that brokers make for a new topic, seen by the route of the topic that they copy. */
export function queuesOfNewTopic(topic: string, model: TopicRoute | undefined): MessageQueue[] {
  if (model === undefined) return [];
  const readable = new Map<string, number>();
  for (const { broker } of model.readQueues) readable.set(broker, (readable.get(broker) ?? 0) + 1);
  return model.writeQueues
    .filter(({ broker, queueId }) => queueId < Math.min(NEW_TOPIC_QUEUES, readable.get(broker) ?? 0))
    .map(({ broker, queueId }) => ({ topic, broker, queueId }));
}

async function ask(
  topic: string,
  answer: Promise<TopicRoute | undefined>,
  deadline: Deadline,
): Promise<TopicRoute | undefined> {
  try {
    return await deadline.wait(answer, "ask the name servers for a route");
  } catch (cause) {
    deadline.signal?.throwIfAborted();
    throw routeNotAvailable(topic, cause);
  }
}

function routeNotAvailable(topic: string, cause: unknown): ProducerError {
  const words = reasonOf(cause);
  const text = `Cannot send to topic "${topic}": its route is not known, and no name server tells it: ${words}`;
  return new ProducerError(text, { code: "ROUTE_NOT_AVAILABLE", retriable: true, cause });
}

function topicNotFound(topic: string): ProducerError {
  return new ProducerError(
    `Cannot send to topic "${topic}": no name server knows it, and no broker makes topics by itself; create the ` +
      "topic first, or set autoCreateTopicEnable=true at the brokers",
    { code: "TOPIC_NOT_FOUND" },
  );
}

/** Only a missing master is something to wait for. */
function noWritableQueue({ topic, brokers }: TopicRoute): ProducerError {
  const waitsForMaster = brokers.size === 0 || [...brokers.values()].some((addresses) => !addresses.has(0));
  const reason = waitsForMaster
    ? "a broker that has it has no master at the moment"
    : "its permission does not allow it; ask for the permission to write it";
  return new ProducerError(`Cannot send to topic "${topic}": none of its queues can be written: ${reason}`, {
    code: "NO_WRITABLE_QUEUE",
    retriable: waitsForMaster,
  });
}
