/**
 * What a consumer can be told.
 *
 * @module
 */

import { MAX_GROUP_LENGTH, MAX_TOPIC_LENGTH, OptionsCheck } from "../options.ts";
import { type AllocationStrategy, average, averageByCircle, consistentHash, isAllocationStrategy } from "./allocate.ts";
import { parseSelector, type Selector } from "./selector.ts";
import type { ConsumeFrom } from "./start_offset.ts";
import { MAX_SUBSCRIPTIONS } from "./subscription_manager.ts";

const MIB = 1024 * 1024;

/** Topics with what is wanted of them: a name, several names, or names with tag expressions. */
export type TopicsOption = string | readonly string[] | Readonly<Record<string, string | Selector>>;

/** Options of `mq.consumer()`. Durations are milliseconds, sizes bytes. Unknown names are errors. */
export interface ConsumerOptions {
  /** The group: 1 to 255 characters of `%|a-zA-Z0-9_-`. Its members share the queues of its topics. */
  group: string;
  /**
   * What is consumed: `"orders"`, `["orders", "payments"]` or `{ orders: "paid || refunded" }`; 1 to
   * `maxSubscriptions` names of 1 to 127 characters. A value is `"*"`, a tag expression, `tag("a", "b")`, or
   * `sql("price > 10")`. All members of a group must subscribe to the same.
   */
  topics: TopicsOption;
  /**
   * How many topics the consumer may subscribe to, now and later, 1 to 1 000 000.
   *
   * @default {1_000}
   */
  maxSubscriptions?: number;
  /**
   * Where a queue begins for which the group has no offset: at the end, at the beginning, or at the first message
   * since a time (a `Date`, or ISO text). A stored offset always wins; a queue that appears while the consumer runs
   * is read from its beginning.
   *
   * @default {"last"}
   */
  consumeFrom?: ConsumeFrom | string;
  /**
   * What happens if no name server knows a topic: `"error"` rejects, `"wait"` begins when it appears.
   *
   * @default {"error"}
   */
  missingTopic?: "error" | "wait";
  /**
   * How queues are divided between the members; the same for all members of the group. A strategy of
   * `@denorocket/rocketmq/consumer` or your own; those that need no arguments also by name.
   *
   * @default {average()}
   */
  allocation?: AllocationStrategy | "average" | "averageByCircle" | "consistentHash";
  /**
   * Whether asking for the next batch acknowledges the one before. Turn it off where something asks ahead.
   *
   * @default {true}
   */
  autoAck?: boolean;
  /**
   * The most messages in one batch, 1 to 1 024. A batch is what is ready, never waited for.
   *
   * @default {32}
   */
  batchSize?: number;
  /**
   * The most messages in one pull, 1 to 1 024. Brokers have a cap of their own, 32 unless configured.
   *
   * @default {32}
   */
  pullBatchSize?: number;
  /**
   * The most bytes in one pull, 1 024 to 16 MiB. Brokers have a cap of their own, 256 KiB unless configured; 4.9 and
   * 5.3 know only that one.
   *
   * @default {262_144}
   */
  pullBatchBytes?: number;
  /**
   * How long a broker holds a pull while there is nothing, 1 000 to 60 000 ms. Brokers may add 5 s.
   *
   * @default {15_000}
   */
  pullHold?: number;
  /**
   * A pause between two pulls of one queue, 0 to 65 535 ms.
   *
   * @default {0}
   */
  pullInterval?: number;
  /**
   * How many messages of one queue are buffered, those in hand included, before its pulls stop: 1 to 65 535. Never
   * less than two pulls.
   *
   * @default {1_000}
   */
  maxBufferedPerQueue?: number;
  /**
   * The same in bytes, 64 KiB to 1 GiB. Never less than one pull.
   *
   * @default {104_857_600}
   */
  maxBufferedBytesPerQueue?: number;
  /**
   * How many messages all queues together buffer, 1 to 10 000 000; each queue has an even share.
   *
   * @default {50_000}
   */
  maxBufferedMessages?: number;
  /**
   * The same in bytes, 64 KiB to 16 GiB.
   *
   * @default {67_108_864}
   */
  maxBufferedBytes?: number;
  /**
   * How far the newest offset of a queue may be ahead of its oldest unsettled one, 1 to 65 535. Never less than four
   * pulls.
   *
   * @default {2_000}
   */
  maxSpan?: number;
  /**
   * How often a message is sent back before it goes to the dead letter queue: 0 (the first failure is dead) to
   * 2 147 483 647, or Infinity.
   *
   * @default {16}
   */
  maxReconsumeTimes?: number;
  /**
   * How long a released batch rests before it is handed out again, 10 to 30 000 ms.
   *
   * @default {1_000}
   */
  suspendQueue?: number;
  /**
   * How long a batch may be in hand before what is left of it is sent back, 1 000 to 2 147 483 647 ms.
   *
   * @default {900_000}
   */
  consumeTimeout?: number;
  /**
   * Between two looks at who should own which queue, 1 000 to 60 000 ms. Changes that brokers tell of count at once.
   *
   * @default {20_000}
   */
  rebalanceInterval?: number;
  /**
   * Between two writes of offsets, 100 to 60 000 ms.
   *
   * @default {5_000}
   */
  persistInterval?: number;
  /**
   * How long `close()` waits for batches in hand, 0 to 600 000 ms.
   *
   * @default {20_000}
   */
  closeTimeout?: number;
}

