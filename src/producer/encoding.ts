/**
 * From a user's message to what brokers store: checked, compressed, and with its properties as one text.
 *
 * @module
 */

import { type Problem, ValidationError } from "../errors.ts";
import { MessageSysFlag, PropertyName } from "../wire/codes.ts";
import { compress } from "../wire/compression.ts";
import type { UniqueKeys } from "../wire/message_id.ts";
import { LARGE_BODY_SIZE, packInBackground } from "../wire/pack.ts";
import { MAX_PROPERTIES_SIZE, propertyPair } from "../wire/properties.ts";
import { utf8Length } from "../wire/utf8.ts";
import { checkMessage, type ReportProblem, reportTo } from "./message_check.ts";
import type { OutgoingMessage } from "./outgoing.ts";

/** As Java's clients compress: a compromise between fast and small. Source: DefaultMQProducerImpl. */
const COMPRESSION_LEVEL = 5;

/** The properties of every message, before and after its unique key. */
const [BEFORE_KEY = "", BEHIND_KEY = ""] = `${propertyPair(PropertyName.UNIQUE_KEY, "|")}${
  propertyPair(PropertyName.WAIT, "true")
}`.split("|");

/** A message that is ready to be sent; the same in every attempt. */
export interface EncodedMessage {
  /** The topic. */
  readonly topic: string;
  /** The body as it is sent. */
  readonly body: Uint8Array;
  /** The user's flag. */
  readonly flag: number;
  /** States whether and how the body is compressed. */
  readonly sysFlag: number;
  /** All properties as one text. */
  readonly properties: string;
  /** How many bytes they have as UTF-8. */
  readonly propertiesSize: number;
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
  /** The largest body before compression, in bytes. */
  readonly maxMessageSize: number;
  /** From which size on a body is compressed, in bytes. */
  readonly compressAbove: number | false;
}

/** Encodes the messages of one producer. */
export class MessageEncoder {
  #uniqueKeys: UniqueKeys;
  #options: EncoderOptions;
  /** What is wrong with the message that is encoded by itself. */
  #problems: Problem[] = [];
  #report = reportTo(this.#problems);

  /** Makes an encoder that takes unique keys from a generator. */
  constructor(uniqueKeys: UniqueKeys, options: EncoderOptions) {
    this.#uniqueKeys = uniqueKeys;
    this.#options = options;
  }

  /**
   * Encodes one message, and compresses its body if that is to be compressed and gets smaller. A body that takes long
   * is left to {@linkcode MessageEncoder.compressLarge}.
   *
   * @throws {ValidationError} naming every problem
   */
  encode(message: OutgoingMessage, extras: Extras): EncodedMessage {
    this.#problems.length = 0;
    const encoded = this.#encode(message, extras, this.#problems, this.#report);
    if (this.#problems.length > 0) throw new ValidationError("send a message", [...this.#problems]);
    return this.#isToBeCompressed(encoded) && !this.isLarge(encoded)
      ? compressed(encoded, compress(encoded.body, "zlib", COMPRESSION_LEVEL))
      : encoded;
  }

  /** Whether a message's body is to be compressed, and that takes long. */
  isLarge(message: EncodedMessage): boolean {
    return message.body.length > LARGE_BODY_SIZE && this.#isToBeCompressed(message);
  }

  /** Compresses the body of such a message in the background; rejects with the signal's reason. */
  async compressLarge(message: EncodedMessage, signal: AbortSignal): Promise<EncodedMessage> {
    return compressed(message, await packInBackground(message.body, COMPRESSION_LEVEL, signal));
  }

  /**
   * Encodes one message of a batch, without compression; the result is valid only if no problem is added to the list.
   */
  encodePlain(message: OutgoingMessage, extras: Extras, problems: Problem[], report: ReportProblem): EncodedMessage {
    return this.#encode(message, extras, problems, report);
  }

  #encode(message: OutgoingMessage, extras: Extras, problems: Problem[], report: ReportProblem): EncodedMessage {
    const before = problems.length;
    const body = checkMessage(message, this.#options.maxMessageSize, report);
    const messageId = this.#uniqueKeys.next();
    if (problems.length > before) return { ...NOTHING, messageId };
    const { topic, flag = 0, tags } = message;
    // Users' own come first, RocketMQ's last: consumers look from the end on.
    const given = givenProperties(message, extras);
    const tag = tags === undefined ? "" : propertyPair(PropertyName.TAGS, tags);
    const own = BEFORE_KEY + messageId + BEHIND_KEY;
    const propertiesSize = utf8Length(given) + own.length + utf8Length(tag);
    if (propertiesSize > MAX_PROPERTIES_SIZE) {
      const allowed = `up to ${MAX_PROPERTIES_SIZE} bytes`;
      report("the size of all properties", propertiesSize, allowed);
    }
    return { topic, body, flag, sysFlag: 0, properties: given + own + tag, propertiesSize, messageId };
  }

  #isToBeCompressed({ body }: EncodedMessage): boolean {
    const { compressAbove } = this.#options;
    return compressAbove !== false && body.length >= compressAbove;
  }
}

/** The message with its body compressed, if that is smaller. */
function compressed(message: EncodedMessage, body: Uint8Array): EncodedMessage {
  if (body.length >= message.body.length) return message;
  return { ...message, body, sysFlag: MessageSysFlag.COMPRESSED | MessageSysFlag.COMPRESSION_ZLIB };
}

const NOTHING = { topic: "", body: new Uint8Array(0), flag: 0, sysFlag: 0, properties: "", propertiesSize: 0 };

/** The properties in which users' texts stand, without the tag; the message has been checked. */
function givenProperties({ properties, keys }: OutgoingMessage, { orderingKey, delayLevel }: Extras): string {
  let text = "";
  if (properties !== undefined) {
    for (const [name, value] of Object.entries(properties)) text += propertyPair(name, value);
  }
  if (orderingKey !== undefined) text += propertyPair(PropertyName.SHARDING_KEY, orderingKey);
  if (delayLevel !== undefined) text += propertyPair(PropertyName.DELAY, String(delayLevel));
  const key = typeof keys === "string" ? keys : keys?.join(" ") ?? "";
  return key === "" ? text : text + propertyPair(PropertyName.KEYS, key);
}
