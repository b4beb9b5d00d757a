/**
 * The requests of the programs that have no client: as frames, with what a real client would say in them.
 *
 * @module
 */

import { encodeBatch } from "../../src/wire/batch.ts";
import { FrameFlag } from "../../src/wire/codes.ts";
import { encodeHeader, type HeaderOf } from "../../src/wire/fields.ts";
import { encodeFrame } from "../../src/wire/frame.ts";
import { pullMessage, type RequestSpec, sendBatch, sendMessage } from "../../src/wire/requests.ts";
import { bodyOf } from "./bodies.ts";
import type { Work } from "./work.ts";

const SUBSCRIPTION = 4;
const SUSPEND = 2;

/** The properties that any producer gives a message: its unique key, and that it waits until it is stored. */
export const PROPERTIES = "UNIQ_KEY\u00010A0B0C0D00001B28193B10F10B9F0000\u0002WAIT\u0001true\u0002";

/** A pull of one queue; with `hold` the broker may keep it that many milliseconds. */
export function pullFrame(work: Work, opaque: number, queueId: number, queueOffset: number, hold = 0): Uint8Array {
  return frame(pullMessage, {
    consumerGroup: work.group,
    topic: work.topic,
    queueId,
    queueOffset,
    maxMsgNums: work.pullBatch,
    sysFlag: hold > 0 ? SUBSCRIPTION | SUSPEND : SUBSCRIPTION,
    commitOffset: 0,
    suspendTimeoutMillis: hold,
    subscription: "*",
    subVersion: 0,
    expressionType: "TAG",
  }, opaque);
}

/** A send of one message, or of a batch of them. */
export function sendFrame(work: Work, opaque: number, queueId: number, number: number): Uint8Array {
  const isBatch = work.batch > 1;
  const header = {
    producerGroup: "bench",
    topic: work.topic,
    defaultTopic: "TBW102",
    defaultTopicQueueNums: work.queues,
    queueId,
    sysFlag: 0,
    bornTimestamp: Date.now(),
    flag: 0,
    properties: isBatch ? "" : PROPERTIES,
    batch: isBatch,
  };
  const flag = work.oneway ? FrameFlag.ONEWAY : 0;
  if (!isBatch) return frame(sendMessage, header, opaque, bodyOf(number, work.bytes), flag);
  const messages = Array.from({ length: work.batch }, (_, i) => ({
    flag: 0,
    body: bodyOf(number + i, work.bytes),
    properties: PROPERTIES,
  }));
  return frame(sendBatch, header, opaque, encodeBatch(messages), flag);
}

function frame<S extends RequestSpec>(
  spec: S,
  header: HeaderOf<S["header"]>,
  opaque: number,
  body?: Uint8Array,
  flag = 0,
): Uint8Array {
  return encodeFrame({ code: spec.code, opaque, flag, fields: encodeHeader(spec.header, header), body });
}
