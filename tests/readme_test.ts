import { EmbeddedBroker } from "@denorocket/rocketmq/embedded";
import { assert, assertEquals, assertExists, assertFalse, assertMatch, assertStringIncludes, fail } from "@std/assert";
import * as door from "../mod.ts";
import { type Block, blocksOf, isProgram, programOf } from "../tools/readme/blocks.ts";
import { problemOf } from "../tools/readme/run.ts";
import { filesBelow, root } from "../tools/testing/files.ts";

const pages = ["README.md", ...filesBelow("docs", ".md")];

for (const page of pages) {
  for (const block of blocksOf(page, await Deno.readTextFile(`${root}/${page}`))) {
    if (block.ignored) {
      Deno.test(`${page}:${block.line} is a fragment, not a program that is never run`, () => {
        assertFalse(isProgram(block));
      });
    } else {
      Deno.test(`${page}:${block.line} compiles, runs and prints what it says`, async () => {
        await using broker = await EmbeddedBroker.start({ port: 0 });
        const problem = await problemOf(block, broker.nameServer);
        if (problem !== undefined) fail(problem);
      });
    }
  }
}

Deno.test("README.md has a program", async () => {
  const blocks = blocksOf("README.md", await Deno.readTextFile(`${root}/README.md`));
  assertExists(blocks.find((block) => !block.ignored));
});

Deno.test("docs/migrating.md shows a program of each other client, and ours that is run", async () => {
  const page = await Deno.readTextFile(`${root}/docs/migrating.md`);
  const sections = page.split(/^## (?=From )/m).slice(1);
  assertEquals(sections.length, 4);
  for (const section of sections) {
    const [title = ""] = section.split("\n");
    assertMatch(section, /^```(?:python|java|js)$/m, title);
    assert(blocksOf("docs/migrating.md", section).some((block) => !block.ignored && block.prints.length > 0), title);
  }
});

Deno.test("docs/migrating.md names errors of ours that there are, and leaves out those that there are not", async () => {
  const page = await Deno.readTextFile(`${root}/docs/migrating.md`);
  const errors = (cell = "") => cell.match(/\b[A-Z]\w+Error\b/g) ?? [];
  let count = 0;
  for (const row of page.split("\n").filter((line) => line.startsWith("| "))) {
    const [, theirs, ours = ""] = row.split(/(?<!\\)\|/);
    for (const name of errors(ours)) assert(name in door, `${name} is no class of ours: ${row}`);
    if (!ours.trim().startsWith("left out")) continue;
    for (const name of errors(theirs)) assertFalse(name in door, `${name} is not left out: ${row}`);
    count += errors(theirs).length;
  }
  assert(count > 0, "nothing is left out");
});

Deno.test("blocksOf() finds blocks of TypeScript only, with their line and what they print", () => {
  const page = [
    "# Page",
    "```sh",
    "deno task demo",
    "```",
    "```ts",
    "console.log(1);",
    "console.log(2); // prints: nothing, as this is no line of its own",
    "// prints: 1",
    "// prints: 2",
    "```",
    "````md",
    "```ts",
    "inside another",
    "```",
    "````",
    "```ts ignore",
    "const options = {};",
    "```",
  ].join("\n");
  const found = blocksOf("page.md", page).map(({ line, prints, ignored }) => ({ line, prints, ignored }));
  assertEquals(found, [{ line: 6, prints: ["1", "2"], ignored: false }, { line: 17, prints: [], ignored: true }]);
});

Deno.test("isProgram() tells a program from a fragment", () => {
  const program = 'import { connect } from "@denorocket/rocketmq";\nawait using mq = await connect();';
  assertEquals(isProgram(blockOf(program)), true);
  assertEquals(isProgram(blockOf("await using mq = await connect();")), false);
});

Deno.test("programOf() puts this checkout and the broker's address in", () => {
  const code = 'import "jsr:@denorocket/rocketmq@^0.1.0/wire";\nconnect();\nconnect("localhost:9876;127.0.0.1:9876");';
  assertEquals(
    programOf(blockOf(code), "127.0.0.1:1"),
    '\nimport "@denorocket/rocketmq/wire";\nconnect("127.0.0.1:1");\nconnect("127.0.0.1:1;127.0.0.1:1");\n',
  );
});

Deno.test("problemOf() passes a program that ends with what it prints", async () => {
  const code = 'import { assert } from "@std/assert";\nassert(true);\nconsole.log("a\\nb");';
  assertEquals(await problemOf({ ...blockOf(code), prints: ["b"] }, "127.0.0.1:1"), undefined);
});

for (
  const [what, code, complaint] of [
    ["does not compile", 'export const a: number = "x";', "TS2322"],
    ["throws", 'throw new Error("on purpose");', "page.ts:2"],
    ["prints something else", 'console.log("b");', 'has to print "a" at its end'],
    ["needs more than the network", 'Deno.env.get("HOME");', "NotCapable"],
  ] as const
) {
  Deno.test(`problemOf() tells of a program that ${what}`, async () => {
    const problem = await problemOf({ ...blockOf(code), prints: ["a"] }, "127.0.0.1:1");
    assertStringIncludes(problem ?? "no problem", complaint);
  });
}

Deno.test("problemOf() ends a program that does not end", async () => {
  const problem = await problemOf(blockOf("setInterval(() => {}, 1_000);"), "127.0.0.1:1", 1);
  assertStringIncludes(problem ?? "no problem", "did not end within 1 ms");
});

function blockOf(code: string): Block {
  return { file: "page.md", line: 2, code, prints: [], ignored: false };
}
