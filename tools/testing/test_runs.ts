/**
 * The runs of `deno test`: what needs no other program first, what starts real brokers and other runtimes after it.
 *
 * There is a short part and a long one, which together are everything.
 *
 * @module
 */

import { join } from "@std/path";
import { tallyOf } from "./junit.ts";
import { existing, filesBelow, root } from "./files.ts";
import { deno, type Step, type Tally } from "./step.ts";

/** Folders whose tests start programs that are not ours, and so may do anything. */
const OPEN_FOLDERS: readonly string[] = ["tests/broker", "tests/runtimes"];

/** What of them is in the short part. The first divides itself, by what the environment says. */
const SHORT_OPEN: readonly string[] = [
  "tests/broker/behaviour_test.ts",
  "tests/runtimes/offsets_test.ts",
  "tests/runtimes/package_test.ts",
  "tests/runtimes/npm_package_test.ts",
];
/** What else is in the long part, with more of the same. */
const LONG_CLOSED: readonly string[] = ["tests/hostile"];

/** Where tests are. */
const TEST_FOLDERS: readonly string[] = ["tests", "tools"];

/**
 * What the other tests may do. That this is not everything is a test too: the library has to do with less. The one
 * program that may be run is `deno`, by tests that look at a program from outside.
 */
const NARROW: readonly string[] = [
  "--allow-net",
  "--allow-read",
  "--allow-write",
  "--allow-env",
  `--allow-run=${Deno.execPath()}`,
];

/** What the command line chose: paths, parts of test names, and flags of `deno test`. */
export interface Selection {
  paths: string[];
  names: string[];
  flags: string[];
}

/** A part of the tests; by paths and names any test may be chosen. */
export type Part = "short" | "long";

/** One run: its name, the arguments of `deno test`, and its part. */
export interface TestRun {
  name: "embedded" | "broker";
  args: string[];
  part: Part | undefined;
}

/** Sorts arguments: a flag begins with a dash, a path is there, anything else is part of a test's name. */
export function selectionOf(args: readonly string[]): Selection {
  const flags = args.filter((arg) => arg.startsWith("-"));
  const words = args.filter((arg) => !arg.startsWith("-"));
  const paths = existing(words);
  const fromRoot = paths.map((path) => join(root, path).slice(root.length + 1).replace(/\/$/, ""));
  return { flags, paths: fromRoot, names: words.filter((word) => !paths.includes(word)) };
}

/**
 * The runs that a selection asks for; a run with no test to look at is left out.
 *
 * Types are a step of their own, so that a file that does not compile takes no other down. Files are listed one by
 * one because `deno test` loses track of what to leave out when it is given two folders.
 */
export function testRuns(selection: Selection, wanted: Part): TestRun[] {
  const part = selection.paths.length + selection.names.length > 0 ? undefined : wanted;
  const chosen = selection.paths.length > 0 ? selection.paths : TEST_FOLDERS;
  const files = chosen.flatMap((path) => filesBelow(path, "_test.ts"));
  const isOpen = (file: string) => OPEN_FOLDERS.some((folder) => file.startsWith(`${folder}/`));
  const inPart = files.filter((file) => part === undefined || isOf(part, file, isOpen(file)));
  const [open, closed] = [inPart.filter(isOpen), inPart.filter((file) => !isOpen(file))];
  const common = ["--no-check", "--no-prompt", "--trace-leaks", ...selection.flags, ...filter(selection.names)];
  const runs: TestRun[] = [];
  if (closed.length > 0) runs.push({ name: "embedded", args: ["--parallel", ...NARROW, ...common, ...closed], part });
  if (open.length > 0) runs.push({ name: "broker", args: ["--allow-all", ...common, ...open], part });
  return runs;
}

/** Whether a file has tests of a part. */
function isOf(part: Part, file: string, isOpen: boolean): boolean {
  if (part === "short") return !isOpen || SHORT_OPEN.includes(file);
  return isOpen
    ? file === SHORT_OPEN[0] || !SHORT_OPEN.includes(file)
    : LONG_CLOSED.some((folder) => file.startsWith(`${folder}/`));
}

/** A run as a step that counts its tests. */
export function testStep({ name, args, part }: TestRun): Step {
  const env = part === undefined ? {} : { LONG: part === "long" ? "1" : "0" };
  return { name, run: () => counted((report) => deno(["test", `--junit-path=${report}`, ...args], env)) };
}

async function counted(run: (report: string) => Promise<boolean>): Promise<Tally> {
  const folder = await Deno.makeTempDir({ prefix: "test-report-" });
  const report = join(folder, "junit.xml");
  try {
    const succeeded = await run(report);
    return tallyOf(await textAt(report), succeeded);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** No report is written when the tests do not even compile. */
async function textAt(path: string): Promise<string> {
  try {
    return await Deno.readTextFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "";
    throw error;
  }
}

function filter(names: readonly string[]): string[] {
  if (names.length === 0) return [];
  return [`--filter=${names.length === 1 ? names.join() : `/${names.map((name) => RegExp.escape(name)).join("|")}/`}`];
}