/** Options with every default filled in. */
export type CheckedConsumerOptions =
  & Required<Omit<ConsumerOptions, "topics" | "allocation" | "consumeFrom">>
  & {
    readonly topics: ReadonlyMap<string, Selector>;
    readonly allocation: AllocationStrategy;
    readonly consumeFrom: ConsumeFrom;
  };

const names: readonly (keyof ConsumerOptions)[] = [
  "group",
  "topics",
  "maxSubscriptions",
  "consumeFrom",
  "missingTopic",
  "allocation",
  "autoAck",
  "batchSize",
  "pullBatchSize",
  "pullBatchBytes",
  "pullHold",
  "pullInterval",
  "maxBufferedPerQueue",
  "maxBufferedBytesPerQueue",
  "maxBufferedMessages",
  "maxBufferedBytes",
  "maxSpan",
  "maxReconsumeTimes",
  "suspendQueue",
  "consumeTimeout",
  "rebalanceInterval",
  "persistInterval",
  "closeTimeout",
];

/** The strategies that need no arguments, by their names in options that come from JSON. */
const allocations: Readonly<Record<string, () => AllocationStrategy>> = { average, averageByCircle, consistentHash };

/**
 * Fills in the defaults.
 *
 * @throws {ConfigError} naming every problem
 * @throws {InvalidSelectorError} for a tag expression that cannot be understood
 */
