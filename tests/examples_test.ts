import { EmbeddedBroker } from "@denorocket/rocketmq/embedded";
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { filesBelow, root } from "../tools/testing/files.ts";

/** How long a program may take, in milliseconds: far more than any does, one that never ends is broken. */
const PATIENCE = 60_000;
/** How the demo's last line begins and ends; the number is the same both times. */
const NOTHING_LOST = /^(\d+) produced, \1 consumed, 0 lost$/;

const examples = filesBelow("examples", ".ts");

Deno.test("examples/ holds what is run here, and nothing else", () => {
  assertEquals(examples, [
    "examples/broadcasting_kv.ts",
    "examples/by_key.ts",
    "examples/consume.ts",
    "examples/dead_letters.ts",
    "examples/demo.ts",
    "examples/embedded_test.ts",
    "examples/orderly.ts",
    "examples/pop_worker.ts",
    "examples/produce.ts",
    "examples/sql_filter.ts",
  ]);
});

for (const example of examples) {
  Deno.test(`${example} says how to run it, and needs the network only`, async () => {
    const [deno, _, ...flags] = await commandOf(example);
    assertEquals([deno, ...flags], ["deno", "--allow-net", example]);
  });
}

Deno.test("deno task demo runs the demo with the network only", async () => {
  const { tasks } = JSON.parse(await Deno.readTextFile(join(root, "deno.json")));
  assertEquals(tasks.demo.split(" "), await commandOf("examples/demo.ts"));
});

Deno.test("examples/demo.ts loses nothing on its own broker, and prints plain lines where no terminal is", async () => {
  const { output, lastLine, code } = await run("examples/demo.ts");

  assertMatch(lastLine, NOTHING_LOST, output);
  assertEquals(code, 0);
  for (const event of ["alice joined", "bob joined", "order 1000 fails", "order 1000 was redelivered", "bob leaves"]) {
    assertStringIncludes(output, event);
  }
  assertMatch(output, /^\d+ produced, \d+ consumed \| /m);
  assertMatch(output, /^ {2}redelivered +1 after a failure$/m);
  // deno-lint-ignore no-control-regex
  assertMatch(output, /^[^\x00-\x09\x0b-\x1f\x7f]*$/, "neither escape sequences nor carriage returns");
});

Deno.test("examples/demo.ts loses nothing on the cluster that --name-server names", async () => {
  await using broker = await EmbeddedBroker.start({ delayLevels: [200] });

  const { output, lastLine, code } = await run("examples/demo.ts", ["--name-server", broker.nameServer]);

  assertMatch(lastLine, NOTHING_LOST, output);
  assertEquals(code, 0);
  const topic = broker.topics.find((name) => name.startsWith("demo-orders-"));
  const group = broker.topics.find((name) => name.startsWith("%RETRY%demo-billing-"))?.slice("%RETRY%".length);
  assert(topic !== undefined && group !== undefined, `topic or group is not there: ${broker.topics}`);
  const [count = 0] = lastLine.split(" ").map(Number);
  assertEquals([broker.committed(group, topic), broker.members(group)], [count, []]);
});

Deno.test("examples/demo.ts fails in one line where there is no cluster", async () => {
  const { output, code } = await run("examples/demo.ts", ["--name-server", "no address"]);
  assertMatch(output, /^Cannot connect: nameServers is "no address".*$/m);
  assertEquals(code, 1);
});

Deno.test("examples/produce.ts sends what examples/consume.ts consumes until Ctrl-C", async () => {
  await using broker = await EmbeddedBroker.start();

  const produced = await run("examples/produce.ts", [broker.nameServer]);
  assertEquals([produced.lastLine, produced.code], ["10 orders sent", 0], produced.output);

  let interrupted = false;
  const consumed = await run("examples/consume.ts", [broker.nameServer], (output, child) => {
    if (interrupted || output.match(/^order \d+ /gm)?.length !== 10) return;
    interrupted = true;
    child.kill("SIGINT");
  });
  assertEquals([consumed.lastLine, consumed.code], ["10 orders consumed", 0], consumed.output);
  assertEquals([broker.committed("billing", "orders"), broker.members("billing")], [10, []]);
  assert(consumed.output.indexOf("order 9 ") < consumed.output.indexOf("order 10 "), "one key, one queue, one order");
});

for (
  const [example, lastLine, ...args] of [
    // In memory, as Deno's own database would remember the last run of this test.
    ["examples/broadcasting_kv.ts", "a knows 4 prices and b 4, of 4", ":memory:"],
    ["examples/by_key.ts", "8 of 8 customers had their 5 payments booked in order"],
    ["examples/dead_letters.ts", "3 of 3 payments booked"],
    ["examples/orderly.ts", "3 of 3 orders went through their 4 steps in order"],
    ["examples/pop_worker.ts", "20 of 20 orders billed"],
    ["examples/sql_filter.ts", "2 of 6 orders selected: book, desk"],
  ] as const
) {
  Deno.test(`${example} ends as it should, also where it has run before`, async () => {
    await using broker = await EmbeddedBroker.start({ delayLevels: [100] });

    for (let times = 0; times < 2; times++) {
      const outcome = await run(example, [broker.nameServer, ...args]);
      assertEquals([outcome.lastLine, outcome.code], [lastLine, 0], outcome.output);
    }
  });
}

Deno.test("examples/embedded_test.ts passes", async () => {
  const { output, lastLine, code } = await run("examples/embedded_test.ts");
  assertMatch(lastLine, /^ok \| 2 passed \| 0 failed /, output);
  assertEquals(code, 0);
});

/** How a program ended. */
interface Outcome {
  /** What it wrote, errors after the rest. */
  readonly output: string;
  /** The last line that is no error and not empty. */
  readonly lastLine: string;
  readonly code: number;
}

/** Runs an example by the command of its header; `onOutput` sees what it has written whenever there is more. */
async function run(
  example: string,
  args: readonly string[] = [],
  onOutput: (output: string, child: Deno.ChildProcess) => void = () => {},
): Promise<Outcome> {
  const [_, subcommand = "run", ...rest] = await commandOf(example);
  await using child = new Deno.Command(Deno.execPath(), {
    args: [subcommand, "--quiet", "--no-prompt", "--no-check", ...rest, ...args],
    cwd: root,
    env: { NO_COLOR: "1" },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const timer = setTimeout(() => child.kill("SIGKILL"), PATIENCE);
  try {
    const complaints = child.stderr.text();
    let output = "";
    for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
      output += text;
      onOutput(output, child);
    }
    const { code } = await child.status;
    return { output: output + await complaints, lastLine: output.trimEnd().split("\n").at(-1) ?? "", code };
  } finally {
    clearTimeout(timer);
  }
}

/** The first command in an example's header, without what stands for arguments. */
async function commandOf(example: string): Promise<string[]> {
  const text = await Deno.readTextFile(join(root, example));
  const [command] = /\bdeno (?:run|test) .*?\.ts\b/.exec(text) ?? [];
  assert(command !== undefined, `${example} does not say how to run it`);
  return command.split(" ");
}
