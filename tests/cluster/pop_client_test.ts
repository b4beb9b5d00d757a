/** The requests of POP, as a broker gets them. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { PopClient } from "../../src/brokers/pop_client.ts";
import { NetworkError, ResponseError } from "../../src/errors.ts";
import type { BatchAckBody } from "../../src/wire/bodies.ts";
import type { Command } from "../../src/wire/frame.ts";
import { changedPopReceipt, formatPopReceipt, type PopReceipt, type PopRetry } from "../../src/wire/pop.ts";
import {
  ackMessage,
  batchAckMessage,
  changeInvisibleTime,
  popMessage,
  queryAssignment,
} from "../../src/wire/requests.ts";
import type { Script } from "../transport/scripted_server.ts";
import { routeOver, ScriptedBroker, ScriptedNameServer, take, TestCluster } from "./scripted_cluster.ts";

const decoder = new TextDecoder();
const place = { topic: "orders", broker: "a", queueId: -1 };
const request = {
  max: 8,
  invisibleTime: 60_000,
  hold: 15_000,
  fromFirst: true,
  selector: { type: "TAG", expression: "*" },
};
const popHeader = { popTime: "1", invisibleTime: "60000", reviveQid: "0", restNum: "0" };

function receipt(queueOffset: number, retry: PopRetry = 0): PopReceipt {
  const where = { reviveQueueId: 1, retry, broker: "a", queueId: 3, queueOffset };
  return { startOffset: 10, popTime: 1_700_000_000_000, invisibleTime: 60_000, ...where };
}

const ackOf = (queueOffset: number, retry?: PopRetry) => ({ topic: "orders", receipt: receipt(queueOffset, retry) });

/** A POP client of group `billing`, whose broker answers by a script. */
class Setup {
  readonly client: PopClient;
  readonly broker: ScriptedBroker;
  #names: ScriptedNameServer;
  #cluster: TestCluster;

  private constructor(broker: ScriptedBroker, names: ScriptedNameServer, cluster: TestCluster) {
    this.broker = broker;
    this.#names = names;
    this.#cluster = cluster;
    this.client = new PopClient(cluster.cluster, "billing");
  }

  static async make(script: Script = () => {}): Promise<Setup> {
    const broker = new ScriptedBroker(script);
    const names = new ScriptedNameServer({ orders: routeOver({ a: { 0: broker.address } }) });
    const cluster = await TestCluster.connect(names.address);
    await cluster.cluster.routes.get("orders");
    return new Setup(broker, names, cluster);
  }

  /** The requests of a kind that the broker has got. */
  got({ code }: { code: number }): Command[] {
    return this.broker.requests.filter((each) => each.code === code);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#cluster[Symbol.asyncDispose]();
    await this.broker[Symbol.asyncDispose]();
    await this.#names[Symbol.asyncDispose]();
  }
}

/** Answers one kind of request in an own way. */
function answering({ code }: { code: number }, answer: Parameters<Parameters<Script>[1]["answer"]>[1]): Script {
  return (asked, peer) => {
    if (asked.code !== code) return;
    take(asked);
    peer.answer(asked, answer);
  };
}

Deno.test("PopClient.ack() sends one ack by itself, and many together: one entry per delivery", async () => {
  await using setup = await Setup.make();
  await setup.client.ack("a", [ackOf(10)]);
  const [single] = setup.got(ackMessage);
  assertEquals({ ...single?.fields }, {
    consumerGroup: "billing",
    topic: "orders",
    queueId: "3",
    offset: "10",
    extraInfo: formatPopReceipt(receipt(10)),
  });
  await setup.client.ack("a", [ackOf(10), ackOf(11), ackOf(13), ackOf(10, 1)]);
  const [many] = setup.got(batchAckMessage);
  const { brokerName, acks } = JSON.parse(decoder.decode(many!.body)) as BatchAckBody;
  assertEquals([brokerName, acks.map(({ r, b }) => [r, atob(b).charCodeAt(0)])], ["a", [["0", 0b1011], ["1", 1]]]);
  assertEquals(setup.got(ackMessage).length, 1);
});

Deno.test("PopClient.ack() names the retry topic that a message was popped from: with another one the ack is lost", async () => {
  await using setup = await Setup.make();
  for (const retry of [0, 1, 2] as const) await setup.client.ack("a", [ackOf(10, retry)]);
  const topics = setup.got(ackMessage).map(({ fields }) => fields.topic);
  assertEquals(topics, ["orders", "%RETRY%billing_orders", "%RETRY%billing+orders"]);
});

