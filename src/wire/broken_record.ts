/**
 * Records that cannot be read.
 *
 * @module
 */

import { NetworkError } from "../errors.ts";
import { formatHost } from "./host.ts";
import { At, readSafeLong, storeHostAt, storeHostSize } from "./record_layout.ts";
import type { RecordSource } from "./record_source.ts";

/**
 * A record that does not fit together inside, or not into the answer that it came with. Its fields are what could be
 * read: claims, of which no position may be made.
 */
export interface BrokenRecord {
  /** The number of its queue. */
  readonly queueId: number;
  /** Its offset in the queue. */
  readonly queueOffset: number | undefined;
  /** Its position in the broker's commit log, in bytes. */
  readonly commitLogOffset: number | undefined;
  /** The `host:port` of the broker that stored it. */
  readonly storeHost: string | undefined;
  /** The record as it was received: a view. */
  readonly bytes: Uint8Array;
  /** What is wrong with it. */
  readonly error: NetworkError;
}

/** What is known of a record that is broken; the problem is a text, or why its inner batch cannot be read. */
export function brokenRecord(
  { bytes, view }: RecordSource,
  start: number,
  end: number,
  problem: unknown,
): BrokenRecord {
  const sysFlag = view.getInt32(start + At.SYS_FLAG);
  const host = start + storeHostAt(sysFlag);
  const hostEnd = host + storeHostSize(sysFlag);
  return {
    queueId: view.getInt32(start + At.QUEUE_ID),
    queueOffset: readSafeLong(view, start + At.QUEUE_OFFSET),
    commitLogOffset: readSafeLong(view, start + At.COMMIT_LOG_OFFSET),
    storeHost: hostEnd > end ? undefined : formatHost(bytes, host, hostEnd),
    bytes: bytes.subarray(start, end),
    error: problem instanceof Error
      ? malformedRecord(start, "it is an inner batch that cannot be read", problem)
      : malformedRecord(start, String(problem)),
  };
}

/** The error of a record that cannot be read. */
export function malformedRecord(at: number, problem: string, cause?: Error): NetworkError {
  return new NetworkError(`Cannot read the record at byte ${at}: ${problem}`, "", "MALFORMED_FRAME", { cause });
}
