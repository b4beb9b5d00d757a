/**
 * Frames and headers: what every request and every answer costs.
 *
 * Run it with the others by `deno task bench:micro`.
 *
 * @module
 */

import { prepared } from "../../src/transport/prepare.ts";
import { FieldsTemplate } from "../../src/wire/binary_fields.ts";
import { decodeHeader, encodeHeader } from "../../src/wire/fields.ts";
import { decodeFrame, encodeBinaryFrame, encodeFrame, FrameReader } from "../../src/wire/frame.ts";
import { FrameWriter } from "../../src/wire/frame_writer.ts";
import { JsonFields } from "../../src/wire/json_fields.ts";
import { sortedValues } from "../../src/wire/wire_header.ts";
import { getMaxOffset, pullMessage, sendAnswer, sendHeader, sendMessage } from "../../src/wire/requests.ts";

const body = new Uint8Array(32 * 256);
const pull = {
  consumerGroup: "billing",
  topic: "orders",
  queueId: 3,
  queueOffset: 123_456,
  maxMsgNums: 32,
  sysFlag: 4,
  commitOffset: 0,
  suspendTimeoutMillis: 15_000,
  subscription: "*",
  subVersion: 1_700_000_000_000,
  expressionType: "TAG",
};
const send = {
  producerGroup: "bench",
  topic: "orders",
  defaultTopic: "TBW102",
  defaultTopicQueueNums: 4,
  queueId: 3,
  sysFlag: 0,
  bornTimestamp: 1_700_000_000_000,
  flag: 0,
  properties: "UNIQ_KEY\u00010A0B0C0D00001B28193B10F10B9F0000\u0002WAIT\u0001true\u0002",
};
const pulled = encodeHeader(pullMessage.answer, {
  suggestWhichBrokerId: 0,
  nextBeginOffset: 123_488,
  minOffset: 0,
  maxOffset: 1_000_000,
});
const pullFields = encodeHeader(pullMessage.header, pull);
const answer = encodeFrame({ code: 0, opaque: 7, flag: 1, fields: pulled, body });
const sent = encodeHeader(sendAnswer, { msgId: "7F00000100002A9F0000000000000000", queueId: 3, queueOffset: 41 });
const binaryAnswer = encodeBinaryFrame({ code: 0, opaque: 7, flag: 1, fields: pulled, body });

Deno.bench("encodeHeader(), a pull", { group: "header" }, () => {
  encodeHeader(pullMessage.header, pull);
});

Deno.bench("encodeHeader(), a send", { group: "header" }, () => {
  encodeHeader(sendMessage.header, send);
});

Deno.bench("decodeHeader(), a pull's answer", { group: "header" }, () => {
  decodeHeader(pullMessage.answer, pulled, "an answer");
});

Deno.bench("decodeHeader(), a send's answer", { group: "header" }, () => {
  decodeHeader(sendAnswer, sent, "an answer");
});

Deno.bench("encodeFrame(), a pull", { group: "frame" }, () => {
  encodeFrame({ code: pullMessage.code, opaque: 7, fields: pullFields });
});

Deno.bench("decodeFrame(), a pull's answer", { group: "frame" }, () => {
  decodeFrame(answer);
});

Deno.bench("decodeFrame(), the same with a binary header", { group: "frame" }, () => {
  decodeFrame(binaryAnswer);
});

const { sysFlag, bornTimestamp, flag, properties, ...fixed } = { ...send, reconsumeTimes: 0, unitMode: false };
const template = new FieldsTemplate(sendHeader, fixed, ["sysFlag", "bornTimestamp", "flag", "properties", "batch"]);
const target = new Uint8Array(64 * 1024);
const sendCommand = () => {
  const fields = template.with({ sysFlag, bornTimestamp, flag, properties, batch: false });
  return { code: sendMessage.code, opaque: 7, fields, body: body.subarray(0, 256) };
};

Deno.bench("a send as a frame, its header binary", { group: "request" }, () => {
  new FrameWriter(sendCommand()).writeTo(target, 0);
});

Deno.bench("the same, with a step that reads all fields and adds one", { group: "request" }, () => {
  const command = prepared(sendCommand(), ({ fields }) => fields.with({ Signature: sortedValues(fields) }));
  new FrameWriter(command).writeTo(target, 0);
});

Deno.bench("a small request as a frame, its header JSON", { group: "request" }, () => {
  const fields = JsonFields.of(getMaxOffset.header, { topic: "orders", queueId: 3 });
  new FrameWriter({ code: getMaxOffset.code, opaque: 7, fields }).writeTo(target, 0);
});

const read = new Uint8Array(256 * 1024 - 256 * 1024 % answer.length);
for (let at = 0; at < read.length; at += answer.length) read.set(answer, at);
let frames = 0;
const reader = new FrameReader(() => frames++);

Deno.bench(`FrameReader.push(), 256 KiB in ${read.length / answer.length} frames`, { group: "reader" }, () => {
  reader.push(read);
});

Deno.bench("FrameReader.push(), the same in pieces of 1 KiB", { group: "reader" }, () => {
  for (let at = 0; at < read.length; at += 1_024) reader.push(read.subarray(at, at + 1_024));
});

for (const kib of [256, 1_024, 4_096]) {
  const large = encodeFrame({ code: 0, opaque: 7, flag: 1, fields: pulled, body: new Uint8Array(kib * 1_024) });
  Deno.bench(`FrameReader.push(), one frame of ${kib} KiB in pieces of 64 KiB`, { group: "reader" }, () => {
    for (let at = 0; at < large.length; at += 65_536) reader.push(large.subarray(at, at + 65_536));
  });
}
