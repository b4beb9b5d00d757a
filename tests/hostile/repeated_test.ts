/**
 * Large inputs that are one small part again and again: what costs more than its bytes do, costs it here a thousand
 * times.
 */

import * as zlib from "node:zlib";
import { parseRoute } from "../../src/cluster/route_data.ts";
import { decodeBatch } from "../../src/wire/batch.ts";
import { decodeHeader } from "../../src/wire/fields.ts";
import { decodeFrame, FrameReader } from "../../src/wire/frame.ts";
import { parseBody } from "../../src/wire/json.ts";
import { parseMsgOffsetInfo } from "../../src/wire/pop.ts";
import { receiveBroken, receivePopped } from "../../src/wire/pop_receive.ts";
import { findProperty, parseProperties } from "../../src/wire/properties.ts";
import { decodeRecords, MAX_BODY_SIZE, unpackBatches } from "../../src/wire/record.ts";
import { lockQueues, popMessage } from "../../src/wire/requests.ts";
import { unpackInBackground } from "../../src/wire/unpack.ts";
import { readable } from "../../src/wire/utf8.ts";
import { packLz4, words } from "../wire/lz4_frames.ts";
import type { SeededRandom } from "../wire/seeded_random.ts";
import { damaged, goldens, joined } from "./damage.ts";
import { testHostile } from "./ring.ts";

/** Large enough for what is quadratic, or takes a tenth of a millisecond for each part, to be noticed. */
const SIZE = 1_000_000;

const decoder = new TextDecoder();
const bytesOf = (text: string) => new TextEncoder().encode(text);
const records = goldens("records-");
const json = ["route-", "cluster-info-", "topic-stats-"].flatMap(goldens);
const queue = { topic: "orders", broker: "broker-a", queueId: -1 };
const popAnswer = { popTime: 1, invisibleTime: 2, reviveQid: 3, restNum: 0 };
const noZstd = typeof zlib.zstdCompressSync !== "function";

/** A beginning, a part many times, and an end. */
function repeated(sample: Uint8Array, random: SeededRandom): Uint8Array {
  const isWhole = sample.length < 200 && random.below(3) === 0;
  const start = isWhole ? 0 : random.below(Math.min(60, sample.length));
  const most = Math.min(random.pick([4, 60, 1_000]), sample.length - start);
  const end = isWhole ? sample.length : start + 1 + random.below(most);
  const part = random.below(2) === 0 ? sample.subarray(start, end) : damaged(sample.subarray(start, end), random);
  if (part.length === 0) return sample;
  const times = Math.ceil(SIZE / part.length);
  const whole = new Uint8Array(start + times * part.length + sample.length - end);
  whole.set(sample.subarray(0, start));
  whole.set(part, start);
  const middle = start + times * part.length;
  for (let filled = part.length; start + filled < middle; filled *= 2) {
    whole.copyWithin(start + filled, start, Math.min(start + filled, middle - filled)); // twice as much each time
  }
  whole.set(sample.subarray(end), middle);
  return whole;
}

/** What reads such inputs. */
const readers: readonly {
  readonly name: string;
  readonly samples: readonly Uint8Array[];
  read(input: Uint8Array): unknown;
}[] = [
  {
    name: "frames",
    samples: goldens("frame-"),
    read: (input) => new FrameReader((frame) => void decodeFrame(frame), { onTooLarge: () => {} }).push(input),
  },
  { name: "batches", samples: [decodeFirstBody()], read: decodeBatch },
  { name: "JSON", samples: json, read: (input) => parseBody(input, lockQueues) },
  { name: "routes", samples: goldens("route-"), read: parseRoute },
  {
    name: "properties",
    samples: [bytesOf("TAGS\u0001paid\u0002KEYS\u000142\u0002UNIQ_KEY\u00010A0B\u0002WAIT\u0001true")],
    read(input) {
      parseProperties(decoder.decode(input));
      findProperty(readable(input), 0, input.length, bytesOf("TAGS"));
    },
  },
  {
    name: "records that were pulled",
    samples: records,
    read: (input) => unpackBatches(decodeRecords(input, queue, { begin: 0, end: 1_000 }), MAX_BODY_SIZE),
  },
  {
    name: "records that were popped",
    samples: records,
    read(input) {
      const answer = { ...popAnswer, msgOffsetInfo: "0 0 1,2,3;1 0 4,5" };
      const { messages, broken } = decodeRecords(input, queue);
      receivePopped(messages, answer, "broker-a");
      receiveBroken(broken, answer, "broker-a");
    },
  },
  {
    name: "what a pop has brought",
    samples: [bytesOf("0 0 1,2,3;1 0 4,5;0 1 6")],
    read(input) {
      const text = decoder.decode(input);
      parseMsgOffsetInfo(text);
      const header = decodeHeader(popMessage.answer, { popTime: "1", msgOffsetInfo: text }, "PopMessage answer");
      receivePopped([], header, "broker-a");
    },
  },
  ...([
    ["zlib", 0x301, (body) => new Uint8Array(zlib.deflateSync(body))],
    ["LZ4", 0x101, (body) => packLz4(body, { blockKind: 4 })],
    ...(noZstd ? [] : [["Zstandard", 0x201, (body: Uint8Array) => new Uint8Array(zlib.zstdCompressSync(body))]]),
  ] as [string, number, (body: Uint8Array) => Uint8Array][]).map(([name, sysFlag, pack]) => ({
    name: `bodies packed with ${name}`,
    samples: [new Uint8Array(0), new Uint8Array(1), words(60), words(5_000)].map(pack),
    read: (input: Uint8Array) => unpackInBackground(input, sysFlag, { maxSize: MAX_BODY_SIZE }),
  })),
];

function decodeFirstBody(): Uint8Array {
  const record = records.find((bytes) => decodeRecords(bytes, queue).messages.length > 0)!;
  return decodeRecords(record, queue).messages[0]!.record;
}

testHostile({
  name: "large inputs of one part",
  inputs: 600,
  make(random) {
    const reader = random.pick(readers);
    const input = repeated(joined(random.pick(reader.samples)), random);
    return { input, run: async () => void await reader.read(input) };
  },
});
