/** Where offsets of broadcasting are kept when nothing is said: what the runtime offers, and never a prompt. */

import { assertEquals } from "@std/assert";
import { dirname, fromFileUrl, join } from "@std/path";

const root = dirname(dirname(dirname(fromFileUrl(import.meta.url))));

/** Reads what a topic holds, in a broker of its own, twice one after the other; prints what it got and was told. */
const PROGRAM = `
import { connect } from ${JSON.stringify(join(root, "mod.ts"))};
import { EmbeddedBroker } from ${JSON.stringify(join(root, "src/embedded/mod.ts"))};

const broker = await EmbeddedBroker.start({ topics: { orders: { queues: 1 } } });
await broker.publish("orders", ["a", "b"]);
const seen = [];
const events = [];
for (let turn = 0; turn < 2; turn++) {
  const mq = await connect({ nameServers: broker.nameServer, logger: false });
  const told = mq.status();
  const reading = (async () => { for await (const { type } of told) events.push(type); })();
  const consumer = await mq.consumer({ group: "billing", topics: "orders", model: "broadcasting", consumeFrom: "first" });
  const last = turn === 0 ? "b" : "c";
  for await (const batch of consumer) {
    seen.push(...[...batch].map((message) => message.text()));
    await batch.ack();
    if (seen.includes(last)) break;
  }
  await mq.close();
  await reading;
  await broker.publish("orders", ["c"]);
}
await broker.close();
console.log(JSON.stringify([seen, events.filter((type) => type === "offsetsInMemory").length]));
`;

/** What the program prints under these flags of Deno. */
async function run(flags: readonly string[]): Promise<[seen: string[], told: number]> {
  const folder = await Deno.makeTempDir();
  try {
    const program = join(folder, "program.ts");
    await Deno.writeTextFile(program, PROGRAM);
    const args = ["run", "--no-config", "--no-check", "--no-prompt", "--allow-net", ...flags, program];
    const env = { DENO_DIR: join(folder, "deno"), HOME: folder }; // KV without a path is kept there
    const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), { args, env }).output();
    if (!success) throw new Error(new TextDecoder().decode(stderr));
    return JSON.parse(new TextDecoder().decode(stdout));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("broadcasting keeps offsets in Deno KV where it is to be had, without a permission", async () => {
  assertEquals(await run(["--unstable-kv"]), [["a", "b", "c"], 0]);
});

Deno.test("broadcasting keeps offsets in a file where there is no KV and files may be written", async () => {
  assertEquals(await run(["--allow-read", "--allow-write", "--allow-env", "--allow-sys"]), [["a", "b", "c"], 0]);
});

Deno.test("broadcasting keeps offsets in memory where nothing else can be had, and says so each time", async () => {
  assertEquals(await run([]), [["a", "b", "a", "b", "c"], 2]);
});
