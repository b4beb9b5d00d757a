/** A step that signs what leaves: it must see every request and every reply. */

import { createHmac } from "node:crypto";
import { assertEquals, assertRejects } from "@std/assert";
import { groupRoute } from "../../src/cluster/broker_requests.ts";
import { OnewayCall } from "../../src/cluster/call.ts";
import { TimeoutError } from "../../src/errors.ts";
import type { PrepareStep } from "../../src/transport/prepare.ts";
import { FieldsTemplate } from "../../src/wire/binary_fields.ts";
import type { Command } from "../../src/wire/frame.ts";
import { JsonFields } from "../../src/wire/json_fields.ts";
import {
  getMaxOffset,
  getMinOffset,
  getRoute,
  heartbeat,
  lockQueues,
  notifyConsumerIdsChanged,
  sendHeader,
  sendMessage,
  unregisterClient,
} from "../../src/wire/requests.ts";
import { sortedValues } from "../../src/wire/wire_header.ts";
import type { ScriptedServer } from "../transport/scripted_server.ts";
import { consumerData, routeOver, ScriptedBroker, ScriptedNameServer, take, TestCluster } from "./scripted_cluster.ts";

/** As the scripted broker answers it: with no header that must be there. */
const send = { ...sendMessage, answer: {} };
const LONG = { timeout: 20_000 };
const queue = { topic: "örders", queueId: 3 };

const template = new FieldsTemplate(sendHeader, {
  producerGroup: "g",
  topic: "orders",
  defaultTopic: "TBW102",
  defaultTopicQueueNums: 4,
  queueId: 1,
  reconsumeTimes: 0,
  unitMode: false,
}, ["sysFlag", "bornTimestamp", "flag", "properties", "batch"]);
const sendFields = template.with({ sysFlag: 0, bornTimestamp: 5, flag: 0, properties: "é\u0001ü\u0002", batch: false });
const writer = { length: 3, writeTo: (target: Uint8Array, at: number) => target.set([7, 8, 9], at) };

function signature(content: string, body: Uint8Array): string {
  return createHmac("sha1", "secret").update(content).update(body).digest("base64");
}

const sign: PrepareStep = ({ fields, body }) => {
  const named = fields.with({ AccessKey: "key" });
  return named.with({ Signature: signature(sortedValues(named), body) });
};

/** The codes of the frames of a server that are signed as a broker checks it; those of others are negative. */
function signedCodes(server: ScriptedServer): number[] {
  return server.requests.map(({ code, fields, body }) => {
    const { Signature, ...rest } = fields;
    const content = Object.keys(rest).sort().map((name) => rest[name]).join("");
    return rest.AccessKey === "key" && Signature === signature(content, body) ? code : -code - 1;
  });
}

Deno.test("prepare() signs requests of all kinds, their repetitions, and replies", async () => {
  await using broker = new ScriptedBroker();
  await using names = new ScriptedNameServer({ orders: routeOver({ a: { 0: broker.address } }) });
  await using client = await TestCluster.connect(names.address, { prepare: sign });
  const { cluster } = client;
  await cluster.routes.get("orders");
  const endpoint = cluster.brokers.get("a");
  cluster.membership.addConsumer("billing", () => consumerData("billing"));
  const route = groupRoute(notifyConsumerIdsChanged, ({ consumerGroup }) => consumerGroup, () => ({ code: 0 }));
  cluster.requests.register("consumer", "billing", [route]);

  await cluster.membership.beat();
  await endpoint.call(getMaxOffset, queue, LONG);
  await endpoint.call(lockQueues, {}, { ...LONG, body: new TextEncoder().encode("{}") });
  await endpoint.callWith(send, sendFields, { ...LONG, body: writer });
  await endpoint.callWith(send, sendFields, { ...LONG, body: Uint8Array.of(1) });
  await new Promise<void>((handed, failed) =>
    endpoint.begin(new OnewayCall(sendMessage, sendFields, { ...LONG, body: writer }, handed, failed))
  );
  const peer = await broker.peer();
  peer.ask({ code: notifyConsumerIdsChanged.code, opaque: 1, fields: { consumerGroup: "billing" } });
  peer.ask({ code: 12_345, opaque: 2 });
  await broker.untilRequests(8);
  await cluster.membership.removeConsumer("billing");

  assertEquals(
    signedCodes(broker).slice(0, 6),
    [heartbeat, getMaxOffset, lockQueues, ...Array(3).fill(sendMessage)]
      .map(({ code }) => code),
  );
  assertEquals(signedCodes(broker).slice(6), [0, 3, unregisterClient.code]);
  assertEquals(new Set(signedCodes(names)), new Set([getRoute.code]));
  const sent = broker.requests.filter(({ code }) => code === sendMessage.code);
  assertEquals(sent.map(({ body }) => [...body]), [[7, 8, 9], [1], [7, 8, 9]]);
  assertEquals(sent.map(({ fields }) => fields.i), Array(3).fill("é\u0001ü\u0002"));
});

