/**
 * The options of embedded brokers and clusters.
 *
 * @module
 */

import { given, isRecord, isWhole, only, type OptionCheck, requireOptions, whole } from "./checks.ts";
import type { EmbeddedAccount } from "./credentials.ts";
import { EmbeddedNameServer } from "./name_server.ts";
import {
  type CheckedServerOptions,
  type EmbeddedServerOptions,
  serverChecks,
  serverDefaults,
} from "./server_options.ts";
import { problemsOfTopics, type TopicOptions } from "./topic_options.ts";

/**
 * Options of {@linkcode EmbeddedBroker.start}.
 *
 * @category Test
 */
export interface EmbeddedBrokerOptions extends EmbeddedServerOptions {
  /** Topics that exist from the start, by name. */
  topics?: Readonly<Record<string, TopicOptions>>;
  /**
   * Whether the first message that is sent to an unknown topic creates the topic, as brokers do by default.
   *
   * @default {true}
   */
  autoCreateTopics?: boolean;
  /**
   * The delays of the delay levels 1, 2, …, in milliseconds: 1 to 100 whole numbers from 0 on.
   *
   * @default Java's 18 levels, 1 second to 2 hours
   */
  delayLevels?: readonly number[];
  /**
   * The largest number of messages in one answer to a pull, 1 to 1024, whatever the pull requests.
   *
   * @default {32}
   */
  maxPullMessages?: number;
  /**
   * The largest number of bytes of messages in one answer to a pull, 1 to 16 000 000. A larger message is sent alone.
   *
   * @default {262_144}
   */
  maxPullBytes?: number;
  /**
   * The largest number of stored messages, from 1 on. Above it the oldest messages of all topics are deleted, and the
   * minimum offsets of their queues increase.
   *
   * @default {1_000_000}
   */
  maxMessages?: number;
  /**
   * The largest number of bytes of stored messages, from 1 024 on. Above it messages are deleted as with `maxMessages`.
   *
   * @default {1_073_741_824}
   */
  maxBytes?: number;
  /**
   * The largest number of topics, 1 to 1 000 000, retry topics and dead letter queues included. A request to create a
   * further one is refused with code 1, a send to one that does not exist with code 17.
   *
   * @default {10_000}
   */
  maxTopics?: number;
  /**
   * The largest number of consumer groups, 1 to 1 000 000; a request that needs a further one is refused with code 26.
   * The same limit applies to producer groups with members; heartbeats of further ones are ignored.
   *
   * @default {10_000}
   */
  maxGroups?: number;
  /**
   * The largest number of committed offsets, 1 to 10 000 000: one for each queue of each group. The commit of a further
   * one is refused with code 1.
   *
   * @default {1_000_000}
   */
  maxOffsets?: number;
  /**
   * The largest number of locks of queues, 1 to 10 000 000; a further one is not acquired.
   *
   * @default {1_000_000}
   */
  maxLocks?: number;
  /**
   * The largest body of a message, in bytes, 1 to 16 000 000; a larger one is refused with code 13.
   *
   * @default {4_194_304}
   */
  maxMessageSize?: number;
  /**
   * How often committed offsets are persisted, in milliseconds, from 0 (at once) on. {@linkcode EmbeddedBroker.kill}
   * loses the commits since then.
   *
   * @default {5_000}
   */
  offsetPersistInterval?: number;
  /**
   * The accounts whose signed requests the broker accepts, 0 to 1 000; all others are refused, as by a broker with
   * access control. Accounts have all rights.
   *
   * @default {[]: requests are not checked}
   */
  credentials?: readonly EmbeddedAccount[];
  /**
   * The broker's name in routes.
   *
   * @default {"broker-a"}
   */
  brokerName?: string;
  /**
   * The cluster's name in routes.
   *
   * @default {"DefaultCluster"}
   */
  clusterName?: string;
  /**
   * Whether consumers may filter by SQL92 expressions over properties.
   *
   * A real broker does not allow it by default: its `enablePropertyFilter` has to be set to true. With `false` such
   * subscriptions are refused with code 1, as by a real broker.
   *
   * @default {true}
   */
  propertyFilter?: boolean;
  /**
   * The name servers with which the broker registers, 1 to 100.
   *
   * @default one of its own, on its own port
   */
  nameServers?: readonly EmbeddedNameServer[];
}

/**
 * Options of {@linkcode EmbeddedCluster.start}. Options of brokers apply to each broker, and those of
 * {@linkcode EmbeddedServerOptions} to each name server too.
 *
 * @category Test
 */
