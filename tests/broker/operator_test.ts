/** RocketMQ's own admin tool against a running consumer of ours. */

import { assertEquals, assertMatch } from "@std/assert";
import { connect } from "../../mod.ts";
import { startRocketMQ } from "../../tools/rocketmq/cluster.ts";
import { javaToolsMissing, ROCKETMQ_VERSIONS } from "../../tools/rocketmq/fetch.ts";
import { waitUntil } from "../behaviour/harness.ts";

const missing = javaToolsMissing();
if (missing !== undefined) console.log(`skipped: the admin tool against a consumer: ${missing}`);

for (const version of ROCKETMQ_VERSIONS) {
  Deno.test({
    name: `mqadmin of ${version} sees a consumer's position, and resets it`,
    ignore: missing !== undefined && Deno.env.get("CI") === undefined,
    async fn() {
      const rocketmq = await startRocketMQ({ version });
      const mq = await connect(rocketmq.nameServer);
      try {
        const producer = await mq.producer();
        const sent = await producer.sendBatch(["a", "b", "c"].map((body) => ({ topic: "orders", body })));
        const options = { group: "billing", topics: "orders", consumeFrom: "first", pullHold: 1_000 } as const;
        const consumer = await mq.consumer(options);
        const seen: string[] = [];
        const running = consumer.runEach((message) => seen.push(message.text()));
        await waitUntil(() => seen.length === 3, { what: "all consumed" });
        await consumer.commit();

        const group = ["-g", "billing", "-t", "orders"];
        const { stdout } = await rocketmq.mqadmin(["consumerProgress", "-g", "billing"]);
        assertMatch(stdout, /Diff Total: 0/);
        const status = await rocketmq.mqadmin(["consumerStatus", "-g", "billing", "-i", mq.clientId]);
        assertMatch(status.stdout, /PROP_CONSUME_TYPE +: CONSUME_PASSIVELY/);
        assertMatch(status.stdout, /orders +broker-a +\d+ +3\s/); // a queue, and up to where it is consumed
        const overview = await rocketmq.mqadmin(["consumerStatus", "-g", "billing"]);
        assertMatch(overview.stdout, new RegExp(RegExp.escape(mq.clientId)));

        const { messageId, offsetMessageId } = sent[0]!;
        const topic = version.startsWith("5") ? ["-t", "orders"] : [];
        const direct = ["queryMsgById", "-i", offsetMessageId, ...topic, "-g", "billing", "-d", mq.clientId];
        const pushed = await rocketmq.mqadmin(direct);
        assertMatch(pushed.stdout, /CR_SUCCESS/);
        assertEquals(seen.splice(3), ["a"], `${messageId}, handled once more`);

        const reset = await rocketmq.mqadmin(["resetOffsetByTime", ...group, "-s", "0"]);
        assertMatch(reset.stdout, /orders|success/);
        await waitUntil(() => seen.length >= 6, { what: "all consumed again", timeout: 30_000 });
        assertEquals(seen.slice(3).toSorted(), ["a", "b", "c"]);
        await consumer.close();
        await running;
      } finally {
        await mq.close();
        await rocketmq.stop();
      }
    },
  });
}
