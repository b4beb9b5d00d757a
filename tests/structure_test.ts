import { assertEquals } from "@std/assert";
import { type Graph, loadGraph } from "../tools/structure/graph.ts";
import {
  cycleProblems,
  doorProblems,
  layerProblems,
  outsideProblems,
  roomProblems,
} from "../tools/structure/layers.ts";
import { promiseProblems } from "../tools/structure/promises.ts";
import { sourceProblems, textProblems } from "../tools/structure/sources.ts";
import { filesBelow, root } from "../tools/testing/files.ts";

const files = ["mod.ts", ...filesBelow("src", ".ts")];

Deno.test("imports of the package point down, never in a circle, and stay inside", async () => {
  const graph = await loadGraph(root, files);
  const checks = [layerProblems, roomProblems, doorProblems, outsideProblems, cycleProblems];
  assertEquals(checks.flatMap((check) => check(graph)), []);
});

Deno.test("sources of the package keep to the rules", async () => {
  const problems = files.map(async (file) => sourceProblems(file, await Deno.readTextFile(`${root}/${file}`)));
  assertEquals((await Promise.all(problems)).flat(), []);
});

Deno.test("every promise of the package is awaited, returned, kept, or given to inBackground()", () => {
  assertEquals(promiseProblems(root, files), []);
});

