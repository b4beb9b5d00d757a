/**
 * Producers: sending messages, singly and in batches.
 *
 * @module
 */

export { DEFAULT_PRODUCER_GROUP, type ProducerOptions } from "./options.ts";
export { json, type JsonBody, type OutgoingMessage } from "./outgoing.ts";
export { createProducer, type Producer } from "./producer.ts";
export type { SendReceipt, SendStatus } from "../sending/receipt.ts";
export { SendBatchError } from "./send_batch_error.ts";
export type { SendBatchOptions, SendOptions } from "./send_options.ts";
