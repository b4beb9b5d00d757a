/** Damage to bytes that were right: as a hostile peer, a broken disk or another version would do it. */

import type { SeededRandom } from "../wire/seeded_random.ts";

/** What lengths, counts and flags are set to. */
const WORDS = [
  0,
  1,
  2,
  -1,
  0x7f,
  0x80,
  0xff,
  0x7fff,
  0x8000,
  0xffff,
  0x10000,
  0xffffff,
  0x7fffffff,
  -0x80000000,
] as const;
const BYTES = [0, 1, 2, 0x10, 0x20, 0x22, 0x2c, 0x30, 0x3b, 0x5b, 0x7b, 0x7f, 0x80, 0xc0, 0xfe, 0xff] as const;

/** A copy of a sample with up to four kinds of damage; sometimes with none. */
export function damaged(sample: Uint8Array, random: SeededRandom, others: readonly Uint8Array[] = []): Uint8Array {
  let bytes: Uint8Array = sample.slice();
  for (let hits = random.below(5); hits > 0; hits--) bytes = damage(bytes, random, others);
  return bytes;
}

function damage(bytes: Uint8Array, random: SeededRandom, others: readonly Uint8Array[]): Uint8Array {
  if (bytes.length === 0) return random.bytes(random.below(20));
  // Heads tell of sizes and kinds: they are hit more often.
  const at = random.below(random.below(2) === 0 ? bytes.length : Math.min(bytes.length, 64));
  const behind = at + random.below(bytes.length - at) + 1;
  switch (random.below(9)) {
    case 0:
    case 1:
      bytes[at] = random.below(3) === 0 ? random.pick(BYTES) : random.below(256);
      return bytes;
    case 2:
      bytes[at]! ^= 1 << random.below(8);
      return bytes;
    case 3:
    case 4:
      setWord(bytes, at, random.below(3) === 0 ? bytes.length - random.below(12) : random.pick(WORDS), random);
      return bytes;
    case 5:
      return bytes.slice(0, at); // cut off
    case 6:
      return joined(bytes.subarray(0, at), bytes.subarray(behind)); // a part is missing
    case 7:
      return joined(bytes.subarray(0, behind), bytes.subarray(at)); // a part comes twice
    default: {
      const other = others.length === 0 ? bytes : random.pick(others);
      const from = random.below(other.length + 1);
      return joined(bytes.subarray(0, at), other.subarray(from, from + 2_000)); // goes on as another
    }
  }
}

function setWord(bytes: Uint8Array, at: number, value: number, random: SeededRandom): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const size = random.pick([2, 3, 4, 8]);
  if (at + size > bytes.length) return;
  if (size === 2) view.setInt16(at, value, random.below(4) === 0);
  else if (size === 4) view.setInt32(at, value, random.below(4) === 0);
  else if (size === 8) view.setBigInt64(at, BigInt(value) << BigInt(random.pick([0, 21, 31])));
  else for (let i = 0; i < 3; i++) bytes[at + i] = value >> (16 - 8 * i);
}

/** The bytes of all parts. */
export function joined(...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((size, { length }) => size + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** A golden file. */
export function golden(file: string): Uint8Array {
  return Deno.readFileSync(new URL(`../wire/golden/${file}`, import.meta.url));
}

/** All golden files whose names begin so. */
export function goldens(prefix: string): Uint8Array[] {
  const names = [...Deno.readDirSync(new URL("../wire/golden/", import.meta.url))].map(({ name }) => name);
  return names.filter((name) => name.startsWith(prefix)).sort().map(golden);
}
