/**
 * Messages that a program puts into its embedded broker, without a producer.
 *
 * @module
 */

import { type Problem, ValidationError } from "../errors.ts";
import { PropertyName } from "../wire/codes.ts";
import type { Parts } from "./parts.ts";
import type { NewMessage } from "./store.ts";
import type { TopicConfig } from "./topics.ts";

/** A message for {@linkcode EmbeddedBroker.publish}. */
export interface PublishedMessage {
  /** The body; a text is stored as UTF-8. */
  readonly body: string | Uint8Array;
  /** The tag. */
  readonly tags?: string;
  /** The index keys. */
  readonly keys?: readonly string[];
  /** Further properties by name; `DELAY` is the delay level. */
  readonly properties?: Readonly<Record<string, string>>;
}

/** Options of {@linkcode EmbeddedBroker.publish}. */
export interface PublishOptions {
  /**
   * The queue that all messages go to.
   *
   * @default the queues of the topic in turn
   */
  queueId?: number;
}

const encoder = new TextEncoder();

/** Turns messages into what is stored; `turn` is the queue of the first one, if none is given. */
export function toMessages(
  parts: Parts,
  topic: TopicConfig,
  messages: Iterable<string | Uint8Array | PublishedMessage>,
  options: PublishOptions,
  turn: number,
): NewMessage[] {
  const { queueId } = options;
  const queues = topic.writeQueues;
  if (queueId !== undefined && !(Number.isInteger(queueId) && queueId >= 0 && queueId < queues)) {
    throw invalid({
      field: "queueId",
      value: queueId,
      allowed: `a queue of topic "${topic.name}": 0 to ${queues - 1}`,
    });
  }
  return Array.from(messages, (message, i) => toMessage(parts, topic.name, queueId ?? (turn + i) % queues, message));
}

function toMessage(
  parts: Parts,
  topic: string,
  queueId: number,
  given: string | Uint8Array | PublishedMessage,
): NewMessage {
  const message = typeof given === "string" || given instanceof Uint8Array ? { body: given } : given;
  const body = typeof message.body === "string" ? encoder.encode(message.body) : message.body;
  const { maxMessageSize, clusterName } = parts.options;
  if (!(body instanceof Uint8Array) || body.length === 0 || body.length > maxMessageSize) {
    throw invalid({ field: "body", value: message.body, allowed: `a text or bytes, 1 to ${maxMessageSize} bytes` });
  }
  const properties = new Map(Object.entries(message.properties ?? {}));
  if (message.tags !== undefined) properties.set(PropertyName.TAGS, message.tags);
  if (message.keys !== undefined) properties.set(PropertyName.KEYS, message.keys.join(" "));
  if (!properties.has(PropertyName.UNIQUE_KEY)) properties.set(PropertyName.UNIQUE_KEY, parts.uniqueKeys.next());
  properties.set(PropertyName.CLUSTER, clusterName);
  return {
    topic,
    queueId,
    flag: 0,
    sysFlag: 0,
    bornAt: Date.now(),
    bornHost: parts.store.storeHost,
    reconsumeTimes: 0,
    body,
    properties,
  };
}

function invalid(problem: Problem): ValidationError {
  return new ValidationError("publish to an embedded broker", [problem]);
}
