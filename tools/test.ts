/**
 * What `deno task test` runs: the static checks, then the short part of the tests, all of them even if one fails. `deno
 * task test:long` runs the rest: every real broker, Java beside us, other runtimes, a million of hostile inputs.
 *
 * ```sh
 * deno task test                              # the short part
 * deno task test:long                         # the long part
 * deno task test --only static                # formatting, lint, types, docs, publishing
 * deno task test --only embedded              # the tests that need no server but the embedded broker
 * deno task test --only tests tests/wire      # the tests below a folder
 * deno task test --only tests "batches()"     # the tests with this in their name
 * ```
 *
 * Whatever begins with a dash goes to `deno test`. The last line is `N passed, N failed`: tests and their steps count
 * one each, and so does every static check.
 *
 * @module
 */

import { staticSteps } from "./testing/static_steps.ts";
import type { Step, Tally } from "./testing/step.ts";
import { type Part, type Selection, selectionOf, testRuns, testStep } from "./testing/test_runs.ts";

/** What `--only` may name. */
const KINDS = ["static", "tests", "embedded"] as const;

type Kind = typeof KINDS[number];

// By its name `deno test` takes this file for tests; running them from within would never end.
if (import.meta.main) await main();

async function main(): Promise<void> {
  const isLong = Deno.args.includes("--long");
  const { only, rest } = onlyOf(Deno.args.filter((arg) => arg !== "--long"));
  const { passed, failed } = await runAll(
    stepsOf(isLong ? "tests" : only, selectionOf(rest), isLong ? "long" : "short"),
  );
  if (passed + failed === 0) console.log("\nNothing was run: no test is chosen by these arguments");
  console.log(`\n${passed} passed, ${failed} failed`);
  Deno.exitCode = failed > 0 || passed === 0 ? 1 : 0;
}

function stepsOf(kind: Kind | undefined, selection: Selection, part: Part): Step[] {
  const checks = kind === undefined || kind === "static" ? staticSteps() : [];
  const all = kind === "static" ? [] : testRuns(selection, part);
  const runs = all.filter(({ name }) => kind !== "embedded" || name === kind);
  return [...checks, ...runs.map(testStep)];
}

async function runAll(steps: Step[]): Promise<Tally> {
  const total: Tally = { passed: 0, failed: 0, failures: [] };
  const lines: string[] = [];
  for (const { name, run } of steps) {
    console.log(`\n== ${name}`);
    const start = performance.now();
    const { passed, failed, failures } = await run();
    const seconds = ((performance.now() - start) / 1_000).toFixed(1);
    lines.push(`${failed > 0 ? "FAILED" : "ok    "} ${name.padEnd(10)} ${seconds.padStart(6)} s`);
    total.passed += passed;
    total.failed += failed;
    total.failures.push(...failures.map((failure) => `FAILED ${name}: ${failure}`));
  }
  // Once more at the end, which is what is kept of a long output.
  if (total.failures.length > 0) console.log(`\n${total.failures.join("\n\n")}`);
  console.log(`\n${lines.join("\n")}`);
  return total;
}

/** Takes `--only PART` or `--only=PART` out of the arguments. */
function onlyOf(args: readonly string[]): { only: Kind | undefined; rest: string[] } {
  const rest = [...args];
  const at = rest.findIndex((arg) => arg === "--only" || arg.startsWith("--only="));
  if (at < 0) return { only: undefined, rest };
  const [flag = ""] = rest.splice(at, 1);
  const value = flag.includes("=") ? flag.slice("--only=".length) : rest.splice(at, 1)[0];
  const only = KINDS.find((kind) => kind === value);
  if (only === undefined) {
    throw new TypeError(`Cannot run only "${value}": it has to be one of ${KINDS.join(", ")}`);
  }
  return { only, rest };
}
