import { assert, assertEquals } from "@std/assert";
import { join } from "@std/path";
import { FileOffsetStore } from "../../src/offsets/file.ts";
import { builtIn, outputOf, testOnRuntimes } from "./other_runtimes.ts";

const PROGRAM = "tests/runtimes/offsets_program.ts";

await testOnRuntimes(
  "FileOffsetStore and createOffsetStore() work, and Deno reads what was stored,",
  async (runtime) => {
    const folder = await Deno.makeTempDir({ prefix: "offsets-" });
    try {
      const program = runtime.name === "Bun" ? PROGRAM : await builtIn(folder, PROGRAM);
      const output = await outputOf(runtime.command, [program, folder], { env: { HOME: folder } });
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
);
