/**
 * The headers of sends.
 *
 * @module
 */

import type { MessageQueue } from "../message.ts";
import { type BinaryFields, FieldsTemplate } from "../wire/binary_fields.ts";
import { AUTO_CREATE_TOPIC } from "../wire/codes.ts";
import { sendHeader } from "../wire/requests.ts";
import type { RetryFields, SendRequest } from "./send_request.ts";
import { NEW_TOPIC_QUEUES } from "./publish_routes.ts";

/** What is the same in all new messages to a queue. */
type Fixed =
  | "producerGroup"
  | "topic"
  | "defaultTopic"
  | "defaultTopicQueueNums"
  | "queueId"
  | "reconsumeTimes"
  | "unitMode"
  | "brokerName";

/** Makes the headers of one producer group's sends; what all new messages to a queue share is written once. */
export class SendHeaders {
  #group: string;
  #templates = new WeakMap<MessageQueue, FieldsTemplate<typeof sendHeader, Fixed>>();

  /** Makes the headers of a group. */
  constructor(group: string) {
    this.#group = group;
  }

  /** The header of a request to a queue. */
  of(queue: MessageQueue, request: SendRequest, bornTimestamp: number): BinaryFields {
    if (request.retry !== undefined) return this.#ofRetry(queue, request, request.retry);
    let template = this.#templates.get(queue);
    if (template === undefined) this.#templates.set(queue, template = this.#templateOf(queue));
    const { sysFlag, flag, properties, batch = false } = request;
    return template.with({ sysFlag, bornTimestamp, flag, properties, batch });
  }

  #ofRetry(queue: MessageQueue, request: SendRequest, retry: RetryFields): BinaryFields {
    const { bornAt: bornTimestamp, reconsumeTimes, maxReconsumeTimes } = retry;
    const { sysFlag, flag, properties, batch = false } = request;
    const own = { sysFlag, bornTimestamp, flag, properties, batch, reconsumeTimes, maxReconsumeTimes };
    return retryHeader.with({ ...this.#fixed(queue), ...own });
  }

  #fixed({ topic, queueId, broker: brokerName }: MessageQueue) {
    return {
      producerGroup: this.#group,
      topic,
      defaultTopic: AUTO_CREATE_TOPIC,
      defaultTopicQueueNums: NEW_TOPIC_QUEUES,
      queueId,
      reconsumeTimes: 0,
      unitMode: false,
      brokerName,
    };
  }

  #templateOf(queue: MessageQueue): FieldsTemplate<typeof sendHeader, Fixed> {
    const fixed = this.#fixed(queue);
    return new FieldsTemplate(sendHeader, fixed, ["sysFlag", "bornTimestamp", "flag", "properties", "batch"]);
  }
}

/** Redeliveries are not frequent: nothing of their header is written in advance. */
const retryHeader = new FieldsTemplate(sendHeader, {}, [
  ...[
    "producerGroup",
    "topic",
    "defaultTopic",
    "defaultTopicQueueNums",
    "queueId",
    "sysFlag",
    "bornTimestamp",
  ] as const,
  ...["flag", "properties", "reconsumeTimes", "unitMode", "maxReconsumeTimes", "batch", "brokerName"] as const,
]);
