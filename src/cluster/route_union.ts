/**
 * One route out of what several name servers answer.
 *
 * @module
 */

import type { BrokerData, QueueData, TopicRouteData } from "../wire/bodies.ts";
import { Permission } from "../wire/codes.ts";
import { readOrderConf } from "./order_conf.ts";
import { MOST_ADDRESSES, MOST_BROKERS, MOST_QUEUES, MOST_REPLICAS, ShortList, shown } from "./route_limits.ts";

/** What {@linkcode uniteRoutes} returns. */
export interface UnitedRoute {
  /** The route: brokers by name, replicas by number, so that equal routes have equal JSON. */
  readonly data: TopicRouteData;
  /** What was left out because a route is bounded, each with the reason. */
  readonly leftOut: ShortList;
}

/**
 * The fullest route: every broker, replica and queue that at least one of the answers has.
 *
 * It does not depend on the order of the answers, except where two have another address for one replica (the first
 * counts): members that ask in another order see the same queues.
 */
export function uniteRoutes(routes: readonly TopicRouteData[]): UnitedRoute {
  const leftOut = new ShortList();
  let brokerDatas = uniteBrokers(routes);
  if (brokerDatas.length > MOST_BROKERS) {
    leftOut.add(`${brokerDatas.length - MOST_BROKERS} brokers: a route has ${MOST_BROKERS} at most`);
    brokerDatas.length = MOST_BROKERS;
  }
  brokerDatas = boundAddresses(brokerDatas, leftOut);
  const names = new Set(brokerDatas.map(({ brokerName }) => brokerName));
  let left = MOST_QUEUES;
  const queueDatas = uniteQueues(routes).filter(({ brokerName, readQueueNums, writeQueueNums }) => {
    if (!names.has(brokerName)) return false; // nobody knows where it is
    const count = Math.max(readQueueNums, writeQueueNums);
    const fits = count <= left;
    if (fits) left -= count;
    else leftOut.add(`${count} queues of broker ${shown(brokerName)}: a route has ${MOST_QUEUES} at most`);
    return fits;
  });
  const orderTopicConf = longestOrder(routes);
  return { data: { ...(orderTopicConf === undefined ? {} : { orderTopicConf }), queueDatas, brokerDatas }, leftOut };
}

/** What a name server's answer lacks of the fullest route; undefined is one that does not know the topic. */
export function lacking(answer: TopicRouteData | undefined, fullest: TopicRouteData): ShortList {
  const missing = new ShortList();
  if (answer === undefined) {
    missing.add("the topic");
    return missing;
  }
  const { data } = uniteRoutes([answer]);
  const brokers = new Map(data.brokerDatas!.map((each) => [each.brokerName, each]));
  const queues = new Map(data.queueDatas!.map((each) => [each.brokerName, each]));
  for (const { brokerName, brokerAddrs } of fullest.brokerDatas!) {
    const broker = brokers.get(brokerName);
    if (broker === undefined) missing.add(`broker ${shown(brokerName)}`);
    else {
      const ids = Object.keys(brokerAddrs).filter((id) => broker.brokerAddrs[id] === undefined);
      if (ids.length > 0) missing.add(`replica ${ids.join(", ")} of broker ${shown(brokerName)}`);
    }
  }
  for (const { brokerName, readQueueNums, writeQueueNums } of fullest.queueDatas!) {
    if (!brokers.has(brokerName)) continue; // was named
    const { readQueueNums: reads = 0, writeQueueNums: writes = 0 } = queues.get(brokerName) ?? {};
    if (reads >= readQueueNums && writes >= writeQueueNums) continue;
    missing.add(`queues of broker ${shown(brokerName)} (${reads}/${writes} of ${readQueueNums}/${writeQueueNums})`);
  }
  if (data.orderTopicConf !== fullest.orderTopicConf) missing.add(`the order ${shown(fullest.orderTopicConf)}`);
  return missing;
}

function uniteBrokers(routes: readonly TopicRouteData[]): BrokerData[] {
  const brokers = new Map<string, BrokerData>();
  for (const { brokerDatas } of routes) {
    for (const { cluster, brokerName, brokerAddrs } of brokerDatas ?? []) {
      const known = brokers.get(brokerName);
      // An object has whole numbers in their order.
      brokers.set(brokerName, {
        cluster: known?.cluster ?? cluster,
        brokerName,
        brokerAddrs: { ...brokerAddrs, ...known?.brokerAddrs },
      });
    }
  }
  return [...brokers.values()].sort(byName);
}

/** Brokers with as many addresses as they and a route may have: those with the smallest ids, the master first. */
function boundAddresses(brokers: readonly BrokerData[], leftOut: ShortList): BrokerData[] {
  let left = MOST_ADDRESSES;
  return brokers.map((broker, i) => {
    const { brokerName, brokerAddrs } = broker;
    const addresses = Object.entries(brokerAddrs);
    const count = Math.min(addresses.length, MOST_REPLICAS, Math.max(1, left - (brokers.length - 1 - i)));
    left -= count;
    if (count === addresses.length) return broker;
    const allowed = `a broker has ${MOST_REPLICAS}, and a route ${MOST_ADDRESSES} at most`;
    leftOut.add(`${addresses.length - count} replicas of broker ${shown(brokerName)}: ${allowed}`);
    return { ...broker, brokerAddrs: Object.fromEntries(addresses.slice(0, count)) };
  });
}

function uniteQueues(routes: readonly TopicRouteData[]): QueueData[] {
  const queues = new Map<string, QueueData>();
  for (const { queueDatas } of routes) {
    for (const { brokerName, perm, readQueueNums, writeQueueNums } of queueDatas ?? []) {
      const known = queues.get(brokerName);
      const reads = (perm & Permission.READ) === 0 ? 0 : readQueueNums;
      const writes = (perm & Permission.WRITE) === 0 ? 0 : writeQueueNums;
      queues.set(brokerName, {
        brokerName,
        perm: perm | (known?.perm ?? 0),
        readQueueNums: Math.max(reads, known?.readQueueNums ?? 0),
        writeQueueNums: Math.max(writes, known?.writeQueueNums ?? 0),
      });
    }
  }
  return [...queues.values()].sort(byName);
}

/** The order with the most queues; of several the smallest text, so that all members choose the same. */
function longestOrder(routes: readonly TopicRouteData[]): string | undefined {
  let longest: { text: string; queues: number } | undefined;
  for (const { orderTopicConf: text } of routes) {
    if (text === undefined) continue;
    const queues = readOrderConf(text).reduce((sum, { queues }) => sum + queues, 0);
    const isLonger = longest === undefined || queues > longest.queues ||
      (queues === longest.queues && text < longest.text);
    if (isLonger) longest = { text, queues };
  }
  return longest?.text;
}

function byName(a: { readonly brokerName: string }, b: { readonly brokerName: string }): number {
  return a.brokerName < b.brokerName ? -1 : a.brokerName > b.brokerName ? 1 : 0;
}
