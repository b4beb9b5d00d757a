import { assert, assertEquals } from "@std/assert";
import { join } from "@std/path";
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
