import { assert, assertEquals, assertThrows } from "@std/assert";
import { NetworkError } from "../../src/errors.ts";
import { decodeFrame, encodeBinaryFrame, encodeFrame, FrameReader, MAX_FRAME_SIZE } from "../../src/wire/frame.ts";
import { countBuffers } from "../hostile/memory.ts";
import { SeededRandom } from "./seeded_random.ts";

const MIB = 1024 * 1024;
const PIECE = new Uint8Array(64 * 1024);
const after = encodeFrame({ code: 0, opaque: 8, flag: 1, body: Uint8Array.of(1, 2, 3) });

/** The beginning of a frame that claims to be `size` bytes: all of it but the body. */
function headOf(size: number, encode = encodeFrame, remark = ""): Uint8Array {
  const head = encode({ code: 0, opaque: 7, flag: 1, remark });
  new DataView(head.buffer).setUint32(0, size - 4);
  return head;
}

/** A reader that keeps what it hands out. */
function recorded() {
  const frames: Uint8Array[] = [];
  const tooLarge: { opaque: number; size: number }[] = [];
  const reader = new FrameReader((frame) => frames.push(frame), {
    onTooLarge: (head, size) => tooLarge.push({ opaque: decodeFrame(head).opaque, size }),
  });
  return { reader, frames, tooLarge };
}

/** Pushes the body of a frame of which `head` has arrived. */
function pushRest(reader: FrameReader, size: number, head: Uint8Array): void {
  let left = size - head.length;
  for (; left > PIECE.length; left -= PIECE.length) reader.push(PIECE);
  reader.push(PIECE.subarray(0, left));
}

Deno.test("FrameReader reports a frame that is too large when its header has arrived, and skips its bytes", () => {
  for (const encode of [encodeFrame, encodeBinaryFrame]) {
    for (const size of [MAX_FRAME_SIZE + 1, 40 * MIB]) {
      const { reader, frames, tooLarge } = recorded();
      const head = headOf(size, encode);
      reader.push(head.subarray(0, head.length - 1));
      assertEquals(tooLarge, []);
      reader.push(head.subarray(head.length - 1));
      assertEquals(tooLarge, [{ opaque: 7, size }]);
      pushRest(reader, size, head);
      reader.push(after);
      assertEquals([tooLarge.length, frames], [1, [after]]);
    }
  }
});

Deno.test("FrameReader finds the frames around one that is too large, wherever the stream is cut", () => {
  const size = MAX_FRAME_SIZE + 5;
  const head = headOf(size, encodeFrame, "x".repeat(300));
  const stream = new Uint8Array(2 * after.length + size);
  stream.set(after);
  stream.set(head, after.length);
  stream.set(after, after.length + size);
  const random = new SeededRandom(31);
  const headsEnd = after.length + head.length;
  for (let round = 0; round < 40; round++) {
    const { reader, frames, tooLarge } = recorded();
    const cuts = [random.below(headsEnd + 2), random.below(headsEnd + 2), stream.length - random.below(60)];
    let at = 0;
    for (const cut of [...cuts.sort((a, b) => a - b), stream.length]) reader.push(stream.subarray(at, at = cut));
    assertEquals([frames, tooLarge], [[after, after], [{ opaque: 7, size }]], `cuts ${cuts}`);
  }
  const { reader, frames, tooLarge } = recorded();
  for (let at = 0; at < headsEnd; at++) reader.push(stream.subarray(at, at + 1));
  reader.push(stream.subarray(headsEnd));
  assertEquals([frames, tooLarge.length], [[after, after], 1]);
});

Deno.test("FrameReader skips frames of every size that an int32 can claim", () => {
  const { reader, tooLarge, frames } = recorded();
  const size = 0x7fffffff + 4;
  const head = headOf(size);
  reader.push(head);
  assertEquals(tooLarge, [{ opaque: 7, size }]);
  assert(reader.isSkipping(size - head.length));
  assert(!reader.isSkipping(size - head.length + 1));
  reader.push(PIECE);
  assert(!reader.isSkipping(size - head.length));
  assertEquals(frames, []);
});