Deno.test("promiseProblems() finds every way to leave a promise to itself, and nothing else", async () => {
  const folder = await Deno.realPath(await Deno.makeTempDir());
  const head = `
    declare function work(): Promise<number>;
    declare function hear(end: () => void): void;
    declare const kept: { one: Promise<number> | undefined };
    interface Listener { onChange(): void; after?: () => void }
    interface Patient { onChange(): void | Promise<void> }
  `;
  const bad = [
    "work();",
    "void work();",
    "work().catch(() => {});",
    "kept.one?.then(() => {});",
    "[1].map(() => work());",
    "void [work()];",
    "true && work();",
    "true ? work() : 0;",
    "setTimeout(() => work(), 1);",
    "setInterval(async () => {}, 1);",
    "queueMicrotask(work);",
    "[1].forEach(async (n) => { await work(); });",
    "new AbortController().signal.addEventListener('abort', async () => {});",
    "hear(() => work());",
    "hear(async () => {});",
    "export const listener: Listener = { onChange: () => work() };",
    "export const listener: Listener = { onChange() {}, after: async () => {} };",
    "export const listener: Listener = { async onChange() {} };",
    "export class A implements Listener { async onChange() {} }",
    "export const end: () => void = async () => {};",
    "export class A { end: () => void = () => work(); }",
    "export function end(): () => void { return async () => {}; }",
  ];
  const good = [
    "await work();",
    "kept.one = work();",
    "kept.one ??= work();",
    "export const one = work();",
    "export const all = Promise.all([1].map(() => work()));",
    "export const one = work().then(() => work());",
    "export function one() { return work(); }",
    "setTimeout(() => { kept.one = work(); }, 1);",
    "hear(() => {});",
    "export const listener: Patient = { onChange: async () => {} };",
  ];
  try {
    const write = (name: string, lines: readonly string[]) =>
      Promise.all(lines.map(async (line, at) => {
        await Deno.writeTextFile(`${folder}/${name}${at}.ts`, `${head}${line}\nexport {};`);
        return `${name}${at}.ts`;
      }));
    const [badFiles, goodFiles] = [await write("bad", bad), await write("good", good)];
    const problems = promiseProblems(folder, badFiles);
    assertEquals(bad.filter((_, at) => !problems.some((problem) => problem.startsWith(`bad${at}.ts:`))), []);
    assertEquals(promiseProblems(folder, goodFiles), []);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("no file beside the package has unfinished work or a path of one machine", async () => {
  const code = ["tests", "tools", "examples", "bench"].flatMap((folder) => filesBelow(folder, ".ts"));
  const beside = ["README.md", "CHANGELOG.md", ...filesBelow("docs", ".md"), ...code];
  const problems = beside.filter((file) => file !== "tests/structure_test.ts")
    .map(async (file) => textProblems(file, await Deno.readTextFile(`${root}/${file}`)));
  assertEquals((await Promise.all(problems)).flat(), []);
});

Deno.test("layerProblems() allows what is drawn", () => {
  const graph = graphOf(
    "mod.ts → src/client.ts, src/consumer/mod.ts, src/errors.ts",
    "src/client.ts → src/consumer/mod.ts, src/producer/send.ts, src/transport/default.ts",
    "src/consumer/pull.ts → src/consumer/options.ts, src/offsets/mod.ts, src/cluster/routes.ts, src/message.ts",
    "src/embedded/store.ts → src/wire/frame.ts, src/transport/connection.ts, src/errors.ts",
    "src/cli/main.ts → mod.ts, src/admin/mod.ts",
    "src/message.ts → src/errors.ts",
    "src/cluster/routes.ts → src/events.ts",
    "src/wire/utf8.ts → node:buffer",
  );
  assertEquals(layerProblems(graph), []);
});

Deno.test("layerProblems() finds what points up, sideways or to the embedded broker", () => {
  const bad = [
    "src/wire/frame.ts → src/transport/connection.ts",
    "src/consumer/pull.ts → src/producer/send.ts",
    "src/offsets/broker.ts → src/telemetry/events.ts",
    "src/consumer/pull.ts → src/client.ts",
    "src/consumer/pull.ts → mod.ts",
    "src/client.ts → src/embedded/mod.ts",
    "mod.ts → src/embedded/mod.ts",
    "src/cli/main.ts → src/embedded/mod.ts",
    "src/embedded/mod.ts → src/cluster/routes.ts",
    "src/errors.ts → src/wire/codes.ts",
    "src/utils.ts → src/errors.ts",
  ];
  for (const edge of bad) assertEquals(layerProblems(graphOf(edge)).length, 1, edge);
});

Deno.test("roomProblems() lets the rooms of the consumer import what is below them, and the parts of all", () => {
  const good = [
    "src/consumer/parts.ts → src/consumer/delivery/batch.ts",
    "src/consumer/options_check.ts → src/consumer/options.ts",
    "src/consumer/pop/source.ts → src/consumer/queue/pull_pace.ts",
    "src/consumer/queue/puller.ts → src/consumer/queue/pull_pace.ts",
    "src/producer/producer.ts → src/sending/sender.ts",
  ];
  const bad = [
    "src/consumer/queue/puller.ts → src/consumer/delivery/batch.ts",
    "src/consumer/assignment/jumps.ts → src/consumer/delivery/batch.ts",
    "src/consumer/delivery/iteration.ts → src/consumer/consumer.ts",
    "src/consumer/options.ts → src/consumer/queue/puller.ts",
  ];
  assertEquals(roomProblems(graphOf(...good)), []);
  for (const edge of bad) assertEquals(roomProblems(graphOf(edge)).length, 1, edge);
});

Deno.test("doorProblems() finds a file that imports its own folder's door", () => {
  const graph = graphOf(
    "src/wire/frame.ts → src/wire/mod.ts, src/wire/codes.ts",
    "src/transport/connection.ts → src/wire/mod.ts",
    "src/wire/mod.ts → src/wire/frame.ts",
  );
  assertEquals(doorProblems(graph), [
    "src/wire/frame.ts → src/wire/mod.ts: a file must not import its own folder's door",
  ]);
});

Deno.test("outsideProblems() finds packages, and node: modules where they are not needed", () => {
  const bad = [
    "src/wire/frame.ts → npm:lz4@1.0.0",
    "src/wire/frame.ts → jsr:@std/bytes@^1.0.0",
    "src/wire/frame.ts → https://example.com/mod.ts",
    "src/consumer/pull.ts → node:zlib",
    "src/transport/deno.ts → node:net",
    "src/wire/frame.ts → node:fs",
    "src/cluster/routes.ts → tools/std/assert/mod.ts",
    "src/wire/frame.ts → tests/wire/frames.ts",
  ];
  for (const edge of bad) assertEquals(outsideProblems(graphOf(edge)).length, 1, edge);
  assertEquals(outsideProblems(graphOf("src/wire/utf8.ts → node:buffer", "src/transport/node.ts → node:net")), []);
});

Deno.test("cycleProblems() finds long and short circles, and none in a diamond", () => {
  assertEquals(cycleProblems(graphOf("a.ts → b.ts, c.ts", "b.ts → d.ts", "c.ts → d.ts")), []);
  assertEquals(cycleProblems(graphOf("a.ts → a.ts")), ["cycle: a.ts → a.ts"]);
  assertEquals(cycleProblems(graphOf("x.ts → a.ts", "a.ts → b.ts", "b.ts → c.ts", "c.ts → a.ts")), [
    "cycle: a.ts → b.ts → c.ts → a.ts",
  ]);
});

Deno.test("loadGraph() sees every kind of import, and no comment or string", async () => {
  const folder = await Deno.realPath(await Deno.makeTempDir());
  const imports = {
    "value.ts": `import { a } from "./a.ts"; console.log(a);`,
    "type.ts": `import type { A } from "./a.ts"; export type B = A;`,
    "inline.ts": `import { type A } from "./a.ts"; export type B = A;`,
    "in_type.ts": `export type B = import("./a.ts").A;`,
    "dynamic.ts": `export const a = () => import("./a.ts");`,
    "again.ts": `export * from "./a.ts";`,
    "again_type.ts": `export type { A } from "./a.ts";`,
    "node.ts": `import "node:zlib";`,
    "none.ts": `// import "./a.ts";\nexport const a = 'import "./a.ts"';`,
  };
  try {
    await Deno.writeTextFile(`${folder}/deno.json`, "{}");
    await Deno.writeTextFile(`${folder}/a.ts`, "export const a = 1;\nexport type A = 1;");
    for (const [name, text] of Object.entries(imports)) await Deno.writeTextFile(`${folder}/${name}`, text);
    const graph = await loadGraph(folder, Object.keys(imports));
    const expected = Object.keys(imports).map((name): [string, string[]] => [name, ["a.ts"]]);
    assertEquals(graph, new Map([...expected.slice(0, -2), ["node.ts", ["node:zlib"]], ["none.ts", []]]));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("sourceProblems() finds each rule broken, and no comment or string", () => {
  const bad = [
    "export const a: any = 1;",
    "export const a = 1 as any;",
    "export const a = new Map<string, any>();",
    'throw new Error("x");',
    'throw Error("x");',
    "export type Kv = Deno.Kv;",
    "export const a = globalThis.Deno;",
    'export const a = globalThis["Deno"];',
    "export const a = typeof Deno;",
    "export const a = 1; // TODO: more",
    'export const a = "/home/me/store";',
    "\n".repeat(351) + "export {};",
    `export class A { ${Array.from({ length: 13 }, (_, i) => `#a${i} = ${i};`).join(" ")} }`,
    'export const a: unknown = JSON.parse("1");',
    "export const a = parseBody(body, getRoute);",
  ];
  for (const text of bad) assertEquals(sourceProblems("src/wire/a.ts", text).length, 1, text);
  const good = '// as any, throw new Error("x"), Deno.Kv\nexport const a = "x: any of Deno.Kv /homely/";';
  assertEquals(sourceProblems("src/wire/a.ts", good), []);
});

Deno.test("sourceProblems() allows Deno where it belongs", () => {
  const choice = 'export const a = "Deno" in globalThis ? 1 : 2;';
  assertEquals(sourceProblems("src/transport/default.ts", choice), []);
  assertEquals(sourceProblems("src/transport/connection.ts", choice).length, 1);
  assertEquals(sourceProblems("src/transport/default.ts", "export const a = Deno;").length, 1);
  for (const path of ["src/transport/deno.ts", "src/offsets/kv.ts", "src/cli/main.ts"]) {
    assertEquals(sourceProblems(path, "export const a = Deno;"), []);
    assertEquals(sourceProblems(path, "export const a: any = 1;").length, 1);
  }
});

/** A graph of lines like `a.ts → b.ts, c.ts`. */
function graphOf(...lines: string[]): Graph {
  return new Map(lines.map((line) => {
    const [from = "", targets = ""] = line.split(" → ");
    return [from, targets.split(", ")];
  }));
}
