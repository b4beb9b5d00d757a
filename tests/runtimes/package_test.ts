import { assertEquals } from "@std/assert";
import { join } from "@std/path";
import { packForNpm } from "../../tools/npm_package.ts";
import { builtIn, outputOf, testOnRuntimes } from "./other_runtimes.ts";

const PACKAGE = "node_modules/@denorocket/rocketmq";

await testOnRuntimes("the package that deno task pack makes is imported, sends and consumes", async ({ command }) => {
  const folder = await Deno.makeTempDir({ prefix: "package-" });
  try {
    const program = await builtIn(folder, "tests/runtimes/package_program.ts");
    await install(folder);
    const { dependencies } = JSON.parse(await Deno.readTextFile(join(folder, PACKAGE, "package.json")));
    assertEquals(dependencies, undefined);
    const output = await outputOf(command, [program], { cwd: folder });
    assertEquals(JSON.parse(output), { seen: ["a", "b", "c"], committed: 3, others: ["memory", "%RETRY%billing"] });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

/** Puts the package where a program in the folder finds it, and takes away what it was built beside. */
async function install(folder: string): Promise<void> {
  const tarball = join(folder, "package.tgz");
  await packForNpm(tarball);
  await Deno.mkdir(join(folder, PACKAGE), { recursive: true });
  await outputOf("tar", ["-xzf", tarball, "--strip-components=1", "-C", join(folder, PACKAGE)]);
  await Deno.remove(join(folder, "src"), { recursive: true });
}