export function checkConsumerOptions(options: ConsumerOptions): CheckedConsumerOptions {
  const check = new OptionsCheck("create a consumer");
  check.known(options, names);
  const checked: CheckedConsumerOptions = {
    group: checkGroup(check, options.group),
    topics: checkTopics(check, options.topics, options.maxSubscriptions ?? MAX_SUBSCRIPTIONS),
    maxSubscriptions: check.integer("maxSubscriptions", options.maxSubscriptions, MAX_SUBSCRIPTIONS, 1, 1_000_000),
    consumeFrom: checkConsumeFrom(check, options.consumeFrom),
    missingTopic: check.oneOf("missingTopic", options.missingTopic, "error", ["error", "wait"]),
    allocation: checkAllocation(check, options.allocation),
    autoAck: check.flag("autoAck", options.autoAck, true),
    batchSize: check.integer("batchSize", options.batchSize, 32, 1, 1_024),
    pullBatchSize: check.integer("pullBatchSize", options.pullBatchSize, 32, 1, 1_024),
    pullBatchBytes: check.integer("pullBatchBytes", options.pullBatchBytes, 262_144, 1_024, 16 * MIB, "bytes"),
    pullHold: check.integer("pullHold", options.pullHold, 15_000, 1_000, 60_000, "ms"),
    pullInterval: check.integer("pullInterval", options.pullInterval, 0, 0, 65_535, "ms"),
    maxBufferedPerQueue: check.integer("maxBufferedPerQueue", options.maxBufferedPerQueue, 1_000, 1, 65_535),
    maxBufferedBytesPerQueue: check.integer(
      "maxBufferedBytesPerQueue",
      options.maxBufferedBytesPerQueue,
      100 * MIB,
      64 * 1024,
      1024 * MIB,
      "bytes",
    ),
    maxBufferedMessages: check.integer("maxBufferedMessages", options.maxBufferedMessages, 50_000, 1, 10_000_000),
    maxBufferedBytes: check.integer(
      "maxBufferedBytes",
      options.maxBufferedBytes,
      64 * MIB,
      64 * 1024,
      16 * 1024 * MIB,
      "bytes",
    ),
    maxSpan: check.integer("maxSpan", options.maxSpan, 2_000, 1, 65_535),
    maxReconsumeTimes: options.maxReconsumeTimes === Infinity
      ? Infinity
      : check.integer("maxReconsumeTimes", options.maxReconsumeTimes, 16, 0, 0x7fffffff, "or Infinity"),
    suspendQueue: check.integer("suspendQueue", options.suspendQueue, 1_000, 10, 30_000, "ms"),
    consumeTimeout: check.integer("consumeTimeout", options.consumeTimeout, 900_000, 1_000, 0x7fffffff, "ms"),
    rebalanceInterval: check.integer("rebalanceInterval", options.rebalanceInterval, 20_000, 1_000, 60_000, "ms"),
    persistInterval: check.integer("persistInterval", options.persistInterval, 5_000, 100, 60_000, "ms"),
    closeTimeout: check.integer("closeTimeout", options.closeTimeout, 20_000, 0, 600_000, "ms"),
  };
  check.done();
  return checked;
}

function checkGroup(check: OptionsCheck, group: unknown): string {
  const name = check.name("group", group, MAX_GROUP_LENGTH);
  // Brokers and other clients use this name as "no group given". Source: Validators.
  if (name === "DEFAULT_CONSUMER") check.add("group", group, "any name but DEFAULT_CONSUMER");
  return name;
}

function checkTopics(check: OptionsCheck, topics: unknown, max: number): ReadonlyMap<string, Selector> {
  const entries: [string, unknown][] = typeof topics === "string"
    ? [[topics, "*"]]
    : Array.isArray(topics)
    ? topics.map((topic) => [topic, "*"])
    : typeof topics === "object" && topics !== null
    ? Object.entries(topics)
    : [];
  const selectors = new Map<string, Selector>();
  if (entries.length < 1 || entries.length > max) {
    check.add("topics", topics, `a topic, or 1 to ${max} topics in an array or as names of an object`);
  }
  for (const [topic, selector] of entries) {
    const name = check.name("topics", topic, MAX_TOPIC_LENGTH);
    const field = `topics.${name}`;
    if (name !== "" && isSelector(selector)) selectors.set(name, parseSelector(selector));
    else if (name !== "") check.add(field, selector, `"*", a tag expression, tag("a", "b") or sql("…")`);
  }
  return selectors;
}

function isSelector(value: unknown): value is string | Selector {
  return typeof value === "string" ||
    (typeof value === "object" && value !== null && "type" in value && "expression" in value);
}

function checkConsumeFrom(check: OptionsCheck, value: unknown): ConsumeFrom {
  if (value === undefined) return "last";
  if (value === "last" || value === "first") return value;
  const date = value instanceof Date ? value : typeof value === "string" ? new Date(value) : undefined;
  if (date !== undefined && !Number.isNaN(date.getTime())) return date;
  check.add("consumeFrom", value, `"last", "first", a Date or ISO text`);
  return "last";
}

function checkAllocation(check: OptionsCheck, value: unknown): AllocationStrategy {
  if (value === undefined) return average();
  if (typeof value === "string" && Object.hasOwn(allocations, value)) return allocations[value]!();
  if (isAllocationStrategy(value)) return value;
  const named = Object.keys(allocations).map((name) => `"${name}"`).join(", ");
  check.add("allocation", value, `average() or another strategy, ${named}, or an object with name and allocate`);
  return average();
}
