/**
 * Runs a small Java program against the jars of a RocketMQ version: a line in, a line out.
 *
 * @module
 */

import { spawn } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { fetchRocketMQ, type RocketMQVersion } from "./fetch.ts";
import { javaArgs, logbackFile, MEMORY, SILENT_LOGBACK } from "./server_config.ts";

/** How long a program may take. */
const TIMEOUT = 120_000;

/**
 * Gives a program lines and gives those that it prints.
 *
 * @param source The name of a `.java` file beside this one.
 * @throws {Error} If the program fails: the message is what it wrote to standard error.
 */
export async function runJava(version: RocketMQVersion, source: string, lines: readonly string[]): Promise<string[]> {
  const release = await fetchRocketMQ(version);
  const folder = await mkdtemp(join(tmpdir(), "denorocket-java-"));
  try {
    await mkdir(join(folder, "conf"));
    await writeFile(join(folder, logbackFile("tools")), SILENT_LOGBACK);
    const path = fileURLToPath(new URL(source, import.meta.url));
    const args = [...javaArgs(release, "tools", "."), ...MEMORY.tools, path];
    return await run(args, folder, lines.map((line) => `${line}\n`).join(""));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function run(args: readonly string[], folder: string, input: string): Promise<string[]> {
  return new Promise((resolve, reject) => {
    const java = spawn("java", args, { cwd: folder, timeout: TIMEOUT });
    let output = "";
    let errors = "";
    java.stdout.setEncoding("utf8").on("data", (text: string) => output += text);
    java.stderr.setEncoding("utf8").on("data", (text: string) => errors += text);
    java.on("error", reject);
    java.on("close", (code) => {
      if (code === 0) resolve(output.trimEnd().split("\n"));
      else reject(new Error(`Cannot run ${args.at(-1)}: it ended with ${code}\n${errors}`));
    });
    java.stdin.on("error", () => {}); // a program that ends early tells by its code
    java.stdin.end(input);
  });
}
