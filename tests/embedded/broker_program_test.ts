import { connect } from "@denorocket/rocketmq";
import { assert, assertEquals, assertMatch } from "@std/assert";
import { join } from "@std/path";
import { EmbeddedBroker } from "../../src/embedded/mod.ts";
import { parseAddress } from "../../src/transport/transport.ts";
import { introduction, startFrom } from "../../tools/broker.ts";
import { root } from "../../tools/testing/files.ts";

/** Starts the program of `deno task broker`. */
async function program(...args: string[]): Promise<Deno.ChildProcess> {
  const { tasks } = JSON.parse(await Deno.readTextFile(join(root, "deno.json")));
  const [deno, subcommand, ...rest] = tasks.broker.split(" ");
  assertEquals([deno, subcommand, ...rest], ["deno", "run", "--allow-net", "tools/broker.ts"]);
  return new Deno.Command(Deno.execPath(), {
    args: [subcommand, "--quiet", "--no-prompt", "--no-check", ...rest, ...args],
    cwd: root,
    env: { NO_COLOR: "1" },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

Deno.test("deno task broker serves a producer and a consumer, and ends cleanly with Ctrl-C", async () => {
  await using child = await program("--port", "0");
  let output = "";
  for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
    output += text;
    if (!text.endsWith("Ctrl-C\n")) continue;
    assert(output.split("\n").length <= 7, output);
    await sendAndReceive(/memory: (\S+)/.exec(output)![1]!);
    child.kill("SIGINT");
  }
  const errors = await child.stderr.text();
  assertEquals([(await child.status).code, errors], [0, ""]);
  assertMatch(output, /stopped/);
});

async function sendAndReceive(address: string): Promise<void> {
  await using mq = await connect(address);
  await using producer = await mq.producer();
  await producer.send({ topic: "orders", body: "paid" });
  await using consumer = await mq.consumer({ group: "billing", topics: "orders", consumeFrom: "first" });
  for await (const batch of consumer) {
    assertEquals(batch.length, 1);
    await batch.ack();
    break;
  }
}

Deno.test("deno task broker reports a port that is not allowed, without a stack", async () => {
  await using child = await program("--port", "many");
  const errors = await child.stderr.text();
  assertEquals([(await child.status).code, await child.stdout.text()], [1, ""]);
  assertMatch(errors, /^Cannot start an embedded broker: port is NaN, allowed is .*\n$/);
});

Deno.test("startFrom() selects the next free port, and introduction() says so", async () => {
  await using first = await EmbeddedBroker.start();
  const { port } = parseAddress(first.address)!;
  await using second = await startFrom(port);
  assert(parseAddress(second.address)!.port > port);
  assertMatch(introduction(second.address, port)[0]!, new RegExp(`${second.address} \\(port ${port} is in use\\)$`));
  assertMatch(introduction(first.address, port)[0]!, new RegExp(`${first.address}$`));
});
