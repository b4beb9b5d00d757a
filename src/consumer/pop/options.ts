/**
 * POP consumer options.
 *
 * @module
 */

import { OptionsCheck } from "../../options.ts";
import type { TopicsOption, TraceOptions } from "../options.ts";
import { checkGroup, checkMaxSubscriptions, checkTimes, checkTopics, checkTrace } from "../options_check.ts";
import type { Selector } from "../subscriptions/selector.ts";

/**
 * Options of `mq.popConsumer()`. Durations are milliseconds. Unknown names are errors.
 *
 * @category Consume
 */
export interface PopConsumerOptions {
  /** The group: 1 to 255 characters of `%|a-zA-Z0-9_-`. */
  group: string;
  /** What is consumed, as for `mq.consumer()`. */
  topics: TopicsOption;
  /**
   * How many topics the consumer may subscribe to, now and later, 1 to 1 000 000.
   *
   * @default {1_000}
   */
  maxSubscriptions?: number;
  /**
   * Where a group begins that the broker does not know yet: at the end or at the beginning. The broker decides; there
   * is no beginning by time.
   *
   * @default {"last"}
   */
  consumeFrom?: "last" | "first";
  /**
   * What happens if no name server knows a topic: `"error"` rejects, `"wait"` begins when it appears.
   *
   * @default {"error"}
   */
  missingTopic?: "error" | "wait";
  /**
   * How long nobody else gets a message that was popped, 5 000 to 300 000 ms. What is not settled then is redelivered.
   *
   * @default {60_000}
   */
  invisibleTime?: number;
  /**
   * Whether asking for the next batch acknowledges the one before. Turn it off where something asks ahead.
   *
   * @default {true}
   */
  autoAck?: boolean;
  /**
   * The most messages in one batch, and in one pop, 1 to 32.
   *
   * @default {32}
   */
  batchSize?: number;
  /**
   * How long a broker holds a pop of a loop while there is nothing, 1 000 to 60 000 ms. `pop()` has its own `wait`.
   *
   * @default {15_000}
   */
  pullHold?: number;
  /**
   * How many messages are asked for, or received and not settled, 1 to 65 535. Never less than one pop.
   *
   * @default {1_000}
   */
  maxBufferedMessages?: number;
  /**
   * How often a message may fail before it goes to the dead letter queue: 0 (the first failure is dead) to
   * 2 147 483 647, or Infinity (in JSON `"Infinity"`).
   *
   * @default {16}
   */
  maxReconsumeTimes?: number;
  /**
   * Between two looks at which brokers have the topics, 1 000 to 60 000 ms.
   *
   * @default {20_000}
   */
  rebalanceInterval?: number;
  /**
   * How long `close()` waits for batches in flight and their acks, 0 to 600 000 ms.
   *
   * @default {20_000}
   */
  closeTimeout?: number;
  /**
   * Whether records of what is consumed go to a trace topic, which has to exist, as RocketMQ's tools read them.
   *
   * @default {false}
   */
  trace?: boolean | TraceOptions;
}

/** Options with every default filled in. */
export type CheckedPopOptions = Required<Omit<PopConsumerOptions, "topics" | "trace">> & {
  readonly topics: ReadonlyMap<string, Selector>;
  readonly trace: string | undefined;
  readonly model: "clustering";
};

const names: readonly (keyof PopConsumerOptions)[] = [
  "group",
  "topics",
  "maxSubscriptions",
  "consumeFrom",
  "missingTopic",
  "invisibleTime",
  "autoAck",
  "batchSize",
  "pullHold",
  "maxBufferedMessages",
  "maxReconsumeTimes",
  "rebalanceInterval",
  "closeTimeout",
  "trace",
];

/** The least and the longest invisible time. Source: DefaultMQPushConsumer. */
export const [MIN_INVISIBLE, MAX_INVISIBLE]: readonly [number, number] = [5_000, 300_000];

/**
 * Fills in the defaults.
 *
 * @throws {ConfigError} naming every problem
 * @throws {InvalidSelectorError} for a tag expression that cannot be understood
 */
export function checkPopOptions(options: PopConsumerOptions): CheckedPopOptions {
  const check = new OptionsCheck("create a POP consumer");
  check.known(options, names);
  const maxSubscriptions = checkMaxSubscriptions(check, options.maxSubscriptions);
  const checked: CheckedPopOptions = {
    group: checkGroup(check, options.group),
    model: "clustering",
    topics: checkTopics(check, options.topics, maxSubscriptions),
    maxSubscriptions,
    consumeFrom: check.oneOf("consumeFrom", options.consumeFrom, "last", ["last", "first"]),
    missingTopic: check.oneOf("missingTopic", options.missingTopic, "error", ["error", "wait"]),
    invisibleTime: check.integer("invisibleTime", options.invisibleTime, 60_000, MIN_INVISIBLE, MAX_INVISIBLE, "ms"),
    autoAck: check.flag("autoAck", options.autoAck, true),
    batchSize: check.integer("batchSize", options.batchSize, 32, 1, 32),
    pullHold: check.integer("pullHold", options.pullHold, 15_000, 1_000, 60_000, "ms"),
    maxBufferedMessages: check.integer("maxBufferedMessages", options.maxBufferedMessages, 1_000, 1, 65_535),
    maxReconsumeTimes: checkTimes(check, options.maxReconsumeTimes, 16),
    rebalanceInterval: check.integer("rebalanceInterval", options.rebalanceInterval, 20_000, 1_000, 60_000, "ms"),
    closeTimeout: check.integer("closeTimeout", options.closeTimeout, 20_000, 0, 600_000, "ms"),
    trace: checkTrace(check, options.trace),
  };
  check.done();
  return checked;
}
