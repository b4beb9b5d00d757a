/** The same raw requests of POP and of operators to embedded brokers and to real ones, and the same answers. */

import { assert, assertEquals } from "@std/assert";
import { EmbeddedBroker } from "../../src/embedded/mod.ts";
import type { AssignmentBody, ConsumerConnection } from "../../src/wire/bodies.ts";
import { deadLetterTopic, retryTopic } from "../../src/wire/names.ts";
import { decodeHeader, type HeaderText } from "../../src/wire/fields.ts";
import type { Command } from "../../src/wire/frame.ts";
import { type JsonObject, parseJson } from "../../src/wire/json.ts";
import { changedPopReceipt, formatPopReceipt } from "../../src/wire/pop.ts";
import type { PoppedMessage } from "../../src/wire/pop_receive.ts";
import { batchAcks } from "../../src/wire/pop_acks.ts";
import { decodeRecords } from "../../src/wire/record.ts";
import {
  batchAckMessage,
  changeInvisibleTime,
  consumeMessageDirectly,
  createTopic,
  getConsumerConnections,
  getConsumerRunningInfo,
  getMaxOffset,
  lockQueues,
  queryAssignment,
  queryConsumerStatus,
  resetGroupOffset,
  setMessageRequestMode,
  unlockQueues,
} from "../../src/wire/requests.ts";
import { startRocketMQ } from "../../tools/rocketmq/cluster.ts";
import { javaToolsMissing, ROCKETMQ_VERSIONS, type RocketMQVersion } from "../../tools/rocketmq/fetch.ts";
import { waitUntil } from "../behaviour/harness.ts";
import { jsonOf, outcome, Peer, subscription, textOf } from "../embedded/peer.ts";

const missing = javaToolsMissing();
if (missing !== undefined) {
  if (Deno.env.get("CI")) throw new Error(`Cannot compare POP with real brokers: ${missing}`);
  console.log(`skipped: POP and operators' requests compared with real brokers: ${missing}`);
}

/** How long a real broker may take to bring a message again whose invisible time is over, in milliseconds. */
const REVIVAL = 30_000;
const utf8 = new TextEncoder();

/** A broker, whichever it is. */
interface Server extends AsyncDisposable {
  /** Where it answers. */
  readonly nameServer: string;
  readonly brokerName: string;
  readonly isV5: boolean;
  /** Whether it understands tables of queues in strict JSON, whose names are JSON in quotes: 5.5.0 does not. */
  readonly readsStrictTables: boolean;
}

async function startEmbedded(dialect: "5.x" | "4.9"): Promise<Server> {
  const delayLevels = Array<number>(18).fill(1_000); // as in the real ones
  const broker = await EmbeddedBroker.start({ dialect, delayLevels });
  const { nameServer, brokerName } = broker;
  return {
    nameServer,
    brokerName,
    isV5: dialect === "5.x",
    readsStrictTables: true,
    [Symbol.asyncDispose]: () => broker.close(),
  };
}

async function startReal(version: RocketMQVersion): Promise<Server> {
  const cluster = await startRocketMQ({ version });
  const { address, name } = cluster.brokers[0]!;
  return {
    nameServer: address,
    brokerName: name,
    isV5: version.startsWith("5"),
    readsStrictTables: version !== "5.5.0",
    [Symbol.asyncDispose]: () => cluster.stop(),
  };
}

async function makeTopic(peer: Peer, topic: string, queues = 1, perm = 6): Promise<void> {
  const numbers = { readQueueNums: queues, writeQueueNums: queues, perm, topicSysFlag: 0 };
  const header = { topic, defaultTopic: "TBW102", topicFilterType: "SINGLE_TAG", order: false, ...numbers };
  assertEquals((await peer.ask(createTopic, header)).code, 0);
}

async function maxOffset(peer: Peer, topic: string, queueId = 0): Promise<number> {
  return Number((await peer.ask(getMaxOffset, { topic, queueId })).fields.offset);
}

/** Sends messages to one queue, and waits until they can be popped. */
async function fill(peer: Peer, topic: string, bodies: string, queueId = 0, properties = {}): Promise<void> {
  const end = await maxOffset(peer, topic, queueId) + bodies.length;
  for (const body of bodies) assertEquals((await peer.send({ topic, body, queueId, with: properties })).code, 0);
  await waitUntil(async () => await maxOffset(peer, topic, queueId) === end, { what: `${bodies} in ${topic}` });
}