Deno.test("PopClient.ack() acks one by one where the broker knows no other way, and asks it no more", async () => {
  await using setup = await Setup.make(
    answering(batchAckMessage, { code: 3, remark: "request type 200151 not supported" }),
  );
  await setup.client.ack("a", [ackOf(10), ackOf(11)]);
  await setup.client.ack("a", [ackOf(12), ackOf(13)]);
  assertEquals(setup.got(batchAckMessage).length, 1);
  assertEquals(setup.got(ackMessage).map(({ fields }) => fields.offset).toSorted(), ["10", "11", "12", "13"]);
});

Deno.test("PopClient.ack() rejects with any other answer, and keeps to acks of many", async () => {
  await using setup = await Setup.make(answering(batchAckMessage, { code: 2, remark: "busy" }));
  for (let i = 1; i <= 2; i++) {
    const error = await assertRejects(() => setup.client.ack("a", [ackOf(10), ackOf(11)]), ResponseError);
    assertEquals([error.responseCode, setup.got(batchAckMessage).length, setup.got(ackMessage).length], [2, i, 0]);
  }
});

Deno.test("PopClient.changeInvisibleTime() returns the receipt that the message has then", async () => {
  const fields = { popTime: "1700000005000", invisibleTime: "30000", reviveQid: "7" };
  await using setup = await Setup.make(answering(changeInvisibleTime, { fields }));
  const old = receipt(12, 1);
  const changed = await setup.client.changeInvisibleTime({ topic: "orders", receipt: old }, 30_000);
  const answer = { popTime: 1_700_000_005_000, invisibleTime: 30_000, reviveQid: 7 };
  assertEquals(changed, changedPopReceipt(old, answer));
  assertEquals([changed.startOffset, changed.reviveQueueId, changed.queueOffset], [12, 7, 12]);
  const [asked] = setup.got(changeInvisibleTime);
  assertEquals([asked?.fields.topic, asked?.fields.invisibleTime], ["%RETRY%billing_orders", "30000"]);
});

Deno.test("PopClient.pop() distinguishes an empty answer from a broker that is full, and asks as Java does", async () => {
  for (const [code, kind] of [[209, "full"], [210, "empty"], [19, "empty"]] as const) {
    await using setup = await Setup.make(answering(popMessage, { code, fields: popHeader }));
    const { receivedAt, ...answer } = await setup.client.pop(place, request);
    assertEquals(answer, { kind, popped: [], broken: [] });
    assert(receivedAt <= performance.now());
    const { fields } = setup.got(popMessage)[0]!;
    assertEquals(
      [fields.queueId, fields.maxMsgNums, fields.pollTime, fields.initMode, fields.bornTime, fields.order],
      ["-1", "8", "15000", "0", "0", "false"],
    );
  }
});

Deno.test("PopClient.pop() rejects with an answer that is an error, or whose receipts make no sense", async () => {
  await using refused = await Setup.make(answering(popMessage, { code: 1, remark: "no" }));
  await assertRejects(() => refused.client.pop(place, request), ResponseError);
  await using odd = await Setup.make(answering(popMessage, { fields: { ...popHeader, startOffsetInfo: "what?" } }));
  const error = await assertRejects(() => odd.client.pop(place, request), NetworkError);
  assertEquals(error.code, "MALFORMED_FRAME");
});

Deno.test("PopClient.assignment() returns what a broker assigns, and rejects where it does not know how", async () => {
  const assigned = [{ messageQueue: { topic: "orders", brokerName: "a", queueId: 1 }, mode: "POP" }];
  const body = new TextEncoder().encode(JSON.stringify({ messageQueueAssignments: assigned }));
  await using setup = await Setup.make(answering(queryAssignment, { body }));
  assertEquals(JSON.parse(JSON.stringify(await setup.client.assignment("orders", "a"))), assigned);
  const asked = JSON.parse(decoder.decode(setup.got(queryAssignment)[0]!.body));
  assertEquals([asked.topic, asked.consumerGroup, asked.strategyName], ["orders", "billing", "AVG"]);
  await using none = await Setup.make(answering(queryAssignment, { body: new TextEncoder().encode("{}") }));
  assertEquals(await none.client.assignment("orders", "a"), []);
  await using old = await Setup.make(answering(queryAssignment, { code: 3 }));
  await assertRejects(() => old.client.assignment("orders", "a"), ResponseError);
});
