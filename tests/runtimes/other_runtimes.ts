/**
 * Bun and Node, and tests that run programs on them.
 *
 * @module
 */

import { join } from "@std/path";
import { filesBelow, root } from "../../tools/testing/files.ts";

/** How long a runtime that is not installed may take to come from npm, in milliseconds. */
const INSTALL_TIMEOUT = 120_000;

/** A runtime that is found here. */
export interface Runtime {
  /** What people call it. */
  readonly name: "Bun" | "Node 20";
  /** The executable. */
  readonly command: string;
}

/** Where a runtime comes from. */
interface Source {
  readonly name: Runtime["name"];
  /** Its command where it is installed. */
  readonly command: string;
  /** What that prints as its version, if it is the one that is meant. */
  readonly version: RegExp;
  /** The package that has it. */
  readonly npm: string;
}

/** The oldest Node that is supported is the one that lacks most. */
const SOURCES: readonly Source[] = [
  { name: "Bun", command: "bun", version: /^\d/, npm: "bun@1.4.5" },
  { name: "Node 20", command: "node", version: /^v20\./, npm: "node@20" },
];

/**
 * Registers one test for each runtime. One that is neither installed nor to be had from npm is named in a line, and its
 * tests are ignored; on a build server they fail.
 */
export async function testOnRuntimes(
  what: string,
  run: (runtime: Runtime, t: Deno.TestContext) => Promise<void>,
): Promise<void> {
  for (const source of SOURCES) {
    const name = `${what} on ${source.name}`;
    const { runtime, missing } = await find(source);
    if (runtime !== undefined) {
      Deno.test(name, (t) => run(runtime, t));
      continue;
    }
    console.log(`${name}: not run: ${missing}`);
    const fn = () => {
      throw new Error(`Cannot run programs on ${source.name}: ${missing}`);
    };
    Deno.test({ name, ignore: Deno.env.get("CI") === undefined, fn });
  }
}

/**
 * Writes the package, the scenarios and the programs beside this file as JavaScript, which Node 20 needs, and gives the
 * path of one program. `deno transpile` needs nothing from the network, as a bundler would.
 *
 * @param program The program's path from the root of the checkout.
 */
export async function builtIn(folder: string, program: string): Promise<string> {
  const folders = ["mod.ts", "src", "tests/behaviour", "tests/runtimes", "tests/wire", "tests/untyped.ts", "tools/std"];
  const sources = folders.flatMap((path) => filesBelow(path, ".ts")).filter((path) => !path.endsWith("_test.ts"));
  await outputOf(Deno.execPath(), ["transpile", "--quiet", "--no-check", "--outdir", folder, ...sources]);
  await Deno.writeTextFile(join(folder, "package.json"), '{ "type": "module" }');
  for (const source of sources) {
    const path = join(folder, asJavaScript(source));
    const text = await Deno.readTextFile(path);
    await Deno.writeTextFile(
      path,
      text.replace(/(["'])(\.[^"']*\.ts)\1/g, (_, quote, name) => quote + asJavaScript(name) + quote),
    );
  }
  await installStd(folder);
  return join(folder, asJavaScript(program));
}

/** Runs a command in the root of the checkout; returns what it prints, or throws what it complains of. */
export async function outputOf(command: string, args: string[], options: Deno.CommandOptions = {}): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(command, { cwd: root, ...options, args }).output();
  const text = new TextDecoder();
  if (!success) throw new Error(`Cannot run ${command} ${args[0]}: ${text.decode(stdout)}${text.decode(stderr)}`);
  return text.decode(stdout);
}

/** Lets `@std/assert` and its like be found as they are in the checkout: in `tools/std`. */
async function installStd(folder: string): Promise<void> {
  await Deno.mkdir(join(folder, "node_modules"));
  await Deno.symlink(join("..", "tools", "std"), join(folder, "node_modules", "@std"));
  for (const config of filesBelow("tools/std", "/deno.json")) {
    const { name, exports } = JSON.parse(await Deno.readTextFile(join(root, config)));
    const path = join(folder, config.replace("deno.json", "package.json"));
    if (typeof exports !== "string") continue; // the workspace, and what has fake clocks
    await Deno.writeTextFile(path, JSON.stringify({ name, type: "module", exports: asJavaScript(exports) }));
  }
}

function asJavaScript(path: string): string {
  return path.replace(/\.ts$/, ".js");
}

/** Looks for a runtime: among the commands, then at npm, which keeps it for the next time. */
async function find({ name, command, version, npm }: Source): Promise<{ runtime?: Runtime; missing?: string }> {
  const installed = await outputOf(command, ["--version"]).catch(() => "");
  if (version.test(installed)) return { runtime: { name, command } };
  const signal = AbortSignal.timeout(INSTALL_TIMEOUT);
  try {
    const print = `${command} -e "console.log(process.execPath)"`;
    const path = await outputOf("npx", ["-y", "-p", npm, "-c", print], { signal, stdin: "null" });
    return { runtime: { name, command: path.trim() } };
  } catch (error) {
    const why = signal.aborted ? `not there within ${INSTALL_TIMEOUT / 1_000} s` : String(error).trim();
    return { missing: `it is not installed, and ${npm} does not come from npm: ${why}` };
  }
}
