/**
 * Running a program of a page as a reader would: in a folder of its own, with the permissions that the page tells.
 *
 * @module
 */

import { stripVTControlCharacters } from "node:util";
import { basename, join, toFileUrl } from "@std/path";
import { root } from "../testing/files.ts";
import { type Block, programOf } from "./blocks.ts";

/**
 * Type-checks and runs a block with `--allow-net` alone. Resolves with what is wrong, or undefined.
 *
 * @param timeout In milliseconds: the default is far more than any program takes, one that never ends is broken.
 */
export async function problemOf(block: Block, nameServer: string, timeout = 60_000): Promise<string | undefined> {
  const folder = await Deno.makeTempDir({ prefix: "page-" });
  try {
    const program = join(folder, basename(block.file).replace(/\.md$/, ".ts"));
    await Deno.writeTextFile(join(folder, "deno.json"), JSON.stringify(await readersConfig()));
    await Deno.writeTextFile(program, programOf(block, nameServer));
    return await run(program, block.prints, timeout);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function run(program: string, prints: readonly string[], timeout: number): Promise<string | undefined> {
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(), timeout);
  try {
    const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "--check", "--quiet", "--no-prompt", "--allow-net", program],
      stdin: "null",
      signal: stop.signal,
    }).output();
    const [printed, complaint] = [plain(stdout), plain(stderr)];
    if (stop.signal.aborted) return `It did not end within ${timeout} ms:\n${printed}\n${complaint}`;
    if (!success) return `It failed:\n${printed}\n${complaint}`;
    if (`\n${printed}`.endsWith(prints.map((line) => `\n${line}`).join(""))) return undefined;
    return `It has to print "${prints.join("\n")}" at its end, and printed:\n${printed}`;
  } finally {
    clearTimeout(timer);
  }
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