/** Pops until so many messages have come. */
async function untilPopped(peer: Peer, count: number, header: Parameters<Peer["pop"]>[0]): Promise<PoppedMessage[]> {
  const popped: PoppedMessage[] = [];
  await waitUntil(async () => {
    popped.push(...await peer.popped(header));
    return popped.length >= count;
  }, { what: `${count} messages of ${header.topic}`, timeout: REVIVAL });
  return popped;
}

async function untilCommitted(peer: Peer, topic: string, offset: number): Promise<void> {
  const what = `${offset} committed for ${topic}`;
  await waitUntil(async () => Number((await peer.query("billing", topic, false)).fields.offset) === offset, { what });
}

function texts(popped: readonly PoppedMessage[]): string {
  return popped.map(({ message }) => message.text()).sort().join("");
}

/** The infos of an answer, without regard to the order of the queues. */
function infos({ fields }: Command): (string | undefined)[] {
  const { startOffsetInfo, msgOffsetInfo, orderCountInfo, restNum } = fields;
  return [startOffsetInfo, msgOffsetInfo, orderCountInfo].map((info) => info?.split(";").sort().join(";"))
    .concat(restNum);
}

async function comparePop(t: Deno.TestContext, peer: Peer, server: Server): Promise<void> {
  await t.step("what a pop takes, and where the group stands then", async () => {
    await makeTopic(peer, "taken", 2);
    const empty = await peer.pop({ topic: "taken" });
    assertEquals([...outcome(empty), ...infos(empty)], [210, "NO_MESSAGE_IN_QUEUE", "", "", undefined, "0"]);
    assertEquals((await peer.query("billing", "taken", false)).fields.offset, "0");
    await fill(peer, "taken", "abc", 0, { POP_CK: "stripped" });
    await fill(peer, "taken", "d", 1);
    const two = await peer.pop({ topic: "taken", queueId: 0, maxMsgNums: 2, initMode: 1 });
    assertEquals([...outcome(two), ...infos(two)], [0, "FOUND", "0 0 0", "0 0 0,1", undefined, "1"]);
    const [a] = peer.read("taken", two);
    assertEquals([a!.message.property("POP_CK"), a!.reconsumeTimes, a!.message.storedTopic], [undefined, 0, "taken"]);
    const rest = await peer.pop({ topic: "taken" });
    assertEquals([texts(peer.read("taken", rest)), ...infos(rest)], [
      "cd",
      "0 0 2;0 1 0",
      "0 0 2;0 1 0",
      undefined,
      "0",
    ]);
    await untilCommitted(peer, "taken", 3);
  });

  await t.step("what a filter lets through", async () => {
    await makeTopic(peer, "filtered");
    for (const tag of ["A", "B", "A", "B", "A"]) await fill(peer, "filtered", tag, 0, { TAGS: tag, n: tag });
    const one = await peer.pop({ topic: "filtered", exp: "B", expType: "TAG", maxMsgNums: 1 });
    assertEquals(infos(one), ["0 0 0", "0 0 1", undefined, "3"]);
    const other = await peer.pop({ topic: "filtered", exp: "n = 'B'", expType: "SQL92" });
    assertEquals(infos(other), ["0 0 2", "0 0 3", undefined, "0"]);
    await untilCommitted(peer, "filtered", 5);
  });

  await t.step("what is refused", async () => {
    await makeTopic(peer, "refused", 2);
    await makeTopic(peer, "secret", 1, 2);
    await fill(peer, "refused", "a");
    const pops: Parameters<Peer["pop"]>[0][] = [
      { topic: "unknown" },
      { topic: "secret" },
      { topic: "refused", queueId: 2 },
      { topic: "refused", maxMsgNums: 33 },
      { topic: "refused", maxMsgNums: -1 },
      { topic: "refused", consumerGroup: "a b" },
      { topic: "refused", exp: "a >", expType: "SQL92" },
      { topic: "refused", exp: "a", expType: "OTHER" },
      { topic: "refused", bornTime: Date.now() - 3_000, pollTime: 1_000 },
    ];
    const codes: number[] = [];
    for (const pop of pops) codes.push((await peer.pop(pop)).code);
    assertEquals(codes, [17, 16, 29, 29, 1, 26, 23, 23, 210]);
    const { fields } = await peer.pop({ topic: "refused", maxMsgNums: 33 });
    assertEquals({ ...fields }, { popTime: "0", invisibleTime: "0", reviveQid: "0", restNum: "0" });

    const [{ receipt }] = await untilPopped(peer, 1, { topic: "refused" }) as [PoppedMessage];
    const found: (number | string | undefined)[][] = [];
    for (
      const header of [
        { offset: 1 },
        { offset: 2 },
        { offset: -1 },
        { queueId: 1 },
        { queueId: 2 },
        { queueId: -1 },
        { topic: "unknown" },
        { extraInfo: "0 1" },
        { consumerGroup: "other" },
      ]
    ) {
      const ack = await peer.ack("refused", receipt, header);
      const change = await peer.changeInvisible("refused", receipt, 60_000, header);
      found.push([ack.code, change.code]);
      if (ack.code === 208) {
        assertEquals(ack.remark, `offset is illegal, key:refused@0, commit:${header.offset}, store:0~1`);
      }
    }
    assertEquals(found, [[0, 208], [208, 208], [208, 208], [0, 208], [13, 13], [13, 13], [17, 17], [1, 1], [0, 0]]);
  });

  await t.step("how a message is redelivered", async () => {
    await makeTopic(peer, "again", 2);
    await fill(peer, "again", "abcd", 1, { TAGS: "t" });
    const [a, b, c, d] = await untilPopped(peer, 4, { topic: "again", invisibleTime: 2_000 });
    assertEquals((await peer.ack("again", a!.receipt)).code, 0);
    assertEquals((await peer.ack("again", a!.receipt)).code, 0);
    assertEquals((await peer.ack("again", b!.receipt, { consumerGroup: "other" })).code, 0);
    const acks = [
      ...batchAcks("billing", [{ topic: "again", receipt: d!.receipt }, {
        topic: "again",
        receipt: { ...d!.receipt, queueOffset: 70 },
      }]),
      ...batchAcks("billing", [{ topic: "unknown", receipt: c!.receipt }]),
    ];
    const { brokerName } = server;
    assertEquals((await peer.ask(batchAckMessage, {}, { body: { brokerName, acks } })).code, 0);
    assertEquals((await peer.ask(batchAckMessage, {}, { body: { brokerName, acks: [] } })).code, 208);
    assertEquals((await peer.ask(batchAckMessage, {})).code, 208);
    assertEquals((await peer.ask(batchAckMessage, {}, { body: "{" })).code, 1);

    const again = await untilPopped(peer, 2, { topic: "again", invisibleTime: 1_000 });
    assertEquals(texts(again), "bc");
    const { message, receipt, reconsumeTimes, firstPopTime } = again[0]!;
    const { startOffset, popTime, reviveQueueId } = receipt;
    const own = `${startOffset} ${popTime} 1000 ${reviveQueueId} 1 ${brokerName} 0 ${message.queueOffset}`;
    assertEquals([message.property("POP_CK"), formatPopReceipt(receipt)], [own, own]);
    assertEquals([message.storedTopic, message.storedQueueId, reconsumeTimes], ["again", 0, 1]);
    assertEquals([firstPopTime, message.property("1ST_POP_TIME")], [b!.receipt.popTime, String(b!.receipt.popTime)]);
    assertEquals([message.bornHost, message.tags, message.messageId], [message.storeHost, "t", b!.message.messageId]);
    assertEquals(message.bornAt, b!.message.bornAt);

    const third = await untilPopped(peer, 2, { topic: "again" });
    assertEquals(third.map((each) => [each.reconsumeTimes, each.firstPopTime]), [[2, firstPopTime], [2, firstPopTime]]);
    for (const each of third) assertEquals((await peer.ack("again", each.receipt)).code, 0);
    await untilCommitted(peer, "%RETRY%billing_again", 4);
  });

  await t.step("what a changed invisible time does to receipts", async () => {
    await makeTopic(peer, "changed");
    await fill(peer, "changed", "abc");
    const [a, b, c] = await untilPopped(peer, 3, { topic: "changed", invisibleTime: 300_000 });
    const change = async (popped: PoppedMessage, invisibleTime: number) => {
      const answer = await peer.changeInvisible("changed", popped.receipt, invisibleTime);
      assertEquals([...outcome(answer), answer.fields.invisibleTime], [
        0,
        "not set any response code",
        String(invisibleTime),
      ]);
      return changedPopReceipt(popped.receipt, decodeHeader(changeInvisibleTime.answer, answer.fields, "change"));
    };
    const done = await change(a!, 3_000);
    await change(b!, 1_000);
    await change(c!, 1_000);
    await peer.ack("changed", done);
    await peer.ack("changed", b!.receipt); // too late: it is another's by now
    const again = await untilPopped(peer, 2, { topic: "changed" });
    assertEquals([texts(again), ...again.map((each) => each.reconsumeTimes)], ["bc", 1, 1]);
  });

  await t.step("how queues are popped in order", async () => {
    await makeTopic(peer, "ordered");
    await fill(peer, "ordered", "abcde");
    const wish = { topic: "ordered", order: true, maxMsgNums: 3, invisibleTime: 3_000 };
    const first = await peer.pop(wish);
    assertEquals([first.fields.reviveQid, ...infos(first)], ["999", "0 0 0", "0 0 0,1,2", "0 0 0", "2"]);
    const [a, , c] = peer.read("ordered", first);
    assertEquals(outcome(await peer.pop(wish)), [210, "NO_MESSAGE_IN_QUEUE"]);
    await peer.ack("ordered", c!.receipt);
    await untilCommitted(peer, "ordered", 0);
    await peer.ack("ordered", a!.receipt);
    await untilCommitted(peer, "ordered", 1);
    assertEquals((await peer.ack("ordered", a!.receipt, { offset: 4 })).code, 13);

    const held = await peer.pop({ ...wish, invisibleTime: 60_000, pollTime: 10_000 });
    assertEquals(infos(held), ["0 0 1", "0 0 1,2,3", "0 0 0;0 qo0%1 1;0 qo0%2 1", "1"]);
    const [b, ...more] = peer.read("ordered", held);
    assertEquals([b, ...more].map((each) => each!.reconsumeTimes), [1, 1, 0]);
    assertEquals((await peer.ack("ordered", c!.receipt)).code, 0, "of the pop before: it does not count");
    const { code, fields } = await peer.changeInvisible("ordered", b!.receipt, 60_000);
    assertEquals([code, fields.popTime, fields.reviveQid], [0, String(b!.receipt.popTime), "999"]);
    for (const each of [b!, ...more]) await peer.ack("ordered", each.receipt);
    await untilCommitted(peer, "ordered", 4);
    assertEquals(texts(await peer.popped(wish)), "e");
  });

  await t.step("what ends a held pop", async () => {
    await makeTopic(peer, "held", 2);
    await using waiting = await Peer.connect(server);
    await using sender = await Peer.connect(server);
    const begun = performance.now();
    assertEquals(outcome(await waiting.pop({ topic: "held", pollTime: 500 })), [210, "NO_MESSAGE_IN_QUEUE"]);
    assert(performance.now() - begun >= 400, "held");
    const held = waiting.pop({ topic: "held", pollTime: 10_000, exp: "B", expType: "TAG" });
    let isOver = false;
    held.then(() => isOver = true);
    await fill(sender, "held", "x", 0, { TAGS: "A" });
    assertEquals(isOver, false);
    await fill(sender, "held", "y", 1, { TAGS: "B" });
    assertEquals(texts(waiting.read("held", await held)), "y");
    assert(performance.now() - begun < 10_000, "not by its time");
  });

  await t.step("how a message that was sent with a delay is redelivered", async () => {
    await makeTopic(peer, "delayed");
    await peer.send({ topic: "delayed", with: { DELAY: "1" } });
    const [first] = await untilPopped(peer, 1, { topic: "delayed", invisibleTime: 500 });
    assertEquals(first!.message.property("REAL_TOPIC"), "delayed");
    const [again] = await untilPopped(peer, 1, { topic: "delayed" });
    assertEquals(again!.message.property("REAL_TOPIC"), "%RETRY%billing_delayed", "it has waited a second time");
    assertEquals([again!.reconsumeTimes, again!.message.property("DELAY")], [1, "1"]);
  });
}

