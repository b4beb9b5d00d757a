/**
 * Checking consumer options, and filling in the defaults.
 *
 * @module
 */

import type { Message } from "../message.ts";
import { MAX_INSTANCE_LENGTH } from "../offsets/options.ts";
import type { OffsetStore } from "../offsets/store.ts";
import { MAX_GROUP_LENGTH, MAX_TOPIC_LENGTH, OptionsCheck } from "../options.ts";
import { PropertyName, TRACE_TOPIC } from "../wire/codes.ts";
import {
  type AllocationStrategy,
  average,
  averageByCircle,
  consistentHash,
  isAllocationStrategy,
} from "./allocation/allocate.ts";
import type { ConsumerOptions, TraceOptions } from "./options.ts";
import { parseSelector, type Selector, sql } from "./subscriptions/selector.ts";
import type { ConsumeFrom } from "./start_offset.ts";
import { MAX_SUBSCRIPTIONS } from "./subscriptions/subscription_manager.ts";

const MIB = 1024 * 1024;

/** Options whose checked form is another one. */
type Mapped = "topics" | "allocation" | "consumeFrom" | "orderingKey" | "offsetStore" | "trace";

/** Options with every default filled in. */
export type CheckedConsumerOptions =
  & Required<Omit<ConsumerOptions, Mapped>>
  & {
    readonly offsetStore: OffsetStore | undefined;
    /** The topic of the trace; undefined without one. */
    readonly trace: string | undefined;
    readonly topics: ReadonlyMap<string, Selector>;
    readonly allocation: AllocationStrategy;
    readonly consumeFrom: ConsumeFrom;
    readonly orderingKey: (message: Message) => string | undefined;
  };

const names: readonly (keyof ConsumerOptions)[] = [
  "group",
  "topics",
  "model",
  "ordering",
  "orderingKey",
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
  "lockTimeout",
  "rebalanceInterval",
  "persistInterval",
  "offsetStore",
  "instance",
  "trace",
  "closeTimeout",
];

/** What an offset store has to have. */
const storeMethods: readonly (keyof OffsetStore)[] = ["read", "write", "close"];

/** Dates as JSON has them. Anything else `Date` would read somehow: "first1" as the year 2001. */
const ISO_TEXT = /^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:\d{2})?)?$/;

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
  const model = check.oneOf("model", options.model, "clustering", ["clustering", "broadcasting"]);
  const ordering = check.oneOf("ordering", options.ordering, "concurrent", ["concurrent", "orderly", "byKey"]);
  const maxSubscriptions = checkMaxSubscriptions(check, options.maxSubscriptions);
  const checked: CheckedConsumerOptions = {
    group: checkGroup(check, options.group),
    model,
    ordering,
    orderingKey: checkOrderingKey(check, options.orderingKey, ordering),
    topics: checkTopics(check, options.topics, maxSubscriptions),
    maxSubscriptions,
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
    maxReconsumeTimes: checkTimes(check, options.maxReconsumeTimes, ordering === "concurrent" ? 16 : Infinity),
    suspendQueue: check.integer("suspendQueue", options.suspendQueue, 1_000, 10, 30_000, "ms"),
    consumeTimeout: check.integer("consumeTimeout", options.consumeTimeout, 900_000, 1_000, 0x7fffffff, "ms"),
    lockTimeout: check.integer("lockTimeout", options.lockTimeout, 30_000, 10_000, 50_000, "ms"),
    rebalanceInterval: check.integer("rebalanceInterval", options.rebalanceInterval, 20_000, 1_000, 60_000, "ms"),
    persistInterval: check.integer("persistInterval", options.persistInterval, 5_000, 100, 60_000, "ms"),
    offsetStore: checkStore(check, options.offsetStore),
    instance: checkInstance(check, options, model),
    trace: checkTrace(check, options.trace),
    closeTimeout: check.integer("closeTimeout", options.closeTimeout, 20_000, 0, 600_000, "ms"),
  };
  check.done();
  return checked;
}

/** Checks `group`. */
export function checkGroup(check: OptionsCheck, group: unknown): string {
  const name = check.name("group", group, MAX_GROUP_LENGTH);
  // Brokers and other clients use this name as "no group given". Source: Validators.
  if (name === "DEFAULT_CONSUMER") check.add("group", group, "any name but DEFAULT_CONSUMER");
  return name;
}

