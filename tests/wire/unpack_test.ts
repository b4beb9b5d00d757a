import { clearImmediate, setImmediate } from "node:timers";
import * as zlib from "node:zlib";
import { assert, assertEquals, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import { NetworkError, UnsupportedError } from "../../src/errors.ts";
import { STEP_SIZE } from "../../src/wire/background.ts";
import { decompress } from "../../src/wire/compression.ts";
import { decodeRecords, MAX_BODY_SIZE, type StoredMessage } from "../../src/wire/record.ts";
import { isLargePacked, LARGE_PACKED_SIZE, unpackInBackground, unpackSteps } from "../../src/wire/unpack.ts";
import frames from "./golden/lz4_frames.json" with { type: "json" };
import { packLz4, words } from "./lz4_frames.ts";
import { plainRecord } from "./plain_record.ts";
import { SeededRandom } from "./seeded_random.ts";

const ZLIB_OLD = 0x001;
const LZ4 = 0x101;
const ZSTD = 0x201;
const ZLIB = 0x301;
const MIB = 1024 * 1024;

const noZstd = typeof zlib.zstdCompressSync !== "function";

/** Each way to pack: its name, the system flag, and how. */
const ways: readonly [string, number, (body: Uint8Array) => Uint8Array][] = [
  ["zlib", ZLIB, (body) => zlib.deflateSync(body, { level: 1 })],
  ["zlib without a type", ZLIB_OLD, (body) => zlib.deflateSync(body, { level: 1 })],
  ["zlib, stored", ZLIB, (body) => zlib.deflateSync(body, { level: 0 })],
  ["lz4 in blocks of 64 KiB with checksums", LZ4, (body) => packLz4(body, { blockKind: 4, checksums: true })],
  ["lz4 in blocks of 4 MiB", LZ4, (body) => packLz4(body)],
  ["lz4 in blocks of 4 MiB with checksums", LZ4, (body) => packLz4(body, { checksums: true })],
  ...(noZstd ? [] : [
    ["zstd", ZSTD, (body: Uint8Array) => zlib.zstdCompressSync(body)],
    ["zstd with a checksum", ZSTD, (body: Uint8Array) => {
      return zlib.zstdCompressSync(body, { params: { [zlib.constants.ZSTD_c_checksumFlag]: 1 } });
    }],
  ] as [string, number, (body: Uint8Array) => Uint8Array][]),
];

/** The result of unpacking, or the error's name and text. */
function outcome(run: () => Uint8Array): Uint8Array | string {
  try {
    return run();
  } catch (error) {
    return String(error);
  }
}

/** Unpacks both ways, and sees that they end the same way. */
async function both(packed: Uint8Array, sysFlag: number, maxSize: number): Promise<Uint8Array | string> {
  const expected = outcome(() => decompress(packed, sysFlag, maxSize));
  const got = await unpackInBackground(packed, sysFlag, { maxSize }).catch(String);
  if (typeof expected === "string" || typeof got === "string") assertEquals(got, expected);
  else assert(equal(got, expected), `${got.length} bytes instead of ${expected.length}, or others`);
  return got;
}

/** As `assertEquals()`, which takes seconds for some MiB. */
function equal(a: Uint8Array, b: Uint8Array): boolean {
  let at = 0;
  while (at < a.length && a[at] === b[at]) at++;
  return at === a.length && at === b.length;
}

function join(...parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}

for (const [name, sysFlag, pack] of ways) {
  Deno.test(`unpackInBackground() returns what decompress() returns: ${name}`, async () => {
    for (const size of [0, 1, 100, STEP_SIZE - 1, STEP_SIZE, STEP_SIZE + 1, 5 * MIB + 7]) {
      for (const body of [words(size), new Uint8Array(size)]) {
        const packed = pack(body);
        const unpacked = await both(packed, sysFlag, size + 1);
        assert(typeof unpacked !== "string" && equal(unpacked, body), `${size} bytes`);
        assertEquals(unpacked.constructor, Uint8Array);
      }
    }
    const noise = new SeededRandom(9).bytes(700_000);
    assert(equal(await both(pack(noise), sysFlag, MIB) as Uint8Array, noise));
  });

  Deno.test(`unpackInBackground() stops at the cap as decompress() does: ${name}`, async () => {
    for (const body of [words(3 * MIB), new Uint8Array(3 * MIB)]) {
      const packed = pack(body);
      for (const cap of [1, STEP_SIZE - 1, STEP_SIZE, MIB, 3 * MIB - 1]) {
        const error = await assertRejects(() => unpackInBackground(packed, sysFlag, { maxSize: cap }), NetworkError);
        assertEquals(error.message, `Cannot unpack ${kindOf(sysFlag)} body: it has more than ${cap} bytes`);
        assertEquals(error.code, "MALFORMED_FRAME");
      }
    }
  });

  Deno.test(`unpackInBackground() refuses what is cut off or damaged as decompress() does: ${name}`, async () => {
    const random = new SeededRandom(11);
    const packed = pack(words(400_000));
    for (let i = 0; i < 60; i++) await both(packed.subarray(0, random.below(packed.length)), sysFlag, MIB);
    for (let i = 0; i < 60; i++) {
      const damaged = packed.slice();
      damaged[random.below(packed.length)]! ^= 1 + random.below(255);
      const expected = outcome(() => decompress(damaged, sysFlag, MIB));
      const got = await unpackInBackground(damaged, sysFlag, { maxSize: MIB }).catch(String);
      assertEquals(typeof got, typeof expected);
      if (typeof got === "string") assertEquals(got.slice(0, 40), (expected as string).slice(0, 40));
      else assert(equal(got, expected as Uint8Array));
    }
  });

  Deno.test(`unpackInBackground() lets the event loop turn while it unpacks 32 MiB: ${name}`, async () => {
    const body = words(MIB);
    const whole = new Uint8Array(32 * MIB);
    for (let at = 0; at < whole.length; at += body.length) whole.set(body, at);
    const packed = pack(whole);
    let turns = 0;
    let fired = 0;
    const timer = setInterval(() => fired++, 1);
    const count = () => {
      turns++;
      turning = setImmediate(count);
    };
    let turning = setImmediate(count);
    const unpacked = await unpackInBackground(packed, sysFlag, { maxSize: whole.length });
    clearInterval(timer);
    clearImmediate(turning);
    assert(equal(unpacked, whole));
    assert(turns >= whole.length / (4 * STEP_SIZE), `the event loop has turned ${turns} times`);
    assert(fired > 1, `a timer has fired ${fired} times`);

    let steps = 0;
    let longest = 0;
    for await (const size of unpackSteps(packed, sysFlag, whole.length)) {
      steps++;
      longest = Math.max(longest, size);
    }
    assert(longest <= 2 * STEP_SIZE, `a step has ${longest} bytes`);
    assert(steps >= whole.length / (2 * STEP_SIZE), `there are ${steps} steps`);
  });
}

function kindOf(sysFlag: number): string {
  if (sysFlag === LZ4) return "an LZ4";
  return sysFlag === ZSTD ? "a Zstandard" : "a zlib";
}

for (const [name, { base64, size }] of Object.entries(frames)) {
  Deno.test(`unpackInBackground() unpacks what liblz4 packed: ${name}`, async () => {
    const packed = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
    for (const cap of [size, size - 1, size >>> 1]) await both(packed, LZ4, cap);
    for (let cut = 0; cut < packed.length; cut += 7) await both(packed.subarray(0, cut), LZ4, size);
  });
}

Deno.test("unpackInBackground() ignores what stands behind a zlib stream, as decompress() does", async () => {
  for (const size of [1_000, 200_000, 3 * MIB]) {
    const packed = zlib.deflateSync(words(size), { level: 1 });
    for (const behind of [1, 70_000, 300_000]) {
      assertEquals(typeof await both(join(packed, new Uint8Array(behind)), ZLIB, size), "object");
    }
  }
});

Deno.test({
  name: "unpackInBackground() unpacks several Zstandard frames, large and small, and some to skip",
  ignore: noZstd,
  async fn() {
    const [large, small] = [zlib.zstdCompressSync(words(MIB)), zlib.zstdCompressSync(words(300))];
    const skippable = Uint8Array.of(0x5a, 0x2a, 0x4d, 0x18, 2, 0, 0, 0, 9, 9);
    const packed = join(skippable, small, large, skippable, large, small, zlib.zstdCompressSync(new Uint8Array(0)));
    const size = 2 * MIB + 600;
    assertEquals(typeof await both(packed, ZSTD, size), "object");
    for (const cap of [1, 299, 300, MIB, size - 1]) assertEquals(typeof await both(packed, ZSTD, cap), "string");
    await both(join(packed, Uint8Array.of(1)), ZSTD, size);
  },
});

Deno.test({
  name: "unpackInBackground() hears of what is broken at the end of a large Zstandard frame",
  ignore: noZstd,
  async fn() {
    const params = { [zlib.constants.ZSTD_c_checksumFlag]: 1 };
    for (const body of [words(300_000), words(MIB), new Uint8Array(3 * MIB)]) {
      const packed = zlib.zstdCompressSync(body, { params });
      packed[packed.length - 2]! ^= 1;
      assertEquals(typeof await both(packed, ZSTD, body.length), "string");
    }
  },
});

/** Bodies that take time and hold nothing, or next to nothing. */
const hollow: readonly [name: string, sysFlag: number, body: Uint8Array][] = [
  ["empty frames", ZSTD, repeated([0x28, 0xb5, 0x2f, 0xfd, 0x20, 0, 1, 0, 0])],
  ["frames of one byte", ZSTD, repeated([0x28, 0xb5, 0x2f, 0xfd, 0x20, 1, 9, 0, 0, 7])],
  ["frames of a repeated byte", ZSTD, repeated([0x28, 0xb5, 0x2f, 0xfd, 0x60, 0, 1, 3, 16, 0, 7])],
  ["frames to skip", ZSTD, repeated([0x50, 0x2a, 0x4d, 0x18, 0, 0, 0, 0])],
  ["empty blocks", ZSTD, repeated([0, 0, 0], [0x28, 0xb5, 0x2f, 0xfd, 0, 0x58])],
  ["packed blocks that are empty", ZSTD, repeated([0x14, 0, 0, 0, 0], [0x28, 0xb5, 0x2f, 0xfd, 0, 0x58], [1, 0, 0])],
  ["empty frames", LZ4, repeated([...packLz4(new Uint8Array(0))])],
  ["frames of one byte", LZ4, repeated([...packLz4(new Uint8Array(1))])],
  ["frames to skip", LZ4, repeated([0x50, 0x2a, 0x4d, 0x18, 0, 0, 0, 0])],
  ["empty blocks", LZ4, repeated([0, 0, 0, 0x80], [...packLz4(new Uint8Array(0))].slice(0, 7))],
  ["packed blocks that are empty", LZ4, repeated([1, 0, 0, 0, 0], [...packLz4(new Uint8Array(0))].slice(0, 7))],
  ["empty blocks", ZLIB, repeated([0, 0, 0, 0xff, 0xff], [0x78, 0x9c])],
];

/** 900 KB of the same. */
function repeated(bytes: readonly number[], start: readonly number[] = [], end: readonly number[] = []): Uint8Array {
  const times = Math.floor(900_000 / bytes.length);
  return Uint8Array.from([...start, ...Array<readonly number[]>(times).fill(bytes).flat(), ...end]);
}

for (const [name, sysFlag, body] of hollow) {
  Deno.test(`unpackInBackground() refuses a large body of ${kindOf(sysFlag)} that holds little: ${name}`, {
    ignore: sysFlag === ZSTD && noZstd,
  }, async () => {
    let work = 0;
    const error = await assertRejects(async () => {
      for await (const size of unpackSteps(body, sysFlag, MAX_BODY_SIZE)) work += size;
    }, NetworkError);
    assert(/it has more than 256 frames|its first \d+ bytes hold \d+$/.test(error.message), error.message);
    assert(work <= 4 * MIB, `${work} bytes of work`);
    await assertRejects(() => unpackInBackground(body, sysFlag, { maxSize: MAX_BODY_SIZE }), NetworkError);
    if (sysFlag !== ZLIB) assertThrows(() => decompress(body, sysFlag, MAX_BODY_SIZE), NetworkError, "Cannot unpack");
  });
}

Deno.test("unpackInBackground() unpacks small bodies while large ones are under way, one of each size at a time", async () => {
  const pack = (size: number) => zlib.deflateSync(new Uint8Array(size), { level: 1 });
  const [small, large, huge] = [pack(100_000), pack(4 * MIB), pack(48 * MIB)];
  const unpack = (body: Uint8Array) => unpackInBackground(body, ZLIB, { maxSize: MAX_BODY_SIZE });
  let isOver = false;
  const over = Promise.all([unpack(huge), unpack(huge)]).then(() => isOver = true);
  const count = async (body: Uint8Array): Promise<number> => {
    let done = 0;
    for (; !isOver; done++) await unpack(body);
    return done;
  };
  const [smalls, larges] = await Promise.all([count(small), count(large), over]);
  assert(smalls >= 100, `${smalls} small bodies`);
  assert(larges >= 5, `${larges} large bodies`);
});

Deno.test("unpackInBackground() refuses types that nobody has given a meaning", async () => {
  for (const type of [4, 7]) {
    const refused = () => unpackInBackground(words(5_000), 1 | (type << 8), { maxSize: MIB });
    await assertRejects(refused, UnsupportedError, `its compression type is ${type}`);
  }
});

Deno.test("unpackInBackground() unpacks one body after the other, whether or not they are whole", async () => {
  const ended: number[] = [];
  const packed = [packLz4(words(MIB)), packLz4(words(MIB)).subarray(9), packLz4(words(10)), Uint8Array.of(1)];
  await Promise.allSettled(packed.map(async (body, i) => {
    await unpackInBackground(body, LZ4, { maxSize: MIB }).finally(() => ended.push(i));
  }));
  assertEquals(ended, [0, 1, 2, 3]);
});

Deno.test("unpackInBackground() ends when its signal aborts, and the next body is unpacked", async () => {
  for (const [, sysFlag, pack] of ways) {
    const stop = new AbortController();
    const stopped = unpackInBackground(pack(words(4 * MIB)), sysFlag, { maxSize: MAX_BODY_SIZE, signal: stop.signal });
    const next = unpackInBackground(pack(words(10)), sysFlag, { maxSize: 10 });
    setImmediate(() => stop.abort("enough"));
    assertEquals(await stopped.catch((reason) => reason), "enough");
    assertEquals(await next, words(10));
  }
});

Deno.test("unpackInBackground() holds no more than MAX_BODY_SIZE of a small body that claims more", async () => {
  const zeros = new Uint8Array(MAX_BODY_SIZE + 1);
  for (const [name, sysFlag, pack] of ways) {
    if (name.includes("stored")) continue;
    const packed = pack(zeros);
    assert(packed.length < MIB, `${packed.length} bytes`);
    const refused = () => unpackInBackground(packed, sysFlag, { maxSize: MAX_BODY_SIZE });
    await assertRejects(refused, NetworkError, `more than ${MAX_BODY_SIZE} bytes`);
  }
});

Deno.test("isLargePacked() goes by the stored size, and with Zstandard by what the blocks may hold", () => {
  const body = new Uint8Array(LARGE_PACKED_SIZE);
  for (const sysFlag of [ZLIB, ZLIB_OLD, LZ4, ZSTD]) {
    assertEquals(isLargePacked(body, sysFlag), true);
    assertEquals(isLargePacked(body.subarray(1), sysFlag), false);
  }
  if (noZstd) return;
  const bomb = zlib.zstdCompressSync(new Uint8Array(8 * MIB));
  assert(bomb.length < 1_000);
  assertEquals(isLargePacked(bomb, ZSTD), true);
  assertEquals(isLargePacked(bomb, ZLIB), false);
  assertEquals(isLargePacked(zlib.zstdCompressSync(words(5_000)), ZSTD), false);
});

/** A message with such a body. */
function messageOf(body: Uint8Array, sysFlag: number): StoredMessage {
  const record = plainRecord({ body, sysFlag });
  return decodeRecords(record, { topic: "orders", broker: "broker-a", queueId: 3 }).messages[0]!;
}

Deno.test("StoredMessage.unpack() makes the body that is then given, and counts in heldSize", async () => {
  for (const [, sysFlag, pack] of ways) {
    const body = words(100_000);
    const message = messageOf(pack(body), sysFlag);
    assertEquals(message.isLargePacked, true);
    assertEquals(message.heldSize, message.size);
    await message.unpack();
    assertEquals(message.isLargePacked, false);
    assertEquals(message.heldSize, message.size + body.length);
    assert(equal(message.body, body));
    assertStrictEquals(message.body, message.body);
  }
});

Deno.test("StoredMessage.unpack() does not reject if the body is broken: body throws, each time", async () => {
  for (const [, sysFlag, pack] of ways) {
    const packed = pack(words(100_000));
    const message = messageOf(packed.subarray(0, packed.length - 5), sysFlag);
    await message.unpack();
    assertEquals(message.heldSize, message.size);
    for (let i = 0; i < 2; i++) assertThrows(() => message.body, NetworkError, "Cannot unpack");
  }
});

Deno.test("StoredMessage.unpack() leaves the body packed if its signal aborts", async () => {
  const message = messageOf(packLz4(words(100_000)), LZ4);
  await assertRejects(() => message.unpack(AbortSignal.abort(new RangeError("enough"))), RangeError, "enough");
  assertEquals(message.isLargePacked, true);
  assertEquals(message.text().length, 100_000);
});

Deno.test("StoredMessage.isLargePacked is false for what is not packed, however large", () => {
  assertEquals(messageOf(words(100_000), 0).isLargePacked, false);
  assertEquals(messageOf(words(100_000), 0x300).isLargePacked, false);
});
