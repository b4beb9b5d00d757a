/**
 * Several messages as one request.
 *
 * @module
 */

import { isRetryTopic } from "../wire/names.ts";
import { BatchBody } from "../wire/batch.ts";
import { PropertyName } from "../wire/codes.ts";
import { encodeProperties, MAX_PROPERTIES_SIZE } from "../wire/properties.ts";
import { BROKER_PROPERTIES_SIZE, entrySize } from "./batch_split.ts";
import type { SendRequest } from "../sending/send_request.ts";
import type { EncodedMessage } from "./encoding.ts";

/** Topics for which brokers accept no batches. Source: SendMessageProcessor. */
/** The most bytes of properties that a message of a batch may have. */
export const MAX_BATCHED_PROPERTIES = MAX_PROPERTIES_SIZE - BROKER_PROPERTIES_SIZE;
/**
 * The properties of a batch itself: brokers add them to each of its messages. No unique key: it would replace theirs.
 * Source: MessageExtEncoder.
 */
const BATCH_PROPERTIES = encodeProperties([[PropertyName.WAIT, "true"]]);

/** Whether brokers accept batches for a topic. */
export function takesBatches(topic: string): boolean {
  return !isRetryTopic(topic);
}

/** Whether a message can be one of a batch of `maxSize` bytes. */
export function fitsBatch(message: EncodedMessage, maxSize: number): boolean {
  return entrySize(message) <= maxSize && message.propertiesSize <= MAX_BATCHED_PROPERTIES &&
    takesBatches(message.topic);
}

/** The request that stores messages of one topic. */
export function batchRequestOf(topic: string, messages: readonly EncodedMessage[]): SendRequest {
  return { topic, body: new BatchBody(messages), flag: 0, sysFlag: 0, properties: BATCH_PROPERTIES, batch: true };
}
