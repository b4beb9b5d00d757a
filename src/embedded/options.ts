/**
 * What an embedded broker can be told, checked once.
 *
 * @module
 */

import { ConfigError, type Problem, ValidationError } from "../errors.ts";
import type { Transport } from "../transport/transport.ts";
import { parseAddress } from "../wire/host.ts";
import { topicProblem } from "./names.ts";

/** How a topic is made. */
export interface TopicOptions {
  /**
   * How many queues it has, 1 to 1024; readers and writers see the same.
   *
   * @default {4}
   */
  queues?: number;
  /**
   * What it may be used for: the sum of 4 (read) and 2 (write), and 1 if new topics may be copied from it.
   *
   * @default {6}
   */
  permission?: number;
}

/** Options of {@linkcode EmbeddedBroker.start}. */
export interface EmbeddedBrokerOptions {
  /**
   * The TCP port, 0 to 65535; 0 takes a free one.
   *
   * @default {0}
   */
  port?: number;
  /**
   * The IP address that the port is opened on. With `0.0.0.0` or `::` clients are told to use the loopback address.
   *
   * @default {"127.0.0.1"}
   */
  host?: string;
  /** Topics that exist from the start, by name. */
  topics?: Readonly<Record<string, TopicOptions>>;
  /**
   * Whether a topic is made by the first message that is sent to it, as a broker does by default.
   *
   * @default {true}
   */
  autoCreateTopics?: boolean;
  /**
   * What the delay levels 1, 2, … mean, in milliseconds: 1 to 100 whole numbers from 0 on.
   *
   * @default Java's 18 levels, 1 second to 2 hours
   */
  delayLevels?: readonly number[];
  /**
   * The most messages in one answer to a pull, 1 to 1024, however many were asked for.
   *
   * @default {32}
   */
  maxPullMessages?: number;
  /**
   * The most bytes of messages in one answer to a pull, 1 to 16 000 000; a larger message still comes, alone.
   *
   * @default {262_144}
   */
  maxPullBytes?: number;
  /**
   * The most messages that are kept, from 1 on. When there are more, the oldest of all topics are dropped and the
   * smallest offsets of their queues rise.
   *
   * @default {1_000_000}
   */
  maxMessages?: number;
  /**
   * The most bytes of messages that are kept, from 1 024 on; what is over is dropped as with `maxMessages`.
   *
   * @default {1_073_741_824}
   */
  maxBytes?: number;
  /**
   * The largest body of one message, in bytes, 1 to 16 000 000; a larger one is refused with code 13.
   *
   * @default {4_194_304}
   */
  maxMessageSize?: number;
  /**
   * How often committed offsets become durable, in milliseconds, from 0 (at once) on. {@linkcode EmbeddedBroker.kill}
   * forgets those that were committed since.
   *
   * @default {5_000}
   */
  offsetPersistInterval?: number;
  /**
   * The broker's name, as routes show it.
   *
   * @default {"broker-a"}
   */
  brokerName?: string;
  /**
   * The cluster's name, as routes show it.
   *
   * @default {"DefaultCluster"}
   */
  clusterName?: string;
  /**
   * Which line of brokers is imitated, where the two differ in what a client sees: 5.x (5.5.0 and 5.3.3) or 4.9.7.
   *
   * @default {"5.x"}
   */
  dialect?: "5.x" | "4.9";
  /**
   * Whether consumers may filter by SQL92 expressions over properties.
   *
   * A real broker's default is not to: its `enablePropertyFilter` has to be set to true. With `false` such
   * subscriptions are refused with code 1, as there.
   *
   * @default {true}
   */
  propertyFilter?: boolean;
  /**
   * Where sockets come from.
   *
   * @default the runtime's own TCP
   */
  transport?: Transport;
}

/** Options with every default filled in; only `transport` may still be missing. */
export type CheckedOptions = Required<Omit<EmbeddedBrokerOptions, "transport">> & { readonly transport?: Transport };

/** Java's delay levels, in milliseconds. Source: MessageStoreConfig.messageDelayLevel. */
export const DEFAULT_DELAY_LEVELS: readonly number[] = [
  ...[1, 5, 10, 30].map((seconds) => seconds * 1_000),
  ...[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 20, 30, 60, 120].map((minutes) => minutes * 60_000),
];

