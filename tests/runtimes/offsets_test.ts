import { assert, assertEquals } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import { FileOffsetStore } from "../../src/offsets/file.ts";
import { filesBelow, root } from "../../tools/testing/files.ts";

const program = fromFileUrl(new URL("offsets_program.ts", import.meta.url));

for (
  const [runtime, command, build] of [
    ["Bun", "bun", () => Promise.resolve(program)],
    ["Node", "node", transpiled], // Node 20 reads no TypeScript
  ] as const
) {
  Deno.test({
    name: `FileOffsetStore and createOffsetStore() work on ${runtime}, and Deno reads what was stored there`,
    ignore: !await isThere(command),
    fn: async () => {
      const folder = await Deno.makeTempDir({ prefix: "offsets-" });
      try {
        const output = await run(command, [await build(folder), folder], { HOME: folder });
        assertEquals(JSON.parse(output), {
          kind: "file",
          atHome: "file",
          nowhere: "memory",
          inUse: "OFFSETS_IN_USE",
          read: [9, 3],
          kv: "OFFSETS_UNAVAILABLE",
        });
        assert((await Deno.stat(join(folder, ".rocketmq-offsets", "billing"))).isDirectory);
        await using store = new FileOffsetStore({ group: "billing", path: join(folder, "files") });
        await store.open();
        assertEquals(await store.read({ topic: "orders", broker: "b", queueId: 0 }, "store"), 9);
      } finally {
        await Deno.remove(folder, { recursive: true });
      }
    },
  });
}

/** The program and the package as JavaScript; nothing is downloaded for that, as a bundler would be. */
async function transpiled(folder: string): Promise<string> {
  const sources = [...filesBelow("src", ".ts"), program.slice(root.length + 1)];
  await run(Deno.execPath(), ["transpile", "--no-check", "--outdir", folder, ...sources]);
  await Deno.writeTextFile(join(folder, "package.json"), '{ "type": "module" }');
  for (const source of sources) {
    const path = join(folder, source.replace(/\.ts$/, ".js"));
    const text = await Deno.readTextFile(path);
    await Deno.writeTextFile(path, text.replace(/(["'])(\.[^"']*)\.ts\1/g, "$1$2.js$1"));
  }
  return join(folder, "tests/runtimes/offsets_program.js");
}

async function run(command: string, args: string[], env: Record<string, string> = {}): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(command, { args, env, cwd: root }).output();
  assert(success, new TextDecoder().decode(stderr));
  return new TextDecoder().decode(stdout);
}

async function isThere(command: string): Promise<boolean> {
  try {
    return (await new Deno.Command(command, { args: ["--version"], stdout: "null", stderr: "null" }).output()).success;
  } catch {
    return false;
  }
}
