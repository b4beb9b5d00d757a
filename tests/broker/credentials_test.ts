/** Credentials on real brokers that check them: 4.9 by plain_acl.yml, 5.x by its users and their policies. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { type Client, connect, CredentialsError, PermissionError } from "../../mod.ts";
import { type RealRocketMQ, startRocketMQ, type StartRocketMQOptions } from "../../tools/rocketmq/cluster.ts";
import { javaToolsMissing, ROCKETMQ_VERSIONS, type RocketMQVersion } from "../../tools/rocketmq/fetch.ts";
import { waitUntil } from "../behaviour/harness.ts";
import { isShort } from "../long.ts";

const missing = javaToolsMissing();
if (missing !== undefined) {
  if (Deno.env.get("CI")) throw new Error(`Cannot test credentials on real brokers: ${missing}`);
  console.log(`skipped: credentials on real brokers: ${missing}`);
}

const admin = { accessKey: "admin-account", secretKey: "admin-secret" };
const app = { accessKey: "billing-app", secretKey: "bílling/s3cret" };

const tools = `accessKey: ${admin.accessKey}\nsecretKey: ${admin.secretKey}\n`;
const plainAcl = `
globalWhiteRemoteAddresses: []
accounts:
- accessKey: ${admin.accessKey}
  secretKey: ${admin.secretKey}
  whiteRemoteAddress: ""
  admin: true
- accessKey: ${app.accessKey}
  secretKey: ${app.secretKey}
  whiteRemoteAddress: ""
  admin: false
  defaultTopicPerm: DENY
  defaultGroupPerm: DENY
  topicPerms: ["orders=PUB|SUB"]
  groupPerms: ["billing=SUB"]
`;

function options(version: RocketMQVersion): StartRocketMQOptions {
  const files = { "conf/tools.yml": tools };
  if (version.startsWith("4.")) {
    return { version, brokerConfig: { aclEnable: "true" }, files: { ...files, "conf/plain_acl.yml": plainAcl } };
  }
  const auth = "org.apache.rocketmq.auth";
  const provider = (what: string, name: string) => `${auth}.${what}.provider.${name}`;
  return {
    version,
    files,
    brokerConfig: {
      authenticationEnabled: "true",
      authenticationProvider: provider("authentication", "DefaultAuthenticationProvider"),
      authenticationMetadataProvider: provider("authentication", "LocalAuthenticationMetadataProvider"),
      initAuthenticationUser: JSON.stringify({ username: admin.accessKey, password: admin.secretKey }),
      innerClientAuthenticationCredentials: JSON.stringify(admin),
      authorizationEnabled: "true",
      authorizationProvider: provider("authorization", "DefaultAuthorizationProvider"),
      authorizationMetadataProvider: provider("authorization", "LocalAuthorizationMetadataProvider"),
    },
  };
}

/** Creates the topic, and on 5.x the account with its rights. */
async function prepare(cluster: RealRocketMQ): Promise<void> {
  const all = ["-c", "DefaultCluster"];
  await cluster.mqadmin(["updateTopic", ...all, "-t", "orders", "-r", "2", "-w", "2"]);
  await cluster.mqadmin(["updateTopic", ...all, "-t", "secrets", "-r", "1", "-w", "1"]);
  if (cluster.version.startsWith("4.")) return;
  await cluster.mqadmin(["createUser", ...all, "-u", app.accessKey, "-p", app.secretKey, "-t", "Normal"]);
  const subject = `User:${app.accessKey}`;
  const rights = [["Topic:orders", "PUB,SUB,GET"], ["Group:billing", "SUB"]] as const;
  for (const [resource, actions] of rights) {
    await cluster.mqadmin(["createAcl", ...all, "-s", subject, "-r", resource, "-a", actions, "-d", "ALLOW"]);
    await cluster.mqadmin(["updateAcl", ...all, "-s", subject, "-r", resource, "-a", actions, "-d", "ALLOW"]);
  }
}

/** Sends all kinds of requests, has a message retried, and consumes them all in order and not. */
async function useAll(mq: Client): Promise<void> {
  await using producer = await mq.producer();
  await waitUntil(
    async () => {
      try {
        return await producer.send({ topic: "orders", keys: "é", body: "first", properties: { city: "Zürich" } });
      } catch (error) {
        if (error instanceof PermissionError || error instanceof CredentialsError) return undefined; // not in force yet
        throw error;
      }
    },
    { what: "the rights are in force" },
  );
  await producer.sendBatch([{ topic: "orders", body: "batch a" }, { topic: "orders", body: "batch b" }]);
  await producer.sendOneway({ topic: "orders", body: "oneway" });
  const wanted = ["first", "batch a", "batch b", "oneway"];
  await using consumer = await mq.consumer({ group: "billing", topics: "orders", consumeFrom: "first" });
  const seen: string[] = [];
  const running = consumer.runEach((message) => {
    seen.push(message.text());
    if (message.text() === "batch a" && message.reconsumeTimes === 0) throw new Error("once more");
  });
  await waitUntil(() => seen.length === wanted.length + 1, { what: "all messages, one of them twice" });
  assertEquals(seen.toSorted(), [...wanted, "batch a"].sort());
  await consumer.commit();
  await consumer.close();
  await running;
}

for (const version of ROCKETMQ_VERSIONS) {
  Deno.test({
    name: `credentials on ${version}: all is signed, refused keys and missing rights are told apart`,
    ignore: missing !== undefined || isShort,
    fn: async () => {
      await using cluster = await startRocketMQ(options(version));
      await prepare(cluster);
      const to = { nameServers: cluster.nameServer, logger: false } as const;
      {
        await using mq = await connect({ ...to, credentials: app });
        await useAll(mq);
        await using producer = await mq.producer();
        const error = await assertRejects(() => producer.send({ topic: "secrets", body: "x" }), PermissionError);
        assertEquals([error.action, /topic:\s?secrets/i.test(error.resource)], ["SendMessage", true], error.message);
        await assertRejects(() => mq.consumer({ group: "others", topics: "orders" }), PermissionError);
      }
      const wrong = { ...app, secretKey: "not-the-secret" };
      const stranger = { accessKey: "stranger-account", secretKey: "whatever-secret" };
      for (const refused of [{ credentials: wrong }, { credentials: stranger }, {}]) {
        await using mq = await connect({ ...to, ...refused });
        await using producer = await mq.producer({ sendTimeout: 20_000 });
        const started = performance.now();
        await assertRejects(() => producer.send({ topic: "orders", body: "x" }), CredentialsError);
        await assertRejects(() => mq.consumer({ group: "billing", topics: "orders" }), CredentialsError);
        assert(performance.now() - started < 15_000, "refused at once");
      }
      let calls = 0;
      const credentials = () => ++calls === 1 ? wrong : app;
      await using mq = await connect({ ...to, credentials });
      await using producer = await mq.producer();
      await producer.send({ topic: "orders", body: "after a rotation" });
      assertEquals(calls, 2);
    },
  });
}
