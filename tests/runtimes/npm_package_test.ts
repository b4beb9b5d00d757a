/** The package for npm, as `deno task pack` makes it. */

import { assert, assertEquals } from "@std/assert";
import { join } from "@std/path";
import { packForNpm } from "../../tools/npm_package.ts";
import { root } from "../../tools/testing/files.ts";

const config = JSON.parse(await Deno.readTextFile(join(root, "deno.json")));

Deno.test("the package for npm says what it is, needs nothing, and has no source maps", async () => {
  const folder = await Deno.makeTempDir({ prefix: "package-face-" });
  try {
    const tarball = join(folder, "package.tgz");
    await packForNpm(tarball, "https://example.org/denorocket.git");
    const { success } = await new Deno.Command("tar", { args: ["-xzf", tarball, "-C", folder] }).output();
    assert(success);
    const manifest = JSON.parse(await Deno.readTextFile(join(folder, "package/package.json")));
    const { description, keywords, engines, sideEffects, license, repository, dependencies } = manifest;
    assert(description.length > 0 && keywords.includes("rocketmq"));
    assertEquals([engines, sideEffects, license, dependencies], [{ node: ">=20.16" }, false, "MIT", undefined]);
    assertEquals(repository, { type: "git", url: "https://example.org/denorocket.git" });
    assertEquals(Object.keys(manifest.exports), Object.keys(config.exports));
    const code = filesIn(join(folder, "package")).filter((file) => file.endsWith(".js"));
    const mapped = code.filter((file) => Deno.readTextFileSync(file).includes("sourceMappingURL"));
    assertEquals([code.length > 100, mapped], [true, []]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

function filesIn(folder: string): string[] {
  return [...Deno.readDirSync(folder)].flatMap(({ name, isDirectory }) => {
    const path = join(folder, name);
    return isDirectory ? filesIn(path) : [path];
  });
}
