/**
 * The bytes on which messages are views.
 *
 * @module
 */

import type { Buffer } from "node:buffer";
import type { MessageQueue } from "../message.ts";
import type { RetryReader } from "./retry_reader.ts";

/** What the messages of one answer share. */
export interface RecordSource {
  /** The records, one after the other. */
  readonly bytes: Uint8Array;
  /** The same bytes, for texts. */
  readonly buffer: Buffer;
  /** The same bytes, for numbers. */
  readonly view: DataView;
  /** The queue that they were pulled from; with the number -1 each record has its own. */
  readonly queue: MessageQueue;
  /** The topic of them all; undefined in a retry queue, where each message has its own. */
  readonly topic: string | undefined;
  /** The group that they are read for; without one, records are shown as they are stored. */
  readonly reader?: RetryReader | undefined;
}
