import { assert, assertEquals } from "@std/assert";
import type { Cluster } from "../../../src/cluster/cluster.ts";
import { consumerRoutes, type GroupCommands, type RunningInfo } from "../../../src/consumer/group/served_requests.ts";
import { type MessageQueue, queueKey } from "../../../src/message.ts";
import { type JsonObject, pairsOf, parseJson } from "../../../src/wire/json.ts";
import {
  getConsumerStatus,
  getMaxOffset,
  notifyConsumerIdsChanged,
  resetConsumerOffset,
} from "../../../src/wire/requests.ts";
import {
  routeOver,
  ScriptedBroker,
  ScriptedNameServer,
  TestCluster,
  WatcherLog,
} from "../../cluster/scripted_cluster.ts";
import type { ScriptedServer } from "../../transport/scripted_server.ts";

const queue = { topic: "orders", queueId: 0 };

/** A name server with one topic on one broker. */
function orders(broker: ScriptedServer): ScriptedNameServer {
  return new ScriptedNameServer({ orders: routeOver({ a: { 0: broker.address } }) });
}

/** A consumer that notes what it is called with. */
class Commanded extends WatcherLog implements GroupCommands {
  onMembersChanged(): void {
    this.note("members");
  }

  onReset(offsets: readonly (readonly [MessageQueue, number])[]): void {
    this.note(`reset ${offsets.map(([queue, offset]) => `${queueKey(queue)} to ${offset}`)}`);
  }

  positions(topic: string): readonly (readonly [MessageQueue, number])[] {
    return [0, 1].map((queueId) => [{ topic, broker: "a", queueId }, queueId + 5]);
  }

  runningInfo(): RunningInfo {
    return { properties: {}, subscriptionSet: [], statusTable: {}, queues: [], poppedQueues: [] };
  }

  consumeDirectly(): Promise<string> {
    return Promise.resolve("nobody consumes here");
  }
}

function serve(cluster: Cluster, consumer: GroupCommands): void {
  cluster.requests.register("consumer", "billing", consumerRoutes(consumer));
}

Deno.test("NotifyConsumerIdsChanged reaches the consumer of the group", async () => {
  await using broker = new ScriptedBroker();
  await using names = orders(broker);
  await using client = await TestCluster.connect(names.address);
  const { cluster } = client;
  const watched = new Commanded();
  serve(cluster, watched);
  await cluster.routes.get("orders");
  await cluster.brokers.call("a", getMaxOffset, queue);
  const { code } = notifyConsumerIdsChanged;
  const peer = await broker.peer();
  peer.ask({ code, opaque: 1, flag: 2, fields: { consumerGroup: "billing" } });
  await watched.until(1);
  peer.ask({ code, opaque: 2, fields: { consumerGroup: "billing" } });
  peer.ask({ code, opaque: 3, fields: { consumerGroup: "nobody" } });
  peer.ask({ code, opaque: 4 });
  peer.ask({ code: 39, opaque: 5 });
  await broker.untilRequests(5);
  assertEquals(watched.lines, ["members", "members"]);
  const replies = broker.requests.slice(1).map((reply) => [reply.opaque, reply.code]);
  assertEquals(replies.sort(), [[2, 0], [3, 1], [4, 1], [5, 3]]);
});

Deno.test("ResetConsumerOffset reaches the consumer of the group, whatever else a broker sends", async () => {
  await using broker = new ScriptedBroker();
  await using names = orders(broker);
  await using client = await TestCluster.connect(names.address);
  const { cluster } = client;
  const watched = new Commanded();
  serve(cluster, watched);
  await cluster.routes.get("orders");
  await cluster.brokers.call("a", getMaxOffset, queue);
  const { code } = resetConsumerOffset;
  const fields = { topic: "orders", group: "billing", timestamp: "1", isForce: "true" };
  const at = (queueId: number) => `{"brokerName":"a","queueId":${queueId},"topic":"orders"}`;
  const bodies = [
    `{"offsetTable":{${at(0)}:5,${at(1)}:0}}`,
    `{"offsetTable":{}}`,
    `{"offsetTable":{{"queueId":0}:5,${at(1)}:"7x",${at(2)}:8}}`,
    `{"offsetTable":[1]}`,
    `[]`,
    ``,
  ];
  const peer = await broker.peer();
  for (const [opaque, body] of bodies.entries()) {
    peer.ask({ code, opaque, fields, body: new TextEncoder().encode(body) });
  }
  peer.ask({ code, opaque: 6, fields: { ...fields, group: "nobody" }, body: new TextEncoder().encode(bodies[0]) });
  peer.ask({ code, opaque: 7 });
  await broker.untilRequests(9);
  assertEquals(watched.lines.slice(0, 3), ["reset orders@a@0 to 5,orders@a@1 to 0", "reset ", "reset orders@a@2 to 8"]);
  assert(watched.lines.slice(3).every((line) => line === "reset "), `${watched.lines}`);
  const replies = broker.requests.slice(1).map((reply) => [reply.opaque, reply.code]).sort();
  assertEquals(replies.filter(([opaque]) => [0, 1, 2, 6].includes(opaque!)), [[0, 0], [1, 0], [2, 0], [6, 1]]);
  assertEquals(replies.filter(([opaque]) => [3, 5, 7].includes(opaque!)), [[3, 1], [5, 1], [7, 1]]);
  assertEquals((await cluster.brokers.call("a", getMaxOffset, queue)).header.offset, 12);
});

Deno.test("GetConsumerStatus is answered with positions, for a group that is here", async () => {
  await using broker = new ScriptedBroker();
  await using names = orders(broker);
  await using client = await TestCluster.connect(names.address);
  const { cluster } = client;
  serve(cluster, new Commanded());
  await cluster.routes.get("orders");
  await cluster.brokers.call("a", getMaxOffset, queue);
  const peer = await broker.peer();
  peer.ask({ code: getConsumerStatus.code, opaque: 1, fields: { topic: "orders", group: "billing" } });
  await broker.untilRequests(2);
  peer.ask({ code: getConsumerStatus.code, opaque: 2, fields: { topic: "orders", group: "nobody" } });
  await broker.untilRequests(3);
  const [answered, unknown] = broker.requests.slice(1);
  const table = parseJson(new TextDecoder().decode(answered!.body)) as JsonObject;
  const positions = pairsOf(table.messageQueueTable).map(([name, offset]) => [{ ...name }, offset]);
  assertEquals([answered!.code, positions], [0, [
    [{ brokerName: "a", queueId: 0, topic: "orders" }, 5],
    [{ brokerName: "a", queueId: 1, topic: "orders" }, 6],
  ]]);
  assertEquals([unknown!.code, unknown!.remark], [1, "no consumer of group nobody is on this client"]);
});
