/**
 * One pull: the request, and what its answer means.
 *
 * @module
 */

import type { BrokerClient } from "../cluster/broker_client.ts";
import type { MessageQueue } from "../message.ts";
import { PullSysFlag, ResponseCode } from "../wire/codes.ts";
import { type BrokenRecord, decodeRecords, type StoredMessage } from "../wire/record.ts";
import type { CheckedConsumerOptions } from "./options_check.ts";
import { type Selector, selects } from "./selector.ts";

/** A held pull may be answered up to 5 s late, and needs time on the way. Source: PullRequestHoldService. */
const HOLD_MARGIN = 15_000;

/** What a broker answered to a pull. */
export interface PullAnswer<T = unknown> {
  /** `found`: messages; `empty`: none for us, so far; `moved`: the position does not exist, `remark` tells why. */
  readonly kind: "found" | "empty" | "moved";
  /** The messages that this consumer wants, in offset order. */
  readonly messages: readonly StoredMessage<T>[];
  /** Records that cannot be read. */
  readonly broken: readonly BrokenRecord[];
  /** Where to go on: as the broker says, or where the rest begins. */
  readonly nextOffset: number;
  /** Which replica to ask next. */
  readonly brokerId: number;
  /** The broker's words. */
  readonly remark: string;
  /** The same answer's messages from `nextOffset` on; undefined if these are the last. */
  readonly rest?: (() => Promise<PullAnswer<T>>) | undefined;
}

const nothing: readonly never[] = [];

/** Pulls for one group. */
export class Puller<T = unknown> {
  /** How long an answer may take, in milliseconds. */
  readonly timeout: number;
  #brokers: Pick<BrokerClient, "pull">;
  #group: string;
  #options: CheckedConsumerOptions;
  #onPulled: (topic: string, count: number, ms: number) => void;

  /** Makes a puller with a consumer's options; `onPulled` hears how many messages came, and how long that took. */
  constructor(
    brokers: Pick<BrokerClient, "pull">,
    options: CheckedConsumerOptions,
    onPulled: (topic: string, count: number, ms: number) => void = () => {},
  ) {
    this.#onPulled = onPulled;
    this.#brokers = brokers;
    this.#group = options.group;
    this.#options = options;
    this.timeout = options.pullHold + HOLD_MARGIN;
  }

  /**
   * Pulls from `offset` on; the broker holds the request while there is nothing.
   *
   * The subscription goes with every pull, so that a broker that has just restarted, or another member's other
   * subscription, cannot filter for us. The offset to commit never does: commits have their own order.
   *
   * Large packed bodies are unpacked before the answer is given, in the background. Of many it gives the first, and the
   * others as its rest, so that there is never more in memory than one answer of bodies that are not packed.
   *
   * @param signal ends the unpacking: nobody wants the messages any more
   */
  async pull(
    queue: MessageQueue,
    selector: Selector,
    offset: number,
    brokerId: number,
    signal?: AbortSignal,
  ): Promise<PullAnswer<T>> {
    const started = performance.now();
    const answer = await this.#brokers.pull(queue, brokerId, {
      consumerGroup: this.#group,
      topic: queue.topic,
      queueId: queue.queueId,
      queueOffset: offset,
      maxMsgNums: this.#options.pullBatchSize,
      sysFlag: PullSysFlag.SUSPEND | PullSysFlag.SUBSCRIPTION,
      commitOffset: 0,
      suspendTimeoutMillis: this.#options.pullHold,
      subscription: selector.expression,
      subVersion: 0,
      expressionType: selector.type,
      maxMsgBytes: this.#options.pullBatchBytes,
    }, this.timeout);
    const { nextBeginOffset: nextOffset, suggestWhichBrokerId } = answer.header;
    const rest = { nextOffset, brokerId: suggestWhichBrokerId, remark: answer.remark };
    if (answer.code === ResponseCode.PULL_OFFSET_MOVED) {
      return { kind: "moved", messages: nothing, broken: nothing, ...rest };
    }
    if (answer.code !== ResponseCode.SUCCESS) return { kind: "empty", messages: nothing, broken: nothing, ...rest };
    const { messages, broken } = decodeRecords(answer.body, queue) as {
      messages: StoredMessage<T>[];
      broken: BrokenRecord[];
    };
    this.#onPulled(queue.topic, messages.length, performance.now() - started);
    const all = selector.type === "SQL92" || selector.tags.size === 0;
    const wanted = all ? messages : messages.filter((message) => selects(selector, message));
    const found = { kind: "found", messages: wanted, broken, ...rest } as const;
    return wanted.some((message) => message.isLargePacked) ? this.#unpack(found, signal) : found;
  }

  /** Unpacks the first bodies of an answer, so many as would fit in one. */
  async #unpack(answer: PullAnswer<T>, signal: AbortSignal | undefined): Promise<PullAnswer<T>> {
    const { messages } = answer;
    let bytes = 0;
    for (const [i, message] of messages.entries()) {
      if (!message.isLargePacked) continue;
      if (bytes >= this.#options.pullBatchBytes) {
        const others = { ...answer, messages: messages.slice(i), broken: nothing };
        const rest = () => this.#unpack(others, signal);
        return { ...answer, messages: messages.slice(0, i), nextOffset: message.queueOffset, rest };
      }
      await message.unpack(signal);
      bytes += message.heldSize - message.size;
    }
    return answer;
  }
}
