/**
 * What users hold in their hands: a message, and the queue it came from.
 *
 * @module
 */

/**
 * One queue of a topic on one broker: the unit of order, of assignment and of offsets.
 *
 * @category Consume
 */
export interface MessageQueue {
  /** The topic as the broker knows it; a retry queue's is `%RETRY%group`. */
  readonly topic: string;
  /** The broker's name (of the master and its slaves together). */
  readonly broker: string;
  /** The queue's number on that broker, from 0. */
  readonly queueId: number;
}

/**
 * A text that names a queue uniquely, usable as a map key.
 *
 * @category Consume
 */
export function queueKey(queue: MessageQueue): string {
  return `${queue.topic}@${queue.broker}@${queue.queueId}`;
}

/** Compares two queues as every client of a group must: by topic, broker name, then queue number. */
export function compareQueues(a: MessageQueue, b: MessageQueue): number {
  if (a.topic !== b.topic) return a.topic < b.topic ? -1 : 1;
  if (a.broker !== b.broker) return a.broker < b.broker ? -1 : 1;
  return a.queueId - b.queueId;
}

/**
 * A message as a broker stored it.
 *
 * It is a view: properties are parsed and a compressed body is unpacked when first asked for, and the message keeps
 * the frame that it arrived in alive. `T` is what `json()` gives by default.
 *
 * @category Consume
 */
export interface Message<T = unknown> {
  /**
   * The topic that it was sent to; also after a retry, when `queue.topic` is the retry topic. In a dead letter queue it
   * is that queue's, and the property `RETRY_TOPIC` names the one before.
   */
  readonly topic: string;
  /** The tag, if it has one. */
  readonly tags: string | undefined;
  /** The index keys; empty without any. */
  readonly keys: readonly string[];
  /** The body, unpacked. A view on the received frame: keep `message.body.slice()` if you keep it long. */
  readonly body: Uint8Array;
  /** The unique id that its producer gave it, else its offset id; the same in every retry. */
  readonly messageId: string;
  /** Where it is stored: store host and commit log offset in hexadecimal. Another one in every retry. */
  readonly offsetMessageId: string;
  /** The queue that it was pulled from. */
  readonly queue: MessageQueue;
  /** Its offset in that queue. */
  readonly queueOffset: number;
  /** Its position in the broker's commit log, in bytes. */
  readonly commitLogOffset: number;
  /** When its producer made it, by the producer's clock. */
  readonly bornAt: Date;
  /** When the broker stored it, by the broker's clock. */
  readonly storedAt: Date;
  /** The producer's `host:port`, as the broker saw it. */
  readonly bornHost: string;
  /** The `host:port` of the broker that stored it. */
  readonly storeHost: string;
  /** How often it was sent back, or put back after a failure, before: 0 at the first delivery to its group. */
  readonly reconsumeTimes: number;
  /** The user's flag. */
  readonly flag: number;
  /** RocketMQ's system flag: compression, transaction state, address kinds. */
  readonly sysFlag: number;
  /** The size of the whole stored record, in bytes. */
  readonly size: number;
  /** All properties by name, RocketMQ's own included. Parsed at the first call. */
  readonly properties: ReadonlyMap<string, string>;
  /** One property, without parsing the others. */
  property(name: string): string | undefined;
  /** The body as UTF-8 text. */
  text(): string;
  /**
   * The body as JSON.
   *
   * @throws {MessageFormatError} with the message's place, if it is none
   */
  json<J = T>(): J;
}
