/**
 * Looking at what a name server told before it is used.
 *
 * @module
 */

import { NetworkError } from "../errors.ts";
import type { BrokerData, QueueData, TopicRouteData } from "../wire/bodies.ts";
import { parseJson } from "../wire/json.ts";

/** More queues than any broker has of one topic: a number beyond it is a mistake, and would fill the memory. */
const MOST_QUEUES = 65_536;

const decoder = new TextDecoder();

/**
 * Reads a route.
 *
 * @throws {NetworkError} `MALFORMED_FRAME` if the body is no route
 */
export function parseRoute(body: Uint8Array): TopicRouteData {
  const value: unknown = parseJson(decoder.decode(body));
  if (!isObject(value)) throw malformed("it is no object");
  const queueDatas = value.queueDatas ?? []; // null is as good as missing to Java
  const brokerDatas = value.brokerDatas ?? [];
  if (!Array.isArray(queueDatas) || !queueDatas.every(isQueueData)) throw malformed("its queueDatas make no sense");
  if (!Array.isArray(brokerDatas) || !brokerDatas.every(isBrokerData)) throw malformed("its brokerDatas make no sense");
  return { queueDatas, brokerDatas };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isCount(value: unknown): boolean {
  return typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= MOST_QUEUES;
}

function isQueueData(value: unknown): value is QueueData {
  return isObject(value) && typeof value.brokerName === "string" && typeof value.perm === "number" &&
    isCount(value.readQueueNums) && isCount(value.writeQueueNums);
}

function isBrokerData(value: unknown): value is BrokerData {
  return isObject(value) && typeof value.brokerName === "string" && isObject(value.brokerAddrs) &&
    Object.values(value.brokerAddrs).every((address) => typeof address === "string");
}

function malformed(problem: string): NetworkError {
  return new NetworkError(`Cannot read a route: ${problem}`, "", "MALFORMED_FRAME");
}
