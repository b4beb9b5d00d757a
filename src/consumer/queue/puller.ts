/**
 * One pull: the request, and what its answer means.
 *
 * @module
 */

import type { BrokerClient } from "../../brokers/broker_client.ts";
import { NetworkError } from "../../errors.ts";
import type { MessageQueue } from "../../message.ts";
import { FieldsTemplate } from "../../wire/binary_fields.ts";
import { PullSysFlag, ResponseCode } from "../../wire/codes.ts";
import type { HeaderOf } from "../../wire/fields.ts";
import {
  type BrokenRecord,
  decodeRecords,
  type RetryReader,
  type StoredMessage,
  unpackBatches,
} from "../../wire/record.ts";
import { pullMessage } from "../../wire/requests.ts";
import type { CheckedConsumerOptions } from "../options_check.ts";
import { type Selector, selects } from "../subscriptions/selector.ts";

/** A held pull may be answered up to 5 s late, and needs time on the way. Source: PullRequestHoldService. */
const HOLD_MARGIN = 15_000;

/** What a broker answered to a pull. */
export interface PullAnswer<T = unknown> {
  /** `found`: messages; `empty`: none for us, so far; `moved`: the position does not exist, `remark` says why. */
  readonly kind: "found" | "empty" | "moved";
  /** The messages that this consumer wants, in offset order. */
  readonly messages: readonly StoredMessage<T>[];
  /** Records that cannot be read. */
  readonly broken: readonly BrokenRecord[];
  /** How many bytes it has. */
  readonly bytes: number;
  /** Where to go on: as the broker says, or where the rest begins. */
  readonly nextOffset: number;
  /** The end of the queue: the offset that its next message gets. */
  readonly maxOffset: number;
  /** Which replica to ask next. */
  readonly brokerId: number;
  /** The broker's words. */
  readonly remark: string;
  /** When it was received, by the monotonic clock. */
  readonly receivedAt: number;
  /** The same answer's messages from `nextOffset` on; undefined if these are the last. */
  readonly rest?: (() => Promise<PullAnswer<T>>) | undefined;
}

/** Counts what is pulled. */
export interface PullObserver {
  /** So many messages of a topic were pulled in `ms` milliseconds, received at a time by the monotonic clock. */
  pulled(topic: string, count: number, ms: number, receivedAt: number): void;
}

type PullHeader = HeaderOf<typeof pullMessage.header>;
type Changing = "queueId" | "queueOffset" | "maxMsgNums" | "sysFlag";
type PullTemplate = FieldsTemplate<typeof pullMessage.header, Exclude<keyof PullHeader, Changing>>;

const HELD = PullSysFlag.SUSPEND | PullSysFlag.SUBSCRIPTION;
const NOT_HELD = PullSysFlag.SUBSCRIPTION;

const nothing: readonly never[] = [];

/** Pulls for one group. */
export class Puller<T = unknown> {
  /** How long an answer may take, in milliseconds. */
  readonly timeout: number;
  /** The most messages that a pull asks for. */
  readonly batchSize: number;
  #brokers: Pick<BrokerClient, "pull">;
  #group: string;
  #options: CheckedConsumerOptions;
  #observer: PullObserver | undefined;
  #reader: RetryReader | undefined;
  #templates = new Map<string, { readonly selector: Selector; readonly template: PullTemplate }>();

  /**
   * Makes a puller with a consumer's options; `observer` counts every answer with messages. Without a `reader`
   * messages show what is stored.
   */
  constructor(
    brokers: Pick<BrokerClient, "pull">,
    options: CheckedConsumerOptions,
    observer?: PullObserver,
    reader?: RetryReader,
  ) {
    this.#observer = observer;
    this.#reader = reader;
    this.#brokers = brokers;
    this.#group = options.group;
    this.#options = options;
    this.timeout = options.pullHold + HOLD_MARGIN;
    this.batchSize = options.pullBatchSize;
  }

