/**
 * Messages as views on the bytes in which they arrived.
 *
 * @module
 */

import { builtin } from "../builtin.ts";
import { MessageFormatError } from "../errors.ts";
import type { Message, MessageQueue } from "../message.ts";
import { MessageSysFlag, PropertyName } from "./codes.ts";
import { decompress } from "./compression.ts";
import { encodedName } from "./encoded_name.ts";
import { formatHost } from "./host.ts";
import { hexOf } from "./message_id.ts";
import { findProperty, parseProperties } from "./properties.ts";
import {
  At,
  bodyAt,
  CRC_MASK,
  MAGIC_V2,
  readLong,
  reconsumeTimesAt,
  storeHostAt,
  storeHostSize,
  storeTimestampAt,
} from "./record_layout.ts";
import type { RecordSource } from "./record_source.ts";
import { isLargePacked, unpackInBackground } from "./unpack.ts";
import { UnpackedAhead } from "./unpacked_ahead.ts";
import { decodeUtf8, readable } from "./utf8.ts";

/** The most bytes to which a body may unpack: 64 MiB. A few kilobytes could claim a thousand times their size. */
export const MAX_BODY_SIZE: number = 64 * 1024 * 1024;

const BYTE_ORDER_MARK = 0xfeff;

const TAGS = encodedName(PropertyName.TAGS);
const KEYS = encodedName(PropertyName.KEYS);
const UNIQUE_KEY = encodedName(PropertyName.UNIQUE_KEY);
const RETRY_TOPIC = encodedName(PropertyName.RETRY_TOPIC);

const NO_KEYS: readonly string[] = Object.freeze([]);

/** A message as a view on its record. Every length in the record must be known to be right. */
export class StoredMessage<T = unknown> implements Message<T> {
  /** Its offset in its queue. */
  readonly queueOffset: number;
  /** How often it was requeued locally after a failure, which no broker counts. */
  retriedHere: number;
  readonly #source: RecordSource;
  /** Where the record begins. */
  readonly #start: number;
  /** Where its entry of an inner batch begins, else the same. */
  readonly #entry: number;
  readonly #bodyStart: number;
  /** Where the properties begin, behind their length. */
  readonly #propertiesStart: number;
  #unpacked: Uint8Array | UnpackedAhead | undefined;
  #properties: ReadonlyMap<string, string> | undefined;

  /** Makes a view; callers use {@linkcode decodeRecords}, which checks the positions. */
  constructor(
    source: RecordSource,
    start: number,
    entry: number,
    bodyStart: number,
    propertiesStart: number,
    queueOffset: number,
  ) {
    this.queueOffset = queueOffset;
    this.retriedHere = 0;
    this.#source = source;
    this.#start = start;
    this.#entry = entry;
    this.#bodyStart = bodyStart;
    this.#propertiesStart = propertiesStart;
    this.#unpacked = undefined;
    this.#properties = undefined;
  }

  /** The queue that it was pulled from. */
  get queue(): MessageQueue {
    const { queue } = this.#source;
    return queue.queueId < 0 ? { ...queue, queueId: this.storedQueueId } : queue;
  }

  /** The topic that it was sent to; also after a retry, when `queue.topic` is the retry topic. */
  get topic(): string {
    const { topic, queue, reader } = this.#source;
    if (topic !== undefined) return topic;
    const written = this.#find(RETRY_TOPIC) ?? queue.topic;
    return reader === undefined ? written : reader.topicOf(written);
  }

