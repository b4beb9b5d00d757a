import { assert, assertEquals } from "@std/assert";
import {
  encodeContext,
  type TraceContext,
  TraceContextCode,
  TraceMessageType,
} from "../../src/telemetry/trace_records.ts";
import { javaToolsMissing, ROCKETMQ_VERSIONS } from "../../tools/rocketmq/fetch.ts";
import { Tracer } from "../../src/telemetry/tracer.ts";
import { startRocketMQ } from "../../tools/rocketmq/cluster.ts";
import { runJava } from "../../tools/rocketmq/java_program.ts";
import { waitUntil } from "../behaviour/harness.ts";
import { connectTo, messagesIn } from "../producer/setup.ts";
import { pub, randomContext, subAfter, subBefore } from "../telemetry/trace_contexts.ts";
import { SeededRandom } from "../wire/seeded_random.ts";

const missing = javaToolsMissing();
if (missing !== undefined) {
  if (Deno.env.get("CI")) throw new Error(`Cannot compare with Java's trace: ${missing}`);
  console.log(`skipped: message trace compared with Java's: ${missing}`);
}

/** What `EncodeTrace.java` prints. */
interface Encoded {
  readonly body: string;
  readonly keys: readonly string[];
  readonly read: number;
}

function ours(context: TraceContext): Encoded {
  const records = encodeContext(context);
  const body = new TextEncoder().encode(records.map(({ text }) => text).join("")).toBase64();
  const keys = new Set(records.flatMap(({ messageId, keys }) => [...messageId.split(" "), ...keys]));
  return { body, keys: [...keys].filter((key) => key !== "").sort(), read: records.length };
}

for (const version of ROCKETMQ_VERSIONS) {
  Deno.test({
    name: `encodeContext() writes the bytes that Java's client ${version} writes`,
    ignore: missing !== undefined,
    fn: async () => {
      const random = new SeededRandom(17);
      const drawn = Array.from({ length: 600 }, () => randomContext(random));
      const contexts = [pub(), subBefore(), subAfter(), ...drawn].filter((context) =>
        version !== "4.9.7" || context.type !== "Pub" || context.messageType !== TraceMessageType.ORDER
      );
      const lines = await runJava(version, "EncodeTrace.java", contexts.map((context) => JSON.stringify(context)));
      assertEquals(lines.length, contexts.length);
      for (const [at, context] of contexts.entries()) {
        const java: Encoded = JSON.parse(lines[at]!);
        const keys = java.keys.filter((key) => key !== "");
        assertEquals(ours(context), { ...java, keys }, JSON.stringify(context));
      }
      for (const type of ["Pub", "SubBefore", "SubAfter"]) { // otherwise nothing was compared
        assert(drawn.filter((context) => context.type === type).length > 100, type);
      }
    },
  });
  Deno.test({
    name: `mqadmin of ${version} finds by a message's id what a Tracer has told of it`,
    ignore: missing !== undefined,
    fn: async () => {
      await using rocketmq = await startRocketMQ({ version, brokerConfig: { traceTopicEnable: "true" } });
      await using client = await connectTo(rocketmq);
      const { cluster } = client;
      const producer = await client.producer();
      const { queue } = await producer.send({ topic: "orders", body: "a", keys: "42" });
      const messages = await messagesIn(cluster, queue);
      const tracer = new Tracer({ cluster, group: "billing", events: cluster.options.events });
      const { SUCCESS, FAILED } = TraceContextCode;
      for (const code of [FAILED, SUCCESS]) tracer.after(tracer.before(messages), code);
      await tracer.close();
      assertEquals(tracer.totals, { sent: 4, dropped: 0 });

      const outcomes = async () => { // found a moment after they are stored
        const { stdout } = await rocketmq.mqadmin(["queryMsgTraceById", "-i", messages[0]!.messageId]);
        return Array.from(stdout.matchAll(/^Sub .*(failed|success) *$/gm), ([, status]) => status);
      };
      await waitUntil(async () => (await outcomes()).length === 2, { what: "both outcomes", timeout: 60_000 });
      assertEquals((await outcomes()).toSorted(), ["failed", "success"]);
    },
  });
}
