/**
 * Errors of messages.
 *
 * @module
 */

import { type MessageQueue, queueKey } from "../message.ts";
import { excerpt, reasonOf } from "../plain_text.ts";
import { RocketMQError } from "./base.ts";

/**
 * The body of a message is not what it was read as; `cause` says why. It will not be another time: dead-letter it.
 *
 * @category Errors
 */
export class MessageFormatError extends RocketMQError {
  /** The class's name, also after bundling. */
  override name = "MessageFormatError";
  /** The message's id. */
  readonly messageId: string;
  /** The message's topic: that of a retried message, too. */
  readonly topic: string;
  /** The queue that the message is in. */
  readonly queue: MessageQueue;
  /** Its offset in the queue. */
  readonly queueOffset: number;

  /** Makes the error; `format` is what the message was read as: `"JSON"`. */
  constructor(
    format: string,
    message: {
      readonly messageId: string;
      readonly topic: string;
      readonly queue: MessageQueue;
      readonly queueOffset: number;
    },
    cause: unknown,
  ) {
    const { messageId, topic, queue, queueOffset } = message;
    super(
      `Cannot read message ${excerpt(messageId)} of topic "${
        excerpt(topic)
      }" as ${format}, at offset ${queueOffset} of ` +
        `${queueKey(queue)}: ${excerpt(reasonOf(cause))}`,
      { code: "MESSAGE_FORMAT", cause },
    );
    this.messageId = messageId;
    this.topic = topic;
    this.queue = queue;
    this.queueOffset = queueOffset;
  }
}
