/**
 * Checking a name server's answer before it is used.
 *
 * @module
 */

import { NetworkError } from "../errors.ts";
import { parseAddress } from "../transport/transport.ts";
import type { BrokerData, QueueData, TopicRouteData } from "../wire/bodies.ts";
import { parseBody } from "../wire/json.ts";
import { getRoute } from "../wire/requests.ts";
import { readOrderConf, writeOrderConf } from "./order_conf.ts";
import { LONGEST_ADDRESS, LONGEST_NAME, MOST_QUEUES, MOST_REPLICAS, ShortList, shown } from "./route_limits.ts";
import { isPlain } from "../plain_text.ts";

const NAME = `a text of up to ${LONGEST_NAME} characters that can be printed`;

/** A route as one name server answered it. */
export interface ParsedRoute {
  /** What can be used: each broker once, each queue data once per broker. */
  readonly data: TopicRouteData;
  /** The entries that were left out, each with the reason. */
  readonly leftOut: ShortList;
}

/**
 * Reads a route. An entry that makes no sense costs that entry only.
 *
 * @throws {NetworkError} `MALFORMED_FRAME` if the body is no route at all
 */
export function parseRoute(body: Uint8Array): ParsedRoute {
  const value: unknown = parseBody(body, getRoute);
  if (!isObject(value)) throw malformed("it is no object");
  const leftOut = new ShortList();
  const brokerDatas = readBrokers(listOf(value, "brokerDatas"), leftOut);
  const queueDatas = readQueues(listOf(value, "queueDatas"), leftOut);
  const orderTopicConf = readOrder(value.orderTopicConf, leftOut);
  return { data: { ...(orderTopicConf === undefined ? {} : { orderTopicConf }), queueDatas, brokerDatas }, leftOut };
}

/** A list of the body; null is as good as missing to Java. */
function listOf(route: Record<string, unknown>, name: string): readonly unknown[] {
  const list = route[name] ?? [];
  if (!Array.isArray(list)) throw malformed(`its ${name} is ${shown(list)}`);
  return list;
}

function readBrokers(list: readonly unknown[], leftOut: ShortList): BrokerData[] {
  const brokers = new Map<string, BrokerData>();
  for (const [index, value] of list.entries()) {
    const where = `brokerDatas[${index}]`;
    if (!isObject(value) || !isName(value.brokerName) || !isObject(value.brokerAddrs)) {
      leftOut.add(`${where}: ${brokerProblem(value)}`);
      continue;
    }
    const { brokerName, cluster } = value;
    const known = brokers.get(brokerName);
    if (known !== undefined) leftOut.add(`${where}: broker ${shown(brokerName)} is named twice`);
    const brokerAddrs = { ...readAddresses(value.brokerAddrs, `${where}.brokerAddrs`, leftOut), ...known?.brokerAddrs };
    brokers.set(brokerName, { cluster: typeof cluster === "string" ? cluster : "", brokerName, brokerAddrs });
  }
  return [...brokers.values()];
}

function brokerProblem(value: unknown): string {
  if (!isObject(value)) return `it is ${shown(value)}, allowed is an object`;
  if (!isName(value.brokerName)) return `brokerName is ${shown(value.brokerName)}, allowed is ${NAME}`;
  return `brokerAddrs of broker ${shown(value.brokerName)} is ${shown(value.brokerAddrs)}, allowed is an object`;
}

function readAddresses(given: Record<string, unknown>, where: string, leftOut: ShortList): Record<string, string> {
  const addresses: Record<string, string> = {};
  let count = 0;
  for (const [id, address] of Object.entries(given)) {
    if (!/^\d{1,15}$/.test(id)) leftOut.add(`${where}: id ${shown(id)} is not a number from 0 on`);
    else if (!isAddress(address)) {
      leftOut.add(`${where}: ${id} is ${shown(address)}, allowed is host:port`);
    } else if (count++ < MOST_REPLICAS) addresses[Number(id)] = address;
    else leftOut.add(`${where}: ${id}, a broker has ${MOST_REPLICAS} replicas at most`);
  }
  return addresses;
}

function readQueues(list: readonly unknown[], leftOut: ShortList): QueueData[] {
  const queues = new Map<string, QueueData>();
  for (const [index, value] of list.entries()) {
    const problem = queueProblem(value);
    if (problem !== undefined || !isQueueData(value)) {
      leftOut.add(`queueDatas[${index}]: ${problem}`);
      continue;
    }
    const { brokerName } = value;
    const known = queues.get(brokerName);
    if (known !== undefined) leftOut.add(`queueDatas[${index}]: broker ${shown(brokerName)} is named twice`);
    // The one with more queues: what is read too much fails, what is not read is never delivered.
    if (known === undefined || value.readQueueNums > known.readQueueNums) queues.set(brokerName, value);
  }
  return [...queues.values()];
}

function isQueueData(value: unknown): value is QueueData {
  return queueProblem(value) === undefined;
}

function queueProblem(value: unknown): string | undefined {
  if (!isObject(value)) return `it is ${shown(value)}, allowed is an object`;
  const { brokerName, perm } = value;
  if (!isName(brokerName)) return `brokerName is ${shown(brokerName)}, allowed is ${NAME}`;
  const problem = (field: string, allowed: string) =>
    `${field} of broker ${shown(brokerName)} is ${shown(value[field])}, allowed is ${allowed}`;
  if (typeof perm !== "number") return problem("perm", "a number");
  const count = ["readQueueNums", "writeQueueNums"].find((field) => !isCount(value[field]));
  return count === undefined ? undefined : problem(count, `0 to ${MOST_QUEUES}`);
}

/** The entries that can be used; none of them is as good as no order at all. */
function readOrder(value: unknown, leftOut: ShortList): string | undefined {
  if (value === undefined || value === null || value === "") return undefined;
  if (typeof value !== "string") {
    leftOut.add(`orderTopicConf: it is ${shown(value)}, allowed is a text`);
    return undefined;
  }
  const brokers = readOrderConf(value, leftOut);
  return brokers.length === 0 ? undefined : writeOrderConf(brokers);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isName(value: unknown): value is string {
  return typeof value === "string" && value.length <= LONGEST_NAME && isPlain(value);
}

function isAddress(value: unknown): value is string {
  return typeof value === "string" && value.length <= LONGEST_ADDRESS && parseAddress(value) !== undefined;
}

function isCount(value: unknown): boolean {
  return typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= MOST_QUEUES;
}

function malformed(problem: string): NetworkError {
  return new NetworkError(`Cannot read a route: ${problem}`, "", "MALFORMED_FRAME");
}
