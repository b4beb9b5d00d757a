/**
 * One step of `deno task test`: a `deno` command and what its outcome counts for.
 *
 * @module
 */

import { root } from "./files.ts";

/** How many checks held, how many did not, and what those that did not have said. */
export interface Tally {
  passed: number;
  failed: number;
  failures: string[];
}

/** Something that is run, named in the summary, and counted. */
export interface Step {
  name: string;
  run: () => Promise<Tally>;
}

/** Runs the `deno` that runs us, in the root, its output going straight through; true if it exits with 0. */
export async function deno(args: readonly string[], env: Record<string, string> = {}): Promise<boolean> {
  const command = new Deno.Command(Deno.execPath(), { args: [...args], cwd: root, stdin: "null", env });
  const { success } = await command.spawn().status;
  return success;
}
