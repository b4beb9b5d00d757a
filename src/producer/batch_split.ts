/**
 * How the messages of a batch are split into requests.
 *
 * @module
 */

import type { BatchMessage } from "../wire/batch.ts";
import { utf8Length } from "../wire/utf8.ts";

/** The bytes of a message in a request without body and properties. */
const ENTRY_SIZE = 22;
/** The bytes of a stored record, between hosts with IPv6 addresses, without topic, body and properties. */
const RECORD_SIZE = 115;
/**
 * Room for the properties that a broker adds to each message of a batch: region, trace switch, cluster.
 *
 * It does not check whether they fit: more than 32 767 bytes together would break the record. Source:
 * MessageExtEncoder.
 */
export const BROKER_PROPERTIES_SIZE = 256;

/** What splitting needs to know of a message. */
export interface SplittableMessage extends BatchMessage {
  /** The topic. */
  readonly topic: string;
}

/** The messages of one request: all of one topic, by their places in the batch. */
export interface BatchPart {
  /** The topic. */
  readonly topic: string;
  /** Places in the batch, in order. */
  readonly places: readonly number[];
}

interface OpenPart extends BatchPart {
  readonly places: number[];
  size: number;
}

/** How many bytes a message takes in a request. */
export function entrySize(message: BatchMessage): number {
  return ENTRY_SIZE + message.body.length + (message.propertiesSize ?? utf8Length(message.properties));
}

/** The most bytes that a broker stores for a message of a batch. */
export function recordSize(message: SplittableMessage): number {
  return entrySize(message) - ENTRY_SIZE + RECORD_SIZE + message.topic.length + BROKER_PROPERTIES_SIZE;
}

/**
 * Splits messages by topic and size.
 *
 * A request stays within `maxSize` also in the form in which the broker stores it: brokers up to 4.9.3 compare the
 * limit with the stored records, which are larger. A message that is too large for that has a request of its own.
 */
export function splitBatch(messages: readonly SplittableMessage[], maxSize: number): BatchPart[] {
  const parts: BatchPart[] = [];
  const open = new Map<string, OpenPart>();
  let last: OpenPart | undefined;
  messages.forEach((message, place) => {
    const { topic } = message;
    const size = recordSize(message);
    if (last?.topic !== topic) last = open.get(topic);
    if (last !== undefined && last.size + size <= maxSize) {
      last.places.push(place);
      last.size += size;
      return;
    }
    last = { topic, places: [place], size };
    open.set(topic, last);
    parts.push(last);
  });
  return parts;
}

/**
 * Groups parts into sequences: the parts of one sequence are sent one after the other.
 *
 * @param inOrder whether the parts of a topic share a sequence; else each has its own
 */
export function sequencesOf(parts: readonly BatchPart[], inOrder: boolean): BatchPart[][] {
  if (!inOrder) return parts.map((part) => [part]);
  const sequences = new Map<string, BatchPart[]>();
  for (const part of parts) {
    const sequence = sequences.get(part.topic);
    if (sequence === undefined) sequences.set(part.topic, [part]);
    else sequence.push(part);
  }
  return [...sequences.values()];
}