Deno.test("prepare() signs what is sent again after GO_AWAY once more, not twice", async () => {
  await using broker = new ScriptedBroker((asked, peer) => {
    if (peer !== broker.peers[0]) return;
    take(asked);
    peer.answer(asked, { code: 1500 });
  });
  await using names = new ScriptedNameServer({ orders: routeOver({ a: { 0: broker.address } }) });
  await using client = await TestCluster.connect(names.address, { prepare: sign });
  await client.cluster.routes.get("orders");
  await client.cluster.brokers.get("a").callWith(send, sendFields, { ...LONG, body: writer });
  assertEquals(signedCodes(broker), [sendMessage.code, sendMessage.code]);
});

Deno.test("prepare() signs the probe of a silent connection", async () => {
  await using broker = new ScriptedBroker((asked, peer) => {
    if (peer === broker.peers[0] && peer.requests.length > 1) take(asked);
  });
  await using names = new ScriptedNameServer({ orders: routeOver({ a: { 0: broker.address } }) });
  await using client = await TestCluster.connect(names.address, { prepare: sign });
  await client.cluster.routes.get("orders");
  const endpoint = client.cluster.brokers.get("a");
  await endpoint.call(getMaxOffset, queue, LONG);
  await assertRejects(() => endpoint.call(getMaxOffset, queue, { timeout: 1_100 }), TimeoutError);
  await (await broker.peer()).ended;
  assertEquals(new Set(signedCodes(broker)), new Set([getMaxOffset.code, getMinOffset.code]));
});

Deno.test("prepare() that throws fails that request alone", async () => {
  let isBroken = true;
  await using broker = new ScriptedBroker();
  await using names = new ScriptedNameServer({ orders: routeOver({ a: { 0: broker.address } }) });
  await using client = await TestCluster.connect(names.address, {
    prepare: (frame) => {
      if (frame.code === getMaxOffset.code && isBroken) throw new RangeError("no key");
      return frame.fields;
    },
  });
  await client.cluster.routes.get("orders");
  await assertRejects(() => client.cluster.brokers.call("a", getMaxOffset, queue), RangeError, "no key");
  isBroken = false;
  assertEquals((await client.cluster.brokers.call("a", getMaxOffset, queue)).header.offset, 12);
  const codes: Command["code"][] = broker.requests.map(({ code }) => code);
  assertEquals(codes, [getMaxOffset.code]);
});

Deno.test("both forms of a header read their fields, and add further ones", () => {
  const json = JsonFields.of(getMaxOffset.header, queue);
  assertEquals(json.entries(), [["topic", "örders"], ["queueId", "3"]]);
  assertEquals(json.with({ b: '"' }).with({}).entries(), [...json.entries(), ["b", '"']]);
  assertEquals(JsonFields.ofText({}).with({ b: "1" }).text, '{"b":"1"}');
  const names = Object.fromEntries(sendFields.entries());
  assertEquals([names.b, names.g, names.i, names.m], ["orders", "5", "é\u0001ü\u0002", "false"]);
  assertEquals(sendFields.with({ ä: "\uFEFF" }).entries().at(-1), ["ä", "\uFEFF"]);
  assertEquals(sortedValues(JsonFields.ofText({ b: "1", B: "2", a: "3" })), "231");
});
