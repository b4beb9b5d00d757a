import { assert, assertEquals } from "@std/assert";
import { join } from "@std/path";
import { packForNpm } from "../tools/npm_package.ts";
import { root } from "../tools/testing/files.ts";

const CATEGORIES = ["Start", "Consume", "Settle", "Produce", "Filter", "Test", "Errors", "Advanced"];
const config: { exports: Record<string, string> } = JSON.parse(await Deno.readTextFile(join(root, "deno.json")));

/** The part of `deno doc --json` that is read here. */
interface Doc {
  readonly nodes: Record<string, { readonly symbols: readonly Symbol[] }>;
}

interface Symbol {
  readonly name: string;
  readonly declarations: readonly {
    readonly jsDoc?: {
      readonly doc?: string;
      readonly tags?: readonly { readonly kind: string; readonly doc?: string }[];
    };
    readonly def?: { readonly methods?: readonly Method[] };
  }[];
}

interface Method {
  readonly name: string;
  readonly jsDoc?: { readonly tags?: readonly { readonly kind: string }[] };
}

for (const [entry, file] of Object.entries(config.exports)) {
  if (entry === "./wire") continue; // all of it would be "Advanced": 188 symbols, 600 lines of that one word
  Deno.test(`every symbol of "${entry}" has one of the known categories`, async () => {
    const missing = (await symbolsOf(file)).filter(({ declarations }) =>
      !declarations.some(({ jsDoc }) =>
        jsDoc?.tags?.some(({ kind, doc = "" }) => kind === "category" && CATEGORIES.includes(doc.trim()))
      )
    );
    assertEquals(missing.map(({ name }) => name), []);
  });
}

Deno.test("the main entry exports every type that its options mention, except for those of transports", async () => {
  const { code, output } = await deno(["doc", "--lint", "mod.ts", "src/transport/mod.ts"]);
  assertEquals(code, 0, output);
  const names = (await symbolsOf("mod.ts")).map(({ name }) => name);
  assertEquals(["Socket", "Listener", "Transport", "ConnectSocketOptions"].filter((name) => names.includes(name)), []);
  assert(names.includes("OffsetStore"));
});

Deno.test("every method of Client has an example", async () => {
  const client = (await symbolsOf("mod.ts")).find(({ name }) => name === "Client");
  const methods = client?.declarations.flatMap(({ def }) => def?.methods ?? []) ?? [];
  const without = methods.filter(({ jsDoc }) => !jsDoc?.tags?.some(({ kind }) => kind === "example"));
  assertEquals(without.map(({ name }) => name), ["[Symbol.asyncDispose]"]);
});

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

async function symbolsOf(file: string): Promise<readonly Symbol[]> {
  const { output } = await deno(["doc", "--json", file]);
  const { nodes }: Doc = JSON.parse(output);
  return Object.values(nodes).flatMap(({ symbols }) => symbols);
}

async function deno(args: string[]): Promise<{ code: number; output: string }> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), { args, cwd: root }).output();
  const text = new TextDecoder();
  return { code, output: code === 0 ? text.decode(stdout) : text.decode(stderr) };
}

function filesIn(folder: string): string[] {
  return [...Deno.readDirSync(folder)].flatMap(({ name, isDirectory }) => {
    const path = join(folder, name);
    return isDirectory ? filesIn(path) : [path];
  });
}
