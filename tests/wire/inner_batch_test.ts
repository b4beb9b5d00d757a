import * as zlib from "node:zlib";
import { assert, assertEquals, assertInstanceOf, assertRejects, assertStrictEquals } from "@std/assert";
import { NetworkError, UnsupportedError } from "../../src/errors.ts";
import type { MessageQueue } from "../../src/message.ts";
import { encodeBatch } from "../../src/wire/batch.ts";
import { encodeProperties } from "../../src/wire/properties.ts";
import {
  type DecodedRecords,
  decodeRecords,
  decodeStored,
  type PulledSpan,
  type StoredRecordFields,
  unpackBatches,
} from "../../src/wire/record.ts";
import { plainRecord } from "./plain_record.ts";

const encoder = new TextEncoder();
const queue: MessageQueue = { topic: "orders", broker: "broker-a", queueId: 3 };
const INNER = 0xc0;
const ZLIB = 0x301;
const ALL = Infinity;

function join(...parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}

/** A body of so many messages. */
function bodyOf(count: number): Uint8Array {
  return encodeBatch(
    Array.from({ length: count }, (_, i) => ({ flag: i, body: encoder.encode(`m${i}`), properties: "" })),
  );
}

/** A record that is an inner batch, as brokers store it. */
function batch(queueOffset: number, count: number, fields: Partial<StoredRecordFields> = {}): Uint8Array {
  return plainRecord({
    queueOffset,
    sysFlag: INNER,
    body: bodyOf(count),
    properties: claims(queueOffset, count),
    ...fields,
  });
}

/** The same, packed as a whole. */
function packed(queueOffset: number, count: number, fields: Partial<StoredRecordFields> = {}): Uint8Array {
  return batch(queueOffset, count, { sysFlag: INNER | ZLIB, body: zlib.deflateSync(bodyOf(count)), ...fields });
}

function claims(base: number | string, count: number | string): string {
  return encodeProperties([["INNER_BASE", String(base)], ["INNER_NUM", String(count)], ["MSG_REGION", "r"]]);
}

function offsetsOf({ messages }: DecodedRecords): number[] {
  return messages.map(({ queueOffset }) => queueOffset);
}

/** The offsets of the messages, and what is wrong with the broken records. */
function outcome(bytes: Uint8Array, span?: PulledSpan): [number[], string[]] {
  const records = decodeRecords(bytes, queue, span);
  return [offsetsOf(records), records.broken.map(({ error }) => error.message.replace(/^.*?: /, ""))];
}

Deno.test("decodeRecords() unwraps an inner batch, and unpackBatches() a packed one", async () => {
  const body = encodeBatch([
    { flag: 1, body: encoder.encode("first"), properties: encodeProperties([["TAGS", "x"], ["UNIQ_KEY", "U1"]]) },
    { flag: 2, body: encoder.encode("second"), properties: "" },
    { flag: 3, body: new Uint8Array(0), properties: encodeProperties([["KEYS", "k"]]) },
  ]);
  for (const isPacked of [false, true]) {
    const outer = batch(41, 3, {
      sysFlag: isPacked ? INNER | ZLIB : INNER,
      body: isPacked ? zlib.deflateSync(body) : body,
      bornHost: "[::1]:1",
      topic: "t".repeat(130),
      reconsumeTimes: 2,
    });
    const read = decodeRecords(
      join(plainRecord({ queueOffset: 40 }), outer, plainRecord({ queueOffset: 44 })),
      queue,
    );
    assertEquals(read.packed.length, isPacked ? 1 : 0);
    assertEquals(offsetsOf(read), isPacked ? [40, 44] : [40, 41, 42, 43, 44]);
    const { messages, broken } = await unpackBatches(read, ALL);
    assertEquals(broken, []);
    assertEquals(messages.map((message) => message.queueOffset), [40, 41, 42, 43, 44]);
    const inner = messages.slice(1, 4);
    assertEquals(inner.map((message) => message.text()), ["first", "second", ""]);
    assertEquals(inner.map((message) => message.flag), [1, 2, 3]);
    assertEquals(inner.map((message) => message.tags), ["x", undefined, undefined]);
    assertEquals(inner.map((message) => message.keys), [[], [], ["k"]]);
    assertEquals(inner.map((message) => message.size), [22 + 5 + 19, 28, 22 + 7]);
    for (const message of inner) {
      assertEquals(message.sysFlag, isPacked ? 0x3d0 : 0xd0); // only the bit "packed" is gone, as in Java
      assertEquals([message.bornHost, message.storedTopic, message.reconsumeTimes], ["[::1]:1", "t".repeat(130), 2]);
      assertEquals(message.offsetMessageId, "7F00000100002A9F00000000000000E5");
      assert(message.checksumValid());
    }
    assertEquals(inner.map((message) => message.messageId), [
      "U1",
      inner[1]!.offsetMessageId,
      inner[2]!.offsetMessageId,
    ]);
  }
});