function checkOrderingKey(
  check: OptionsCheck,
  value: unknown,
  ordering: string,
): (message: Message) => string | undefined {
  if (value === undefined) return shardingKeyOf;
  if (typeof value === "function" && ordering === "byKey") return value as typeof shardingKeyOf;
  check.add("orderingKey", value, `a function from a message to its key, with ordering: "byKey" only`);
  return shardingKeyOf;
}

function shardingKeyOf(message: Message): string | undefined {
  return message.property(PropertyName.SHARDING_KEY);
}

/** Checks `maxSubscriptions`. */
export function checkMaxSubscriptions(check: OptionsCheck, value: unknown): number {
  return check.integer("maxSubscriptions", value, MAX_SUBSCRIPTIONS, 1, 1_000_000);
}

/** Checks `maxReconsumeTimes`. */
export function checkTimes(check: OptionsCheck, value: unknown, fallback: number): number {
  if (value === undefined) return fallback;
  if (value === Infinity || value === "Infinity") return Infinity;
  return check.integer("maxReconsumeTimes", value, fallback, 0, 0x7fffffff, "or Infinity");
}

function checkStore(check: OptionsCheck, value: unknown): OffsetStore | undefined {
  check.shape("offsetStore", value, "an OffsetStore: an object with the methods read, write and close", isStore);
  return isStore(value) ? value : undefined;
}

function isStore(value: unknown): value is OffsetStore {
  const store = (typeof value === "object" && value !== null ? value : {}) as Record<string, unknown>;
  return storeMethods.every((name) => typeof store[name] === "function") &&
    (store.open === undefined || typeof store.open === "function");
}

function checkInstance(check: OptionsCheck, { instance, offsetStore }: ConsumerOptions, model: string): string {
  if (instance === undefined) return "default";
  if (model === "broadcasting" && offsetStore === undefined) {
    return check.name("instance", instance, MAX_INSTANCE_LENGTH);
  }
  const allowed = `nothing, unless with model: "broadcasting", and without an offsetStore, which has its own`;
  check.add("instance", instance, allowed);
  return "default";
}

/** Checks `trace`: returns the topic, undefined without a trace. */
export function checkTrace(check: OptionsCheck, value: unknown): string | undefined {
  if (value === undefined || value === false) return undefined;
  if (value === true) return TRACE_TOPIC;
  if (isTraceOptions(value)) return check.name("trace.topic", value.topic ?? TRACE_TOPIC, MAX_TOPIC_LENGTH);
  check.add("trace", value, "true, false or { topic }");
  return undefined;
}

function isTraceOptions(value: unknown): value is TraceOptions {
  if (typeof value !== "object" || value === null || Array.isArray(value) || value instanceof Date) return false;
  return Object.keys(value).every((name) => name === "topic");
}

/** Checks `topics`, of which there may be `max`. */
export function checkTopics(check: OptionsCheck, topics: unknown, max: number): ReadonlyMap<string, Selector> {
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
    if (name !== "" && isSelector(selector)) selectors.set(name, readSelector(selector));
    else if (name !== "") check.add(field, selector, `"*", a tag expression, tag("a", "b") or sql("…")`);
  }
  return selectors;
}

function isSelector(value: unknown): value is string | Selector {
  return typeof value === "string" ||
    (typeof value === "object" && value !== null && "type" in value &&
      ["TAG", "SQL92"].includes(value.type as string) &&
      "expression" in value && typeof value.expression === "string");
}

/** From JSON a selector of tags comes without their set. */
function readSelector(value: string | Selector): Selector {
  if (typeof value === "string") return parseSelector(value);
  if ("tags" in value && value.tags instanceof Set) return value;
  return value.type === "SQL92" ? sql(value.expression) : parseSelector(value.expression);
}

function checkConsumeFrom(check: OptionsCheck, value: unknown): ConsumeFrom {
  if (value === undefined) return "last";
  if (value === "last" || value === "first") return value;
  const isText = typeof value === "string" && ISO_TEXT.test(value);
  const date = value instanceof Date ? value : isText ? new Date(value) : undefined;
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
