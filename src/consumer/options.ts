/**
 * Consumer options.
 *
 * @module
 */

import type { Message } from "../message.ts";
import type { OffsetStore } from "../offsets/store.ts";
import type { AllocationStrategy } from "./allocation/allocate.ts";
import type { Selector } from "./subscriptions/selector.ts";
import type { ConsumeFrom } from "./start_offset.ts";

/**
 * Topics with what is wanted of them: a name, several names, or names with tag expressions.
 *
 * @category Consume
 */
export type TopicsOption = string | readonly string[] | Readonly<Record<string, string | Selector>>;

/**
 * Options of {@linkcode ConsumerOptions.trace}.
 *
 * @category Advanced
 */
export interface TraceOptions {
  /**
   * The topic that takes the records; it has to exist.
   *
   * @default {"RMQ_SYS_TRACE_TOPIC"}
   */
  topic?: string;
}

/**
 * Options of `mq.consumer()`. Durations are milliseconds, sizes bytes. Unknown names are errors.
 *
 * @category Consume
 */
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
   * Whether the members share the messages (`"clustering"`), or each has them all (`"broadcasting"`). In broadcasting
   * offsets are kept locally, and what fails is reported and skipped.
   *
   * @default {"clustering"}
   */
  model?: "clustering" | "broadcasting";
  /**
   * What is kept in order. `"orderly"`: the messages of a queue: it is locked at its broker, and its next batch is not
   * delivered before the last is settled. `"byKey"`: those with the same key in a queue, which is locked likewise:
   * different keys are delivered side by side.
   *
   * @default {"concurrent"}
   */
  ordering?: "concurrent" | "orderly" | "byKey";
  /**
   * The key that `"byKey"` orders by, and with it only; messages without one share a key. It must give the same for a
   * message each time.
   *
   * @default {the sharding key that `send()` sets by `orderingKey`}
   */
  orderingKey?: (message: Message) => string | undefined;
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
   * How many messages of one queue are buffered, those in flight included, before its pulls stop: 1 to 65 535. Never
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
  /**
   * How far the newest offset of a queue may be ahead of its oldest unsettled one, 1 to 65 535. Never less than four
   * pulls. It does not count in orderly consumption, where nothing is settled ahead of others.
   *
   * @default {2_000}
   */
  maxSpan?: number;
  /**
   * How often a message is sent back, or requeued in ordered consumption, before it goes to the dead letter queue (in
   * broadcasting: is skipped): 0 (the first failure is dead) to 2 147 483 647, or Infinity (in JSON `"Infinity"`).
   *
   * @default {16; in ordered consumption Infinity}
   */
  maxReconsumeTimes?: number;
  /**
   * How long a released batch rests before it is redelivered, and a queue or key in ordered consumption after a
   * failure, 10 to 30 000 ms.
   *
   * @default {1_000}
   */
  suspendQueue?: number;
  /**
   * How long a batch may be in flight before what is left of it is sent back, 1 000 to 2 147 483 647 ms. In ordered
   * consumption and in broadcasting an event reports it, and nothing else happens.
   *
   * @default {900_000}
   */
  consumeTimeout?: number;
  /**
   * How long the lock of a queue counts in ordered consumption after it was renewed last, 10 000 to 50 000 ms. It is
   * renewed after two thirds of that; brokers keep it for 60 s.
   *
   * @default {30_000}
   */
  lockTimeout?: number;
  /**
   * Between two looks at who should own which queue, 1 000 to 60 000 ms. Changes that brokers notify count at once.
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
   * Where offsets are kept, in any model: a store of this package, or your own with `read`, `write` and `close`. The
   * consumer opens and closes it: one consumer for each.
   *
   * @default {the brokers; in broadcasting Deno KV where it is available, else a file, else memory, with an event}
   */
  offsetStore?: OffsetStore;
  /**
   * What distinguishes the members on one machine in broadcasting, and in it only: where no `offsetStore` is given,
   * offsets are kept under group and instance. The same after a restart. 1 to 127 characters of `%|a-zA-Z0-9_-`.
   *
   * @default {"default"}
   */
  instance?: string;
  /**
   * Whether records of what is consumed go to a trace topic, which has to exist, as RocketMQ's tools read them.
   *
   * @default {false}
   */
  trace?: boolean | TraceOptions;
  /**
   * How long `close()` waits for batches in flight, 0 to 600 000 ms.
   *
   * @default {20_000}
   */
  closeTimeout?: number;
}