Deno.test("FrameReader refuses a frame that is too large and has no header, at the first byte that shows it", () => {
  const lines: [bytes: number[], from: number][] = [
    [[0x48, 0x54, 0x54, 0x50, 0x2f], 5], // HTTP/
    [[0x15, 0x03, 0x03, 0x00, 0x02, 0x02], 5], // a TLS alert
    [[0x7f, 0xff, 0xff, 0xff, 0x00, 0x01, 0x00, 0x00], 6], // a header of more than 64 KiB
    [[0x7f, 0xff, 0xff, 0xff, 0x01, 0x00, 0xff, 0xf9], 8],
    [[0x80, 0x00, 0x00, 0x00], 4],
    [[0xff, 0xff, 0xff, 0xff], 4],
    [[0x00, 0x00, 0x00, 0x03], 4],
  ];
  for (const [bytes, from] of lines) {
    const { reader, frames, tooLarge } = recorded();
    let taken = 0;
    const error = assertThrows(() => {
      for (const byte of bytes) {
        taken++;
        reader.push(Uint8Array.of(byte));
      }
    }, NetworkError);
    assertEquals([error.code, frames, tooLarge], ["MALFORMED_FRAME", [], []]);
    if (bytes[0] !== 0x15) assertEquals(taken, from, `${bytes}`);
    assertThrows(() => reader.push(after), NetworkError); // there is no way on
  }
});

/** How many bytes of buffers are made while something runs. */
function bytesTaken(run: () => void): number {
  const memory = countBuffers();
  try {
    run();
  } finally {
    memory.end();
  }
  return memory.end();
}

Deno.test("FrameReader takes little memory for bytes that a peer only claims to send", () => {
  for (const claimed of [70_000, 2 * MIB + 1, MAX_FRAME_SIZE, MAX_FRAME_SIZE + 1, 0x7fffffff]) {
    const { reader } = recorded();
    const head = headOf(claimed);
    const taken = bytesTaken(() => reader.push(head));
    const allowed = claimed > MAX_FRAME_SIZE ? head.length + 8 : PIECE.length;
    assert(taken <= allowed, `${taken} bytes for a claim of ${claimed}`);
  }
  for (const arrived of [PIECE.length, 5 * PIECE.length, 50 * PIECE.length]) {
    const { reader } = recorded();
    reader.push(headOf(MAX_FRAME_SIZE));
    const taken = bytesTaken(() => {
      for (let at = 0; at < arrived; at += PIECE.length) reader.push(PIECE);
    });
    assert(taken <= 6 * arrived, `${taken} bytes where ${arrived} have arrived`);
  }
  const { reader } = recorded();
  const head = headOf(40 * MIB);
  const taken = bytesTaken(() => pushRest(reader, 40 * MIB, (reader.push(head), head)));
  assert(taken <= head.length + 8, `${taken} bytes for a frame that is skipped`);
});

Deno.test("FrameReader takes the memory of a large frame at once from a peer that has just sent as large a one", () => {
  const { reader, frames } = recorded();
  const takenBy = (size: number) => {
    const head = headOf(size);
    return bytesTaken(() => {
      reader.push(head);
      pushRest(reader, size, head);
    });
  };
  assert(takenBy(MIB) > MIB); // it grew
  for (const size of [MIB, 2 * MIB, 100_000]) assertEquals(takenBy(size), size);
  assert(takenBy(MIB) > MIB); // after a smaller one it has to be seen again
  assertEquals(frames.map(({ length }) => length), [MIB, MIB, 2 * MIB, 100_000, MIB]);
  takenBy(12 * MIB);
  assert(bytesTaken(() => reader.push(headOf(12 * MIB))) <= 8 * MIB + 200);
});

Deno.test("FrameReader allocates a frame memory of its own size, however it arrived", () => {
  for (const size of [70_000, 262_145, MIB, 5 * MIB + 3]) {
    for (const piece of [1_000, 65_536, 300_000, 2_000_000]) {
      const frame = encodeFrame({ code: 0, opaque: 1, body: new SeededRandom(size).bytes(1_000) });
      const whole = new Uint8Array(size);
      whole.set(frame);
      new DataView(whole.buffer).setUint32(0, size - 4);
      whole.fill(7, size - 10);
      const { reader, frames } = recorded();
      for (let at = 0; at < size; at += piece) reader.push(whole.subarray(at, at + piece));
      assertEquals(frames.length, 1);
      assertEquals(frames[0]!.buffer.byteLength, size);
      assert(frames[0]!.every((byte, i) => byte === whole[i]));
    }
  }
});