Deno.test("decodeRecords() checks an inner message's checksum only if it has one", () => {
  const body = encodeBatch([{ flag: 0, body: encoder.encode("hello"), properties: "" }]);
  const view = new DataView(body.buffer);
  view.setUint32(8, 0x3610a686);
  assert(decodeRecords(batch(41, 1, { body }), queue).messages[0]!.checksumValid());
  view.setUint32(8, 0x3610a687);
  assertEquals(decodeRecords(batch(41, 1, { body }), queue).messages[0]!.checksumValid(), false);
});

Deno.test("decodeRecords() reports an inner batch that cannot be read, as one record", async () => {
  const good = bodyOf(1);
  for (const body of [new Uint8Array(0), good.subarray(0, 20), join(good, good.subarray(0, 22))]) {
    const { messages, broken } = decodeRecords(join(batch(41, 1, { body }), plainRecord({ queueOffset: 42 })), queue);
    assertEquals([messages.length, broken.length], [1, 1]);
    assertEquals(broken[0]!.queueOffset, 41);
    assertInstanceOf(broken[0]!.error, NetworkError);
  }
  const unknown = decodeRecords(batch(41, 1, { sysFlag: 0x4c1 }), queue);
  const { broken: [record] } = await unpackBatches(unknown, ALL);
  assertInstanceOf(record!.error.cause, UnsupportedError);
});

Deno.test("decodeRecords() believes no inner batch by its flags alone", () => {
  const body = bodyOf(50);
  for (
    const [properties, words] of [
      ["", "begins at offset undefined, and is stored at 41"],
      [encodeProperties([["INNER_NUM", "50"]]), "begins at offset undefined"],
      [encodeProperties([["INNER_BASE", "41"]]), "of 0 messages, allowed are 1 to 32767"],
      [claims(40, 50), "begins at offset 40, and is stored at 41"],
      [claims("41x", 50), "begins at offset undefined"],
      [claims("-41", 50), "begins at offset undefined"],
      [claims(41, 49), "an inner batch that cannot be read"],
      [claims(41, 51), "of 50 messages, and claims 51"],
      [claims(41, 0), "of 0 messages"],
      [claims(41, -1), "of 0 messages"],
      [claims(41, 32_768), "of 32768 messages, allowed are 1 to 32767"],
      [claims(41, "9".repeat(16)), "allowed are 1 to 32767"],
    ] as const
  ) {
    const [offsets, problems] = outcome(join(batch(41, 50, { body, properties }), plainRecord({ queueOffset: 91 })));
    assertEquals([offsets, problems.length], [[91], 1], properties);
    assert(problems[0]!.includes(words), problems[0]);
  }
});

Deno.test("decodeRecords() leaves the offsets of the records behind it to them, whatever an inner batch claims", () => {
  const behind = [42, 43, 44].map((queueOffset) => plainRecord({ queueOffset }));
  const before = plainRecord({ queueOffset: 40 });
  for (const record of [batch(41, 50), batch(41, 2), packed(41, 50)]) {
    const [offsets, problems] = outcome(join(before, record, ...behind), { begin: 40, end: 45 });
    assertEquals(offsets, [40, 42, 43, 44]);
    assert(problems[0]!.includes("from offset 41 on, allowed is up to offset 41"), problems[0]);
  }
});

Deno.test("decodeRecords() ends the last inner batch where the broker says to go on", () => {
  assertEquals(outcome(batch(41, 3), { begin: 41, end: 44 }), [[41, 42, 43], []]);
  const told = (end: number) => `it is an inner batch of 3 messages from offset 41 on, allowed is up to offset ${end}`;
  assertEquals(outcome(batch(41, 3), { begin: 41, end: 43 }), [[], [told(42)]]);
  for (const end of [41, 40, -1]) assertEquals(outcome(batch(41, 3), { begin: 41, end }), [[], [told(41)]]); // no end
});

Deno.test("decodeRecords() drops the messages of an inner batch that are in front of the offset pulled from", async () => {
  for (const make of [batch, packed]) {
    const bytes = join(make(30, 10), make(40, 5), make(45, 2));
    const read = decodeRecords(bytes, queue, { begin: 43, end: 47 });
    const records = await unpackBatches(read, ALL);
    assertEquals([offsetsOf(records), records.broken], [[43, 44, 45, 46], []]);
    assertEquals(records.messages[0]!.text(), "m3");
  }
});

