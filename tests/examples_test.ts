import { EmbeddedBroker } from "@denorocket/rocketmq/embedded";
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { filesBelow, root } from "../tools/testing/files.ts";

/** How long a program may take, in milliseconds: far more than any does, one that never ends is broken. */
const PATIENCE = 60_000;
/** The demo's result; the number is the same both times. */
const NOTHING_LOST = /^(\d+) produced, \1 consumed, 0 lost$/m;

const examples = filesBelow("examples", ".ts");

Deno.test("examples/ holds what is run here, and nothing else", () => {
  assertEquals(examples, [
    "examples/broadcasting_kv.ts",
    "examples/by_key.ts",
    "examples/consume.ts",
    "examples/dead_letters.ts",
    "examples/demo.ts",
    "examples/embedded_test.ts",
    "examples/name_server.ts",
    "examples/orderly.ts",
    "examples/pop_worker.ts",
    "examples/produce.ts",
    "examples/sql_filter.ts",
  ]);
});

/** Those with a broker of their own; all others take the address of a name server. */
const selfContained = ["examples/demo.ts", "examples/embedded_test.ts"];
const programs = examples.filter((example) => example !== "examples/name_server.ts");

for (const example of programs) {
  Deno.test(`${example} says how to run it, and needs the network and one variable at most`, async () => {
    const [deno, _, ...flags] = await commandOf(example);
    const variable = selfContained.includes(example) ? [] : ["--allow-env=NAMESRV_ADDR"];
    assertEquals([deno, ...flags], ["deno", "--allow-net", ...variable, example]);
  });
}

for (const example of programs.filter((each) => !selfContained.includes(each))) {
  Deno.test(`${example} ends with plain lines where no broker is`, async () => {
    const { output, code } = await run(example, ["--name-server", "no address"]);
    assertMatch(output, /^Cannot connect: nameServers is "no address".*\n`deno task broker` starts a broker; .*\n$/);
    assertEquals(code, 1);
  });
}

Deno.test("examples/produce.ts ends with plain lines where NAMESRV_ADDR names a port that nobody listens to", async () => {
  const port = unusedPort();
  const { output, code } = await run("examples/produce.ts", [], () => {}, { NAMESRV_ADDR: `127.0.0.1:${port}` });
  assertMatch(output, new RegExp(`^Cannot .*127\\.0\\.0\\.1:${port}.*\\n.deno task broker. starts a broker; .*\\n$`));
  assertEquals(code, 1);
});

Deno.test("deno task demo runs the demo with the network only", async () => {
  const { tasks } = JSON.parse(await Deno.readTextFile(join(root, "deno.json")));
  assertEquals(tasks.demo.split(" "), await commandOf("examples/demo.ts"));
});

Deno.test("examples/demo.ts loses nothing on its own broker, and prints plain lines where no terminal is", async () => {
  const { output, code } = await run("examples/demo.ts");

  assertMatch(output, NOTHING_LOST);
  assertEquals(code, 0);
  const events = ["order 1000 fails", "order 1000 was redelivered", "is killed", "runs again", "bob leaves", "Next:"];
  for (const event of ["alice joined", "bob joined", ...events]) assertStringIncludes(output, event);
  const [, before = ""] = /alice joined the group\n([^]*)bob joined/.exec(output) ?? [];
  assert(before.includes("consumed | alice"), "orders move before the second member joins");
  assertMatch(output, /^\d+ produced, \d+ consumed \| /m);
  assertMatch(output, /^ {2}redelivered +1 after a failure$/m);
  // deno-lint-ignore no-control-regex
  assertMatch(output, /^[^\x00-\x09\x0b-\x1f\x7f]*$/, "neither escape sequences nor carriage returns");
});

Deno.test("examples/demo.ts loses nothing on the cluster that --name-server names", async () => {
  await using broker = await EmbeddedBroker.start({ delayLevels: [200] });

  const { output, code } = await run("examples/demo.ts", ["--name-server", broker.nameServer]);

  assertMatch(output, NOTHING_LOST);
  assertEquals(code, 0);
  const topic = broker.topics.find((name) => name.startsWith("demo-orders-"));
  const group = broker.topics.find((name) => name.startsWith("%RETRY%demo-billing-"))?.slice("%RETRY%".length);
  assert(topic !== undefined && group !== undefined, `topic or group is not there: ${broker.topics}`);
  const count = Number(NOTHING_LOST.exec(output)?.[1]);
  assertEquals([broker.committed(group, topic), broker.members(group)], [count, []]);
});

Deno.test("examples/demo.ts fails in one line where there is no cluster", async () => {
  const { output, code } = await run("examples/demo.ts", ["--name-server", "no address"]);
  assertMatch(output, /^Cannot connect: nameServers is "no address".*$/m);
  assertEquals(code, 1);
});

Deno.test("examples/produce.ts sends what examples/consume.ts consumes until Ctrl-C", async () => {
  await using broker = await EmbeddedBroker.start();

  const produced = await run("examples/produce.ts", ["--name-server", broker.nameServer]);
  assertEquals([produced.lastLine, produced.code], ["10 orders sent", 0], produced.output);

  let interrupted = false;
  const consumed = await run("examples/consume.ts", ["--name-server", broker.nameServer], (output, child) => {
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
      const outcome = await run(example, ["--name-server", broker.nameServer, ...args]);
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
  variables: Record<string, string> = {},
): Promise<Outcome> {
  const [_, subcommand = "run", ...rest] = await commandOf(example);
  await using child = new Deno.Command(Deno.execPath(), {
    args: [subcommand, "--quiet", "--no-prompt", "--no-check", ...rest, ...args],
    cwd: root,
    env: { NO_COLOR: "1", ...variables },
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

/** A port that was free a moment ago. */
function unusedPort(): number {
  using listener = Deno.listen({ port: 0 });
  return listener.addr.port;
}

/** The first command in an example's header, without what stands for arguments. */
async function commandOf(example: string): Promise<string[]> {
  const text = await Deno.readTextFile(join(root, example));
  const [command] = /\bdeno (?:run|test) .*?\.ts\b/.exec(text) ?? [];
  assert(command !== undefined, `${example} does not say how to run it`);
  return command.split(" ");
}