const defaults: Required<Omit<EmbeddedBrokerOptions, "transport">> = {
  port: 0,
  host: "127.0.0.1",
  topics: {},
  autoCreateTopics: true,
  delayLevels: DEFAULT_DELAY_LEVELS,
  maxPullMessages: 32,
  maxPullBytes: 262_144,
  maxMessages: 1_000_000,
  maxBytes: 1_073_741_824,
  maxMessageSize: 4_194_304,
  offsetPersistInterval: 5_000,
  brokerName: "broker-a",
  clusterName: "DefaultCluster",
  dialect: "5.x",
  propertyFilter: true,
};

/** The numbers among the options: smallest and largest allowed value. */
const ranges: Readonly<Record<string, readonly [number, number]>> = {
  port: [0, 65_535],
  maxPullMessages: [1, 1_024],
  maxPullBytes: [1, 16_000_000],
  maxMessages: [1, Number.MAX_SAFE_INTEGER],
  maxBytes: [1_024, Number.MAX_SAFE_INTEGER],
  maxMessageSize: [1, 16_000_000],
  offsetPersistInterval: [0, 2_000_000_000],
};

/** Checks options and fills in the defaults; throws a {@linkcode ConfigError} that names every problem. */
export function checkOptions(options: EmbeddedBrokerOptions): CheckedOptions {
  const given = Object.entries(options).filter(([, value]) => value !== undefined);
  const checked = { ...defaults, ...Object.fromEntries(given) } as CheckedOptions;
  const problems = given.flatMap(([field, value]) => optionProblems(field, value));
  if (problems.length > 0) throw new ConfigError("start an embedded broker", problems);
  return checked;
}

function optionProblems(field: string, value: unknown): Problem[] {
  const no = (allowed: string): Problem[] => [{ field, value, allowed }];
  const range = ranges[field];
  if (range !== undefined) return isWhole(value, ...range) ? [] : no(`a whole number, ${range[0]} to ${range[1]}`);
  switch (field) {
    case "host":
      return typeof value === "string" && parseAddress(value) !== undefined ? [] : no("an IP address");
    case "brokerName":
    case "clusterName":
      return typeof value === "string" && /^[^\s@;]{1,127}$/.test(value) ? [] : no("a name of 1 to 127 characters");
    case "autoCreateTopics":
    case "propertyFilter":
      return typeof value === "boolean" ? [] : no("true or false");
    case "dialect":
      return value === "5.x" || value === "4.9" ? [] : no('"5.x" or "4.9"');
    case "delayLevels":
      return isDelayLevels(value) ? [] : no("1 to 100 whole numbers of milliseconds, from 0 on");
    case "topics":
      return isRecord(value)
        ? Object.entries(value).flatMap(([name, topic]) => topicProblems(name, topic, `topics.${name}`))
        : no("an object of topics by name");
    case "transport":
      return isRecord(value) ? [] : no("a transport");
    default:
      return no(`one of the options ${Object.keys(defaults).join(", ")}, transport`);
  }
}

/** Checks one topic's name and options; throws a {@linkcode ValidationError} that names every problem. */
export function checkTopic(name: string, options: TopicOptions): Required<TopicOptions> {
  const problems = topicProblems(name, options, name);
  if (problems.length > 0) throw new ValidationError("create a topic", problems);
  return { queues: options.queues ?? 4, permission: options.permission ?? 6 };
}

function topicProblems(name: string, options: unknown, field: string): Problem[] {
  const problem = topicProblem(name);
  if (problem !== undefined) return [{ field, value: name, allowed: problem }];
  if (!isRecord(options)) return [{ field, value: options, allowed: "an object like { queues: 4 }" }];
  return Object.entries(options).flatMap(([key, value]) => {
    if (value === undefined) return [];
    const no = (allowed: string): Problem[] => [{ field: `${field}.${key}`, value, allowed }];
    if (key === "queues") return isWhole(value, 1, 1_024) ? [] : no("a whole number, 1 to 1024");
    if (key === "permission") return isWhole(value, 0, 7) ? [] : no("a whole number, 0 to 7");
    return no("one of the options queues, permission");
  });
}

function isWhole(value: unknown, least: number, most: number): boolean {
  return Number.isSafeInteger(value) && (value as number) >= least && (value as number) <= most;
}

function isDelayLevels(value: unknown): boolean {
  return Array.isArray(value) && value.length >= 1 && value.length <= 100 &&
    value.every((level) => isWhole(level, 0, Number.MAX_SAFE_INTEGER));
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
