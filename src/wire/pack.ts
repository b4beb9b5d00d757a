/**
 * Packs large bodies in the background: in steps, with turns of the event loop between them.
 *
 * @module
 */

import { builtin } from "../builtin.ts";
import { Semaphore } from "../waiting.ts";
import { inSteps, STEP_SIZE } from "./background.ts";
import { joinInSteps } from "./join.ts";
import { inBackground, unheard } from "../owned_work.ts";

/** Bodies of more bytes take too long to be packed in one turn of the event loop: this is 1 or 2 ms of work. */
export const LARGE_BODY_SIZE: number = 64 * 1024;

/** How many bytes are packed in one step. */
const INPUT_STEP = 32 * 1024;

/** One body at a time: the others would only hold more memory. */
const gate = new Semaphore(1);

/**
 * Packs a body with zlib, without holding the event loop; it must not change before the end.
 *
 * @param level 1 (fast) to 9 (small)
 * @throws the signal's reason, if it has aborted
 */
export function packInBackground(body: Uint8Array, level: number, signal?: AbortSignal): Promise<Uint8Array> {
  return gate.pass(() => inSteps(deflateSteps(body, level), signal));
}

async function* deflateSteps(body: Uint8Array, level: number): AsyncGenerator<number, Uint8Array, void> {
  const stream = builtin("node:zlib").createDeflate({ level, chunkSize: INPUT_STEP });
  const parts: Uint8Array[] = [];
  stream.on("data", ({ buffer, byteOffset, length }: Uint8Array) => {
    parts.push(new Uint8Array(buffer, byteOffset, length));
  });
  const failed = new Promise<never>((_, reject) => stream.on("error", reject));
  const ended = new Promise<void>((resolve) => stream.on("end", resolve));
  inBackground(failed, unheard);
  try {
    for (let at = 0; at < body.length; at += INPUT_STEP) {
      const piece = body.subarray(at, at + INPUT_STEP);
      await Promise.race([failed, new Promise<void>((resolve) => stream.write(piece, () => resolve()))]);
      yield STEP_SIZE; // packing takes longer than unpacking
    }
    stream.end();
    await Promise.race([failed, ended]);
    return yield* joinInSteps(parts, STEP_SIZE);
  } finally {
    stream.destroy();
  }
}
