/** Packed bodies of every kind, unpacked at once and in the background. */

import * as zlib from "node:zlib";
import { assert, assertEquals } from "@std/assert";
import { RocketMQError } from "../../src/errors.ts";
import { decompress } from "../../src/wire/compression.ts";
import { unpackSteps } from "../../src/wire/unpack.ts";
import frames from "../wire/golden/lz4_frames.json" with { type: "json" };
import { xxHash32 } from "../../src/wire/xxhash32.ts";
import { packLz4, words } from "../wire/lz4_frames.ts";
import { damaged, joined } from "./damage.ts";
import { testHostile } from "./ring.ts";

const [ZLIB, LZ4, ZSTD] = [0x301, 0x101, 0x201];
const MOST = 1024 * 1024;
/** No LZ4 block grows by more; what others come to is not in buffers of ours before it is whole. */
const MOST_GROWTH = 255;

const contents = [new Uint8Array(0), words(40), words(3_000), words(90_000), new Uint8Array(300_000)];
const noZstd = typeof zlib.zstdCompressSync !== "function";
const samples: readonly { readonly sysFlag: number; readonly bodies: readonly Uint8Array[] }[] = [
  { sysFlag: ZLIB, bodies: contents.flatMap((body) => [0, 1, 9].map((level) => zlib.deflateSync(body, { level }))) },
  {
    sysFlag: LZ4,
    bodies: [
      ...contents.flatMap((body) => [true, false].map((checksums) => packLz4(body, { blockKind: 4, checksums }))),
      ...Object.values(frames).map(({ base64 }) => Uint8Array.from(atob(base64), (char) => char.charCodeAt(0))),
    ],
  },
  ...(noZstd ? [] : [{
    sysFlag: ZSTD,
    bodies: contents.flatMap((body) =>
      [0, 1].map((sum) => zlib.zstdCompressSync(body, { params: { [zlib.constants.ZSTD_c_checksumFlag]: sum } }))
    ),
  }]),
];

for (const { sysFlag, bodies } of samples) {
  testHostile({
    name: `bodies packed with ${sysFlag === LZ4 ? "LZ4" : sysFlag === ZSTD ? "Zstandard" : "zlib"}`,
    inputs: sysFlag === LZ4 ? 1_000 : 500,
    make(random) {
      const parts = Array.from({ length: random.below(4) === 0 ? random.below(4) : 1 }, () => random.pick(bodies));
      const input = damaged(joined(...parts), random, bodies);
      if (sysFlag === LZ4 && input.length > 7 && random.below(2) === 0) {
        input[4]! &= 0xeb; // without checksums, more damage gets through to the blocks
        input[6] = (xxHash32(input, 4, 6) >>> 8) & 0xff;
      }
      const maxSize = random.pick([MOST, 4_000, 100]);
      return {
        input,
        mayHold: 2 * Math.min(maxSize, MOST_GROWTH * input.length),
        async run() {
          const once = outcome(() => decompress(input, sysFlag, maxSize));
          const steps = unpackSteps(input, sysFlag, maxSize);
          let work = 0;
          let unpacked: Uint8Array;
          try {
            let step = await steps.next();
            for (; !step.done; step = await steps.next()) work += step.value;
            unpacked = step.value;
          } catch (error) {
            assert(error instanceof RocketMQError, String(error));
            assertEquals(typeof once, "string", "it is read at once, and refused in steps");
            throw error;
          }
          assert(work <= 256 * 1024 + 8 * (input.length + unpacked.length), `${work} bytes of work`);
          assert(typeof once !== "string", "it is read in steps, and refused at once");
          assert(unpacked.length === once.length && unpacked.every((byte, i) => byte === once[i]));
          assert(unpacked.length <= maxSize);
          return unpacked.length;
        },
      };
    },
  });
}

/** What it gives, or a text of the error. */
function outcome(run: () => Uint8Array): Uint8Array | string {
  try {
    return run();
  } catch (error) {
    if (!(error instanceof RocketMQError)) throw error;
    return error.message;
  }
}
