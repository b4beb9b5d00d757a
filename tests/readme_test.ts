import { EmbeddedBroker } from "@denorocket/rocketmq/embedded";
import { assert, assertEquals, assertFalse, assertMatch, assertStringIncludes, fail } from "@std/assert";
import * as door from "../mod.ts";
import { type Block, blocksOf, isProgram, namesOf, programOf } from "../tools/readme/blocks.ts";
import { problemOf, typeProblem } from "../tools/readme/run.ts";
import { filesBelow, root } from "../tools/testing/files.ts";

const pages = ["README.md", ...filesBelow("docs", ".md")];

const texts = new Map(
  await Promise.all(pages.map(async (page) => [page, await Deno.readTextFile(`${root}/${page}`)] as const)),
);
const blocks = [...texts].flatMap(([page, text]) => blocksOf(page, text));
const programs = blocks.filter(({ ignored }) => !ignored);

Deno.test("programs of the pages compile", async () => {
  const problem = await typeProblem(programs);
  if (problem !== undefined) fail(problem);
});

for (const block of blocks) {
  if (block.ignored) {
    Deno.test(`${block.file}:${block.line} is a fragment, not a program that is never run`, () => {
      assertFalse(isProgram(block));
    });
  } else {
    Deno.test(`${block.file}:${block.line} runs and prints what it says, also a second time`, async () => {
      await using broker = await EmbeddedBroker.start({ port: 0 });
      const problem = await problemOf(block, broker.nameServer);
      if (problem !== undefined) fail(problem);
    });
  }
}

Deno.test("programs of the pages have topics and groups of their own, so that all run on one broker", () => {
  const users = new Map<string, string>();
  for (const file of filesBelow("examples", ".ts")) {
    for (const name of namesOf(Deno.readTextFileSync(`${root}/${file}`))) users.set(name, file);
  }
  for (const program of programs) {
    const place = `${program.file}:${program.line}`;
    for (const name of namesOf(program.code)) {
      assertEquals(users.get(name) ?? place, place, `${name} is used twice`);
      users.set(name, place);
    }
  }
  assert(users.size > 0);
});

Deno.test("links of the pages lead somewhere, and files that they name are there", async () => {
  const lost: string[] = [];
  for (const [page, text] of [...texts, ["CHANGELOG.md", await Deno.readTextFile(`${root}/CHANGELOG.md`)] as const]) {
    for (const [link, path = "", anchor] of text.matchAll(/\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)/g)) {
      const target = new URL(path || `/${page}`, `file:///${page}`).pathname.slice(1);
      const isLost = anchor === undefined
        ? !exists(`${root}/${target}`)
        : !anchorsOf(texts.get(target) ?? "").includes(anchor);
      if (isLost) lost.push(`${page}: ${link}`);
    }
    for (const [_, file = ""] of text.matchAll(/`((?:tests|examples|tools|bench)\/[\w/.]+)`/g)) {
      if (!exists(`${root}/${file}`)) lost.push(`${page}: ${file}`);
    }
  }
  assertEquals(lost, []);
});

Deno.test("docs/troubleshooting.md has every code of an error, and docs/operations.md every event", async () => {
  const sources = filesBelow("src", ".ts").filter((file) => !file.startsWith("src/embedded/"));
  const code = (await Promise.all(sources.map((file) => Deno.readTextFile(`${root}/${file}`)))).join("\n");
  const listed = (page: string, name: RegExp) =>
    [...(texts.get(page) ?? "").matchAll(name)].map(([_, found = ""]) => found);
  const codes = listed("docs/troubleshooting.md", /^\| `([A-Z_]+)` +\|/gm);
  const thrown = new Set([...code.matchAll(/\bcode: "([A-Z_]+)"/g)].map(([_, found = ""]) => found));
  assertEquals([...thrown].filter((each) => !codes.includes(each)), []);
  assertEquals(codes.filter((each) => each !== "RESPONSE_" && !code.includes(`"${each}"`)), []);

  const fields = /^export interface StatusEventFields \{([^]+?)^\}/m.exec(code)?.[1] ?? "";
  const types = [...fields.matchAll(/^ {2}(\w+): StatusEventWith/gm)].map(([_, type = ""]) => type);
  assertEquals(
    (listed("docs/operations.md", /^\| `([a-zA-Z]+)` +\| (?:info|warning|error)/gm)).sort(),
    types.sort(),
  );
});

Deno.test("README.md has a program, and less than 300 lines", () => {
  assert(programs.some(({ file }) => file === "README.md"));
  assert((texts.get("README.md") ?? "").split("\n").length < 300);
});

Deno.test("docs/migrating.md shows a program of each other client, and ours that is run", () => {
  const page = texts.get("docs/migrating.md") ?? "";
  const sections = page.split(/^## (?=From )/m).slice(1);
  assertEquals(sections.length, 5);
  for (const section of sections) {
    const [title = ""] = section.split("\n");
    assertMatch(section, /^```(?:python|java|js)$/m, title);
    assert(blocksOf("docs/migrating.md", section).some((block) => !block.ignored && block.prints.length > 0), title);
  }
});

Deno.test("docs/migrating.md names errors of ours that there are, and leaves out those that there are not", () => {
  const page = texts.get("docs/migrating.md") ?? "";
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

Deno.test("typeProblem() reports a program that does not compile", async () => {
  const problem = await typeProblem([blockOf("export {};"), { ...blockOf('export const a: number = "x";'), line: 3 }]);
  assertStringIncludes(problem ?? "no problem", "TS2322");
});

for (
  const [what, code, complaint] of [
    ["throws", 'throw new Error("on purpose");', "page_2.ts:2"],
    ["prints something else", 'console.log("b");', 'has to print "a" at its end'],
    ["needs more than the network", 'Deno.env.get("HOME");', "NotCapable"],
  ] as const
) {
  Deno.test(`problemOf() reports a program that ${what}`, async () => {
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

function exists(path: string): boolean {
  try {
    return Deno.statSync(path) !== undefined;
  } catch {
    return false;
  }
}

/** What the headings of a page are linked by. */
function anchorsOf(page: string): string[] {
  const headings = [...page.matchAll(/^#+ (.*)$/gm)].map(([_, heading = ""]) => heading);
  return headings.map((heading) => heading.toLowerCase().replace(/[^\p{L}\d\s_-]/gu, "").replace(/\s/g, "-"));
}
