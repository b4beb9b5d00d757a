/**
 * Large packed bodies: how long it takes to unpack them, and for how long the event loop stands still meanwhile.
 *
 * Run it by `deno run -A bench/micro/unpacking.ts`, or with Bun. Beside the background's time and its longest turn
 * stands how long `body` alone would take, in one turn.
 *
 * @module
 */

import { cpus } from "node:os";
import process from "node:process";
import { clearImmediate, setImmediate } from "node:timers";
import * as zlib from "node:zlib";
import { decompress } from "../../src/wire/compression.ts";
import { decodeRecords } from "../../src/wire/record.ts";
import { unpackInBackground } from "../../src/wire/unpack.ts";
import { packLz4, words } from "../../tests/wire/lz4_frames.ts";
import { plainRecord } from "../../tests/wire/plain_record.ts";

const MIB = 1024 * 1024;
const sizes = [1, 4, 32];
const runs = 7;

const ways: readonly (readonly [name: string, sysFlag: number, pack: (body: Uint8Array) => Uint8Array])[] = [
  ["zlib", 0x301, (body) => zlib.deflateSync(body, { level: 5 })],
  ["lz4, 64 KiB", 0x101, (body) => packLz4(body, { blockKind: 4 })],
  ["lz4, 4 MiB", 0x101, (body) => packLz4(body)],
  ["lz4, sums", 0x101, (body) => packLz4(body, { checksums: true })],
  ["zstd", 0x201, (body) => zlib.zstdCompressSync(body)],
];

/** Runs something, and tells how long it took and how long the longest turn of the event loop was meanwhile. */
async function watched(run: () => unknown): Promise<{ readonly whole: number; readonly turn: number }> {
  let turn = 0;
  const started = performance.now();
  let last = started;
  const note = () => {
    const now = performance.now();
    turn = Math.max(turn, now - last);
    last = now;
  };
  const again = () => {
    note();
    turning = setImmediate(again);
  };
  let turning = setImmediate(again);
  await run();
  note();
  clearImmediate(turning);
  return { whole: performance.now() - started, turn };
}

function range(values: readonly number[], digits: number): string {
  const sorted = values.toSorted((a, b) => a - b);
  return `${sorted[0]!.toFixed(digits)} – ${sorted[sorted.length >> 1]!.toFixed(digits)} – ${
    sorted.at(-1)!.toFixed(digits)
  }`;
}

/** How long it takes to find out that messages are not packed, in nanoseconds each. */
function unpackedCost(): number {
  const record = plainRecord({ body: words(1_024) });
  const bytes = new Uint8Array(32 * record.length);
  for (let at = 0; at < bytes.length; at += record.length) bytes.set(record, at);
  const { messages } = decodeRecords(bytes, { topic: "orders", broker: "b", queueId: 0 });
  let best = Infinity;
  for (let run = 0; run < 200; run++) {
    const started = performance.now();
    for (let i = 0; i < 100; i++) if (messages.some((message) => message.isLargePacked)) throw new RangeError("packed");
    best = Math.min(best, performance.now() - started);
  }
  return best * 1e6 / (100 * messages.length);
}

const { deno, bun, node } = process.versions as Record<string, string>;
const runtime = deno !== undefined ? `Deno ${deno}` : bun !== undefined ? `Bun ${bun}` : `Node ${node}`;
console.log(`${runtime}, ${cpus().length} × ${cpus()[0]?.model ?? "?"}; ${runs} runs: least – median – most, in ms`);
for (const [name, sysFlag, pack] of ways) {
  if (name === "zstd" && typeof zlib.zstdCompressSync !== "function") continue; // Node 20 has none
  for (const size of sizes) {
    const packed = pack(words(size * MIB));
    const options = { maxSize: size * MIB };
    await unpackInBackground(packed, sysFlag, options);
    const alone: number[] = [];
    const whole: number[] = [];
    const turn: number[] = [];
    for (let run = 0; run < runs; run++) {
      alone.push((await watched(() => decompress(packed, sysFlag, size * MIB))).turn);
      const result = await watched(() => unpackInBackground(packed, sysFlag, options));
      whole.push(result.whole);
      turn.push(result.turn);
    }
    console.log(
      `${name.padEnd(12)}${String(size).padStart(3)} MiB   longest turn ${range(turn, 1).padEnd(20)}` +
        `background ${range(whole, 0).padEnd(18)}at once ${range(alone, 0)}`,
    );
  }
}
console.log(`a message that is not packed: ${unpackedCost().toFixed(1)} ns to see that`);
