import { assert, assertEquals, assertThrows } from "@std/assert";
import { NetworkError } from "../../src/errors.ts";
import { decompressLz4 } from "../../src/wire/lz4.ts";
import { xxHash32 } from "../../src/wire/xxhash32.ts";
import frames from "./golden/lz4_frames.json" with { type: "json" };
import { countBuffers } from "../hostile/memory.ts";

const MIB = 1024 * 1024;

/** The contents of the golden frames, which their maker computed the same way. */
function content(kind: string, size: number): Uint8Array {
  const noise = (seed: number, length: number) => {
    let x = seed;
    return Uint8Array.from({ length }, () => {
      x = (Math.imul(x, 1_103_515_245) + 12_345) & 0x7fffffff;
      return (x >>> 16) & 0xff;
    });
  };
  if (kind === "zeros") return new Uint8Array(size);
  if (kind === "noise") return noise(777, size);
  const unit = noise(12_345, 300);
  return Uint8Array.from({ length: size }, (_, i) => unit[i % 300]!);
}

function golden(name: keyof typeof frames): Uint8Array {
  return Uint8Array.from(atob(frames[name].base64), (character) => character.charCodeAt(0));
}

/** A frame with independent blocks of up to 64 KiB, made by hand. */
function frame(...blocks: (Uint8Array | number[])[]): Uint8Array {
  const descriptor = [0x60, 0x40];
  const checksum = (xxHash32(Uint8Array.from(descriptor), 0, 2) >>> 8) & 0xff;
  const bytes = [0x04, 0x22, 0x4d, 0x18, ...descriptor, checksum];
  for (const block of blocks) bytes.push(block.length & 0xff, block.length >>> 8, 0, 0, ...block);
  return Uint8Array.from([...bytes, 0, 0, 0, 0]);
}

for (const [name, { size, content: kind }] of Object.entries(frames)) {
  Deno.test(`decompressLz4() unpacks what liblz4 packed: ${name}`, () => {
    const input = golden(name as keyof typeof frames);
    const around = new Uint8Array(input.length + 9);
    around.set(input, 5);
    assertEquals(decompressLz4(input, MIB), content(kind, size));
    assertEquals(decompressLz4(around.subarray(5, 5 + input.length), size), content(kind, size));
  });
}

Deno.test("decompressLz4() refuses a frame that is cut off at any byte", () => {
  for (const name of Object.keys(frames) as (keyof typeof frames)[]) {
    if (name.startsWith("two frames")) continue; // whole already after the first
    const input = golden(name);
    for (let size = 0; size < input.length; size++) {
      assertThrows(() => decompressLz4(input.subarray(0, size), MIB), NetworkError, "Cannot unpack an LZ4 body");
    }
  }
});

Deno.test("decompressLz4() stops at the cap, wherever it lies", () => {
  for (const name of ["linked blocks of 64 KiB", "zeros: matches that overlap themselves"] as const) {
    const input = golden(name);
    for (const cap of [0, 1, 299, 300, 65_536, 65_537, frames[name].size - 1]) {
      assertThrows(() => decompressLz4(input, cap), NetworkError, `more than ${cap} bytes`);
    }
  }
});

Deno.test("decompressLz4() notices each wrong checksum", () => {
  const input = golden("independent blocks, all checksums");
  const damaged = (at: number) => {
    const bytes = input.slice();
    bytes[at < 0 ? bytes.length + at : at]! ^= 1;
    return bytes;
  };
  assertThrows(() => decompressLz4(damaged(6), MIB), NetworkError, "its header checksum is wrong");
  assertThrows(() => decompressLz4(damaged(100), MIB), NetworkError, "a block's checksum is wrong");
  assertThrows(() => decompressLz4(damaged(-1), MIB), NetworkError, "its content checksum is wrong");
});

Deno.test("decompressLz4() refuses descriptors that it does not know", () => {
  const cases: [number, number, string][] = [
    [0xa0, 0x40, "version"],
    [0x62, 0x40, "reserved"],
    [0x60, 0xc0, "reserved"],
    [0x60, 0x41, "reserved"],
    [0x61, 0x40, "dictionary"],
    [0x60, 0x30, "block size"],
  ];
  for (const [flags, sizes, problem] of cases) {
    const bytes = frame([0x10, 0x61]);
    bytes.set([flags, sizes], 4);
    assertThrows(() => decompressLz4(bytes, MIB), NetworkError, problem);
  }
  assertThrows(() => decompressLz4(Uint8Array.of(1, 2, 3, 4, 5), MIB), NetworkError, "magic number is 0x4030201");
});

Deno.test("decompressLz4() refuses blocks that lie", () => {
  const good = decompressLz4(frame([0x21, 0x61, 0x62, 2, 0, 0x10, 0x63]), MIB);
  assertEquals(new TextDecoder().decode(good), "abababac");
  const cases: [number[], string][] = [
    [[0x20, 0x61], "cut off"], // two literals, one there
    [[0x10, 0x61, 1], "cut off"], // half a distance
    [[0xf0, 255, 255], "cut off"], // a length without an end
    [[0x1f, 0x61, 1, 0, 255], "cut off"],
    [[0x10, 0x61, 1, 0], "cut off"], // a match at the end
    [[0x10, 0x61, 0, 0, 0], "a match reaches 0 bytes back"],
    [[0x10, 0x61, 2, 0, 0], "a match reaches 2 bytes back, 1 are there"],
    [[0x00, 1, 0, 0], "a match reaches 1 bytes back, 0 are there"],
    [[0x1f, 0x61, 1, 0, ...Array(300).fill(255), 0, 0], "a block is too large"],
  ];
  for (const [block, problem] of cases) {
    assertThrows(() => decompressLz4(frame(block), MIB), NetworkError, problem, JSON.stringify(block.slice(0, 9)));
  }
  // Independent blocks do not see each other.
  assertThrows(() => decompressLz4(frame([0x10, 0x61], [0x00, 1, 0, 0]), MIB), NetworkError, "0 are there");
  assertThrows(() => decompressLz4(frame(new Uint8Array(65_537)), MIB), NetworkError);
});

Deno.test("decompressLz4() makes no room for blocks that are only claimed", () => {
  for (const claim of [[0xff, 0xff, 0, 0], [0xff, 0xff, 0xff, 0x7f], [0xff, 0xff, 0xff, 0xff]]) {
    const input = Uint8Array.from([...frame().subarray(0, 7), ...claim, 1, 2, 3]);
    const memory = countBuffers();
    assertThrows(() => decompressLz4(input, 64 * MIB), NetworkError);
    assert(memory.end() < 10_000);
  }
});
