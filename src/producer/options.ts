/**
 * The options of producers.
 *
 * @module
 */

import { MAX_GROUP_LENGTH, OptionsCheck } from "../options.ts";

/**
 * The default group of producers. Brokers need a name; it matters for transactions only.
 *
 * @category Produce
 */
export const DEFAULT_PRODUCER_GROUP = "denorocket-producer";
/** The longest timeout of one send, in milliseconds. */
export const MAX_SEND_TIMEOUT = 600_000;
/** The longest `linger`, in milliseconds. */
const MAX_LINGER = 1_000;
/** The largest body that fits into a frame together with its header, in bytes. Source: NettyDecoder. */
const LARGEST_BODY = 16_000_000;
/** A name that other clients reserve for "no group". Source: Validators. */
const REFUSED_GROUP = "DEFAULT_PRODUCER";

/**
 * Options of `mq.producer()`. Durations are milliseconds, sizes bytes. Unknown names are errors.
 *
 * @category Produce
 */
export interface ProducerOptions {
  /**
   * The group: 1 to 255 characters of `%|a-zA-Z0-9_-`, but not `DEFAULT_PRODUCER`. Only transactions need a group of
   * their own.
   *
   * @default {"denorocket-producer"}
   */
  group?: string;
  /**
   * How long one send may take over all its attempts, 1 to 600 000 ms; in a batch, each request. A shorter outage does
   * not make a send fail.
   *
   * @default {3_000}
   */
  sendTimeout?: number;
  /**
   * How many answers with an error may be followed by another attempt, 0 to 100: on another broker, if there is one.
   * Attempts without an answer, or that a busy broker refuses, do not count: they are repeated until `sendTimeout`.
   *
   * @default {2}
   */
  retries?: number;
  /**
   * From which size on a body is compressed with zlib, 1 to 16 000 000 bytes; `false` compresses none. A body that
   * would not get smaller is sent as it is, and so are the bodies of a batch.
   *
   * @default {4_096}
   */
  compressAbove?: number | false;
  /**
   * The largest body of one message before compression, and the largest request of a batch, 1 to 16 000 000 bytes.
   * Brokers have a limit of their own, 4 MiB by default.
   *
   * @default {4_194_304}
   */
  maxMessageSize?: number;
  /**
   * How long a `send()` may wait for others to share its request, 0 to 1 000 ms; with 0 each has a request of its own.
   *
   * It waits only while a request is in flight: messages to the same topic without a key or queue, or to the same queue
   * by either, are sent as one batch when that request is answered, when there are `batchBytes`, or when this time is
   * over, whichever is first. While nothing is in flight a message is sent at once, so a caller that awaits each send
   * loses nothing. Each send has its own receipt or error, and its own `timeout` and `signal` count.
   *
   * Messages with an `orderingKey` or a `queue` are sent one request after the other, in the order of their sends; each
   * request waits for the one before, however long that takes. A message with a `delayLevel`, one that is compressed
   * and one that is too large for a batch have a request of their own. Messages of one batch go to one queue.
   *
   * @default {0}
   */
  linger?: number;
  /**
   * The largest request that `linger` makes, 1 024 to 16 000 000 bytes, at most `maxMessageSize`; a larger message has
   * a request of its own. It does not apply to `sendBatch()`.
   *
   * @default {65_536}
   */
  batchBytes?: number;
}

/** Options with every default filled in. */
export type CheckedProducerOptions = Readonly<Required<ProducerOptions>>;

const names: readonly (keyof ProducerOptions)[] = [
  "group",
  "sendTimeout",
  "retries",
  "compressAbove",
  "maxMessageSize",
  "linger",
  "batchBytes",
];

/**
 * Fills in the defaults.
 *
 * @throws {ConfigError} naming every problem
 */
export function checkProducerOptions(options: ProducerOptions = {}): CheckedProducerOptions {
  const check = new OptionsCheck("create a producer");
  check.known(options, names);
  const { compressAbove } = options;
  const checked: CheckedProducerOptions = {
    group: checkGroup(check, options.group),
    sendTimeout: check.integer("sendTimeout", options.sendTimeout, 3_000, 1, MAX_SEND_TIMEOUT, "ms"),
    retries: check.integer("retries", options.retries, 2, 0, 100),
    compressAbove: compressAbove === false
      ? false
      : check.integer("compressAbove", compressAbove, 4_096, 1, LARGEST_BODY, "bytes; false compresses none"),
    maxMessageSize: check.integer("maxMessageSize", options.maxMessageSize, 4_194_304, 1, LARGEST_BODY, "bytes"),
    linger: check.integer("linger", options.linger, 0, 0, MAX_LINGER, "ms; 0 combines no messages"),
    batchBytes: check.integer("batchBytes", options.batchBytes, 65_536, 1_024, LARGEST_BODY, "bytes"),
  };
  check.done();
  return checked;
}

function checkGroup(check: OptionsCheck, group: unknown): string {
  if (group === undefined) return DEFAULT_PRODUCER_GROUP;
  if (group === REFUSED_GROUP) check.add("group", group, `any name but ${REFUSED_GROUP}; leave it out for the default`);
  return check.name("group", group, MAX_GROUP_LENGTH);
}
