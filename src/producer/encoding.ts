/**
 * From a message as users give it to what brokers store: checked, packed, and with its properties as one text.
 *
 * @module
 */

import { type Problem, ValidationError } from "../errors.ts";
import { MessageSysFlag, PropertyName } from "../wire/codes.ts";
import { compress } from "../wire/compression.ts";
import type { UniqueKeys } from "../wire/message_id.ts";
import { encodeProperties } from "../wire/properties.ts";
import { checkMessage, complainTo } from "./message_check.ts";
import type { OutgoingMessage } from "./outgoing.ts";

/** As Java's clients pack: a middle between fast and small. Source: DefaultMQProducerImpl. */
const COMPRESSION_LEVEL = 5;

/** A message that is ready to be sent; the same in every attempt. */
export interface EncodedMessage {
  /** The topic. */
  readonly topic: string;
  /** The body as it is sent. */
  readonly body: Uint8Array;
  /** The user's flag. */
  readonly flag: number;
  /** Tells whether and how the body is packed. */
  readonly sysFlag: number;
  /** All properties as one text. */
  readonly properties: string;
  /** The unique key, which is among the properties. */
  readonly messageId: string;
}

/** What the options of a send add to a message. */
export interface Extras {
  /** The key whose messages share a queue. */
  readonly orderingKey?: string | undefined;
  /** After which of the broker's delays consumers get the message. */
  readonly delayLevel?: number | undefined;
}

/** What an encoder needs of the producer's options. */
export interface EncoderOptions {
  /** The largest body before packing, in bytes. */
  readonly maxMessageSize: number;
  /** From which size on a body is packed, in bytes. */
  readonly compressAbove: number | false;
}

/** Encodes the messages of one producer. */
export class MessageEncoder {
  #uniqueKeys: UniqueKeys;
  #options: EncoderOptions;

  /** Makes an encoder that takes unique keys from a generator. */
  constructor(uniqueKeys: UniqueKeys, options: EncoderOptions) {
    this.#uniqueKeys = uniqueKeys;
    this.#options = options;
  }

  /**
   * Encodes one message, packing its body if it is large and gets smaller by it.
   *
   * @throws {ValidationError} naming every problem
   */
  encode(message: OutgoingMessage, extras: Extras): EncodedMessage {
    const problems: Problem[] = [];
    const encoded = this.#encode(message, extras, problems);
    if (problems.length > 0) throw new ValidationError("send a message", problems);
    return this.#pack(encoded);
  }

  /** Encodes one message of a batch, without packing; what is of use only if it leaves no problem in the list. */
  encodePlain(message: OutgoingMessage, extras: Extras, problems: Problem[], prefix: string): EncodedMessage {
    return this.#encode(message, extras, problems, prefix);
  }

  #encode(message: OutgoingMessage, extras: Extras, problems: Problem[], prefix = ""): EncodedMessage {
    const before = problems.length;
    const body = checkMessage(message, this.#options.maxMessageSize, complainTo(problems, prefix));
    const messageId = this.#uniqueKeys.next();
    const properties = problems.length > before ? "" : propertiesText(message, extras, messageId, problems, prefix);
    return { topic: message?.topic, body, flag: message?.flag ?? 0, sysFlag: 0, properties, messageId };
  }

  #pack(message: EncodedMessage): EncodedMessage {
    const { compressAbove } = this.#options;
    if (compressAbove === false || message.body.length < compressAbove) return message;
    const body = compress(message.body, "zlib", COMPRESSION_LEVEL);
    if (body.length >= message.body.length) return message;
    return { ...message, body, sysFlag: MessageSysFlag.COMPRESSED | MessageSysFlag.COMPRESSION_ZLIB };
  }
}

function propertiesText(
  message: OutgoingMessage,
  extras: Extras,
  messageId: string,
  problems: Problem[],
  prefix: string,
): string {
  const { tags, keys } = message;
  const { orderingKey, delayLevel } = extras;
  // RocketMQ's own come last: consumers look from the end on.
  const entries = Object.entries(message.properties ?? {});
  if (orderingKey !== undefined) entries.push([PropertyName.SHARDING_KEY, orderingKey]);
  if (delayLevel !== undefined) entries.push([PropertyName.DELAY, String(delayLevel)]);
  if (keys !== undefined) entries.push([PropertyName.KEYS, typeof keys === "string" ? keys : keys.join(" ")]);
  entries.push([PropertyName.UNIQUE_KEY, messageId], [PropertyName.WAIT, "true"]);
  if (tags !== undefined) entries.push([PropertyName.TAGS, tags]);
  try {
    return encodeProperties(entries);
  } catch (error) {
    if (!(error instanceof ValidationError)) throw error;
    for (const problem of error.problems) problems.push({ ...problem, field: `${prefix}${problem.field}` });
    return "";
  }
}
