import * as zlib from "node:zlib";
import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { type PullAnswer, Puller } from "../../../src/consumer/queue/puller.ts";
import { parseSelector, type Selector } from "../../../src/consumer/subscriptions/selector.ts";
import { NetworkError } from "../../../src/errors.ts";
import { packLz4, words } from "../../wire/lz4_frames.ts";
import { plainRecord } from "../../wire/plain_record.ts";
import { options, queue } from "../fakes.ts";

const KIB = 1024;
const ZLIB = 0x301;
const LZ4 = 0x101;

/** A body and its system flag. */
type Body = readonly [body: Uint8Array, sysFlag: number];

/** A puller whose broker has one answer. */
function pullerOf(bodies: readonly Body[]): Puller {
  const records = bodies.map(([body, sysFlag], queueOffset) =>
    plainRecord({
      topic: queue.topic,
      queueId: queue.queueId,
      queueOffset,
      commitLogOffset: queueOffset * 1_000,
      body,
      sysFlag,
    })
  );
  const body = Uint8Array.from(records.flatMap((record) => [...record]));
  const header = { nextBeginOffset: 100, suggestWhichBrokerId: 1, minOffset: 0, maxOffset: 100 };
  const pull = () => Promise.resolve({ code: 0, remark: "", header, body, version: 0, receivedAt: 0 });
  return new Puller({ pull }, options({ pullBatchBytes: 256 * KIB }));
}

const all: Selector = parseSelector("*");

/** The offsets of an answer's messages, and where it goes on. */
function offsetsOf({ messages, nextOffset }: PullAnswer): [number[], number] {
  return [messages.map(({ queueOffset }) => queueOffset), nextOffset];
}

Deno.test("Puller.pull() gives an answer whole if its bodies are small, or not packed", async () => {
  const small = zlib.deflateSync(words(1_000));
  const answer = await pullerOf([[small, ZLIB], [words(90 * KIB), 0], [small, ZLIB]]).pull(queue, all, 0, 0);
  assertEquals(offsetsOf(answer), [[0, 1, 2], 100]);
  assertEquals(answer.rest, undefined);
  assertEquals(answer.messages.map(({ heldSize, size }) => heldSize - size), [0, 0, 0]);
});

Deno.test("Puller.pull() unpacks large bodies: of many those that fit, and the others as the rest", async () => {
  const body = words(100 * KIB);
  const packed: Body[] = [[zlib.deflateSync(body), ZLIB], [packLz4(body), LZ4]];
  const plain: Body = [words(10), 0];
  const [zipped, lz4] = [packed[0]!, packed[1]!];
  const puller = pullerOf([plain, zipped, lz4, plain, zipped, plain, lz4, zipped, plain]);
  const parts: PullAnswer[] = [await puller.pull(queue, all, 0, 0)];
  for (let { rest } = parts[0]!; rest !== undefined; { rest } = parts.at(-1)!) parts.push(await rest());
  assertEquals(parts.map(offsetsOf), [[[0, 1, 2, 3, 4, 5], 6], [[6, 7, 8], 100]]);
  for (const { messages, kind, brokerId } of parts) {
    assertEquals([kind, brokerId], ["found", 1]);
    for (const message of messages) {
      const isPacked = message.sysFlag !== 0;
      assertEquals(message.heldSize - message.size, isPacked ? body.length : 0);
      assertEquals(message.body, isPacked ? body : plain[0]);
    }
  }
});

Deno.test("Puller.pull() gives a message whose body cannot be unpacked, which then tells", async () => {
  const packed = packLz4(words(100 * KIB));
  const answer = await pullerOf([[packed.subarray(0, 9_000), LZ4], [packed, LZ4]]).pull(queue, all, 0, 0);
  assertEquals(offsetsOf(answer), [[0, 1], 100]);
  assertThrows(() => answer.messages[0]!.body, NetworkError, "it is cut off");
  assertEquals(answer.messages[1]!.body.length, 100 * KIB);
});

Deno.test("Puller.pull() ends when nobody wants the messages any more", async () => {
  const signal = AbortSignal.abort(new RangeError("enough"));
  const puller = pullerOf([[packLz4(words(100 * KIB)), LZ4]]);
  await assertRejects(() => puller.pull(queue, all, 0, 0, signal), RangeError, "enough");
});
