/**
 * Running a program of a page as a reader would: in a folder of its own, with the permissions that the page names.
 *
 * @module
 */

import { stripVTControlCharacters } from "node:util";
import { basename, join, toFileUrl } from "@std/path";
import { root } from "../testing/files.ts";
import { type Block, programOf } from "./blocks.ts";

/** Type-checks blocks, all in one go. Resolves with what is wrong, or undefined. */
export async function typeProblem(blocks: readonly Block[]): Promise<string | undefined> {
  return await inFolder(blocks, "localhost:9876", async (programs) => {
    const { success, stderr } = await deno(["check", "--quiet", ...programs]);
    return success ? undefined : `It does not compile:\n${plain(stderr)}`;
  });
}

/**
 * Runs a block with `--allow-net` alone, and runs it again on the same broker, as a reader may. Resolves with what is
 * wrong, or undefined.
 *
 * @param timeout In milliseconds: the default is far more than any program takes, one that never ends is broken.
 */
export async function problemOf(block: Block, nameServer: string, timeout = 60_000): Promise<string | undefined> {
  return await inFolder([block], nameServer, async ([program = ""]) => {
    const problem = await run(program, block.prints, timeout);
    if (problem !== undefined) return problem;
    const again = await run(program, block.prints, timeout);
    return again && `The second time: ${again}`;
  });
}

/** Writes blocks as programs into a folder that is there during the call. */
async function inFolder<T>(
  blocks: readonly Block[],
  nameServer: string,
  work: (programs: readonly string[]) => Promise<T>,
): Promise<T> {
  const folder = await Deno.makeTempDir({ prefix: "page-" });
  try {
    await Deno.writeTextFile(join(folder, "deno.json"), JSON.stringify(await readersConfig()));
    const programs = blocks.map(({ file, line }) => join(folder, `${basename(file, ".md")}_${line}.ts`));
    await Promise.all(blocks.map((block, at) => Deno.writeTextFile(programs[at]!, programOf(block, nameServer))));
    return await work(programs);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function run(program: string, prints: readonly string[], timeout: number): Promise<string | undefined> {
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(), timeout);
  try {
    const args = ["run", "--no-check", "--quiet", "--no-prompt", "--allow-net", program];
    const { success, stdout, stderr } = await deno(args, stop.signal);
    const [printed, complaint] = [plain(stdout), plain(stderr)];
    if (stop.signal.aborted) return `It did not end within ${timeout} ms:\n${printed}\n${complaint}`;
    if (!success) return `It failed:\n${printed}\n${complaint}`;
    if (`\n${printed}`.endsWith(prints.map((line) => `\n${line}`).join(""))) return undefined;
    return `It has to print "${prints.join("\n")}" at its end, and printed:\n${printed}`;
  } finally {
    clearTimeout(timer);
  }
}

function deno(args: readonly string[], signal?: AbortSignal): Promise<Deno.CommandOutput> {
  return new Deno.Command(Deno.execPath(), { args: [...args], stdin: "null", ...(signal && { signal }) }).output();
}

/** What was written, without the colours that an environment may force. */
function plain(bytes: Uint8Array): string {
  return stripVTControlCharacters(new TextDecoder().decode(bytes)).trimEnd();
}

/** What a reader's own deno.json amounts to, with this checkout in place of the published package. */
async function readersConfig() {
  const { name, exports, imports, compilerOptions } = JSON.parse(await Deno.readTextFile(join(root, "deno.json")));
  const entries = Object.entries<string>(exports)
    .map(([subpath, file]) => [name + subpath.slice(1), toFileUrl(join(root, file)).href]);
  return {
    imports: { ...imports, ...Object.fromEntries(entries) },
    links: [join(root, "tools/std")],
    compilerOptions,
  };
}
