/**
 * Asking the cluster about a subscription before it counts.
 *
 * @module
 */

import type { BrokerClient } from "../../brokers/broker_client.ts";
import type { Cluster } from "../../cluster/cluster.ts";
import { unlessUnconfirmed } from "../../cluster/route_finder.ts";
import type { TopicRoute } from "../../cluster/routes.ts";
import {
  BrokerNotAvailableError,
  InvalidSelectorError,
  InvalidTopicError,
  NameServerError,
  NetworkError,
  ResponseError,
  TimeoutError,
  UnsupportedError,
} from "../../errors.ts";
import { delay } from "../../waiting.ts";
import { AUTO_CREATE_TOPIC, ResponseCode } from "../../wire/codes.ts";
import { type Selector, type SqlSelector, subscriptionData } from "./selector.ts";
import { deadLetterOwner } from "../../wire/names.ts";
import { excerpt, shown } from "../../plain_text.ts";

/**
 * How often a topic that is not known is asked for again, and how long after, in milliseconds: brokers register with
 * name servers of a topic that they have made with its first message by a oneway request, after they have answered.
 */
const MORE_ASKS = 3;
const ASK_INTERVAL = 100;
/** Answers that say nothing about what was asked. */
const BUSY: readonly number[] = [ResponseCode.SYSTEM_BUSY, ResponseCode.FLOW_CONTROL];

/** What {@linkcode checkSubscription} works with. */
export interface SubscriptionCheckContext {
  /** Knows the routes. */
  readonly cluster: Cluster;
  /** Asks brokers. */
  readonly brokers: BrokerClient;
  /** The group. */
  readonly group: string;
  /** What asks, as errors name it: `"reader"`. @default {"consumer"} */
  readonly what?: string;
  /** Whether the consumer waits for topics that do not exist. */
  readonly waits: boolean;
  /** Called with a topic that does not exist, and is waited for. */
  readonly onMissing: (topic: string) => void;
}

/**
 * Looks whether a topic exists, and has a broker check an SQL expression: in a pull brokers take an expression that
 * they do not understand for none, and deliver everything. Source: PullMessageProcessor.
 *
 * @throws {InvalidTopicError} for a topic that no name server knows, unless the consumer waits for it
 * @throws {InvalidSelectorError} for an expression that the broker refuses, in the broker's words
 * @throws {UnsupportedError} if the broker has its property filter switched off
 * @throws {RocketMQError} for which {@linkcode isUnanswered} holds, if nobody could be asked
 */
export async function checkSubscription(
  context: SubscriptionCheckContext,
  topic: string,
  selector: Selector,
): Promise<void> {
  const { cluster, what = "consumer", waits, onMissing } = context;
  const asked = cluster.routes.get(topic);
  let route = await (waits ? asked.catch(unlessUnconfirmed) : asked);
  for (let again = 0; route === undefined && !waits && again < MORE_ASKS; again++) {
    await delay(ASK_INTERVAL);
    route = await cluster.routes.refresh(topic);
  }
  if (route === undefined) {
    if (!waits) throw missing(topic, what);
    onMissing(topic);
    route = await cluster.routes.get(AUTO_CREATE_TOPIC).catch(unlessUnconfirmed); // any broker understands SQL, or does not
  }
  if (selector.type === "SQL92") await checkSql(context, topic, selector, route);
}

async function checkSql(
  { brokers, group }: SubscriptionCheckContext,
  topic: string,
  selector: SqlSelector,
  route: TopicRoute | undefined,
): Promise<void> {
  const data = subscriptionData(topic, selector, Date.now());
  let failure: unknown = new BrokerNotAvailableError(`Cannot check SQL for topic "${topic}": no broker is known`, "");
  for (const broker of route?.brokers.keys() ?? []) {
    try {
      return await brokers.checkSubscription(broker, group, data);
    } catch (error) {
      if (error instanceof ResponseError && !isUnanswered(error)) throw refused(topic, selector, error);
      failure = error;
    }
  }
  throw failure;
}

/** Whether a check has failed because nobody could be asked: it may succeed later. */
export function isUnanswered(error: unknown): boolean {
  if (error instanceof ResponseError) return BUSY.includes(error.responseCode);
  return [NetworkError, TimeoutError, NameServerError, BrokerNotAvailableError].some((each) => error instanceof each);
}

function refused(topic: string, selector: SqlSelector, cause: ResponseError): Error {
  if (cause.responseCode === ResponseCode.SYSTEM_ERROR) {
    const text = `Cannot filter topic "${topic}" by SQL: ${
      excerpt(cause.remark)
    }; the broker needs enablePropertyFilter=true`;
    return new UnsupportedError(text, { cause });
  }
  const text = `Cannot filter topic "${topic}" by ${shown(selector.expression)}: ${excerpt(cause.remark)}`;
  return new InvalidSelectorError(text, selector.expression, { cause });
}

function missing(topic: string, what: string): InvalidTopicError {
  const owner = deadLetterOwner(topic);
  const why = owner === undefined
    ? "no name server knows it; create the topic or check its name,"
    : `no message of group "${owner}" is in its dead letter queue, which the first one creates; check the group,`;
  return new InvalidTopicError(
    `Cannot ${what === "reader" ? "read" : "consume"} topic "${topic}": ${why} or let the ${what} wait for it with ` +
      `missingTopic: "wait"`,
    topic,
  );
}
