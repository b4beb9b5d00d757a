/**
 * Hostile inputs for decoders: seeded, so that a failure can be looked at again.
 *
 * Each input ends with a value or with an error of ours, in little time, and with no more memory than its size allows.
 * `LONG=1` makes fifty times as many; `HOSTILE_SEED=n` makes only the input of that seed.
 */

import { assert, AssertionError } from "@std/assert";
import { RocketMQError } from "../../src/errors.ts";
import { SeededRandom } from "../wire/seeded_random.ts";
import { countBuffers } from "./memory.ts";

/** One input, and what is done with it. */
export interface HostileInput {
  /** The bytes; a text is its UTF-8. */
  readonly input: Uint8Array;
  /** How many bytes it may come to before it is refused. @default {0} */
  readonly mayHold?: number;
  /** Decodes it and checks what comes out; returns how many bytes that holds, if it may be more than the input. */
  run(): number | void | Promise<number | void>;
}

/** Something that decodes what a peer has sent. */
export interface HostileTarget {
  /** What is decoded. */
  readonly name: string;
  /** How many inputs there are; the long run has fifty times as many. */
  readonly inputs: number;
  /** Makes an input; the same for the same random numbers. */
  make(random: SeededRandom): HostileInput;
}

/** How many times more inputs the long run has. */
const LONG_FACTOR = 50;
/** No input takes longer, on however busy a machine, in milliseconds: most take some microseconds. */
const LONGEST = 5_000;
/** What buffers may have besides so many times the bytes that came in and went out. */
const LEAST_MEMORY = 160 * 1024;
const MEMORY_FACTOR = 12;
/** At least so many of a hundred inputs are read, and so many refused: else they do not reach what they should. */
const LEAST_OF_EACH = 2;

const long = Deno.env.get("LONG") === "1";
const only = Deno.env.get("HOSTILE_SEED");

/** Makes a test of a target. */
export function testHostile(target: HostileTarget): void {
  const inputs = target.inputs * (long ? LONG_FACTOR : 1);
  Deno.test(`hostile input: ${target.name}, whatever it is, is read or refused within bounds`, async () => {
    if (only !== undefined) return await runSeed(target, Number(only)).then(() => {});
    const seeds = Array.from({ length: inputs }, (_, i) => i);
    let read = 0;
    for (const seed of seeds) if (await runSeed(target, seed)) read++;
    const least = inputs * LEAST_OF_EACH / 100;
    assert(read >= least && inputs - read >= least, `${read} of ${inputs} inputs were read`);
  });
}

/** Whether the input of a seed was read; false if it was refused. */
async function runSeed(target: HostileTarget, seed: number): Promise<boolean> {
  const { input, mayHold = 0, run } = target.make(new SeededRandom(Math.imul(seed, 0x9e3779b1)));
  const fail = (problem: string, cause?: unknown): never => {
    const shown = input.subarray(0, 4_096).toBase64();
    const text = `${target.name}, HOSTILE_SEED=${seed}: ${problem}; ${input.length} bytes in base64: ${shown}`;
    throw new AssertionError(text, { cause });
  };
  const memory = countBuffers();
  const started = performance.now();
  let output = mayHold;
  let isRead = true;
  try {
    const ran = run();
    output += (ran instanceof Promise ? await ran : ran) ?? 0;
  } catch (error) {
    isRead = false;
    if (!(error instanceof RocketMQError)) fail(String(error), error);
  }
  const taken = memory.end();
  const time = performance.now() - started;
  if (time > LONGEST) fail(`it took ${time} ms`);
  if (taken > LEAST_MEMORY + MEMORY_FACTOR * (input.length + output)) fail(`it took ${taken} bytes of buffers`);
  return isRead;
}