async function compareAssignments(t: Deno.TestContext, peer: Peer, server: Server): Promise<void> {
  await using other = await Peer.connect(server);
  await makeTopic(peer, "shared", 3);
  await peer.join("sharing", [subscription("shared")], { clientId: "a" });
  await other.join("sharing", [subscription("shared")], { clientId: "b" });
  const member = { topic: "shared", consumerGroup: "sharing", strategyName: "AVG", messageModel: "CLUSTERING" };
  const assigned = async (body: object) => {
    const answer = await peer.ask(queryAssignment, {}, { body: { ...member, ...body } });
    if (answer.code !== 0) return answer.code;
    const { messageQueueAssignments } = jsonOf(answer) as AssignmentBody;
    return messageQueueAssignments?.map(({ messageQueue, mode }) => `${mode} ${messageQueue.queueId}`).sort().join(
      ", ",
    );
  };
  const mode = async (body: object) =>
    outcome(
      await peer.ask(setMessageRequestMode, {}, { body: { ...member, mode: "POP", popShareQueueNum: 0, ...body } }),
    );

  await t.step("queues that the broker assigns", async () => {
    // A real broker asks the name server for a topic's queues when it is asked itself.
    await waitUntil(async () => await assigned({ clientId: "a" }) !== undefined, { what: "an assignment" });
    assertEquals(await assigned({ clientId: "a" }), "PULL 0, PULL 1");
    assertEquals(await assigned({ clientId: "b" }), "PULL 2");
    assertEquals(await assigned({ clientId: "b", strategyName: "AVG_BY_CIRCLE" }), "PULL 1");
    assertEquals(await assigned({ clientId: "stranger" }), "");
    assertEquals(await assigned({ messageModel: "BROADCASTING" }), "PULL 0, PULL 1, PULL 2");
    for (const body of [{ strategyName: "MACHINE_ROOM" }, { consumerGroup: "nobody" }, { topic: "unknown" }, {}]) {
      assertEquals(await assigned({ clientId: "", ...body }), undefined);
    }
    assertEquals(await assigned({ clientId: "a", messageModel: undefined }), 1);
  });

  await t.step("queues that the broker lets pop", async () => {
    assertEquals(await mode({ topic: "unknown" }), [17, "topic[unknown] not exist"]);
    assertEquals(await mode({ topic: retryTopic("sharing") }), [16, "retry topic is not allowed to set mode"]);
    assertEquals(await mode({ consumerGroup: "a b" }), [26, "subscription group does not exist"]);
    assertEquals(await mode({}), [0, undefined]);
    assertEquals([await assigned({ clientId: "a" }), await assigned({ clientId: "stranger" })], ["POP -1", "POP -1"]);
    await using third = await Peer.connect(server);
    await third.join("sharing", [subscription("shared")], { clientId: "c" });
    await mode({ popShareQueueNum: 1 });
    assertEquals([await assigned({ clientId: "a" }), await assigned({ clientId: "c" })], [
      "POP 0, POP 1",
      "POP 0, POP 2",
    ]);
    await mode({ mode: "PULL" });
    assertEquals(await assigned({ clientId: "c" }), "PULL 2");
  });
}

