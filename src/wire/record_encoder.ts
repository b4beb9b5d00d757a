/**
 * Writes stored messages, as brokers do.
 *
 * @module
 */

import { builtin } from "../builtin.ts";
import { ValidationError } from "../errors.ts";
import { MessageSysFlag } from "./codes.ts";
import { HOST_SIZE_V6, parseHost } from "./host.ts";
import { MAX_PROPERTIES_SIZE } from "./properties.ts";
import {
  At,
  bodyAt,
  CRC_MASK,
  MAGIC_V1,
  MAGIC_V2,
  MAX_TOPIC_SIZE_V1,
  reconsumeTimesAt,
  storeHostAt,
  storeTimestampAt,
  writeLong,
} from "./record_layout.ts";
import { utf8Length } from "./utf8.ts";

/** What a record is made from. */
export interface StoredRecordFields {
  /** The topic. */
  readonly topic: string;
  /** The queue's number. */
  readonly queueId: number;
  /** The offset in the queue. */
  readonly queueOffset: number;
  /** The position in the commit log, in bytes. */
  readonly commitLogOffset: number;
  /** The body as it is stored, packed if the system flag says so. */
  readonly body: Uint8Array;
  /** The properties as one text. */
  readonly properties: string;
  /** The user's flag. */
  readonly flag: number;
  /** The system flag; the bits of IPv6 hosts are set by the hosts. */
  readonly sysFlag: number;
  /** When the producer made it, in milliseconds since 1970. */
  readonly bornTimestamp: number;
  /** The producer as `host:port`, or the bytes that {@linkcode parseHost} made of it. */
  readonly bornHost: string | Uint8Array;
  /** When it was stored, in milliseconds since 1970. */
  readonly storeTimestamp: number;
  /** The broker as `host:port`, or the bytes that {@linkcode parseHost} made of it. */
  readonly storeHost: string | Uint8Array;
  /** How often it was retried before. */
  readonly reconsumeTimes: number;
  /** The position of the half message of a committed transaction. @default {0} */
  readonly preparedTransactionOffset?: number;
}

const encoder = new TextEncoder();

/**
 * Writes a record, as brokers store it, into one array of its size.
 *
 * @throws {ValidationError} if a host is not an IP address with a port, or topic or properties have more than 32 767
 *   bytes
 */
export function encodeRecord(fields: StoredRecordFields): Uint8Array {
  const { topic, body, properties } = fields;
  const bornHost = hostBytes(fields.bornHost);
  const storeHost = hostBytes(fields.storeHost);
  let sysFlag = fields.sysFlag & ~(MessageSysFlag.BORN_HOST_IPV6 | MessageSysFlag.STORE_HOST_IPV6);
  if (bornHost.length === HOST_SIZE_V6) sysFlag |= MessageSysFlag.BORN_HOST_IPV6;
  if (storeHost.length === HOST_SIZE_V6) sysFlag |= MessageSysFlag.STORE_HOST_IPV6;
  const topicLength = requireShort("the topic's size", utf8Length(topic));
  const propertiesLength = requireShort("the properties' size", utf8Length(properties));
  const isLong = topicLength > MAX_TOPIC_SIZE_V1;
  const bodyStart = bodyAt(sysFlag);
  const topicStart = bodyStart + body.length + (isLong ? 2 : 1);
  const propertiesStart = topicStart + topicLength + 2;

  const bytes = new Uint8Array(propertiesStart + propertiesLength);
  const view = new DataView(bytes.buffer);
  view.setInt32(At.SIZE, bytes.length);
  view.setInt32(At.MAGIC, isLong ? MAGIC_V2 : MAGIC_V1);
  view.setInt32(At.BODY_CRC, builtin("node:zlib").crc32(body) & CRC_MASK);
  view.setInt32(At.QUEUE_ID, fields.queueId);
  view.setInt32(At.FLAG, fields.flag);
  writeLong(view, At.QUEUE_OFFSET, fields.queueOffset);
  writeLong(view, At.COMMIT_LOG_OFFSET, fields.commitLogOffset);
  view.setInt32(At.SYS_FLAG, sysFlag);
  writeLong(view, At.BORN_TIMESTAMP, fields.bornTimestamp);
  bytes.set(bornHost, At.BORN_HOST);
  writeLong(view, storeTimestampAt(sysFlag), fields.storeTimestamp);
  bytes.set(storeHost, storeHostAt(sysFlag));
  view.setInt32(reconsumeTimesAt(sysFlag), fields.reconsumeTimes);
  writeLong(view, reconsumeTimesAt(sysFlag) + 4, fields.preparedTransactionOffset ?? 0);
  view.setInt32(bodyStart - 4, body.length);
  bytes.set(body, bodyStart);
  if (isLong) view.setInt16(topicStart - 2, topicLength);
  else view.setInt8(topicStart - 1, topicLength);
  encoder.encodeInto(topic, bytes.subarray(topicStart));
  view.setInt16(propertiesStart - 2, propertiesLength);
  encoder.encodeInto(properties, bytes.subarray(propertiesStart));
  return bytes;
}

function hostBytes(host: string | Uint8Array): Uint8Array {
  return typeof host === "string" ? parseHost(host) : host;
}

function requireShort(field: string, size: number): number {
  if (size <= MAX_PROPERTIES_SIZE) return size;
  throw new ValidationError("encode a record", [{
    field,
    value: size,
    allowed: `up to ${MAX_PROPERTIES_SIZE} bytes`,
  }]);
}
