import { assert, assertEquals, assertFalse } from "@std/assert";
import { join } from "@std/path";
import { filesBelow } from "./files.ts";
import { tallyOf } from "./junit.ts";
import { type Part, selectionOf, testRuns } from "./test_runs.ts";

/** One of each fate; names and messages that look like the report itself. */
const TESTS = `
Deno.test('passes <testsuite tests="9" failures="9">', () => {});
Deno.test("has steps", async (t) => void (await t.step("one", () => {}), await t.step("two", () => {})));
Deno.test.ignore("is ignored", () => {});
Deno.test("fails", () => { throw new Error('\\u001b[31m<testsuite tests="9" failures="9">'); });
`;

Deno.test("tallyOf() counts the report that deno test writes", async () => {
  const { passed, failed, failures } = await tallyFor(TESTS);
  assertEquals({ passed, failed }, { passed: 4, failed: 1 });
  assertEquals(failures.map((failure) => failure.split("\n").slice(0, 2).join(": ")), [
    'fails:   Error: <testsuite tests="9" failures="9">',
  ]);
});

Deno.test("tallyOf() tells of the step that failed and not of the test around it", async () => {
  const test = 'Deno.test("a", async (t) => void (await t.step("b & c", () => { throw new Error("d\\ne"); })));';
  const { failed, failures } = await tallyFor(test);
  assertEquals(failed, 2);
  assertEquals(failures.map((failure) => failure.split("\n").slice(0, 3)), [["a > b & c", "  Error: d", "  e"]]);
});

Deno.test("tallyOf() counts a failure outside of a test", async () => {
  const failures = ["outside of a test"];
  const { passed, failed } = await tallyFor('Deno.test("a", () => {});\nthrow new Error("at the top");');
  assertEquals({ passed, failed }, { passed: 0, failed: 1 });
  assertEquals(tallyOf("", false), { passed: 0, failed: 1, failures });
  const report = '<testsuite tests="3" disabled="0" errors="0" failures="0">';
  assertEquals(tallyOf(report, false), { passed: 3, failed: 1, failures });
});

Deno.test("selectionOf() tells flags, paths and names apart", () => {
  assertEquals(selectionOf(["./tools/testing/", "--fail-fast", "a test's name", "tools/test.ts"]), {
    flags: ["--fail-fast"],
    paths: ["tools/testing", "tools/test.ts"],
    names: ["a test's name"],
  });
});

Deno.test("testRuns() chooses test files, and gives them no more than they need", () => {
  const paths = ["tools/testing", "tools/std/std_test.ts", "deno.json"];
  const [embedded, ...others] = testRuns({ paths, names: ["a.b", "c"], flags: ["--fail-fast"] }, "short");
  const last = [
    "--fail-fast",
    "--filter=/\\x61\\.b|\\x63/",
    "tools/testing/test_runs_test.ts",
    "tools/std/std_test.ts",
  ];
  assertEquals(embedded?.args.slice(-4), last);
  assertFalse(embedded?.args.includes("--allow-all"));
  assertEquals(others, []);
});

Deno.test("testRuns() gives all permissions to the tests of real brokers", () => {
  const folders = ["tests/broker", "tests/runtimes"];
  const broker = testRuns({ paths: folders, names: [], flags: [] }, "short").find(({ name }) => name === "broker");
  const files = broker?.args.filter((arg) => !arg.startsWith("-")) ?? [];
  assertEquals(files, folders.flatMap((folder) => filesBelow(folder, "_test.ts")));
  assert(broker === undefined || broker.args.includes("--allow-all"));
});

Deno.test("testRuns() divides all tests into a short part and a long one", () => {
  const filesOf = (part: Part) =>
    testRuns({ paths: [], names: [], flags: [] }, part).flatMap(({ args }) =>
      args.filter((arg) => arg.endsWith(".ts"))
    );
  const [short, long] = [new Set(filesOf("short")), new Set(filesOf("long"))];
  const all = ["tests", "tools"].flatMap((folder) => filesBelow(folder, "_test.ts"));
  assertEquals([...new Set([...short, ...long])].sort(), all.toSorted());
  assert(short.has("tests/broker/behaviour_test.ts") && long.has("tests/broker/behaviour_test.ts"));
  assert(!short.has("tests/broker/pause_test.ts"));
});

async function tallyFor(text: string) {
  const folder = await Deno.makeTempDir();
  try {
    const [test, report] = [join(folder, "a_test.ts"), join(folder, "junit.xml")];
    await Deno.writeTextFile(test, text);
    const args = ["test", "--no-config", "--no-check", `--junit-path=${report}`, test];
    const { success } = await new Deno.Command(Deno.execPath(), { args }).output();
    return tallyOf(await Deno.readTextFile(report).catch(() => ""), success);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
