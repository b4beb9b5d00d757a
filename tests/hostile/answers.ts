/** Answers of brokers to pulls and pops: from golden files, or made, with lies of every kind. */

import * as zlib from "node:zlib";
import type { MessageQueue } from "../../src/message.ts";
import { encodeBatch } from "../../src/wire/batch.ts";
import { encodeProperties } from "../../src/wire/properties.ts";
import type { PulledSpan } from "../../src/wire/record.ts";
import records from "../wire/golden/records.json" with { type: "json" };
import { packLz4 } from "../wire/lz4_frames.ts";
import { plainRecord } from "../wire/plain_record.ts";
import type { SeededRandom } from "../wire/seeded_random.ts";
import { damaged, golden, joined } from "./damage.ts";

/** An answer to a pull. */
export interface PulledAnswer {
  /** The records. */
  readonly bytes: Uint8Array;
  /** The queue that was pulled. */
  readonly queue: MessageQueue;
  /** The offsets that it speaks of. */
  readonly span: PulledSpan;
  /** Whether all of it is right. */
  readonly isWhole: boolean;
}

const INNER = 0xc0;

const captured: PulledAnswer[] = Object.entries(records).map(([file, all]) => {
  const { storedTopic: topic, storedQueueId: queueId, queueOffset: begin } = all[0]!;
  const last = all.at(-1)!;
  const end = last.queueOffset + Number("INNER_NUM" in last.properties ? last.properties.INNER_NUM : 1);
  return { bytes: golden(file), queue: { topic, broker: "broker-a", queueId }, span: { begin, end }, isWhole: true };
});
const all = captured.map(({ bytes }) => bytes);

/** A random answer: one in ten is right. */
export function hostileAnswer(random: SeededRandom): PulledAnswer {
  if (random.below(3) === 0) return madeAnswer(random);
  const answer = random.pick(captured);
  if (random.below(7) === 0) return answer;
  const begin = answer.span.begin + (random.below(4) === 0 ? random.below(3) : 0);
  const end = random.below(5) === 0 ? random.below(12) - 1 : answer.span.end;
  return { ...answer, bytes: damaged(answer.bytes, random, all), span: { begin, end }, isWhole: false };
}

/** Records of all kinds with offsets that rise, mostly. */
function madeAnswer(random: SeededRandom): PulledAnswer {
  const begin = random.below(50);
  const parts: Uint8Array[] = [];
  let at = begin;
  for (let n = random.below(8); n > 0; n--) {
    const count = 1 + random.below(6);
    const isBatch = random.below(3) > 0;
    const base = random.below(8) === 0 ? random.below(100) : at;
    parts.push(isBatch ? innerBatch(random, base, count) : plainRecord({ queueOffset: base, ...strange(random) }));
    at += !isBatch || random.below(6) === 0 ? 1 : count;
  }
  const bytes = damaged(joined(...parts), random);
  const end = random.below(6) === 0 ? random.below(60) : at;
  return { bytes, queue: { topic: "orders", broker: "broker-a", queueId: 3 }, span: { begin, end }, isWhole: false };
}

function strange(random: SeededRandom) {
  if (random.below(4) > 0) return {};
  return {
    topic: random.pick(["orders", "t".repeat(130), "%RETRY%billing", ""]),
    bornHost: random.pick(["10.0.0.9:5555", "[::1]:1"]),
    sysFlag: random.pick([0, 1, 0x101, 0x201, 0x301, 0x701, 0x40, 0x80]),
    body: random.bytes(random.below(60)),
    properties: random.text(60),
  };
}

function innerBatch(random: SeededRandom, base: number, count: number): Uint8Array {
  const entries = random.below(8) === 0 ? random.below(40) : count;
  const body = encodeBatch(
    Array.from({ length: entries }, (_, flag) => ({ flag, body: random.bytes(random.below(9)), properties: "" })),
  );
  const [sysFlag, packed] = random.pick(
    [
      [INNER, (bytes: Uint8Array) => bytes],
      [INNER | 0x301, (bytes: Uint8Array) => new Uint8Array(zlib.deflateSync(bytes))],
      [INNER | 0x101, (bytes: Uint8Array) => packLz4(bytes)],
    ] as const,
  );
  const isLying = random.below(6) === 0;
  const properties = encodeProperties([
    ["INNER_BASE", String(isLying ? random.pick([base, 3, -1, 2 ** 53]) : base)],
    ["INNER_NUM", String(isLying ? random.pick([random.below(60), 32_767, 10 ** 12]) : count)],
  ]);
  return plainRecord({ queueOffset: base, sysFlag, body: packed(body), properties });
}
