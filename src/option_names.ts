/**
 * What somebody meant by the name of an option that there is not: a slip, the name in another client, or an option of
 * another function.
 *
 * @module
 */

import { excerpt } from "./plain_text.ts";

/** Names in kafkajs, nats.js, Java's and other clients of RocketMQ, in lower case without `_`, and ours. */
const ALIASES: Readonly<Record<string, readonly string[]>> = {
  ackwait: ["consumeTimeout", "invisibleTime"],
  allocatemessagequeuestrategy: ["allocation"],
  allocatestrategy: ["allocation"],
  autocommit: ["autoAck"],
  autocommitinterval: ["persistInterval"],
  bootstrapservers: ["nameServers"],
  brokers: ["nameServers"],
  compression: ["compressAbove"],
  compressmsgbodyoverhowmuch: ["compressAbove"],
  connectiontimeout: ["requestTimeout"],
  consumefromwhere: ["consumeFrom", "from"],
  consumergroup: ["group"],
  consumemessagebatchmaxsize: ["batchSize"],
  consumethreadmax: ["concurrency"],
  consumethreadmin: ["concurrency"],
  data: ["body"],
  delay: ["delayLevel"],
  delaytimelevel: ["delayLevel"],
  deliverpolicy: ["consumeFrom", "from"],
  durable: ["group"],
  durablename: ["group"],
  endpoints: ["nameServers"],
  expression: ["filter"],
  filtersubject: ["topics", "topic"],
  frombeginning: ["consumeFrom", "from"],
  fromoffset: ["consumeFrom", "from"],
  groupid: ["group"],
  headers: ["properties"],
  hosts: ["nameServers"],
  instancename: ["instance"],
  key: ["keys", "orderingKey"],
  maxackpending: ["maxBufferedMessages"],
  maxmessages: ["batchSize", "max"],
  messagekey: ["orderingKey"],
  messagemodel: ["model"],
  nameserver: ["nameServers"],
  namesrv: ["nameServers"],
  namesrvaddr: ["nameServers"],
  offsetstorepath: ["offsetStore"],
  parallelism: ["concurrency"],
  partition: ["queue"],
  partitionsconsumedconcurrently: ["concurrency"],
  payload: ["body"],
  producergroup: ["group"],
  pullthresholdforall: ["maxBufferedMessages"],
  pullthresholdforqueue: ["maxBufferedPerQueue"],
  retrytimeswhensendfailed: ["retries"],
  sendmsgtimeout: ["sendTimeout"],
  sasl: ["credentials"],
  servers: ["nameServers"],
  shardingkey: ["orderingKey"],
  ssl: ["tls"],
  subject: ["topics", "topic"],
  subscription: ["topics"],
  tag: ["tags"],
  text: ["body"],
  topic: ["topics", "topic"],
  topics: ["topic", "topics"],
  user: ["properties"],
  value: ["body"],
};

/** What other clients take as an option, and is something else here. */
const ELSEWHERE: Readonly<Record<string, string>> = {
  eachbatch: "pass the function to consumer.run()",
  eachmessage: "pass the function to consumer.runEach()",
  listener: "pass the function to consumer.run() or consumer.runEach()",
  messagelistener: "pass the function to consumer.run() or consumer.runEach()",
  messages: "pass several messages to producer.sendBatch([…])",
};

/** Options by the function that takes them. */
const OWNERS: Readonly<Record<string, readonly string[]>> = {
  "connect()": [
    "nameServers",
    "tls",
    "startTimeout",
    "requestTimeout",
    "mapAddress",
    "logger",
    "observers",
    "transport",
  ],
  "mq.consumer()": [
    ...["group", "topics", "model", "ordering", "consumeFrom", "missingTopic", "allocation", "autoAck", "batchSize"],
    ...["pullBatchSize", "maxBufferedPerQueue", "maxBufferedMessages", "maxBufferedBytes", "maxReconsumeTimes"],
    ...["consumeTimeout", "offsetStore", "instance", "closeTimeout", "rebalanceInterval", "persistInterval", "trace"],
  ],
  "mq.producer()": ["sendTimeout", "retries", "compressAbove", "maxMessageSize", "linger", "batchBytes"],
  "mq.popConsumer()": ["invisibleTime"],
  "consumer.run() and runEach()": ["concurrency"],
  "producer.send(), its second argument": ["delayLevel", "orderingKey", "queue"],
  "the message, the first argument of producer.send()": ["body", "tags", "keys", "properties"],
};

/** What was probably meant by a name, as the end of a sentence, and the option of `allowed` that it is, if it is one. */
export interface Meant {
  /** `did you mean "group"?` */
  readonly text: string;
  /** `"group"` */
  readonly option?: string;
}

/** What was probably meant by a name that is not in `allowed`; undefined if that cannot be said. */
export function meant(name: string, allowed: readonly string[]): Meant | undefined {
  const key = name.toLowerCase().replaceAll(/[_-]/g, "");
  const alias = Object.hasOwn(ALIASES, key) ? ALIASES[key]! : [];
  const option = allowed.find((each) => each.toLowerCase() === key) ?? alias.find((each) => allowed.includes(each)) ??
    nearest(key, allowed);
  if (option !== undefined) return { text: `did you mean "${option}"?`, option };
  if (Object.hasOwn(ELSEWHERE, key)) return { text: ELSEWHERE[key]! };
  for (const [owner, options] of Object.entries(OWNERS)) {
    const theirs = [name, ...alias].find((each) => options.includes(each));
    if (theirs !== undefined) return { text: `${theirs === name ? "it" : `"${theirs}"`} is an option of ${owner}` };
  }
  return undefined;
}

/** What is wrong with a name that is no option, or no field. */
export function unknownName(kind: "option" | "field", name: string, found: Meant | undefined): string {
  return `there is no ${kind} "${excerpt(name)}"${found === undefined ? "" : `, ${found.text}`}`;
}

/** The option that differs by one or two slips: none of a short name. */
function nearest(key: string, allowed: readonly string[]): string | undefined {
  if (key.length > 64) return undefined;
  const most = key.length < 5 ? 1 : 2;
  let best: string | undefined;
  let least = most + 1;
  for (const each of allowed) {
    const slips = distance(key, each.toLowerCase(), least);
    if (slips < least) [best, least] = [each, slips];
  }
  return best;
}

/** How many letters have to be added, removed or replaced; `limit` if as many or more. */
function distance(a: string, b: string, limit: number): number {
  if (Math.abs(a.length - b.length) >= limit) return limit;
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next.push(Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)));
    }
    row = next;
  }
  return Math.min(row[b.length]!, limit);
}
