import { assertEquals, assertStringIncludes } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { EmbeddedBroker } from "../../src/embedded/mod.ts";
import type { ConsumerConnection } from "../../src/wire/bodies.ts";
import { parseJson } from "../../src/wire/json.ts";
import { decodeRecords } from "../../src/wire/record.ts";
import {
  consumeMessageDirectly,
  getConsumerConnections,
  getConsumerRunningInfo,
  getMaxOffset,
  queryConsumerStatus,
  resetConsumerOffset,
  resetGroupOffset,
} from "../../src/wire/requests.ts";
import { jsonOf, outcome, Peer, subscription, textOf } from "./peer.ts";

const topics = { orders: { queues: 2 } };
const NOT_ONLINE = "The Consumer <billing> <nobody> not online";
const utf8 = new TextEncoder();

/** A broker with an operator, and a member of the group `billing`. */
async function start(dialect: "5.x" | "4.9" = "5.x") {
  const broker = await EmbeddedBroker.start({ topics, dialect });
  const operator = await Peer.connect(broker);
  const member = await Peer.connect(broker);
  await member.join("billing", [subscription("orders", "a || b")], { clientId: "one" });
  return {
    broker,
    operator,
    member,
    [Symbol.asyncDispose]: async () => {
      await operator[Symbol.asyncDispose]();
      await member[Symbol.asyncDispose]();
      await broker.close();
    },
  };
}

Deno.test("GetConsumerConnections lists members and the newest subscriptions", async () => {
  await using server = await start();
  const { operator, member } = server;
  await operator.join("billing", [subscription("orders", "c", 2)], { clientId: "two" });

  const answer = await member.ask(getConsumerConnections, { consumerGroup: "billing" });
  const { connectionSet = [], ...group } = jsonOf(answer) as ConsumerConnection;
  assertEquals(connectionSet.map(({ clientAddr: _, ...connection }) => connection), [
    { clientId: "one", language: "OTHER", version: 479 },
    { clientId: "two", language: "OTHER", version: 479 },
  ]);
  assertEquals(group, {
    subscriptionTable: { orders: subscription("orders", "c", 2) },
    consumeType: "CONSUME_PASSIVELY",
    messageModel: "CLUSTERING",
    consumeFromWhere: "CONSUME_FROM_LAST_OFFSET",
  });
  const nobody = await member.ask(getConsumerConnections, { consumerGroup: "nobody" });
  assertEquals(outcome(nobody), [206, "the consumer group[nobody] not online"]);
});

Deno.test("GetConsumerRunningInfo is passed on to the member, and its answer back", async () => {
  await using server = await start();
  const { operator, member } = server;
  member.answer = () => ({ code: 0, remark: "well", fields: { a: "b" }, body: utf8.encode("{}") });
  const ask = (clientId: string, jstackEnable?: boolean) =>
    operator.ask(getConsumerRunningInfo, { consumerGroup: "billing", clientId, jstackEnable });

  const answer = await ask("one", true);
  assertEquals([answer.code, answer.remark, answer.fields, textOf(answer)], [0, "well", { a: "b" }, "{}"]);
  assertEquals([answer.language, answer.version], ["OTHER", 479], "they are the member's");
  const { fields, flag } = await member.pushed(getConsumerRunningInfo.code);
  assertEquals([fields, flag], [{ consumerGroup: "billing", clientId: "one", jstackEnable: "true" }, 0]);
  member.answer = () => ({ code: 1, remark: "no" });
  assertEquals(outcome(await ask("one")), [1, "no"]);
  assertEquals(outcome(await ask("nobody")), [1, NOT_ONLINE]);
});

Deno.test("ConsumeMessageDirectly brings the message to the member", async () => {
  await using server = await start();
  const { operator, member } = server;
  const sent = await operator.send({ topic: "orders", body: "now", queueId: 1 });
  const msgId = sent.fields.msgId!;
  const header = { consumerGroup: "billing", clientId: "one", msgId };

  assertEquals((await operator.ask(consumeMessageDirectly, { ...header, topic: "orders" })).code, 0);
  const { body, fields } = await member.pushed(consumeMessageDirectly.code);
  const queue = { topic: "orders", broker: "broker-a", queueId: 1 };
  assertEquals(decodeRecords(body, queue).messages.map((message) => message.text()), ["now"]);
  const added = { brokerName: "broker-a", topicSysFlag: "0", groupSysFlag: "0" };
  assertEquals(fields, { ...header, topic: "orders", ...added });

  const bad = await operator.ask(consumeMessageDirectly, { ...header, clientId: "nobody" });
  assertEquals(outcome(bad), [1, NOT_ONLINE]);
  const withoutId = await operator.ask(consumeMessageDirectly, { consumerGroup: "billing", clientId: "one" });
  const gone = await operator.ask(consumeMessageDirectly, { ...header, msgId: msgId.replace(/.{8}$/, "00FFFFFF") });
  const broken = await operator.ask(consumeMessageDirectly, { ...header, msgId: "zz" });
  assertEquals([withoutId.code, gone.code, broken.code], [1, 1, 1]);
});

Deno.test("a member that does not answer an operator is waited for, and stays", async () => {
  using time = new FakeTime();
  await using server = await start();
  const { broker, operator, member } = server;
  const answer = Promise.withResolvers<{ code: number }>();
  member.answer = () => answer.promise;

  const asked = operator.ask(getConsumerRunningInfo, { consumerGroup: "billing", clientId: "one" });
  await member.pushed(getConsumerRunningInfo.code);
  await time.tickAsync(10_000);
  const { code, remark } = await asked;
  assertEquals(code, 207);
  assertStringIncludes(remark!, "consumer <billing> <one> Timeout: ");
  assertEquals(broker.members("billing"), ["one"]);
  answer.resolve({ code: 0 });
});

