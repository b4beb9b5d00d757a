/**
 * A consumer's message trace: which messages were delivered when, and what became of them.
 *
 * @module
 */

import { uniqueKeysOf } from "../cluster/client_id.ts";
import type { Message } from "../message.ts";
import { PropertyName, TRACE_TOPIC } from "../wire/codes.ts";
import type { UniqueKeys } from "../wire/message_id.ts";
import { TraceContextCode, type TracedMessage } from "./trace_records.ts";
import { TraceSender, type TraceSenderOptions } from "./trace_sender.ts";

/** The region of messages that do not name one, as those from 4.9 brokers. Source: MixAll. */
const DEFAULT_REGION = "DefaultRegion";

/** Options of a {@linkcode Tracer}. */
export interface TracerOptions extends Omit<TraceSenderOptions, "topic"> {
  /** The trace topic. @default {"RMQ_SYS_TRACE_TOPIC"} */
  readonly topic?: string | undefined;
}

/** The fields of a message that a trace needs. */
export type TraceableMessage = Pick<Message, "topic" | "messageId" | "reconsumeTimes" | "property">;

/** Messages that were delivered, for {@linkcode Tracer.after}. */
export interface TracedBatch {
  /** What the records of one delivery share. */
  readonly requestId: string;
  /** The messages' topic. */
  readonly topic: string;
  /** Those of them that are traced. */
  readonly messages: readonly TracedMessage[];
  /** How many were delivered, those that are not traced included. */
  readonly length: number;
  /** When, by the monotonic clock. */
  readonly startedAt: number;
}

/**
 * Traces one consumer, in the form and to the topic that Java's clients use.
 *
 * {@linkcode Tracer.before} and {@linkcode Tracer.after} neither wait nor throw: what they record is sent in the
 * background, and dropped where that is too slow or fails.
 */
export class Tracer {
  #group: string;
  #topic: string;
  #uniqueKeys: UniqueKeys;
  #sender: TraceSender;
  #closed: Promise<void> | undefined;

  /** Makes a tracer; nothing is asked or opened before something is to be sent. */
  constructor(options: TracerOptions) {
    const { group, topic = TRACE_TOPIC, cluster } = options;
    this.#group = group;
    this.#topic = topic;
    this.#uniqueKeys = uniqueKeysOf(cluster.clientId);
    this.#sender = new TraceSender({ ...options, topic });
  }

  /** How many contexts (a batch delivered, an outcome) were sent, and how many were lost. */
  get totals(): { readonly sent: number; readonly dropped: number } {
    return this.#sender.totals;
  }

  /**
   * Notes that messages of one topic are delivered.
   *
   * Those of the trace topic are not traced, and those whose property `TRACE_ON` is `false`.
   *
   * @returns what {@linkcode Tracer.after} is to be called with; undefined if none is traced, or there is no room
   */
  before(messages: readonly TraceableMessage[]): TracedBatch | undefined {
    if (!this.#sender.hasRoom()) return undefined;
    const traced = this.#traced(messages);
    const [first] = traced;
    if (first === undefined) return undefined;
    const { topic } = first;
    const batch: TracedBatch = {
      requestId: this.#uniqueKeys.next(),
      topic,
      messages: traced.map(summary),
      length: messages.length,
      startedAt: performance.now(),
    };
    this.#sender.add({
      type: "SubBefore",
      timestamp: Date.now(),
      region: first.property(PropertyName.MSG_REGION) ?? DEFAULT_REGION,
      group: this.#group,
      topic,
      requestId: batch.requestId,
      messages: batch.messages,
    });
    return batch;
  }

  /**
   * Notes what became of messages.
   *
   * @param batch what {@linkcode Tracer.before} gave for them
   * @param code how it ended; `SUCCESS` alone is written as success
   * @param some those of the batch that it is about; without, all of them
   */
  after(batch: TracedBatch | undefined, code: TraceContextCode, some?: readonly TraceableMessage[]): void {
    if (batch === undefined || !this.#sender.hasRoom()) return;
    const messages = some === undefined ? batch.messages : this.#traced(some).map(summary);
    if (messages.length === 0) return;
    this.#sender.add({
      type: "SubAfter",
      timestamp: Date.now(),
      group: this.#group,
      topic: batch.topic,
      requestId: batch.requestId,
      messages,
      // The share of one message, in whole milliseconds. Source: ConsumeMessageTraceHookImpl.
      cost: Math.floor((performance.now() - batch.startedAt) / batch.length),
      success: code === TraceContextCode.SUCCESS,
      code,
    });
  }

  /** Sends what is left; what is not sent in time, 5 seconds by default, is dropped. */
  close(): Promise<void> {
    this.#closed ??= this.#sender.close();
    return this.#closed;
  }

  #traced(messages: readonly TraceableMessage[]): readonly TraceableMessage[] {
    return messages.filter((message) =>
      message.topic !== this.#topic && message.property(PropertyName.TRACE_SWITCH) !== "false"
    );
  }
}

/** What is kept of a message until it is traced: not the message itself, which would keep its whole frame in memory. */
function summary(message: TraceableMessage): TracedMessage {
  return {
    messageId: message.messageId,
    keys: message.property(PropertyName.KEYS),
    retryTimes: message.reconsumeTimes,
  };
}
