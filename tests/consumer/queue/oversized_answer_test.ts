/** One message that is larger than a frame: its queue stands still, and nothing else does. */

import { assert, assertEquals, assertLessOrEqual } from "@std/assert";
import { type Client, connect, type StatusEvent } from "../../../mod.ts";
import type { Command } from "../../../src/wire/frame.ts";
import { encodeFrame } from "../../../src/wire/frame.ts";
import { getConsumerList, popMessage, pullMessage } from "../../../src/wire/requests.ts";
import { waitUntil } from "../../behaviour/harness.ts";
import {
  routeOver,
  ScriptedBroker,
  ScriptedNameServer,
  type ScriptedPeer,
  take,
} from "../../cluster/scripted_cluster.ts";

const SIZE = 17 * 1024 * 1024;
/** What is asked for until one message alone is too large. */
const COUNTS = ["32", "16", "8", "4", "2", "1"];

const popFields = { popTime: "1", invisibleTime: "60000", reviveQid: "0", restNum: "1" };
const pullFields = { suggestWhichBrokerId: "0", nextBeginOffset: "13", minOffset: "0", maxOffset: "20" };

/** Answers with {@linkcode SIZE} bytes. */
function answerTooMuch(asked: Command, peer: ScriptedPeer, fields: Record<string, string>): void {
  const head = encodeFrame({ code: 0, flag: 1, opaque: asked.opaque, version: 479, fields });
  new DataView(head.buffer, head.byteOffset).setUint32(0, SIZE - 4);
  peer.send(head);
  peer.send(new Uint8Array(SIZE - head.length));
}

Deno.test("a message that is larger than a frame stops its queue alone, and an event has its size and the remedy", async () => {
  const clients: Client[] = [];
  await using broker = new ScriptedBroker((asked, peer) => {
    if (asked.code === getConsumerList.code) {
      take(asked);
      const consumerIdList = clients.map(({ clientId }) => clientId);
      peer.answer(asked, { body: new TextEncoder().encode(JSON.stringify({ consumerIdList })), version: 479 });
    }
    if (asked.code !== pullMessage.code && asked.code !== popMessage.code) return;
    take(asked);
    const isHostile = asked.code === popMessage.code || asked.fields["queueId"] === "0";
    if (isHostile) answerTooMuch(asked, peer, asked.code === popMessage.code ? popFields : pullFields);
  });
  const route = routeOver({ a: { 0: broker.address } }, 2);
  await using names = new ScriptedNameServer({ orders: route, payments: route });
  await using mq = await connect({ nameServers: names.address, logger: false });
  clients.push(mq);
  const events: StatusEvent[] = [];
  const status = mq.status();
  const reading = (async () => {
    for await (const event of status) events.push(event);
  })();
  const stalled = (topic: string) =>
    events.filter((event) => event.type === "stalled" && (event.queue?.topic ?? event.topic) === topic);
  const asked = (code: number) =>
    broker.requests.filter((request) => request.code === code && request.fields["queueId"] !== "1");
  const check = (topic: string, code: number) => {
    const [event, ...others] = stalled(topic);
    assertEquals(others, []);
    for (const words of [`${SIZE} bytes`, "16777216", "maxTransferBytesOnMessage"]) {
      assert(event!.text.includes(words), event!.text);
    }
    assertEquals(asked(code).slice(0, COUNTS.length).map(({ fields }) => fields["maxMsgNums"]), COUNTS);
    assertLessOrEqual(asked(code).length, COUNTS.length + 2);
  };

  const consumer = await mq.consumer({ group: "billing", topics: "orders" });
  const pulls = consumer.batches().next();
  await waitUntil(() => stalled("orders").length > 0, { what: "the event of the pulls" });
  check("orders", pullMessage.code);
  const lags = await consumer.lag(); // on the same connection
  assertEquals(lags.filter(({ queue }) => queue.topic === "orders").length, 2);

  const popped = await mq.popConsumer({ group: "workers", topics: "payments" });
  const pops = popped.batches().next();
  await waitUntil(() => stalled("payments").length > 0, { what: "the event of the pops" });
  check("payments", popMessage.code);

  await Promise.all([consumer.close(), popped.close()]);
  assertEquals([(await pulls).done, (await pops).done], [true, true]);
  assertEquals(broker.peers.length, 1, "one connection, never cut");
  await mq.close();
  await reading;
});
