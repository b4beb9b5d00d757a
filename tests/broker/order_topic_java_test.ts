/** Order topics and name servers that disagree, on real servers; Java's client chooses the queues to compare with. */

import { assert, assertEquals, assertMatch, assertNotEquals, assertRejects } from "@std/assert";
import { BrokerNotAvailableError, connect, NetworkError, ProducerError } from "../../mod.ts";
import { type RealRocketMQ, startRocketMQ } from "../../tools/rocketmq/cluster.ts";
import { javaToolsMissing, ROCKETMQ_VERSIONS } from "../../tools/rocketmq/fetch.ts";
import { runJavaPeer } from "../../tools/rocketmq/java_peer.ts";
import { waitUntil } from "../behaviour/harness.ts";

const missing = javaToolsMissing();
if (missing !== undefined) console.log(`skipped: order topics on real servers: ${missing}`);
const ignore = missing !== undefined && Deno.env.get("CI") === undefined;

/** The last one's hash is the smallest int32, which has no absolute value in Java. */
const KEYS = [...Array.from({ length: 28 }, (_, i) => `customer-${i * 7}`), "größe", "polygenelubricants"];

/** Makes a topic on every broker, and waits until the name server knows all of them. */
async function createTopic(rocketmq: RealRocketMQ, topic: string, queues: number): Promise<void> {
  await rocketmq.mqadmin(["updateTopic", "-t", topic, "-c", "DefaultCluster", "-r", `${queues}`, "-w", `${queues}`]);
  await waitUntil(async () => {
    const { stdout } = await rocketmq.mqadmin(["topicRoute", "-t", topic]);
    return rocketmq.brokers.every(({ name }) => stdout.includes(`"brokerName":"${name}"`));
  }, { what: `the route of ${topic}`, timeout: 30_000 });
}

for (const version of ROCKETMQ_VERSIONS) {
  Deno.test({
    name: `keys go to the queues that Java's client ${version} chooses, also of an order topic and without its broker`,
    ignore,
    async fn() {
      await using rocketmq = await startRocketMQ({
        version,
        brokers: 2,
        nameServerConfig: { orderMessageEnable: "true" },
      });
      const { nameServer } = rocketmq;
      await createTopic(rocketmq, "plain", 4);
      await createTopic(rocketmq, "ordered", 4);
      const put = ["updateOrderConf", "-m", "put", "-t", "ordered", "-v", "broker-b:4;broker-a:3"];
      assertMatch((await rocketmq.mqadmin(put)).stdout, /success/);

      const mq = await connect({ nameServers: nameServer, routeInterval: 1_000, logger: false });
      try {
        const producer = await mq.producer();
        const chosen: Record<string, string[]> = {};
        for (const topic of ["plain", "ordered"]) {
          const { code, lines, stderr } = await runJavaPeer(version, ["produce-keyed", nameServer, topic, ...KEYS]);
          assertEquals(code, 0, stderr);
          const ours: string[] = chosen[topic] = [];
          for (const key of KEYS) {
            const { queue } = await producer.send({ topic, body: key }, { orderingKey: key });
            ours.push(`${key}\t${queue.broker}\t${queue.queueId}`);
          }
          assertEquals(ours, lines, topic);
        }
        assertNotEquals(chosen["plain"], chosen["ordered"]);

        const events = mq.status();
        await rocketmq.brokers[0]!.kill();
        for await (const { type, topic } of events) if (type === "routeChanged" && topic === "ordered") break;
        for (const [i, key] of KEYS.entries()) {
          const sent = producer.send({ topic: "ordered", body: key }, { orderingKey: key });
          if (!chosen["ordered"]![i]!.includes("broker-a")) {
            const { queue } = await sent;
            assertEquals(`${key}\t${queue.broker}\t${queue.queueId}`, chosen["ordered"]![i]);
            continue;
          }
          const { cause } = await assertRejects(() => sent, ProducerError);
          // The route of the other topic may name the broker a moment longer.
          assert(cause instanceof BrokerNotAvailableError || cause instanceof NetworkError, `${cause}`);
        }
      } finally {
        await mq.close();
      }
    },
  });
}

Deno.test({
  name: "a topic that only one of two real name servers knows is found by every client",
  ignore,
  async fn() {
    await using first = await startRocketMQ({ version: "5.3.3", perBroker: () => ({ brokerName: "broker-x" }) });
    await using second = await startRocketMQ({ version: "4.9.7", perBroker: () => ({ brokerName: "broker-y" }) });
    await first.mqadmin(["updateTopic", "-t", "orders", "-c", "DefaultCluster", "-r", "2", "-w", "2"]);
    const nameServers = [second.nameServer, first.nameServer];
    for (let i = 0; i < 6; i++) {
      const mq = await connect({ nameServers, logger: false });
      try {
        const events = mq.status();
        const { queue } = await (await mq.producer()).send({ topic: "orders", body: `${i}` });
        assertEquals(queue.broker, "broker-x");
        for await (const { type, text } of events) {
          if (type !== "partialRoute") continue;
          assertMatch(text, new RegExp(`${RegExp.escape(second.nameServer)} lacks the topic$`));
          break;
        }
      } finally {
        await mq.close();
      }
    }
  },
});
