/**
 * Messages that an operator has one consumer handle now, beside its queues.
 *
 * @module
 */

import type { Message, MessageQueue } from "../../message.ts";
import { reasonOf } from "../../plain_text.ts";
import { delay } from "../../waiting.ts";
import type { ConsumeMessageDirectlyResult, DirectConsumeResult } from "../../wire/bodies.ts";
import { isTopicOf } from "../../wire/names.ts";
import { decodeRecords } from "../../wire/record.ts";
import type { StoredMessage } from "../../wire/stored_message.ts";
import type { DirectDelivery } from "./dispatcher.ts";
import type { MessageBatch } from "./batch.ts";
import { DeliveredBatch, type SettlementRules } from "./delivered_batch.ts";
import { retryReader, type SubscribedTopics } from "./retry_reader.ts";
import { inBackground, unheard } from "../../owned_work.ts";

/** How long we may take, in milliseconds: brokers wait for 10 s. Source: Broker2Client.callClient. */
const ANSWER_TIME = 8_000;

/** What became of a message that was delivered directly: `undefined` while nobody knows. */
interface Settled {
  readonly result: DirectConsumeResult;
  readonly remark?: string;
}

/**
 * Hands a batch of one message to a loop or handler that asks; it moves no offset. Returns what came of
 * it: a text if nothing did in the time that the broker waits.
 */
export async function consumeDirectly<T, B extends DeliveredBatch<T>>(
  dispatcher: DirectDelivery<B>,
  makeBatch: (rules: SettlementRules<T, DeliveredBatch<T>>) => B,
  isOrdered: boolean,
): Promise<ConsumeMessageDirectlyResult | string> {
  const started = performance.now();
  const rules = new DirectRules<T>();
  const batch = makeBatch(rules);
  dispatcher.offerDirect(batch);
  const enough = new AbortController();
  const settled = await Promise.race([rules.settled, delay(ANSWER_TIME, { signal: enough.signal }).catch(() => {})]);
  enough.abort();
  if (settled === undefined) {
    if (dispatcher.withdraw(batch)) return `no loop has asked for a batch within ${ANSWER_TIME} ms`;
    batch.abort("the broker does not wait any longer");
    return `the message is in flight for longer than the ${ANSWER_TIME} ms that the broker waits`;
  }
  const { result, remark = "" } = settled;
  const spentTimeMills = Math.round(performance.now() - started);
  return { order: isOrdered, autoCommit: true, consumeResult: result, remark, spentTimeMills };
}

/** One message that an operator sends to this consumer: its queue need not be assigned to it. */
export class DirectBatch<T = unknown> extends DeliveredBatch<T> implements MessageBatch<T> {
  readonly queue: MessageQueue;
  readonly topic: string;
  readonly sourceTopic: string;
  protected readonly rules: SettlementRules<T, DeliveredBatch<T>>;

  constructor(message: Message<T>, rules: SettlementRules<T, DeliveredBatch<T>>) {
    super([message]);
    this.queue = message.queue;
    this.topic = message.topic;
    this.sourceTopic = message.queue.topic;
    this.rules = rules;
  }
}

/** Settlements of one message that is in no queue of ours: nothing is stored, the operator receives the result. */
class DirectRules<T> implements SettlementRules<T, DeliveredBatch<T>> {
  readonly settled: Promise<Settled>;
  #report!: (settled: Settled) => void;

  constructor() {
    this.settled = new Promise((resolve) => this.#report = resolve);
  }

  ack(batch: DeliveredBatch<T>, message?: Message<T>): Promise<void> {
    return this.#settle(batch, { result: "CR_SUCCESS" }, message);
  }

  retry(batch: DeliveredBatch<T>, message: Message<T> | undefined): Promise<void> {
    return this.#settle(batch, { result: "CR_LATER" }, message);
  }

  deadLetter(batch: DeliveredBatch<T>, message: Message<T> | undefined): Promise<void> {
    return this.#settle(batch, { result: "CR_LATER" }, message);
  }

  release(batch: DeliveredBatch<T>): void {
    inBackground(this.#settle(batch, { result: "CR_LATER" }), unheard);
  }

  fail(batch: DeliveredBatch<T>, error: unknown): Promise<void> {
    const remark = error instanceof Error ? `${String(error.name)}: ${reasonOf(error)}` : reasonOf(error);
    return this.#settle(batch, { result: "CR_THROW_EXCEPTION", remark });
  }

  /** The first settlement wins, as with all batches. */
  #settle(batch: DeliveredBatch<T>, settled: Settled, message?: Message<T>): Promise<void> {
    if (batch.claim(message).length > 0) this.#report(settled);
    return Promise.resolve();
  }
}

/**
 * Reads one record, whose queue is written in it. What stands in the group's own dead letter queue was its own retry,
 * and goes to the loops of the topic that it was sent to, unless the group subscribes to that queue.
 */
export function readMessage<T>(
  record: Uint8Array,
  broker: string,
  group: string,
  subscribed: SubscribedTopics,
): StoredMessage<T> | undefined {
  const [unplaced] = decodeRecords(record, { topic: "", broker, queueId: 0 }).messages;
  if (unplaced === undefined) return undefined;
  const { storedTopic: topic, storedQueueId: queueId } = unplaced;
  const queue: MessageQueue = { topic, broker, queueId };
  const reader = retryReader(group, subscribed);
  const isOwn = isTopicOf(group, topic) && subscribed.selector(topic) === undefined;
  return decodeRecords(record, queue, undefined, isOwn ? { ...reader, retryTopic: topic } : reader).messages[0] as
    | StoredMessage<T>
    | undefined;
}