  /**
   * Pulls from `offset` on; the broker holds the request while there is nothing, unless it must not.
   *
   * The subscription goes with every pull, so that a broker that has just restarted, or another member's other
   * subscription, cannot filter for us. The offset to commit never does: commits have their own order.
   *
   * Large packed bodies are unpacked before the answer is given, in the background. Of many it gives the first, and the
   * others as its rest, so that there is never more in memory than one answer of bodies that are not packed.
   *
   * @param signal ends the unpacking: the messages are not wanted any more
   * @param now the time, by the monotonic clock
   * @param count how many messages are asked for
   * @param mayBeHeld whether the broker may hold the request
   * @throws {NetworkError} `MALFORMED_FRAME` if the answer leads to a place that the queue does not have
   */
  async pull(
    queue: MessageQueue,
    selector: Selector,
    offset: number,
    brokerId: number,
    signal?: AbortSignal,
    now: number = performance.now(),
    count: number = this.batchSize,
    mayBeHeld = true,
  ): Promise<PullAnswer<T>> {
    const header = this.#templateFor(queue.topic, selector).with({
      queueId: queue.queueId,
      queueOffset: offset,
      maxMsgNums: count,
      sysFlag: mayBeHeld ? HELD : NOT_HELD,
    });
    const answer = await this.#brokers.pull(queue, brokerId, header, this.timeout, now);
    const { nextBeginOffset: nextOffset, maxOffset, suggestWhichBrokerId } = answer.header;
    requirePlace(nextOffset, Math.max(offset, maxOffset + 1)); // an operator may set the position behind the end
    const { remark, receivedAt } = answer;
    const rest = {
      bytes: answer.body.length,
      nextOffset,
      maxOffset,
      brokerId: suggestWhichBrokerId,
      remark,
      receivedAt,
    };
    if (answer.code === ResponseCode.PULL_OFFSET_MOVED) {
      return { kind: "moved", messages: nothing, broken: nothing, ...rest };
    }
    if (answer.code !== ResponseCode.SUCCESS) return { kind: "empty", messages: nothing, broken: nothing, ...rest };
    let records = decodeRecords(answer.body, queue, { begin: offset, end: nextOffset }, this.#reader);
    if (records.packed.length > 0) records = await unpackBatches(records, this.#options.pullBatchBytes, signal);
    const { broken, stoppedAt = nextOffset } = records;
    const messages = records.messages as StoredMessage<T>[];
    this.#observer?.pulled(queue.topic, messages.length, receivedAt - now, receivedAt);
    const all = selector.type === "SQL92" || selector.tags.size === 0;
    const wanted = all ? messages : messages.filter((message) => selects(selector, message));
    const found = { kind: "found", messages: wanted, broken, ...rest, nextOffset: stoppedAt } as const;
    return wanted.some((message) => message.isLargePacked) ? this.#unpack(found, signal) : found;
  }

  /** What is the same in all pulls of a topic, written once. */
  #templateFor(topic: string, selector: Selector): PullTemplate {
    const known = this.#templates.get(topic);
    if (known?.selector === selector) return known.template;
    const template = new FieldsTemplate(pullMessage.header, {
      consumerGroup: this.#group,
      topic,
      commitOffset: 0,
      suspendTimeoutMillis: this.#options.pullHold,
      subscription: selector.expression,
      subVersion: 0,
      expressionType: selector.type,
      maxMsgBytes: this.#options.pullBatchBytes,
    }, ["queueId", "queueOffset", "maxMsgNums", "sysFlag"]);
    this.#templates.set(topic, { selector, template });
    return template;
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

function requirePlace(nextOffset: number, max: number): void {
  if (Number.isSafeInteger(nextOffset) && nextOffset >= 0 && nextOffset <= max) return;
  const text = `Cannot use the answer to a pull: it leads to offset ${nextOffset}, the queue has 0 to ${max}`;
  throw new NetworkError(text, "", "MALFORMED_FRAME");
}
