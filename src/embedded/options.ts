/**
 * What an embedded broker can be told, checked once.
 *
 * @module
 */

import { type Problem, ValidationError } from "../errors.ts";
import type { Transport } from "../transport/transport.ts";
import {
  dialectCheck,
  given,
  isRecord,
  isWhole,
  only,
  type OptionCheck,
  placeChecks,
  requireOptions,
  whole,
} from "./checks.ts";
import { EmbeddedNameServer } from "./name_server.ts";
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
   * The most connections of clients at a time, 1 to 1 000 000; one more is closed at once.
   *
   * @default {10_000}
   */
  maxConnections?: number;
  /**
   * How many bytes may wait for a client that does not read, 65 536 to 2 000 000 000; with more it is cut off. The other
   * way round there is one frame at most, 16 MiB, and while the broker is paused 64 MiB of all clients.
   *
   * @default {67_108_864}
   */
  maxUnreadBytes?: number;
  /**
   * The most topics, those of retries and dead letters included, 1 to 1 000 000. Clients cannot make more: to create one
   * is refused with code 1, a send to one that does not exist with code 17.
   *
   * @default {10_000}
   */
  maxTopics?: number;
  /**
   * The most groups that have a record, 1 to 1 000 000; what needs a record of one more is refused with code 26. Offsets
   * and locks are kept for 100 times as many queues of groups.
   *
   * @default {10_000}
   */
  maxGroups?: number;
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
   * The name servers that it registers with, 1 to 100.
   *
   * @default one of its own, on its own port
   */
  nameServers?: readonly EmbeddedNameServer[];
  /**
   * Where sockets come from.
   *
   * @default the runtime's own TCP
   */
  transport?: Transport;
}

/** Options of {@linkcode EmbeddedCluster.start}; those of brokers are for each of them. */
export interface EmbeddedClusterOptions extends Omit<EmbeddedBrokerOptions, "port" | "brokerName" | "nameServers"> {
  /**
   * How many brokers, 1 to 26. Their names are `broker-a`, `broker-b`, …
   *
   * @default {2}
   */
  brokers?: number;
  /**
   * How many name servers, 1 to 10.
   *
   * @default {2}
   */
  nameServers?: number;
}

/** Options that have no default value. */
type Open = "transport" | "nameServers";

/** Options with every default filled in that has a value. */
export type CheckedOptions = Required<Omit<EmbeddedBrokerOptions, Open>> & Readonly<Pick<EmbeddedBrokerOptions, Open>>;

/** Java's delay levels, in milliseconds. Source: MessageStoreConfig.messageDelayLevel. */
export const DEFAULT_DELAY_LEVELS: readonly number[] = [
  ...[1, 5, 10, 30].map((seconds) => seconds * 1_000),
  ...[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 20, 30, 60, 120].map((minutes) => minutes * 60_000),
];

const defaults: CheckedOptions = {
  port: 0,
  host: "127.0.0.1",
  topics: {},
  autoCreateTopics: true,
  delayLevels: DEFAULT_DELAY_LEVELS,
  maxPullMessages: 32,
  maxPullBytes: 262_144,
  maxMessages: 1_000_000,
  maxBytes: 1_073_741_824,
  maxConnections: 10_000,
  maxUnreadBytes: 67_108_864,
  maxTopics: 10_000,
  maxGroups: 10_000,
  maxMessageSize: 4_194_304,
  offsetPersistInterval: 5_000,
  brokerName: "broker-a",
  clusterName: "DefaultCluster",
  dialect: "5.x",
  propertyFilter: true,
};

const name = only(
  "a name of 1 to 127 characters",
  (value) => typeof value === "string" && /^[^\s@;]{1,127}$/.test(value),
);
const flag = only("true or false", (value) => typeof value === "boolean");

/** What each option may be; topics have names and options of their own. */
const checks: Readonly<Record<keyof EmbeddedBrokerOptions, OptionCheck>> = {
  ...placeChecks,
  topics: only("an object of topics by name", isRecord),
  autoCreateTopics: flag,
  delayLevels: only("1 to 100 whole numbers of milliseconds, from 0 on", isDelayLevels),
  maxPullMessages: whole(1, 1_024),
  maxPullBytes: whole(1, 16_000_000),
  maxMessages: whole(1, Number.MAX_SAFE_INTEGER),
  maxBytes: whole(1_024, Number.MAX_SAFE_INTEGER),
  maxConnections: whole(1, 1_000_000),
  maxUnreadBytes: whole(65_536, 2_000_000_000),
  maxTopics: whole(1, 1_000_000),
  maxGroups: whole(1, 1_000_000),
  maxMessageSize: whole(1, 16_000_000),
  offsetPersistInterval: whole(0, 2_000_000_000),
  brokerName: name,
  clusterName: name,
  dialect: dialectCheck,
  propertyFilter: flag,
  nameServers: only("1 to 100 embedded name servers", isNameServers),
};

/** Checks options and fills in the defaults; throws a {@linkcode ConfigError} that names every problem. */
export function checkOptions(options: EmbeddedBrokerOptions): CheckedOptions {
  requireOptions("start an embedded broker", options, checks, problemsOfTopics);
  return { ...defaults, ...given(options) };
}

/** Checks the options of a cluster, which are those of its brokers but for what each has of its own. */
export function checkClusterOptions(options: EmbeddedClusterOptions): void {
  const { port: _port, brokerName: _name, ...shared } = checks;
  const counts = { brokers: whole(1, 26), nameServers: whole(1, 10) };
  requireOptions("start an embedded cluster", options, { ...shared, ...counts }, problemsOfTopics);
}

function problemsOfTopics(field: string, value: unknown): Problem[] {
  if (field !== "topics" || !isRecord(value)) return [];
  return Object.entries(value).flatMap(([name, topic]) => topicProblems(name, topic, `topics.${name}`));
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

function isDelayLevels(value: unknown): boolean {
  return Array.isArray(value) && value.length >= 1 && value.length <= 100 &&
    value.every((level) => isWhole(level, 0, Number.MAX_SAFE_INTEGER));
}

function isNameServers(value: unknown): boolean {
  return Array.isArray(value) && value.length >= 1 && value.length <= 100 &&
    value.every((each) => each instanceof EmbeddedNameServer);
}