async function compareLocks(t: Deno.TestContext, peer: Peer, server: Server): Promise<void> {
  await t.step("a retry that is sent while the group locks queues", async () => {
    const topic = retryTopic("locking");
    await peer.join("locking", [subscription(topic)], { clientId: "locker" });
    const queue = { brokerName: server.brokerName, queueId: 0, topic: "locked" };
    const body = { consumerGroup: "locking", clientId: "locker", mqSet: [queue] };
    const retry = async () => {
      const { code } = await peer.send({
        topic,
        reconsumeTimes: 1,
        maxReconsumeTimes: 16,
        with: { ORIGIN_MESSAGE_ID: "1" },
      });
      assertEquals(code, 0);
    };
    const counts = async () => [await maxOffset(peer, topic), await maxOffset(peer, deadLetterTopic("locking"))].join();

    const { lockOKMQSet } = jsonOf(await peer.ask(lockQueues, {}, { body })) as JsonObject;
    assertEquals(lockOKMQSet as unknown, [queue]);
    await retry();
    const locked = server.isV5 ? "0,1" : "1,0";
    await waitUntil(async () => await counts() === locked, { what: "the retry while the queue is locked" });
    await peer.ask(unlockQueues, {}, { body });
    await retry();
    const unlocked = server.isV5 ? "1,1" : "2,0";
    await waitUntil(async () => await counts() === unlocked, { what: "the retry while no queue is locked" });
  });
}

