/** Makes LZ4 frames, and contents that pack about as well as text does. */

import { xxHash32 } from "../../src/wire/xxhash32.ts";
import { SeededRandom } from "./seeded_random.ts";

const MAGIC = 0x184d2204;
const MOST_DISTANCE = 0xffff;
/** No match begins or ends nearer to a block's end than this. */
const LAST_LITERALS = 12;

/** How {@linkcode packLz4} packs. */
export interface PackLz4Options {
  /** The kind of block: 4 is up to 64 KiB, 5 256 KiB, 6 1 MiB, 7 4 MiB. @default {7} */
  readonly blockKind?: 4 | 5 | 6 | 7;
  /** Whether there are checksums of blocks and of the content. @default {false} */
  readonly checksums?: boolean;
}

/** Packs a body as one frame of independent blocks. */
export function packLz4(content: Uint8Array, { blockKind = 7, checksums = false }: PackLz4Options = {}): Uint8Array {
  const out = new Output(content.length + (content.length >>> 6) + 1_024);
  const descriptor = Uint8Array.of(checksums ? 0x74 : 0x60, blockKind << 4);
  out.uint32(MAGIC);
  out.bytes(descriptor);
  out.byte((xxHash32(descriptor, 0, 2) >>> 8) & 0xff);
  const blockSize = 1 << (8 + 2 * blockKind);
  for (let start = 0; start < content.length; start += blockSize) {
    const from = out.length + 4;
    out.uint32(0);
    const block = content.subarray(start, start + blockSize);
    packBlock(content, start, start + block.length, out);
    out.setUint32(from - 4, out.length - from);
    if (out.length - from >= block.length) out.plainBlock(from, block);
    if (checksums) out.uint32(xxHash32(out.written, from, out.length));
  }
  out.uint32(0);
  if (checksums) out.uint32(xxHash32(content, 0, content.length));
  return out.written;
}

/** Words by chance: packed they have about half their size. */
export function words(size: number, seed = 5): Uint8Array<ArrayBuffer> {
  const random = new SeededRandom(seed);
  const vocabulary = Array.from({ length: 2_000 }, (_, i) => random.bytes(3 + i % 9).map((byte) => 97 + byte % 26));
  const text = new Uint8Array(size).fill(32);
  for (let at = 0; at < size;) {
    const word = random.pick(vocabulary).subarray(0, size - at);
    text.set(word, at);
    at += word.length + 1;
  }
  return text;
}

function packBlock(content: Uint8Array, start: number, end: number, out: Output): void {
  const view = new DataView(content.buffer, content.byteOffset, content.byteLength);
  const seen = new Int32Array(1 << 14).fill(-1);
  let literals = start;
  for (let at = start; at < end - LAST_LITERALS;) {
    const here = view.getInt32(at);
    const slot = Math.imul(here, 0x9e3779b1) >>> 18;
    const before = seen[slot]!;
    seen[slot] = at;
    if (before < start || at - before > MOST_DISTANCE || view.getInt32(before) !== here) {
      at++;
      continue;
    }
    let length = 4;
    while (at + length < end - LAST_LITERALS && content[at + length] === content[before + length]) length++;
    out.sequence(content.subarray(literals, at), length - 4);
    out.byte((at - before) & 0xff);
    out.byte((at - before) >>> 8);
    out.rest(length - 4);
    at += length;
    literals = at;
  }
  out.sequence(content.subarray(literals, end), 0);
}

/** Bytes that are written one after the other. */
class Output {
  length = 0;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;

  constructor(capacity: number) {
    this.#bytes = new Uint8Array(capacity);
    this.#view = new DataView(this.#bytes.buffer);
  }

  get written(): Uint8Array {
    return this.#bytes.subarray(0, this.length);
  }

  byte(value: number): void {
    this.#bytes[this.length++] = value;
  }

  bytes(values: Uint8Array): void {
    this.#bytes.set(values, this.length);
    this.length += values.length;
  }

  uint32(value: number): void {
    this.setUint32(this.length, value);
    this.length += 4;
  }

  setUint32(at: number, value: number): void {
    this.#view.setUint32(at, value, true);
  }

  /** Writes a block anew that packing has not made smaller. */
  plainBlock(from: number, block: Uint8Array): void {
    this.length = from;
    this.bytes(block);
    this.setUint32(from - 4, block.length | 0x80000000);
  }

  /** A token and its literals. */
  sequence(literals: Uint8Array, match: number): void {
    this.byte((Math.min(15, literals.length) << 4) | Math.min(15, match));
    this.rest(literals.length);
    this.bytes(literals);
  }

  /** What of a length does not fit in the token. */
  rest(length: number): void {
    if (length < 15) return;
    let left = length - 15;
    for (; left >= 255; left -= 255) this.byte(255);
    this.byte(left);
  }
}
