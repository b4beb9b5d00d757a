/**
 * Makes the package for npm: what `deno pack` makes, without source maps, and with what npm shows of a package.
 *
 *     deno task pack [--output FILE] [--repository URL]
 *
 * @module
 */

import { join } from "node:path";
import { parseArgs } from "node:util";
import { root } from "./testing/files.ts";

/** What `deno pack` does not know of the package. */
const METADATA = {
  description: "A client of Apache RocketMQ for Deno, Bun and Node: consumer groups with for await, and a producer",
  keywords: ["rocketmq", "apache-rocketmq", "message-queue", "messaging", "consumer", "producer", "deno", "bun"],
  engines: { node: ">=20.16" },
  sideEffects: false, // nothing runs on import
};

/** Makes a tarball. */
export async function packForNpm(tarball: string, repository?: string): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "npm-package-" });
  try {
    const packed = join(folder, "packed.tgz");
    await run(Deno.execPath(), ["pack", "--quiet", "--allow-dirty", "--no-source-maps", "--output", packed]);
    await run("tar", ["-xzf", packed, "-C", folder]);
    const file = join(folder, "package", "package.json");
    const manifest: Record<string, unknown> = JSON.parse(await Deno.readTextFile(file));
    const source = repository === undefined ? {} : { repository: { type: "git", url: repository } };
    await Deno.writeTextFile(file, JSON.stringify({ ...manifest, ...METADATA, ...source }, undefined, 2) + "\n");
    await run("tar", ["-czf", tarball, "-C", folder, "package"]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function run(command: string, args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command(command, { args, cwd: root, stdout: "null" }).output();
  if (!success) throw new Error(`Cannot run ${command} ${args.join(" ")}: ${new TextDecoder().decode(stderr)}`);
}

if (import.meta.main) {
  const options = { output: { type: "string", default: "npm-package.tgz" }, repository: { type: "string" } } as const;
  const { values } = parseArgs({ args: Deno.args, options });
  await packForNpm(join(Deno.cwd(), values.output), values.repository);
  console.log(values.output);
}
