import * as zlib from "node:zlib";
import { assertEquals, assertThrows } from "@std/assert";
import { NetworkError, UnsupportedError } from "../../src/errors.ts";
import { compress, decompress } from "../../src/wire/compression.ts";
import frames from "./golden/lz4_frames.json" with { type: "json" };
import { SeededRandom } from "./seeded_random.ts";

const ZLIB_OLD = 0x001;
const LZ4 = 0x101;
const ZSTD = 0x201;
const ZLIB = 0x301;

const body = new TextEncoder().encode("All happy families are alike. ".repeat(300));
const noZstd = typeof zlib.zstdCompressSync !== "function";

Deno.test("compress() makes what decompress() and any zlib unpack", () => {
  for (const level of [0, 1, 5, 9]) {
    const packed = compress(body, "zlib", level);
    assertEquals(packed.constructor, Uint8Array);
    assertEquals(decompress(packed, ZLIB, body.length), body);
    assertEquals(new Uint8Array(zlib.inflateSync(packed)), body);
  }
});

Deno.test("decompress() takes type 0 for zlib, and other bits of the flag for nothing", () => {
  const packed = compress(body, "zlib", 5);
  assertEquals(decompress(packed, ZLIB_OLD, body.length), body);
  assertEquals(decompress(packed, ZLIB | 0xf8, body.length), body);
});

Deno.test("decompress() returns bytes whose slice() is a copy", () => {
  const unpacked = decompress(compress(body, "zlib", 5), ZLIB, body.length);
  unpacked.slice(0, 1)[0] = 0;
  assertEquals(unpacked[0], body[0]);
});

Deno.test("decompress() unpacks LZ4", () => {
  const packed = Uint8Array.from(atob(frames["one byte"].base64), (character) => character.charCodeAt(0));
  assertEquals(decompress(packed, LZ4, 1).length, 1);
});

Deno.test({
  name: "decompress() unpacks Zstandard, also several frames, with a checksum or skippable",
  ignore: noZstd,
  fn() {
    const checked = zlib.zstdCompressSync(body, { params: { [zlib.constants.ZSTD_c_checksumFlag]: 1 } });
    const skippable = Uint8Array.of(0x5a, 0x2a, 0x4d, 0x18, 2, 0, 0, 0, 9, 9);
    assertEquals(decompress(zlib.zstdCompressSync(body), ZSTD, body.length), body);
    assertEquals(decompress(checked, ZSTD, body.length), body);
    assertEquals(decompress(join(skippable, checked, skippable), ZSTD, body.length), body);
    assertEquals(decompress(join(checked, skippable, checked), ZSTD, 2 * body.length), join(body, body));
    assertEquals(decompress(skippable, ZSTD, 1).length, 0);
    for (const size of [0, 1, 255, 256, 65_536, 300_000]) {
      const noise = new SeededRandom(8).bytes(size);
      assertEquals(decompress(zlib.zstdCompressSync(noise), ZSTD, size), noise);
    }
  },
});

Deno.test({
  name: "decompress() refuses Zstandard that is cut off at any byte, or is none",
  ignore: noZstd,
  fn() {
    for (const checksum of [0, 1]) {
      const params = { [zlib.constants.ZSTD_c_checksumFlag]: checksum };
      const packed = zlib.zstdCompressSync(body, { params });
      for (let size = 0; size < packed.length; size++) {
        assertThrows(() => decompress(packed.subarray(0, size), ZSTD, body.length), NetworkError, "is cut off");
      }
      assertThrows(() => decompress(join(packed, Uint8Array.of(1)), ZSTD, body.length), NetworkError, "is cut off");
    }
    assertThrows(() => decompress(Uint8Array.of(1, 2, 3, 4), ZSTD, 1), NetworkError, "magic number is 0x4030201");
  },
});

Deno.test("decompress() refuses zlib that is cut off at any byte, or is none", () => {
  const packed = compress(body, "zlib", 9);
  for (let size = 0; size < packed.length; size++) {
    const error = assertThrows(() => decompress(packed.subarray(0, size), ZLIB, body.length), NetworkError);
    assertEquals(error.code, "MALFORMED_FRAME");
  }
  assertThrows(() => decompress(body, ZLIB, body.length), NetworkError, "Cannot unpack a zlib body");
});

Deno.test("decompress() stops at the cap", () => {
  const kinds: [number, Uint8Array][] = [[ZLIB, compress(new Uint8Array(1_000_000), "zlib", 9)]];
  if (!noZstd) {
    const half = zlib.zstdCompressSync(new Uint8Array(500_000));
    kinds.push([ZSTD, zlib.zstdCompressSync(new Uint8Array(1_000_000))], [ZSTD, join(half, half)]);
  }
  for (const [type, packed] of kinds) {
    assertEquals(decompress(packed, type, 1_000_000).length, 1_000_000);
    for (const cap of [1, 500_000, 999_999]) {
      assertThrows(() => decompress(packed, type, cap), NetworkError, `more than ${cap} bytes`);
    }
  }
});

Deno.test("decompress() refuses types that nobody has given a meaning", () => {
  for (const type of [4, 5, 6, 7]) {
    assertThrows(() => decompress(body, 1 | (type << 8), 1), UnsupportedError, `its compression type is ${type}`);
  }
});

function join(...parts: Uint8Array[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}