Deno.test("a member that leaves while an operator waits is answered for", async () => {
  await using server = await start();
  const { operator, member } = server;
  member.answer = () => new Promise(() => {});

  const asked = operator.ask(getConsumerRunningInfo, { consumerGroup: "billing", clientId: "one" });
  await member.pushed(getConsumerRunningInfo.code);
  member.connection.close();
  assertEquals((await asked).code, 207);
});

Deno.test("QueryConsumerStatus collects the answers of the members", async () => {
  await using server = await start();
  const { operator, member } = server;
  await operator.join("billing", [subscription("orders")], { clientId: "two" });
  const queue = { brokerName: "broker-a", queueId: 0, topic: "orders" };
  const key = JSON.stringify(queue);
  member.answer = () => ({ code: 0, body: utf8.encode(`{"messageQueueTable":{${key}:5}}`) });
  operator.answer = () => ({ code: 0, body: utf8.encode(JSON.stringify({ messageQueueTable: { [key]: 7 } })) });
  const ask = (clientAddr?: string) =>
    member.ask(queryConsumerStatus, { topic: "orders", group: "billing", clientAddr });
  const tables = async (clientAddr?: string) => parseJson(textOf(await ask(clientAddr)));

  const [one, two] = [[[queue, 5]], [[queue, 7]]];
  const table = (consumerTable: object) => JSON.parse(JSON.stringify({ consumerTable, messageQueueTable: {} }));
  const plain = async (clientAddr?: string) => JSON.parse(JSON.stringify(await tables(clientAddr)));
  assertEquals(await plain(), table({ one, two }));
  assertEquals(await plain("two"), table({ two }));
  assertEquals(await plain("nobody"), table({}));
  member.answer = () => ({ code: 1 });
  assertEquals(await plain(), table({ two }));
  assertEquals((await member.ask(queryConsumerStatus, { topic: "orders", group: "nobody" })).code, 1);
});

Deno.test("ResetGroupOffset of 5.x sets the offsets of all queues, or of one", async () => {
  await using server = await start();
  const { broker, operator } = server;
  await broker.publish("orders", ["a", "b"], { queueId: 0 });
  await broker.publish("orders", ["c"], { queueId: 1 });
  const reset = (header: Partial<Parameters<typeof operator.ask<typeof resetGroupOffset>>[1]>) =>
    operator.ask(resetGroupOffset, { topic: "orders", group: "billing", timestamp: -1, isForce: true, ...header });
  const offsets = () => [0, 1].map((queueId) => broker.committedOffset("billing", { topic: "orders", queueId }));

  const answer = await reset({});
  const queue = (queueId: number) => JSON.stringify({ brokerName: "broker-a", queueId, topic: "orders" });
  assertEquals(textOf(answer), `{"offsetTable":{${queue(0)}:2,${queue(1)}:1}}`);
  assertEquals(offsets(), [2, 1]);
  await reset({ timestamp: 0 });
  assertEquals(offsets(), [0, 0]);
  await reset({ timestamp: 0, queueId: 0, offset: 1 });
  assertEquals(offsets(), [1, 0]);
  await reset({ queueId: 1 });
  assertEquals(offsets(), [1, 1]);
  assertEquals((await operator.pull({ topic: "orders", queueOffset: 0 })).fields.nextBeginOffset, "1");
  assertEquals(outcome(await reset({ queueId: 0, offset: 9 })), [
    1,
    "Target offset 9 not in consume queue range [0-2]",
  ]);
  assertEquals(outcome(await reset({ topic: "unknown" })), [17, "Topic unknown does not exist"]);
  assertEquals(outcome(await reset({ group: "unknown" })), [26, "Group unknown does not exist"]);
});

Deno.test("ResetGroupOffset of 4.9 notifies the members of groups that have offsets", async () => {
  await using server = await start("4.9");
  const { broker, operator, member } = server;
  await broker.publish("orders", ["a", "b"], { queueId: 0 });
  const header = { topic: "orders", group: "billing", timestamp: -1, isForce: true };

  const none = await operator.ask(resetGroupOffset, header);
  assertEquals(outcome(none), [1, "THe consumer group <billing> not exist"]);
  for (const queueId of [0, 1]) await operator.commit("billing", "orders", 0, queueId);
  const answer = await operator.ask(resetGroupOffset, header);
  const pushed = await member.pushed(resetConsumerOffset.code);
  assertEquals([answer.code, textOf(pushed)], [0, textOf(answer)]);
  assertEquals(pushed.fields.isForce, "false");
  assertEquals(broker.committedOffset("billing", { topic: "orders", queueId: 0 }), 0);

  for (const queueId of [0, 1]) await operator.commit("alone", "orders", 0, queueId);
  const alone = await operator.ask(resetGroupOffset, { ...header, group: "alone" });
  assertEquals(outcome(alone), [
    206,
    "Consumer not online, so can not reset offset, Group: alone Topic: orders Timestamp: -1",
  ]);
  const unknown = await operator.ask(resetGroupOffset, { ...header, topic: "unknown" });
  assertEquals(unknown.code, 1);
});

Deno.test("an operator may be a member, and request its own status", async () => {
  await using server = await start();
  const { member } = server;

  const asked = member.ask(getConsumerRunningInfo, { consumerGroup: "billing", clientId: "one" });
  assertEquals((await asked).code, 0);
  assertEquals((await member.ask(getMaxOffset, { topic: "orders", queueId: 0 })).code, 0);
});
