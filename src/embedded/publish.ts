/**
 * Messages that a program stores in its embedded broker without a producer.
 *
 * @module
 */

import { type Problem, RocketMQError, ValidationError } from "../errors.ts";
import { PropertyName } from "../wire/codes.ts";
import { encodeProperties } from "../wire/properties.ts";
import type { Parts } from "./parts.ts";
import type { NewMessage } from "./store.ts";
import type { TopicConfig } from "./topics.ts";

/**
 * A message for {@linkcode EmbeddedBroker.publish}.
 *
 * @category Test
 */
export interface PublishedMessage {
  /** The body; a string is stored as UTF-8. */
  readonly body: string | Uint8Array;
  /** The tag. */
  readonly tags?: string;
  /** The index keys. */
  readonly keys?: readonly string[];
  /** Further properties by name; `DELAY` is the delay level. */
  readonly properties?: Readonly<Record<string, string>>;
}

/**
 * Options of {@linkcode EmbeddedBroker.publish}.
 *
 * @category Test
 */
export interface PublishOptions {
  /**
   * The queue of all messages.
   *
   * @default the queues of the topic take turns
   */
  queueId?: number;
}

const encoder = new TextEncoder();

/** Checks messages, then converts them one by one; `turn` is the queue of the first one. */
export function toMessages(
  parts: Parts,
  topic: TopicConfig,
  messages: readonly (string | Uint8Array | PublishedMessage)[],
  options: PublishOptions,
  turn: number,
): Iterable<NewMessage> {
  const { queueId } = options;
  const queues = topic.writeQueues;
  if (queueId !== undefined && !(Number.isInteger(queueId) && queueId >= 0 && queueId < queues)) {
    throw invalid({
      field: "queueId",
      value: queueId,
      allowed: `a queue of topic "${topic.name}": 0 to ${queues - 1}`,
    });
  }
  for (const message of messages) {
    checkBody(message, parts.options.maxMessageSize);
    if (typeof message === "object" && !(message instanceof Uint8Array)) encodeProperties(givenProperties(message));
  }
  return convert(parts, topic.name, messages, (i) => queueId ?? (turn + i) % queues);
}

function checkBody(message: string | Uint8Array | PublishedMessage, maxSize: number): void {
  const value: unknown = typeof message === "string" || message instanceof Uint8Array ? message : message?.body;
  const isBody = typeof value === "string" || value instanceof Uint8Array;
  const size = isBody ? sizeOf(value, maxSize) : 0;
  if (size >= 1 && size <= maxSize) return;
  throw invalid({ field: "body", value, allowed: `a string or bytes, 1 to ${maxSize} bytes` });
}

/** The size of a body. A string that is certainly small enough is not encoded. */
function sizeOf(body: string | Uint8Array, maxSize: number): number {
  if (typeof body !== "string" || body.length * 3 <= maxSize) return body.length;
  return encoder.encode(body).length;
}

function* convert(
  parts: Parts,
  topic: string,
  messages: readonly (string | Uint8Array | PublishedMessage)[],
  queueOf: (index: number) => number,
): Generator<NewMessage> {
  for (const [i, given] of messages.entries()) {
    const message = typeof given === "string" || given instanceof Uint8Array ? { body: given } : given;
    yield {
      topic,
      queueId: queueOf(i),
      flag: 0,
      sysFlag: 0,
      bornAt: Date.now(),
      bornHost: parts.store.storeHost,
      reconsumeTimes: 0,
      body: typeof message.body === "string" ? encoder.encode(message.body) : message.body,
      properties: propertiesOf(parts, message),
    };
  }
}

function givenProperties(message: PublishedMessage): Map<string, string> {
  const properties = new Map(message.properties === undefined ? [] : Object.entries(message.properties));
  if (message.tags !== undefined) properties.set(PropertyName.TAGS, message.tags);
  if (message.keys !== undefined) properties.set(PropertyName.KEYS, message.keys.join(" "));
  return properties;
}

function propertiesOf(parts: Parts, message: PublishedMessage): Map<string, string> {
  const properties = givenProperties(message);
  if (!properties.has(PropertyName.UNIQUE_KEY)) properties.set(PropertyName.UNIQUE_KEY, parts.uniqueKeys.next());
  return properties.set(PropertyName.CLUSTER, parts.options.clusterName);
}

/** How many messages are stored before held pulls are answered. */
const CHUNK_SIZE = 1_024;

/** Stores messages, or delays them. */
export function publishAll(parts: Parts, messages: Iterable<NewMessage>): void {
  let chunk: NewMessage[] = [];
  for (const message of messages) {
    const waiting = parts.delays.take(message);
    if (waiting === "full" || waiting === "illegal") {
      parts.put(chunk);
      throw new RocketMQError(`Cannot publish all messages: a delay is ${waiting}`, { code: "DELAY_REFUSED" });
    }
    if (waiting === "now" && chunk.push(message) === CHUNK_SIZE) {
      parts.put(chunk);
      chunk = [];
    }
  }
  parts.put(chunk);
}

function invalid(problem: Problem): ValidationError {
  return new ValidationError("publish to an embedded broker", [problem]);
}