export interface EmbeddedClusterOptions extends Omit<EmbeddedBrokerOptions, "port" | "brokerName" | "nameServers"> {
  /**
   * The number of brokers, 1 to 26. Their names are `broker-a`, `broker-b`, …
   *
   * @default {2}
   */
  brokers?: number;
  /**
   * The number of name servers, 1 to 10.
   *
   * @default {2}
   */
  nameServers?: number;
}

/** Options without a default value. */
type Open = "nameServers";

/** Options of a broker with their default values. */
export type CheckedOptions =
  & CheckedServerOptions
  & Required<Omit<EmbeddedBrokerOptions, keyof EmbeddedServerOptions | Open>>
  & Readonly<Pick<EmbeddedBrokerOptions, Open>>;

/** Java's delay levels, in milliseconds. Source: MessageStoreConfig.messageDelayLevel. */
export const DEFAULT_DELAY_LEVELS: readonly number[] = [
  ...[1, 5, 10, 30].map((seconds) => seconds * 1_000),
  ...[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 20, 30, 60, 120].map((minutes) => minutes * 60_000),
];

const defaults: CheckedOptions = {
  ...serverDefaults,
  topics: {},
  autoCreateTopics: true,
  delayLevels: DEFAULT_DELAY_LEVELS,
  maxPullMessages: 32,
  maxPullBytes: 262_144,
  maxMessages: 1_000_000,
  maxBytes: 1_073_741_824,
  maxTopics: 10_000,
  maxGroups: 10_000,
  maxOffsets: 1_000_000,
  maxLocks: 1_000_000,
  maxMessageSize: 4_194_304,
  offsetPersistInterval: 5_000,
  credentials: [],
  brokerName: "broker-a",
  clusterName: "DefaultCluster",
  propertyFilter: true,
};

const name = only(
  "a name of 1 to 127 characters",
  (value) => typeof value === "string" && /^[^\s@;]{1,127}$/.test(value),
);
const flag = only("true or false", (value) => typeof value === "boolean");

/** The allowed values; topics have names and options of their own. */
const checks: Readonly<Record<keyof EmbeddedBrokerOptions, OptionCheck>> = {
  ...serverChecks,
  topics: only("an object of topics by name", isRecord),
  autoCreateTopics: flag,
  delayLevels: only("1 to 100 whole numbers of milliseconds, from 0 on", isDelayLevels),
  maxPullMessages: whole(1, 1_024),
  maxPullBytes: whole(1, 16_000_000),
  maxMessages: whole(1, Number.MAX_SAFE_INTEGER),
  maxBytes: whole(1_024, Number.MAX_SAFE_INTEGER),
  maxTopics: whole(1, 1_000_000),
  maxGroups: whole(1, 1_000_000),
  maxOffsets: whole(1, 10_000_000),
  maxLocks: whole(1, 10_000_000),
  maxMessageSize: whole(1, 16_000_000),
  offsetPersistInterval: whole(0, 2_000_000_000),
  credentials: only("an array of up to 1 000 objects with accessKey and secretKey", isAccounts),
  brokerName: name,
  clusterName: name,
  propertyFilter: flag,
  nameServers: only("1 to 100 embedded name servers", isNameServers),
};

/** Checks options and adds the default values; throws a {@linkcode ConfigError} that names every problem. */
export function checkOptions(options: EmbeddedBrokerOptions): CheckedOptions {
  requireOptions("start an embedded broker", options, checks, problemsOfTopics);
  return { ...defaults, ...given(options) };
}

/** Checks the options of a cluster; throws a {@linkcode ConfigError} that names every problem. */
export function checkClusterOptions(options: EmbeddedClusterOptions): void {
  const { port: _port, brokerName: _name, ...shared } = checks;
  const counts = { brokers: whole(1, 26), nameServers: whole(1, 10) };
  requireOptions("start an embedded cluster", options, { ...shared, ...counts }, problemsOfTopics);
}

function isDelayLevels(value: unknown): boolean {
  return Array.isArray(value) && value.length >= 1 && value.length <= 100 &&
    value.every((level) => isWhole(level, 0, Number.MAX_SAFE_INTEGER));
}

function isAccounts(value: unknown): boolean {
  return Array.isArray(value) && value.length <= 1_000 &&
    value.every((each) =>
      isRecord(each) && [each.accessKey, each.secretKey].every((text) => typeof text === "string" && text !== "")
    );
}

function isNameServers(value: unknown): boolean {
  return Array.isArray(value) && value.length >= 1 && value.length <= 100 &&
    value.every((each) => each instanceof EmbeddedNameServer);
}
