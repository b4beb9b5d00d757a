/**
 * The checks that run no program of ours: each is one `deno` command and counts as one.
 *
 * @module
 */

import { existing, root } from "./files.ts";
import { deno, type Step } from "./step.ts";

/** Everything whose types are checked: the package, and whatever is written beside it. */
const CHECKED = ["mod.ts", "src", "tests", "tools", "examples", "bench"];

/** The static steps in the order of their cost, so that the cheapest complaint comes first. */
export function staticSteps(): Step[] {
  return [
    step("fmt", ["fmt", "--check"]),
    step("lint", ["lint"]),
    // --doc: the examples in doc comments compile as well.
    step("types", ["check", "--doc", ...existing(CHECKED)]),
    step("docs", ["doc", "--lint", ...entryPoints()]),
    // What the registry would refuse: exported symbols whose types have to be inferred, files that are missing.
    step("publish", ["publish", "--dry-run", "--allow-dirty"]),
  ];
}

function step(name: string, args: string[]): Step {
  return {
    name,
    run: async () =>
      await deno(args) ? { passed: 1, failed: 0, failures: [] } : { passed: 0, failed: 1, failures: [name] },
  };
}

/** The files behind the `exports` of deno.json. */
function entryPoints(): string[] {
  const config: { exports: Record<string, string> } = JSON.parse(Deno.readTextFileSync(`${root}/deno.json`));
  return Object.values(config.exports);
}