Deno.test("decodeRecords() with a span takes records of the queue that was pulled, and no others", () => {
  const [a, b] = [plainRecord({ queueOffset: 1 }), plainRecord({ queueOffset: 3 })];
  for (
    const [fields, problem] of [
      [{ topic: "order" }, "it is of another topic"],
      [{ topic: "ordera" }, "it is of another topic"],
      [{ topic: "" }, "it is of another topic"],
      [{ topic: "o".repeat(200) }, "it is of another topic"],
      [{ queueId: 4 }, "it is of another queue"],
      [{ queueId: -1 }, "it is of another queue"],
    ] as const
  ) {
    const bytes = join(a, plainRecord({ queueOffset: 2, ...fields }), b);
    assertEquals(outcome(bytes, { begin: 0, end: 4 }), [[1, 3], [problem]]);
    assertEquals(outcome(bytes), [[1, 2, 3], []]); // nobody pulled
  }
  const retry: MessageQueue = { topic: "%RETRY%billing", broker: "broker-a", queueId: 0 };
  const properties = encodeProperties([["RETRY_TOPIC", "orders"]]);
  const record = plainRecord({ topic: retry.topic, queueId: 0, queueOffset: 2, properties });
  const { messages: [message], broken } = decodeRecords(record, retry, { begin: 0, end: 4 });
  assertEquals([message?.topic, broken], ["orders", []]);
});

Deno.test("decodeRecords() with a span returns offsets that rise within it: what repeats or falls is broken", () => {
  const at = (...offsets: number[]) => join(...offsets.map((queueOffset) => plainRecord({ queueOffset })));
  const span = { begin: 10, end: 20 };
  assertEquals(outcome(at(10, 12, 19), span), [[10, 12, 19], []]);
  assertEquals(outcome(at(10, 12, 12, 11, 13), span), [[10, 12, 13], [
    "its offset is 12, allowed is 13 or more",
    "its offset is 11, allowed is 13 or more",
  ]]);
  assertEquals(outcome(at(8, 9, 10, 20, 21, 2 ** 52), span), [[10], []]); // known, or of the next pull
  assertEquals(outcome(at(500, 10, 11), span), [[10, 11], []]);
  for (const end of [10, 9, -1]) assertEquals(outcome(at(9, 10, 500, 11), { begin: 10, end })[0], [10, 500]);
});

Deno.test("unpackBatches() keeps the order of all, and stops in front of what would be too much", async () => {
  const body = zlib.deflateSync(bodyOf(2_000));
  const large = (at: number) => packed(at, 2_000, { body });
  const broken = plainRecord({ queueOffset: 3_000, queueId: 9 });
  const bytes = join(
    plainRecord({ queueOffset: 0 }),
    large(1),
    broken,
    large(4_000),
    plainRecord({ queueOffset: 6_000 }),
  );
  const span = { begin: 0, end: 6_001 };
  const size = bodyOf(2_000).length;
  const all = await unpackBatches(decodeRecords(bytes, queue, span), size + 1);
  const inner = (from: number) => Array.from({ length: 2_000 }, (_, i) => from + i);
  assertEquals([offsetsOf(all), all.broken.length, all.stoppedAt], [
    [0, ...inner(1), ...inner(4_000), 6_000],
    1,
    undefined,
  ]);
  const part = await unpackBatches(decodeRecords(bytes, queue, span), size);
  assertEquals([offsetsOf(part), part.broken.length, part.stoppedAt], [[0, ...inner(1)], 1, 4_000]);
});

Deno.test("unpackBatches() reports a packed inner batch that is no batch, or too large", async () => {
  const bomb = zlib.deflateSync(new Uint8Array(17 * 1024 * 1024), { level: 9 });
  for (
    const body of [encoder.encode("none"), zlib.deflateSync(bodyOf(2)), zlib.deflateSync(bodyOf(4)), bomb]
  ) {
    const read = decodeRecords(join(packed(41, 3, { body }), plainRecord({ queueOffset: 44 })), queue);
    const { messages, broken } = await unpackBatches(read, ALL);
    assertEquals([messages.map(({ queueOffset }) => queueOffset), broken.length], [[44], 1]);
    assertEquals(broken[0]!.queueOffset, 41);
  }
});

Deno.test("unpackBatches() lets the event loop turn, and ends with its signal", async () => {
  const body = zlib.deflateSync(join(bodyOf(3), new Uint8Array(4 * 1024 * 1024)), { level: 9 });
  const read = () => decodeRecords(packed(41, 3, { body }), queue);
  let turns = 0;
  const counter = setInterval(() => turns++, 0);
  try {
    await unpackBatches(read(), ALL);
  } finally {
    clearInterval(counter);
  }
  assert(turns >= 2, `the loop has turned ${turns} times`); // in one go it would not at all; a busy machine merges turns
  const reason = new RangeError("enough");
  const error = await assertRejects(() => unpackBatches(read(), ALL, AbortSignal.abort(reason)), RangeError);
  assertStrictEquals(error, reason);
});

Deno.test("decodeStored() reads a record as it is stored, an inner batch too", () => {
  for (const record of [batch(41, 50), packed(41, 50), batch(41, 50, { properties: "" })]) {
    const message = decodeStored(record, queue);
    assertEquals([message.queueOffset, message.sysFlag & INNER], [41, INNER]);
    assert(message.storedBody.length > 50);
  }
});
