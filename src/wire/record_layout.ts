/**
 * Where the parts of a stored message stand.
 *
 * | offset | size | meaning |
 * |---|---|---|
 * | 0 | 4 | size of the whole record |
 * | 4 | 4 | magic number: version 1 or 2 |
 * | 8 | 4 | CRC-32 of the body as stored, without its highest bit |
 * | 12 | 4 | queue id |
 * | 16 | 4 | flag |
 * | 20 | 8 | queue offset |
 * | 28 | 8 | commit log offset |
 * | 36 | 4 | system flag |
 * | 40 | 8 | born timestamp |
 * | 48 | 8 or 20 | born host |
 * | then | 8 | store timestamp |
 * | then | 8 or 20 | store host |
 * | then | 4 | reconsume times |
 * | then | 8 | commit log offset of the half message of a transaction |
 * | then | 4 + n | body |
 * | then | 1 + n | topic; in version 2, for topics of more than 127 bytes, 2 + n |
 * | then | 2 + n | properties |
 *
 * Sources: MessageDecoder, MessageExtEncoder.
 *
 * @module
 */

import { MessageSysFlag } from "./codes.ts";
import { HOST_SIZE_V4, HOST_SIZE_V6 } from "./host.ts";

/** The magic number of version 1, as a signed int32. */
export const MAGIC_V1: number = 0xdaa320a7 | 0;
/** The magic number of version 2, as a signed int32: the topic's length has two bytes. */
export const MAGIC_V2: number = 0xdaa320ab | 0;

/** The longest topic of version 1, in bytes. */
export const MAX_TOPIC_SIZE_V1 = 127;

/** The size of a record with IPv4 hosts and nothing in it. */
export const MIN_RECORD_SIZE = 91;

/** The bits of a CRC-32 that records keep. */
export const CRC_MASK = 0x7fffffff;

/** An int64 whose upper half is not above this is below 2^53 and not negative. */
export const SAFE_UPPER_HALF = 0x1fffff;

/** The parts that stand at a fixed offset. */
export const At = {
  SIZE: 0,
  MAGIC: 4,
  BODY_CRC: 8,
  QUEUE_ID: 12,
  FLAG: 16,
  QUEUE_OFFSET: 20,
  COMMIT_LOG_OFFSET: 28,
  SYS_FLAG: 36,
  BORN_TIMESTAMP: 40,
  BORN_HOST: 48,
} as const;

/** The size of the born host. */
export function bornHostSize(sysFlag: number): number {
  return (sysFlag & MessageSysFlag.BORN_HOST_IPV6) === 0 ? HOST_SIZE_V4 : HOST_SIZE_V6;
}

/** The size of the store host. */
export function storeHostSize(sysFlag: number): number {
  return (sysFlag & MessageSysFlag.STORE_HOST_IPV6) === 0 ? HOST_SIZE_V4 : HOST_SIZE_V6;
}

/** The offset of the store timestamp. */
export function storeTimestampAt(sysFlag: number): number {
  return At.BORN_HOST + bornHostSize(sysFlag);
}

/** The offset of the store host. */
export function storeHostAt(sysFlag: number): number {
  return storeTimestampAt(sysFlag) + 8;
}

/** The offset of the reconsume times; the half message's offset follows, then the body's length. */
export function reconsumeTimesAt(sysFlag: number): number {
  return storeHostAt(sysFlag) + storeHostSize(sysFlag);
}

/** The offset of the body's first byte, behind its length. */
export function bodyAt(sysFlag: number): number {
  return reconsumeTimesAt(sysFlag) + 16;
}

/** Reads an int64; what is beyond 2^53 comes out inexact. */
export function readLong(view: DataView, at: number): number {
  return view.getInt32(at) * 0x100000000 + view.getUint32(at + 4);
}

/** Reads an int64 that is from 0 to 2^53 - 1; undefined for any other. */
export function readSafeLong(view: DataView, at: number): number | undefined {
  return view.getUint32(at) > SAFE_UPPER_HALF ? undefined : readLong(view, at);
}

/** Writes an int64. */
export function writeLong(view: DataView, at: number, value: number): void {
  view.setInt32(at, Math.floor(value / 0x100000000));
  view.setUint32(at + 4, value);
}
