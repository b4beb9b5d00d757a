/**
 * The remoting codec, for tools that speak RocketMQ's protocol themselves: frames, headers, requests, stored messages.
 *
 * @example
 * ```ts
 * import { decodeFrame, encodeFrame, encodeHeader, getMaxOffset } from "@denorocket/rocketmq/wire";
 *
 * const fields = encodeHeader(getMaxOffset.header, { topic: "orders", queueId: 0 });
 * const frame = encodeFrame({ code: getMaxOffset.code, opaque: 1, fields });
 * decodeFrame(frame).fields.topic; // "orders"
 * ```
 *
 * @module
 */

export { NetworkError, type Problem, RocketMQError, type RocketMQErrorOptions, ValidationError } from "../errors.ts";
export type { Message, MessageQueue } from "../message.ts";
export * from "./batch.ts";
export * from "./bodies.ts";
export * from "./codes.ts";
export * from "./compression.ts";
export * from "./fields.ts";
export * from "./frame.ts";
export { parseHost } from "./host.ts";
export * from "./json.ts";
export * from "./message_id.ts";
export * from "./names.ts";
export * from "./pop.ts";
export * from "./pop_acks.ts";
export * from "./pop_receive.ts";
export * from "./properties.ts";
export * from "./record.ts";
export * from "./requests.ts";
