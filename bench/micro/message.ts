/**
 * Messages: decoding an answer of 32, reading them, and the codecs of properties and batches.
 *
 * Run it with the others by `deno task bench:micro`.
 *
 * @module
 */

import { decodeBatch, encodeBatch } from "../../src/wire/batch.ts";
import { encodeProperties, findProperty, parseProperties } from "../../src/wire/properties.ts";
import { decodeRecords, encodeRecord } from "../../src/wire/record.ts";
import { readable } from "../../src/wire/utf8.ts";

const encoder = new TextEncoder();
const queue = { topic: "orders", broker: "broker-a", queueId: 3 };
const entries: [string, string][] = [
  ["UNIQ_KEY", "0A0B0C0D00001B28193B10F10B9F0000"],
  ["WAIT", "true"],
  ["TAGS", "paid"],
  ["KEYS", "order-42"],
  ["CLUSTER", "DefaultCluster"],
];
const properties = encodeProperties(entries);
const propertyBuffer = readable(encoder.encode(properties));
const uniqueKey = encoder.encode("UNIQ_KEY");
const small = answerOf(256);
const large = answerOf(4_096);

/** The body of an answer to a pull: 32 records. */
function answerOf(bytes: number): Uint8Array {
  const records = Array.from({ length: 32 }, (_, i) =>
    encodeRecord({
      topic: "orders",
      queueId: 3,
      queueOffset: 1_000 + i,
      commitLogOffset: 400_000 + i * 500,
      body: new Uint8Array(bytes).fill(120),
      properties,
      flag: 0,
      sysFlag: 0,
      bornTimestamp: 1_700_000_000_000,
      bornHost: "10.0.0.9:5555",
      storeTimestamp: 1_700_000_000_001,
      storeHost: "127.0.0.1:10911",
      reconsumeTimes: 0,
    }));
  const answer = new Uint8Array(records.reduce((sum, record) => sum + record.length, 0));
  let at = 0;
  for (const record of records) {
    answer.set(record, at);
    at += record.length;
  }
  return answer;
}

let length = 0;

Deno.bench("decodeRecords(), 32 of 256 B", { group: "decode" }, () => {
  decodeRecords(small, queue);
});

Deno.bench("decodeRecords(), 32 of 4 KiB", { group: "decode" }, () => {
  decodeRecords(large, queue);
});

Deno.bench("the same and text(), 256 B", { group: "decode" }, () => {
  for (const message of decodeRecords(small, queue).messages) length += message.text().length;
});

Deno.bench("the same and text(), 4 KiB", { group: "decode" }, () => {
  for (const message of decodeRecords(large, queue).messages) length += message.text().length;
});

Deno.bench("the same and tags, keys and messageId, 256 B", { group: "decode" }, () => {
  for (const { tags, keys, messageId } of decodeRecords(small, queue).messages) {
    length += tags!.length + keys.length + messageId.length;
  }
});

Deno.bench("encodeProperties(), 5 of them", { group: "properties" }, () => {
  encodeProperties(entries);
});

Deno.bench("parseProperties()", { group: "properties" }, () => {
  parseProperties(properties);
});

Deno.bench("findProperty(), the first of 5", { group: "properties" }, () => {
  findProperty(propertyBuffer, 0, propertyBuffer.length, uniqueKey);
});

const messages = Array.from({ length: 32 }, () => ({ flag: 0, body: new Uint8Array(256), properties }));
const batch = encodeBatch(messages);

Deno.bench("encodeBatch(), 32 of 256 B", { group: "batch" }, () => {
  encodeBatch(messages);
});

Deno.bench("decodeBatch()", { group: "batch" }, () => {
  decodeBatch(batch);
});