  /** The topic in the record itself: in a retry queue, the retry topic. */
  get storedTopic(): string {
    const { buffer, view } = this.#source;
    const outerBody = this.#start + bodyAt(this.sysFlag);
    const end = outerBody + view.getInt32(outerBody - 4);
    const isLong = view.getInt32(this.#start + At.MAGIC) === MAGIC_V2;
    const length = isLong ? view.getInt16(end) : view.getInt8(end);
    const start = end + (isLong ? 2 : 1);
    return decodeUtf8(buffer, start, start + length);
  }

  /** The queue number in the record itself. */
  get storedQueueId(): number {
    return this.#int(At.QUEUE_ID);
  }

  /** The tag, if it has one. */
  get tags(): string | undefined {
    return this.#find(TAGS);
  }

  /** The index keys; empty without any. */
  get keys(): readonly string[] {
    return this.#find(KEYS)?.split(" ").filter((key) => key !== "") ?? NO_KEYS;
  }

  /** The unique id that its producer gave it, else its offset id; the same in every retry. */
  get messageId(): string {
    return this.#find(UNIQUE_KEY) ?? this.offsetMessageId;
  }

  /** Where it is stored: store host and commit log offset. The messages of an inner batch share theirs. */
  get offsetMessageId(): string {
    const { bytes } = this.#source;
    const { sysFlag } = this;
    const host = this.#start + storeHostAt(sysFlag);
    const offset = this.#start + At.COMMIT_LOG_OFFSET;
    return hexOf(bytes, host, host + storeHostSize(sysFlag)) + hexOf(bytes, offset, offset + 8);
  }

  /** Its position in the broker's commit log, in bytes. */
  get commitLogOffset(): number {
    return readLong(this.#source.view, this.#start + At.COMMIT_LOG_OFFSET);
  }

  /** The position of the half message that a committed transaction began with, in bytes; 0 for other messages. */
  get preparedTransactionOffset(): number {
    return readLong(this.#source.view, this.#start + reconsumeTimesAt(this.sysFlag) + 4);
  }

  /** When its producer made it, by the producer's clock. */
  get bornAt(): Date {
    return new Date(readLong(this.#source.view, this.#start + At.BORN_TIMESTAMP));
  }

  /** When the broker stored it, by the broker's clock. */
  get storedAt(): Date {
    return new Date(readLong(this.#source.view, this.#start + storeTimestampAt(this.sysFlag)));
  }

  /** The producer's `host:port`, as the broker saw it. */
  get bornHost(): string {
    const start = this.#start + At.BORN_HOST;
    return formatHost(this.#source.bytes, start, this.#start + storeTimestampAt(this.sysFlag));
  }

  /** The `host:port` of the broker that stored it. */
  get storeHost(): string {
    const { sysFlag } = this;
    const start = this.#start + storeHostAt(sysFlag);
    return formatHost(this.#source.bytes, start, start + storeHostSize(sysFlag));
  }

  /** How often it was retried, by a broker or locally, before: 0 at the first delivery to its group. */
  get reconsumeTimes(): number {
    const { topic, reader } = this.#source;
    const isForeign = reader !== undefined && topic !== undefined;
    return (isForeign ? 0 : this.storedReconsumeTimes) + this.retriedHere;
  }

  /** The number of retries in the record itself, of whatever group. */
  get storedReconsumeTimes(): number {
    return this.#int(reconsumeTimesAt(this.sysFlag));
  }

  /** The user's flag. */
  get flag(): number {
    // An entry of an inner batch has its own, nearer to its beginning.
    return this.#isInner() ? this.#source.view.getInt32(this.#entry + 12) : this.#int(At.FLAG);
  }

  /** RocketMQ's system flag, as stored: compression, transaction state, address kinds. */
  get sysFlag(): number {
    return this.#int(At.SYS_FLAG);
  }

  /** The size of the whole record, in bytes; of a message of an inner batch, that of its entry. */
  get size(): number {
    return this.#source.view.getInt32(this.#entry);
  }

  /** How much it holds in memory, in bytes: its record, and the body that {@linkcode StoredMessage.unpack} has made. */
  get heldSize(): number {
    const { size } = this;
    const unpacked = this.#unpacked;
    if (unpacked === undefined) return size; // nearly always, and faster to see
    return unpacked instanceof UnpackedAhead ? size + unpacked.size : size;
  }

  /**
   * The body, unpacked at the first call. A view on the received bytes if it was not packed.
   *
   * @throws {NetworkError} `MALFORMED_FRAME` if it cannot be unpacked, or to more than {@linkcode MAX_BODY_SIZE} bytes
   * @throws {UnsupportedError} if it is packed in a way that this runtime or this package does not know
   */
  get body(): Uint8Array {
    if (!this.#isPacked()) return this.storedBody;
    const unpacked = this.#unpacked ??= decompress(this.storedBody, this.sysFlag, MAX_BODY_SIZE);
    return unpacked instanceof UnpackedAhead ? unpacked.body : unpacked;
  }

  /** Whether the body is one to {@linkcode StoredMessage.unpack}: to do that when it is asked for would take long. */
  get isLargePacked(): boolean {
    return this.#isPacked() && this.#unpacked === undefined && isLargePacked(this.storedBody, this.sysFlag);
  }

  /**
   * Unpacks the body in the background, before it is asked for. If that is not possible, {@linkcode StoredMessage.body}
   * throws the reason.
   *
   * @param signal ends the work: rejects with its reason, and `body` unpacks when it is asked for
   */
  async unpack(signal?: AbortSignal): Promise<void> {
    try {
      this.#unpacked = new UnpackedAhead(
        await unpackInBackground(this.storedBody, this.sysFlag, { maxSize: MAX_BODY_SIZE, signal }),
      );
    } catch (error) {
      signal?.throwIfAborted();
      this.#unpacked = new UnpackedAhead(undefined, error);
    }
  }

  /** The whole record as it is stored: a view on the received bytes. */
  get record(): Uint8Array {
    const start = this.#start;
    return this.#source.bytes.subarray(start, start + this.#source.view.getInt32(start));
  }

  /** The body as it is stored, packed or not: a view on the received bytes. */
  get storedBody(): Uint8Array {
    const start = this.#bodyStart;
    return this.#source.bytes.subarray(start, start + this.#source.view.getInt32(start - 4));
  }

  /** All properties by name, RocketMQ's own included. Parsed at the first call. */
  get properties(): ReadonlyMap<string, string> {
    return this.#properties ??= parseProperties(
      decodeUtf8(this.#source.buffer, this.#propertiesStart, this.#propertiesEnd()),
    );
  }

  /** One property, without parsing the others. */
  property(name: string): string | undefined {
    return this.#properties === undefined ? this.#find(encodedName(name)) : this.#properties.get(name);
  }

  /** The body as UTF-8 text, without a byte order mark in front. */
  text(): string {
    const text = this.#isPacked() ? allOf(this.body) : this.#storedText();
    return text.charCodeAt(0) === BYTE_ORDER_MARK ? text.slice(1) : text;
  }

  /**
   * The body as JSON.
   *
   * @throws {MessageFormatError} with the message's place, if it is none
   */
  json<J = T>(): J {
    const text = this.text();
    try {
      return JSON.parse(text);
    } catch (cause) {
      throw new MessageFormatError("JSON", this, cause);
    }
  }

  /**
   * Whether the body is the one that its checksum was computed from.
   *
   * Messages of an inner batch usually have none, and pass.
   */
  checksumValid(): boolean {
    const expected = this.#source.view.getInt32(this.#entry + At.BODY_CRC);
    if (expected === 0 && this.#isInner()) return true;
    return (builtin("node:zlib").crc32(this.storedBody) & CRC_MASK) === (expected & CRC_MASK);
  }

  /** What `console.log` shows. */
  [Symbol.for("nodejs.util.inspect.custom")](): string {
    const { topic, broker, queueId } = this.queue;
    return `StoredMessage(${this.messageId} at ${topic}@${broker}@${queueId}:${this.queueOffset}, ${this.size} bytes)`;
  }

  #isPacked(): boolean {
    return (this.sysFlag & MessageSysFlag.COMPRESSED) !== 0;
  }

  /** The body as text, without a view on it. */
  #storedText(): string {
    const start = this.#bodyStart;
    return decodeUtf8(this.#source.buffer, start, start + this.#source.view.getInt32(start - 4));
  }

  #isInner(): boolean {
    return this.#entry !== this.#start;
  }

  #propertiesEnd(): number {
    return this.#propertiesStart + this.#source.view.getInt16(this.#propertiesStart - 2);
  }

  #int(offset: number): number {
    return this.#source.view.getInt32(this.#start + offset);
  }

  #find(name: Uint8Array): string | undefined {
    return findProperty(this.#source.buffer, this.#propertiesStart, this.#propertiesEnd(), name);
  }
}

function allOf(bytes: Uint8Array): string {
  return decodeUtf8(readable(bytes), 0, bytes.length);
}
