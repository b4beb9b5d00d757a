/**
 * The options of one send.
 *
 * @module
 */

import type { MessageQueue } from "../message.ts";
import { MAX_TOPIC_LENGTH, OptionsCheck } from "../options.ts";
import { MAX_SEND_TIMEOUT } from "./options.ts";

/** The highest delay level that brokers have unless configured: 2 h. Source: MessageStoreConfig. */
const MAX_DELAY_LEVEL = 18;
// deno-lint-ignore no-control-regex
const NOT_IN_KEY = /[\u0001\u0002]/;

/**
 * Options of {@linkcode Producer.sendBatch}. Unknown names are errors.
 *
 * @category Produce
 */
export interface SendBatchOptions {
  /**
   * Messages with the same key go to the same queue, in the order of their sends, as long as the topic keeps its
   * queues. Consumers see it as the property `__SHARDINGKEY`.
   */
  orderingKey?: string | undefined;
  /** The queue to send to, instead of the topic's queues in turn. Not together with `orderingKey`. */
  queue?: MessageQueue | undefined;
  /**
   * How long the send may take over all its attempts, 1 to 600 000 ms. In a batch it applies to each request.
   *
   * @default the producer's `sendTimeout`
   */
  timeout?: number | undefined;
  /** Aborts the send, which rejects with the signal's reason. The message may be stored nevertheless. */
  signal?: AbortSignal | undefined;
}

/**
 * Options of {@linkcode Producer.send}. Unknown names are errors.
 *
 * @category Produce
 */
export interface SendOptions extends SendBatchOptions {
  /**
   * Delays the delivery to consumers: 1 is the first of the broker's delay levels, which are by default 1, 5, 10 and 30 s,
   * 1 to 10 min, 20 and 30 min, 1 and 2 h. At most 18, the last of these.
   */
  delayLevel?: number | undefined;
}

/** Options whose values have been checked. */
export type CheckedSendOptions = Readonly<SendOptions> & { readonly timeout: number };

const batchNames: readonly (keyof SendBatchOptions)[] = ["orderingKey", "queue", "timeout", "signal"];
const names: readonly (keyof SendOptions)[] = [...batchNames, "delayLevel"];

/**
 * Checks the options of one message.
 *
 * @throws {ConfigError} naming every problem
 */
export function checkSendOptions(options: SendOptions, sendTimeout: number): CheckedSendOptions {
  const check = new OptionsCheck("send a message");
  checkArgument(check, options);
  check.known(options, names);
  const { delayLevel } = options;
  if (delayLevel !== undefined) check.integer("delayLevel", delayLevel, 1, 1, MAX_DELAY_LEVEL);
  const checked = checkCommon(check, options, sendTimeout);
  check.done();
  return checked;
}

/**
 * Checks the options of a batch.
 *
 * @throws {ConfigError} naming every problem
 */
export function checkSendBatchOptions(options: SendBatchOptions, sendTimeout: number): CheckedSendOptions {
  const check = new OptionsCheck("send a batch");
  if (typeof options === "object" && options !== null && "delayLevel" in options) {
    const { delayLevel, ...others } = options;
    // Brokers store the messages of a batch without a delay, whatever their properties are. Source:
    // SendMessageProcessor.
    const allowed = "no delay level: brokers do not delay batches; send the messages one by one";
    if (delayLevel !== undefined) check.add("delayLevel", delayLevel, allowed);
    check.known(others, batchNames);
  } else check.known(options, batchNames);
  const checked = checkCommon(check, options, sendTimeout);
  check.done();
  return checked;
}

/** `send("orders", "paid")`, as other clients have it. */
function checkArgument(check: OptionsCheck, options: unknown): void {
  if (typeof options !== "string" && !(options instanceof Uint8Array)) return;
  const problem =
    'the second argument has options; topic and body are in one object: send({ topic: "orders", body: "paid" })';
  check.explain("options", options, "an object", problem);
  check.done();
}

function checkCommon(check: OptionsCheck, options: SendOptions, sendTimeout: number): CheckedSendOptions {
  const { orderingKey, queue, signal } = options;
  if (orderingKey !== undefined && !isKey(orderingKey)) {
    check.add("orderingKey", orderingKey, "a text of at least one character, without U+0001 and U+0002");
  }
  if (queue !== undefined) checkQueue(check, queue);
  if (queue !== undefined && orderingKey !== undefined) {
    check.add("queue", queue, "a queue or an orderingKey: both choose the queue, leave one out");
  }
  if (signal !== undefined && !(signal instanceof AbortSignal)) check.add("signal", signal, "an AbortSignal");
  return { ...options, timeout: check.integer("timeout", options.timeout, sendTimeout, 1, MAX_SEND_TIMEOUT, "ms") };
}

function isKey(key: unknown): boolean {
  return typeof key === "string" && key !== "" && !NOT_IN_KEY.test(key);
}

function checkQueue(check: OptionsCheck, queue: unknown): void {
  if (typeof queue !== "object" || queue === null) {
    check.add("queue", queue, 'an object like { topic: "orders", broker: "broker-a", queueId: 0 }');
    return;
  }
  const { topic, broker, queueId } = queue as Partial<MessageQueue>;
  check.name("queue.topic", topic, MAX_TOPIC_LENGTH);
  if (typeof broker !== "string" || broker === "") check.add("queue.broker", broker, "a broker's name");
  if (!Number.isInteger(queueId) || queueId! < 0) check.add("queue.queueId", queueId, "an integer from 0 on");
}
