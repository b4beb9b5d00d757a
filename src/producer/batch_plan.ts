/**
 * How the messages of a batch are divided into requests.
 *
 * @module
 */

import type { BatchMessage } from "../wire/batch.ts";
import { utf8Length } from "../wire/utf8.ts";

/** The bytes of an entry of a request without body and properties. */
const ENTRY_SIZE = 22;
/** The bytes of a stored record, between hosts with IPv6 addresses, without topic, body and properties. */
const RECORD_SIZE = 115;
/**
 * Room for the properties that a broker adds to each message of a batch: region, trace switch, cluster.
 *
 * It does not look whether they fit: more than 32 767 bytes together would break the record. Source:
 * MessageExtEncoder.
 */
export const BROKER_PROPERTIES_SIZE = 256;

/** A message as far as dividing needs it. */
export interface Divisible extends BatchMessage {
  /** The topic. */
  readonly topic: string;
}

/** The messages of one request: all of one topic, by their places in the batch. */
export interface Portion {
  /** The topic. */
  readonly topic: string;
  /** Places in the batch, in order. */
  readonly places: readonly number[];
}

interface OpenPortion extends Portion {
  readonly places: number[];
  size: number;
}

/** How many bytes a message takes in a request. */
export function entrySize(message: BatchMessage): number {
  return ENTRY_SIZE + message.body.length + (message.propertiesSize ?? utf8Length(message.properties));
}

/** How many bytes brokers make of a message of a batch, at the most. */
export function recordSize(message: Divisible): number {
  return entrySize(message) - ENTRY_SIZE + RECORD_SIZE + message.topic.length + BROKER_PROPERTIES_SIZE;
}

/**
 * Divides messages by topic and size.
 *
 * A request stays within `maxSize` also as what the broker makes of it: brokers up to 4.9.3 hold the limit against the
 * stored records, which are larger. A message that is too large for that by itself travels alone.
 */
export function divide(messages: readonly Divisible[], maxSize: number): Portion[] {
  const portions: Portion[] = [];
  const open = new Map<string, OpenPortion>();
  let last: OpenPortion | undefined;
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
    portions.push(last);
  });
  return portions;
}

/**
 * Puts portions into lanes: what is in one lane is sent one after the other.
 *
 * @param inOrder whether the portions of a topic share a lane; else each has its own
 */
export function lanesOf(portions: readonly Portion[], inOrder: boolean): Portion[][] {
  if (!inOrder) return portions.map((portion) => [portion]);
  const lanes = new Map<string, Portion[]>();
  for (const portion of portions) {
    const lane = lanes.get(portion.topic);
    if (lane === undefined) lanes.set(portion.topic, [portion]);
    else lane.push(portion);
  }
  return [...lanes.values()];
}