async function compareOperators(t: Deno.TestContext, peer: Peer, server: Server): Promise<void> {
  await using one = await Peer.connect(server);
  await using two = await Peer.connect(server);
  await makeTopic(peer, "watched", 2);
  await one.join("watching", [subscription("watched", "a || b"), subscription("old")], { clientId: "one" });
  await two.join("watching", [subscription("watched", "c", 2)], { clientId: "two" });
  const group = { consumerGroup: "watching" };

  await t.step("who is in a group", async () => {
    const answer = await peer.ask(getConsumerConnections, group);
    const { connectionSet = [], ...rest } = jsonOf(answer) as ConsumerConnection;
    const seen = connectionSet.map((
      { clientAddr, ...connection },
    ) => [connection, /^127\.0\.0\.1:\d+$/.test(clientAddr)]);
    const common = { language: "OTHER", version: 479 };
    assertEquals(
      new Map(seen.map((each) => [Object(each[0]).clientId, each])),
      new Map([
        ["one", [{ clientId: "one", ...common }, true]],
        ["two", [{ clientId: "two", ...common }, true]],
      ]),
    );
    assertEquals(rest as unknown, {
      subscriptionTable: { watched: subscription("watched", "c", 2) },
      consumeType: "CONSUME_PASSIVELY",
      messageModel: "CLUSTERING",
      consumeFromWhere: "CONSUME_FROM_LAST_OFFSET",
    });
    const nobody = await peer.ask(getConsumerConnections, { consumerGroup: "nobody" });
    assertEquals(outcome(nobody), [206, "the consumer group[nobody] not online"]);
  });

  await t.step("how a consumer is", async () => {
    one.answer = () => ({ code: 0, remark: "well", fields: { a: "b" }, body: utf8.encode('{"c":1}') });
    two.answer = () => ({ code: 7, remark: "no" });
    const answer = await peer.ask(getConsumerRunningInfo, { ...group, clientId: "one", jstackEnable: true });
    assertEquals([...outcome(answer), { ...answer.fields }, textOf(answer)], [0, "well", { a: "b" }, '{"c":1}']);
    assertEquals([answer.language, answer.version], ["OTHER", 479]);
    const pushed = await one.pushed(getConsumerRunningInfo.code);
    assertEquals({ ...pushed.fields }, { ...group, clientId: "one", jstackEnable: "true" });
    assertEquals([pushed.flag, pushed.body.length], [0, 0]);
    assertEquals(outcome(await peer.ask(getConsumerRunningInfo, { ...group, clientId: "two" })), [7, "no"]);
    const nobody = await peer.ask(getConsumerRunningInfo, { ...group, clientId: "three" });
    assertEquals(outcome(nobody), [1, "The Consumer <watching> <three> not online"]);
  });

  await t.step("a message that a consumer is to handle", async () => {
    const { fields: sent } = await peer.send({ topic: "watched", body: "now", queueId: 1, with: { TAGS: "a" } });
    const msgId = sent.msgId!;
    const ask = (header: object) => peer.ask(consumeMessageDirectly, { ...group, ...header });
    const answer = await ask({ clientId: "one", msgId, topic: "watched" });
    assertEquals([...outcome(answer), textOf(answer)], [0, "well", '{"c":1}']);
    const { body, fields } = await one.pushed(consumeMessageDirectly.code);
    const [message] = decodeRecords(body, { topic: "watched", broker: "", queueId: 1 }).messages;
    assertEquals([message!.text(), message!.tags, message!.offsetMessageId], ["now", "a", msgId]);
    const flags = server.isV5 ? { topicSysFlag: "0", groupSysFlag: "0" } : {};
    const expected: HeaderText = {
      ...group,
      clientId: "one",
      msgId,
      topic: "watched",
      brokerName: server.brokerName,
      ...flags,
    };
    assertEquals({ ...fields }, expected);

    assertEquals(outcome(await ask({ clientId: "three", msgId })), [1, "The Consumer <watching> <three> not online"]);
    assertEquals(outcome(await ask({ msgId })), [1, "The Consumer <watching> <null> not online"]);
    const far = msgId.slice(0, 16) + "0000000FFFFFFFFF";
    const codes: number[] = [];
    for (const bad of ["zz", far, undefined]) codes.push((await ask({ clientId: "one", msgId: bad })).code);
    assertEquals(codes, [1, 1, 1]);
  });

  await t.step("how far consumers are", async () => {
    const queue = { brokerName: server.brokerName, queueId: 0, topic: "watched" };
    const strict = JSON.stringify({ messageQueueTable: { [JSON.stringify(queue)]: 7 } });
    one.answer = () => ({ code: 0, body: utf8.encode(`{"messageQueueTable":{${JSON.stringify(queue)}:5}}`) });
    two.answer = () => ({ code: 0, body: utf8.encode(strict) });
    const ask = async (clientAddr?: string) => {
      const answer = await peer.ask(queryConsumerStatus, { topic: "watched", group: "watching", clientAddr });
      assertEquals(outcome(answer), [0, "not set any response code"]);
      return JSON.parse(JSON.stringify(parseJson(textOf(answer))));
    };
    const table = (consumerTable: object) => ({ consumerTable, messageQueueTable: {} });
    const second = server.readsStrictTables ? { two: [[queue, 7]] } : {};
    assertEquals(await ask(), table({ one: [[queue, 5]], ...second }));
    assertEquals(await ask("two"), table(second));
    assertEquals(await ask("three"), table({}));
    two.answer = () => ({ code: 1 });
    assertEquals(await ask(), table({ one: [[queue, 5]] }));
    assertEquals((await peer.ask(queryConsumerStatus, { topic: "watched", group: "nobody" })).code, 1);
  });

  await t.step("offsets that an operator sets", async () => {
    await fill(peer, "watched", "ab", 0);
    const reset = async (header: object) => {
      const wish = { topic: "watched", group: "watching", timestamp: -1, isForce: true, ...header };
      const answer = await peer.ask(resetGroupOffset, wish);
      if (answer.code !== 0) return answer.code;
      const { offsetTable } = parseJson(textOf(answer)) as { offsetTable: [JsonObject, number][] };
      return offsetTable.map(([queue, offset]) => `${queue.queueId}: ${offset}`).sort().join(", ");
    };
    assertEquals(await reset({ topic: "unknown" }), server.isV5 ? 17 : 1);
    if (server.isV5) {
      assertEquals(await reset({}), "0: 2, 1: 1");
      assertEquals(await reset({ timestamp: 0 }), "0: 0, 1: 0");
      assertEquals(await reset({ timestamp: Date.now() + 100_000 }), "0: 2, 1: 1");
      assertEquals(await reset({ timestamp: 0, queueId: 0, offset: 1 }), "0: 1");
      assertEquals(await reset({ queueId: 0, offset: 9 }), 1);
      assertEquals(await reset({ group: "a-stranger" }), 26);
      assertEquals((await peer.query("watching", "watched", false)).fields.offset, "1");
      return;
    }
    assertEquals(await reset({}), 1, "there are no offsets that could be set");
    for (const queueId of [0, 1]) await peer.commit("watching", "watched", 0, queueId);
    assertEquals(await reset({}), "0: 2, 1: 1");
    const pushed = await one.pushed(220);
    assertEquals([pushed.fields.timestamp, pushed.fields.isForce], ["-1", "false"]);
    for (const queueId of [0, 1]) await peer.commit("alone", "watched", 0, queueId);
    assertEquals(await reset({ group: "alone" }), 206);
  });
}

async function compare(t: Deno.TestContext, server: Server): Promise<void> {
  await using peer = await Peer.connect(server);
  await compareOperators(t, peer, server);
  await compareLocks(t, peer, server);
  if (server.isV5) {
    await compareAssignments(t, peer, server);
    await comparePop(t, peer, server);
    return;
  }
  await t.step("POP is not known", async () => {
    for (const code of [200_050, 200_051, 200_151, 200_053, 400, 401]) {
      assertEquals(outcome(await peer.askText({ name: "Pop", code }, {})), [3, ` request type ${code} not supported`]);
    }
  });
}

for (const dialect of ["5.x", "4.9"] as const) {
  Deno.test(`POP and operators' requests at the embedded broker, dialect ${dialect}`, async (t) => {
    await using server = await startEmbedded(dialect);
    await compare(t, server);
  });
}

for (const version of ROCKETMQ_VERSIONS) {
  Deno.test({
    name: `POP and operators' requests at RocketMQ ${version}`,
    ignore: missing !== undefined,
    fn: async (t) => {
      await using server = await startReal(version);
      await compare(t, server);
    },
  });
}
