import { assertEquals } from "@std/assert";
import { EmbeddedBroker } from "../../src/embedded/mod.ts";
import { javaToolsMissing, ROCKETMQ_VERSIONS } from "../../tools/rocketmq/fetch.ts";
import { runJavaPeer } from "../../tools/rocketmq/java_peer.ts";

const missing = javaToolsMissing();
if (missing !== undefined) {
  if (Deno.env.get("CI")) throw new Error(`Cannot test with Java's client: ${missing}`);
  console.log(`skipped: the embedded broker with Java's client: ${missing}`);
}

/** Runs a command of the peer; returns its lines. */
async function run(version: (typeof ROCKETMQ_VERSIONS)[number], args: string[]): Promise<string[]> {
  const { code, lines, stderr } = await runJavaPeer(version, args);
  assertEquals(code, 0, `${args.join(" ")}: ${stderr}\n${lines.join("\n")}`);
  return lines;
}

/** The columns of what a consumer printed, sorted by message number. */
function consumed(lines: string[]): string[][] {
  const number = ([body = ""]: string[]) => Number(body.split("-")[1]);
  return lines.filter((line) => line.includes("\t")).map((line) => line.split("\t")).sort((a, b) =>
    number(a) - number(b)
  );
}

function bodies(count: number): string[] {
  return Array.from({ length: count }, (_, i) => `message-${i}`);
}

for (const version of ROCKETMQ_VERSIONS) {
  Deno.test({
    name: `Java's client ${version} produces to the embedded broker and consumes from it`,
    ignore: missing !== undefined,
    fn: async () => {
      await using broker = await EmbeddedBroker.start({ delayLevels: [100] });
      const { nameServer } = broker;

      await run(version, ["produce", nameServer, "orders", "100", "paid"]);
      assertEquals(broker.topicStats("orders").length, 4);
      const first = consumed(await run(version, ["consume", nameServer, "billing", "orders", "100", "first", "paid"]));
      assertEquals(first.map(([body]) => body), bodies(100));
      assertEquals(new Set(first.map(([, id]) => id)).size, 100);
      assertEquals(broker.committed("billing", "orders"), 100);
      assertEquals(broker.members("billing"), []);

      await run(version, ["produce", nameServer, "payments", "100", "paid", "10"]);
      const failing = ["consume-failing-once", nameServer, "audit", "payments", "100"];
      const second = consumed(await run(version, failing));
      assertEquals(second.map(([body]) => body), bodies(100));
      assertEquals(new Set(second.map(([, , times]) => times)), new Set(["1"]));
      assertEquals(broker.delayedMessages, 0);
    },
  });
}
