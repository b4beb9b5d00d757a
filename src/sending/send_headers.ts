/**
 * The headers of sends.
 *
 * @module
 */

import type { MessageQueue } from "../message.ts";
import { type BinaryFields, FieldsTemplate } from "../wire/binary_fields.ts";
import { AUTO_CREATE_TOPIC } from "../wire/codes.ts";
import { sendHeader } from "../wire/requests.ts";
import type { Parcel } from "./parcel.ts";
import { NEW_TOPIC_QUEUES } from "./publish_routes.ts";

/** What is the same in all sends to a queue. */
type Fixed =
  | "producerGroup"
  | "topic"
  | "defaultTopic"
  | "defaultTopicQueueNums"
  | "queueId"
  | "reconsumeTimes"
  | "unitMode"
  | "brokerName";

/** Writes the headers of one producer's sends; what is the same for all that go to a queue is written once. */
export class SendHeaders {
  #group: string;
  #templates = new WeakMap<MessageQueue, FieldsTemplate<typeof sendHeader, Fixed>>();

  /** Makes the headers of a producer of a group. */
  constructor(group: string) {
    this.#group = group;
  }

  /** The header of a parcel to a queue. */
  of(queue: MessageQueue, parcel: Parcel, bornTimestamp: number): BinaryFields {
    let template = this.#templates.get(queue);
    if (template === undefined) this.#templates.set(queue, template = this.#templateOf(queue));
    const { sysFlag, flag, properties, batch = false } = parcel;
    return template.with({ sysFlag, bornTimestamp, flag, properties, batch });
  }

  #templateOf({ topic, queueId, broker }: MessageQueue): FieldsTemplate<typeof sendHeader, Fixed> {
    const fixed = {
      producerGroup: this.#group,
      topic,
      defaultTopic: AUTO_CREATE_TOPIC,
      defaultTopicQueueNums: NEW_TOPIC_QUEUES,
      queueId,
      reconsumeTimes: 0,
      unitMode: false,
      brokerName: broker,
    };
    return new FieldsTemplate(sendHeader, fixed, ["sysFlag", "bornTimestamp", "flag", "properties", "batch"]);
  }
}
