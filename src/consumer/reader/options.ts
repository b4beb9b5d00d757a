/**
 * Reader options.
 *
 * @module
 */

import type { MessageQueue } from "../../message.ts";
import { OptionsCheck } from "../../options.ts";
import type { SeekPosition } from "../consumer.ts";
import { checkConsumerOptions, type CheckedConsumerOptions } from "../options_check.ts";
import type { Selector } from "../subscriptions/selector.ts";

/**
 * The group of readers that are not given one: brokers keep a record of every group that they see.
 *
 * @category Consume
 */
export const DEFAULT_READER_GROUP = "denorocket_reader";

/**
 * Where a reader begins: a place in each queue, or what its group has committed there, else its beginning.
 *
 * @category Consume
 */
export type ReadFrom = SeekPosition | "committed";

/**
 * Options of `mq.reader()`. Durations are milliseconds, sizes bytes. Unknown names are errors.
 *
 * @category Consume
 */
export interface ReaderOptions {
  /** The topic, 1 to 127 characters of `%|a-zA-Z0-9_-`. */
  topic: string;
  /**
   * Where every queue begins: at its end when the reader opens, at its beginning, at the first message since a time, at
   * an offset, or at what `commit()` has stored for the group. Queues that appear later begin at their beginning, with
   * `"latest"` at the first message stored since the reader has opened.
   *
   * @default {"latest"}
   */
  from?: ReadFrom | string;
  /**
   * Which queues are read.
   *
   * @default {all of the topic, also those that appear later}
   */
  queues?: readonly MessageQueue[];
  /**
   * What happens if no name server knows the topic: an error, or the reader waits until it exists. A dead letter queue,
   * `%DLQ%` and the group's name, exists from its first message on.
   *
   * @default {"error"}
   */
  missingTopic?: "error" | "wait";
  /**
   * Which messages are wanted: `"*"`, a tag expression, `tag("a", "b")` or `sql("price > 10")`.
   *
   * @default {"*"}
   */
  filter?: string | Selector;
  /**
   * Under which name brokers see it, and `commit()` stores offsets. No group consumer should have the same.
   *
   * @default {"denorocket_reader"}
   */
  group?: string;
  /**
   * Whether asking for the next batch marks the one before as read.
   *
   * @default {true}
   */
  autoAck?: boolean;
  /**
   * The most messages in one batch, 1 to 1 024.
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
   * How long a broker holds a pull while there is nothing, 1 000 to 60 000 ms.
   *
   * @default {15_000}
   */
  pullHold?: number;
  /**
   * How many messages all queues together buffer, asked for or held, 1 to 10 000 000. With fewer than two for each
   * queue brokers cannot hold pulls, and idle queues are looked at in turn.
   *
   * @default {50_000}
   */
  maxBufferedMessages?: number;
  /**
   * From how many bytes on all queues together ask for no more, 64 KiB to 16 GiB. What was asked for before still
   * comes.
   *
   * @default {67_108_864}
   */
  maxBufferedBytes?: number;
}

/** Options with every default filled in. */
export interface CheckedReaderOptions {
  readonly topic: string;
  readonly from: ReadFrom;
  readonly queues: readonly MessageQueue[] | undefined;
  /** The options of its parts, as those of a consumer. */
  readonly consumer: CheckedConsumerOptions;
}

/** The options that a reader shares with a consumer. */
const shared = [
  "group",
  "autoAck",
  "batchSize",
  "pullBatchSize",
  "pullHold",
  "maxBufferedMessages",
  "maxBufferedBytes",
  "missingTopic",
] as const satisfies readonly (keyof ReaderOptions)[];

/**
 * Fills in the defaults.
 *
 * @throws {ConfigError} naming every problem
 * @throws {InvalidSelectorError} for a filter that cannot be understood
 */
export function checkReaderOptions(options: ReaderOptions): CheckedReaderOptions {
  const check = new OptionsCheck("create a reader");
  check.known(options, ["topic", "from", "queues", "filter", ...shared]);
  const from = checkFrom(check, options.from);
  check.shape(
    "queues",
    options.queues,
    "an array of queues { topic, broker, queueId } of the topic",
    (value) => Array.isArray(value) && value.length > 0 && value.every((queue) => isQueueOf(queue, options.topic)),
  );
  const rest = Object.fromEntries(
    shared.filter((name) => options[name] !== undefined).map((name) => [name, options[name]]),
  );
  const { group = DEFAULT_READER_GROUP } = options;
  const consumer = check.including(() =>
    checkConsumerOptions({ ...rest, group, topics: { [options.topic]: options.filter ?? "*" }, maxSubscriptions: 1 })
  );
  check.done();
  return { topic: options.topic, from, queues: options.queues, consumer: consumer! };
}

function checkFrom(check: OptionsCheck, value: unknown): ReadFrom {
  if (value === undefined) return "latest";
  if (value === "latest" || value === "earliest" || value === "committed") return value;
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= 0) return value;
  const date = value instanceof Date ? value : typeof value === "string" ? new Date(value) : undefined;
  if (date !== undefined && !Number.isNaN(date.getTime())) return date;
  check.add("from", value, `"latest", "earliest", "committed", an offset from 0 on, a Date or ISO text`);
  return "latest";
}

function isQueueOf(value: unknown, topic: string): value is MessageQueue {
  if (typeof value !== "object" || value === null) return false;
  const queue = value as Partial<MessageQueue>;
  return queue.topic === topic && typeof queue.broker === "string" && Number.isInteger(queue.queueId);
}
